"""What `health`, `position show` and a stream's own watch say while the log grows, rotates, is purged and is reset."""

from __future__ import annotations

import logging
import threading
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest

from replica_cli.core.position import Position
from replica_cli.core.reports.health import HealthLevel
from replica_cli.core.requests.health import HealthRequest
from replica_cli.core.requests.stream import StreamRequest
from replica_cli.core.selection import Selection
from replica_cli.core.settings import Network, Retry, Settings
from replica_cli.core.status import Phase
from replica_cli.runtime.heartbeat import Heartbeat
from replica_cli.runtime.status_publisher import StatusPublisher
from replica_cli.service.health import check_health
from replica_cli.service.position import show_positions
from replica_cli.stop import StopToken
from replica_cli.worker import health_monitor
from replica_cli.worker.health_monitor import HealthMonitor
from replica_cli.worker.worker import Worker
from tests.support.command import Load, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from replica_cli.core.reports.health import HealthReport
    from replica_cli.core.reports.stream import WorkerReport
    from replica_cli.core.status import WorkerStatus
    from replica_cli.mysql.session import Session
    from replica_cli.sandbox.server import SandboxServer
    from tests.support.servers import ServerFactory

pytestmark = pytest.mark.every_flavour
_LOOKS = 25


@dataclass
class Watched:
    """A stream in this process, with its watch that looks all the time."""

    primary: SandboxServer
    settings: Settings
    publisher: StatusPublisher
    reports: list[WorkerReport]
    thread: threading.Thread

    def wait_for_the_end(self) -> WorkerReport:
        self.thread.join(30)
        assert self.reports, self.publisher.status
        return self.reports[0]


@pytest.fixture
def settings(
    server_factory: ServerFactory, secondary: SandboxServer, schema: str, state_schema: str
) -> tuple[SandboxServer, Settings]:
    """Give a primary of the test's own, whose log may be reset, and settings for it."""
    flavour, _, version = str(secondary.binary).partition(":")
    primary = server_factory(flavour, version, server_id=31)
    with primary.session() as session:
        session.execute(f"CREATE DATABASE {schema}")
        session.execute(f"CREATE TABLE {schema}.t (id INT PRIMARY KEY AUTO_INCREMENT, v VARCHAR(8000) NOT NULL)")
    return primary, Settings(
        primary.address(name="primary"),
        (secondary.address(name="db1"),),
        Selection(((schema, schema),), state_schema=state_schema),
        server_id=4300,
        state_schema=state_schema,
        network=Network(connect_timeout=5.0, heartbeat=0.5, read_timeout=5.0, query_timeout=60.0),
        retry=Retry(attempts=3, delay=0.01, delay_limit=0.1, reconnect_attempts=3),
    )


@contextmanager
def streaming(primary: SandboxServer, settings: Settings) -> Iterator[Watched]:
    server = settings.secondaries[0]
    publisher, stop = StatusPublisher("db1", lambda _: None), StopToken()
    reports: list[WorkerReport] = []
    request = StreamRequest((server,))
    worker = Worker(settings, request, server, server_id=settings.server_id, publisher=publisher, stop=stop)
    thread = threading.Thread(target=lambda: reports.append(worker.run()), daemon=True)
    with (
        Heartbeat(settings, server, publisher, stop),
        HealthMonitor(settings, server, publisher, worker.request_position_check),
    ):
        thread.start()
        try:
            yield Watched(primary, settings, publisher, reports, thread)
        finally:
            stop.request()
            thread.join(30)


def write(session: Session) -> None:
    session.execute("INSERT INTO t (v) VALUES (REPEAT('x', 50))")


class Writing:
    """Writes as fast as one session can, begins another file of the log now and then, and purges the others."""

    def __init__(self) -> None:
        self.rounds = 0

    def __call__(self, session: Session) -> None:
        for _ in range(10):
            write(session)
        self.rounds += 1
        if self.rounds % 10 == 0:
            session.execute("FLUSH BINARY LOGS")
            (*_, newest) = session.rows("SHOW BINARY LOGS")
            session.execute(f"PURGE BINARY LOGS TO '{newest[0]}'")


def alive(report: HealthReport) -> bool:
    return next(c for c in report.checks if c.name == "stream-alive").level is HealthLevel.OK


def critical(found: WorkerStatus) -> list[tuple[str, str, str]]:
    return [f for f in found.findings if f[1] == HealthLevel.CRITICAL.name]


def test_nothing_is_called_lost_while_a_stream_follows_a_busy_primary(
    settings: tuple[SandboxServer, Settings],
    schema: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(health_monitor, "_WATCH_SECONDS", 0.05)
    # Also when the watch holds the log against the GTID set each time.
    monkeypatch.setattr(HealthMonitor, "_is_doubtful", lambda *_: True)
    caplog.set_level(logging.WARNING, logger="replica_cli")
    primary, made = settings
    request = HealthRequest(made.secondaries)
    with streaming(primary, made) as watched:
        wait_until(lambda: watched.publisher.status.phase is Phase.CAUGHT_UP or watched.reports, "the stream")
        assert not watched.reports
        load = Load(primary, schema, Writing())
        for _ in range(_LOOKS):
            report = check_health(made, request)
            (check,) = (c for c in report.checks if c.name == "position")
            # A file may go before what the stream has read of it is applied: no loss, as long as the stream lives.
            may_be_read = "the running stream may have read it before" in check.message
            assert check.level is HealthLevel.OK or (check.level is HealthLevel.WARNING and may_be_read)
            assert "--restart" not in check.hint
            (shown,) = show_positions(made, made.secondaries)
            assert shown.lost is None
            assert critical(watched.publisher.status) == []
        assert load.rounds > 2
        load.stop()
        assert watched.thread.is_alive(), watched.reports
    assert not [r for r in caplog.records if "--restart" in r.getMessage()]
    assert watched.wait_for_the_end().phase is Phase.STOPPED


def log_end(session: Session) -> Position:
    row = session.row("SHOW MASTER STATUS" if session.is_mariadb else "SHOW BINARY LOG STATUS")
    assert row is not None
    return Position(str(row[0]), int(row[1]))


@pytest.mark.parametrize("after", ["nothing", "more than before"])
def test_a_log_that_is_reset_under_a_stream_ends_it(
    settings: tuple[SandboxServer, Settings], schema: str, monkeypatch: pytest.MonkeyPatch, after: str
) -> None:
    monkeypatch.setattr(health_monitor, "_WATCH_SECONDS", 0.2)
    primary, made = settings
    with primary.session(database=schema) as source, streaming(primary, made) as watched:
        for _ in range(5):
            write(source)
        end = log_end(source)
        wait_until(lambda: (p := watched.publisher.status.position) and p.order >= end.order, "the stream")
        # No look falls into the moment in which the log is shorter.
        checks, is_closed = HealthMonitor._run_checks, threading.Event()
        monkeypatch.setattr(HealthMonitor, "_run_checks", lambda self: iter(()) if is_closed.is_set() else checks(self))
        is_closed.set()
        wait_until(lambda: not watched.publisher.status.findings, "a look with closed eyes")
        source.execute("RESET MASTER" if source.is_mariadb else "RESET BINARY LOGS AND GTIDS")
        if after != "nothing":
            while log_end(source).pos < end.pos + 1000:
                write(source)
        is_closed.clear()
        report = check_health(made, HealthRequest(made.secondaries))
        (check,) = (c for c in report.checks if c.name == "position")
        assert check.level is HealthLevel.CRITICAL
        (shown,) = show_positions(made, made.secondaries)
        assert shown.lost is not None
        assert shown.distance_bytes is None
        ended = watched.wait_for_the_end()
    assert ended.failure is not None
    assert (ended.failure.code, ended.failure.exit_code) == ("position_lost", 11)
    assert ended.position is not None
    assert replace(ended.position, gtid="") == end
