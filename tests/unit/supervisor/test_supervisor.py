"""What a supervisor reports about its workers, with pipes and no processes."""

from __future__ import annotations

import logging
import subprocess
import threading
from multiprocessing import Pipe
from typing import TYPE_CHECKING
from unittest.mock import Mock

from replica_cli.config.service_variables import ServiceVariables
from replica_cli.core.metrics import ProcessFacts, StreamMetrics
from replica_cli.core.position import Position
from replica_cli.core.reports.stream import WorkerReport
from replica_cli.core.requests.stream import StreamRequest
from replica_cli.core.selection import Selection
from replica_cli.core.settings import Http, ListenAddress, Secret, Server, Settings
from replica_cli.core.status import Phase, WorkerStatus
from replica_cli.stop import StopToken
from replica_cli.supervisor import worker_handle as module
from replica_cli.supervisor.service_manager import ServiceManager
from replica_cli.supervisor.signals import StopSignals
from replica_cli.supervisor.supervisor import supervise
from replica_cli.supervisor.worker_handle import WorkerHandle, newest_of
from replica_cli.worker.messages import STOP, WorkerConfig
from replica_cli.worker.wakeup import Wakeup

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection

    import pytest

SAVED = Position("binlog.000001", 4)


class Process:
    """A process that has ended, by SIGKILL."""

    returncode: int | None = -9
    pid = 4711

    def kill(self) -> None:
        pass

    def wait(self, timeout: float | None = None) -> int:
        if timeout is not None and timeout < 0:
            raise subprocess.TimeoutExpired("worker", timeout)
        return -9


class Scene:
    """One worker. `play` is what each of its processes does with its end of the pipe."""

    def __init__(self, patch: pytest.MonkeyPatch, play: Callable[[Connection], None]) -> None:
        self.play = play
        self.starts = 0
        server = Server("db1", "127.0.0.1", 3306, "u", Secret("p"))
        settings = Settings(server, (server,), Selection(()))
        self.worker = WorkerHandle(WorkerConfig(settings, StreamRequest((server,)), server, 100, logging.INFO))
        self.stop = StopToken()
        self.reporter = Mock()
        patch.setattr(module, "spawn", self._spawn)

    def run(self) -> None:
        with Wakeup() as wakeup, self.stop.waking(wakeup.wake):
            self.worker.start()
            service = ServiceManager(ServiceVariables())
            supervise([self.worker], StopSignals(self.stop), self.reporter, lambda: None, wakeup, service=service)

    def _spawn(self) -> tuple[Process, Connection]:
        self.starts += 1
        own_end, worker_end = Pipe()
        threading.Thread(target=self._play, args=(worker_end,), daemon=True).start()
        return Process(), own_end

    def _play(self, pipe: Connection) -> None:
        with pipe:
            assert isinstance(pipe.recv(), WorkerConfig)
            self.play(pipe)


def test_a_stop_while_a_dead_worker_waits_for_its_restart_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(monkeypatch, lambda pipe: pipe.send(WorkerStatus("db1", Phase.STREAMING, SAVED, rows_total=7)))
    # The supervisor reports the death: its worker is waiting for the restart by then.
    scene.reporter.on_status = lambda status: scene.stop.request() if "starts again" in status.message else None
    scene.run()
    report = scene.worker.report
    assert report is not None
    assert (report.phase, report.failure, report.position, report.rows_total) == (Phase.STOPPED, None, SAVED, 7)
    assert scene.starts == 1


def test_a_worker_gets_no_token_of_http(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server("db1", "127.0.0.1", 3306, "u", Secret("p"))
    http = Http(ListenAddress("127.0.0.1", 9400), Secret("a token"))
    settings = Settings(server, (server,), Selection(()), http=http)
    own_end, worker_end = Pipe()
    monkeypatch.setattr(module, "spawn", lambda: (Process(), own_end))
    worker = WorkerHandle(WorkerConfig(settings, StreamRequest((server,)), server, 100, logging.INFO))
    with own_end, worker_end:
        worker.start()
        worker.take(settings)
        assert worker_end.recv().settings.http == worker_end.recv().http == Http()


def test_a_worker_that_dies_instead_of_stopping_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[object] = []

    def stream(pipe: Connection) -> None:
        scene.stop.request()
        heard.append(pipe.recv())

    scene = Scene(monkeypatch, stream)
    scene.run()
    report = scene.worker.report
    assert heard == [STOP]
    assert report is not None
    assert report.phase is Phase.FAILED
    assert report.failure is not None
    assert "ended without a report" in report.failure.message
    assert scene.starts == 1


def test_a_dead_worker_is_started_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def play(pipe: Connection) -> None:
        if scene.starts == 2:
            scene.stop.request()
            pipe.send(ended)

    monkeypatch.setattr(module, "RESTART_SECONDS", 0.01)
    ended = WorkerReport("db1", Phase.STOPPED, SAVED)
    scene = Scene(monkeypatch, play)
    scene.run()
    assert (scene.starts, scene.worker.deaths, scene.worker.report) == (2, 1, ended)
    assert newest_of([scene.worker]).processes == {"db1": ProcessFacts(is_running=False, deaths=1)}


def test_deaths_are_counted_for_ever_and_metrics_of_a_dead_worker_are_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(monkeypatch, lambda _: None)
    metrics = StreamMetrics(batches=1)
    for count in (1, 2, 3):
        scene.worker.start()
        assert scene.worker.facts == ProcessFacts(is_running=True, deaths=count - 1)
        scene.worker.status = WorkerStatus("db1", Phase.STREAMING, SAVED, metrics=metrics, limiting_part="link")
        monkeypatch.setattr(module, "QUIET_SECONDS", -1.0)  # each death is one by itself
        assert scene.worker.died()
        assert (scene.worker.deaths, scene.worker.facts) == (1, ProcessFacts(is_running=False, deaths=count))
        (status,) = newest_of([scene.worker]).statuses
        assert (status.metrics, status.limiting_part, status.position) == (None, "", SAVED)
