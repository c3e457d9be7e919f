"""When notes to systemd are due, and what the status says; tests/flow sends them to a socket."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from replica_cli.config.service_variables import ServiceVariables
from replica_cli.core.status import Phase, WorkerStatus
from replica_cli.supervisor.service_manager import ServiceManager, status_text

if TYPE_CHECKING:
    import pytest


class Worker:
    """As much of a worker's handle as systemd hears of."""

    def __init__(self, name: str, phase: Phase = Phase.STREAMING, lag: float | None = None) -> None:
        self.config: Any = SimpleNamespace(server=SimpleNamespace(name=name))
        self.status = WorkerStatus(name, phase, lag_seconds=lag)
        self.report: Any = None
        self.pipe: Any = object()
        self.missed_pings, self.age_seconds, self.was_heard = 0, 1.0, True
        self.pings = 0

    def ping(self) -> None:
        self.pings += 1


class Systemd:
    """A service manager with a clock that is set by hand, and the notes that it sent."""

    def __init__(self, patch: pytest.MonkeyPatch, *, watchdog_seconds: float = 60.0) -> None:
        self.now = 1000.0
        self.notes: list[str] = []
        self.manager = ServiceManager(ServiceVariables("@nowhere", watchdog_seconds), lambda: self.now)
        patch.setattr(self.manager, "_send", lambda *lines: self.notes.append(lines[0]))

    def turn(self, *workers: Worker, after: float = 0.0) -> list[str]:
        self.now += after
        self.notes.clear()
        self.manager.turn(workers)  # type: ignore[arg-type]
        return list(self.notes)


def test_it_is_ready_when_each_process_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    systemd = Systemd(monkeypatch, watchdog_seconds=0)
    one, two = Worker("db1"), Worker("db2")
    two.pipe = None  # it could not be started, and waits for the next attempt
    assert "READY=1" not in systemd.turn(one, two)
    two.pipe = object()
    assert systemd.turn(one, two) == ["READY=1"]
    assert systemd.turn(one, two) == []
    assert systemd.manager.next_at is None


def test_a_status_comes_when_it_changes_and_not_more_often_than_each_three_seconds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    systemd = Systemd(monkeypatch, watchdog_seconds=0)
    worker = Worker("db1", Phase.CAUGHT_UP, 0.2)
    assert systemd.turn(worker) == ["READY=1", "STATUS=db1 caught up"]
    worker.status = WorkerStatus("db1", Phase.STREAMING, lag_seconds=79.0)
    assert systemd.turn(worker, after=1) == []
    assert systemd.manager.next_at == 1003
    assert systemd.turn(worker, after=2) == ["STATUS=db1 streaming, lag 1m19s"]
    assert systemd.turn(worker, after=60) == []


def test_a_frozen_worker_ends_the_signs_of_life(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    systemd = Systemd(monkeypatch)
    one, two = Worker("db1"), Worker("db2")
    assert "WATCHDOG=1" in systemd.turn(one, two)
    assert systemd.manager.next_at == 1030
    assert systemd.turn(one, two, after=29) == []
    assert systemd.turn(one, two, after=1) == ["WATCHDOG=1"]
    assert (one.pings, two.pings) == (2, 2)
    two.missed_pings = 1
    assert systemd.turn(one, two, after=30) == ["WATCHDOG=1"]
    two.missed_pings = 2
    for _ in range(2):
        assert systemd.turn(one, two, after=30) == []
    assert [(r.levelname, r.__dict__["instance"]) for r in caplog.records] == [("ERROR", "db2")]
    # A process that starts on a busy machine needs its time, and one that runs no more is not asked.
    two.was_heard = False
    assert systemd.turn(one, two, after=30) == ["WATCHDOG=1"]
    two.age_seconds = 31.0
    assert systemd.turn(one, two, after=30) == []
    two.pipe = None
    assert systemd.turn(one, two, after=30) == ["WATCHDOG=1"]


def test_a_stop_is_reported_once_and_needs_no_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    systemd = Systemd(monkeypatch)
    worker = Worker("db1")
    systemd.turn(worker)
    worker.missed_pings = 5
    systemd.notes.clear()
    systemd.manager.stop()
    systemd.manager.stop()
    assert systemd.notes == ["STOPPING=1"]
    assert systemd.turn(worker, after=30) == ["WATCHDOG=1"]


def test_nothing_is_due_without_systemd_and_a_socket_that_is_gone_does_no_harm() -> None:
    without = ServiceManager(ServiceVariables())
    worker: Any = Worker("db1")
    without.turn([worker])
    without.stop()
    assert without.next_at is None
    assert worker.pings == 0
    gone = ServiceManager(ServiceVariables("/no/such/socket", 60.0))
    gone.turn([worker])
    with gone.reloading():
        pass
    gone.stop()


def test_the_status_of_many_secondaries_is_short() -> None:
    workers: list[Any] = [Worker(f"db{number}", Phase.CAUGHT_UP, 0.0) for number in range(30)]
    assert status_text(workers) == "30 caught up"
    workers[7] = Worker("db7", Phase.STREAMING, 45.0)
    workers[8].report = SimpleNamespace(phase=Phase.FAILED)
    assert status_text(workers) == "28 caught up, 1 streaming, 1 failed; largest lag 45s (db7)"
