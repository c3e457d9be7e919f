"""The health monitor of a stream checks both servers each half minute; what `health` does with its results."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from replica_cli.checkpoint.beats import BeatStore
from replica_cli.checkpoint.lock import WriterLock
from replica_cli.config.accepted_drift import drift_patterns
from replica_cli.core.position import Position
from replica_cli.core.reports.health import HealthLevel
from replica_cli.core.status import CopyProgress, CopyStep, Phase, TableProgress, TableState
from replica_cli.core.table import TableName
from replica_cli.health.column_watch import ColumnWatch
from replica_cli.mysql.session import connect
from replica_cli.runtime import lock_watch
from replica_cli.runtime.heartbeat import Heartbeat
from replica_cli.runtime.status_publisher import StatusPublisher
from replica_cli.stop import StopToken
from replica_cli.worker import health_monitor
from tests.support.command import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from replica_cli.core.metrics import StreamMetrics
    from replica_cli.core.reports.health import HealthCheck
    from replica_cli.core.settings import Settings
    from replica_cli.core.status import WorkerStatus
    from replica_cli.runtime.instance_view import InstanceView
    from replica_cli.sandbox.server import SandboxServer
    from tests.engine.watched import Watched


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(health_monitor, "_WATCH_SECONDS", 0.01)
    caplog.set_level(logging.INFO, logger="replica_cli")


def _look(watched: Watched, is_enough: Callable[[WorkerStatus], bool], **changes: object) -> WorkerStatus:
    """Watch until a snapshot is enough, and beat it as the heartbeat does."""
    settings: Settings = replace(watched.settings, **changes)  # type: ignore[arg-type]
    publisher = StatusPublisher("db1", lambda _: None)
    publisher.set_lag(0.5, grows=False, heard_at=time.monotonic() - 2)
    publisher.set(phase=Phase.STREAMING, position=Position("binlog.000001", 4))
    with health_monitor.HealthMonitor(settings, settings.secondaries[0], publisher):
        wait_until(lambda: is_enough(publisher.status), "what the monitor reports")
    watched.beat(Phase.CAUGHT_UP, findings=publisher.status.findings)
    return publisher.status


def _told(caplog: pytest.LogCaptureFixture, said: str) -> logging.LogRecord:
    return next(record for record in caplog.records if said in record.getMessage())


def test_all_is_well(watched: Watched, caplog: pytest.LogCaptureFixture) -> None:
    found = _look(watched, lambda s: bool(s.findings)).findings
    assert {name for name, _, _ in found} == {"position", "retention-left", "quarantined-tables"}
    record = _told(caplog, "caught up, lag 0.5s, last event 2.")
    assert (record.levelno, record.tag) == (logging.INFO, "HEALTH")  # type: ignore[attr-defined]
    check = watched.check("stream-watch")
    assert check.level is HealthLevel.OK
    assert "nothing wrong" in check.message


def test_distance_and_retention_are_measured_until_the_primary_is_away(watched: Watched) -> None:
    watched.on_primary("SET GLOBAL binlog_expire_logs_seconds = 172800")
    publisher = StatusPublisher("db1", lambda _: None)

    def newest() -> StreamMetrics:
        return publisher.measures.snapshot(lag_seconds=None, lag_grows=False, lag_known_at=0.0, heard_at=None)

    watched.write()  # it is not applied
    try:
        with health_monitor.HealthMonitor(watched.settings, watched.settings.secondaries[0], publisher) as monitor:
            wait_until(lambda: newest().distance_bytes, "a distance")
            assert newest().retention_seconds == 2 * 86400
            watched.on_primary("FLUSH BINARY LOGS")
            # The file of the saved position is closed: how old the position is counts from now on.
            wait_until(lambda: (newest().retention_seconds or 0) < 2 * 86400, "the retention of a closed file")
            assert (newest().retention_seconds or 0) > 2 * 86400 - 600
            monitor.take(replace(watched.settings, primary=replace(watched.settings.primary, port=1)))
            wait_until(lambda: newest().distance_bytes is None, "a primary that is away")
            assert (newest().retention_seconds or 0) > 2 * 86400 - 600  # still a lower bound
    finally:
        watched.on_primary("SET GLOBAL binlog_expire_logs_seconds = DEFAULT")


def test_lag_and_what_does_not_move_are_warnings(watched: Watched, caplog: pytest.LogCaptureFixture) -> None:
    _look(watched, lambda s: bool(s.findings), max_lag_seconds=0.1)
    assert _told(caplog, "caught up, lag 0.5s").levelno == logging.WARNING
    caplog.clear()
    publisher = StatusPublisher("db1", lambda _: None)
    publisher.set(phase=Phase.STREAMING)
    with health_monitor.HealthMonitor(watched.settings, watched.settings.secondaries[0], publisher):
        wait_until(lambda: any("nothing moves" in r.getMessage() for r in caplog.records), "a report of a stall")
    assert _told(caplog, "streaming, nothing moves").levelno == logging.WARNING


@pytest.mark.parametrize(
    ("phase", "transfer", "said", "level"),
    [
        (Phase.TRANSFERRING, None, "planning the copy", logging.INFO),
        (Phase.TRANSFERRING, (CopyStep.INDEXES,), "building indexes of shop.orders for 9.0s", logging.INFO),
        (Phase.TRANSFERRING, (CopyStep.ROWS,), "(25%), 10 rows/s, ETA 1m15s, nothing moves", logging.WARNING),
        (Phase.STREAMING, (CopyStep.ROWS,), "streaming, copied: 0 of 1 table, 250 of about", logging.WARNING),
        (Phase.PAUSED, None, "paused", logging.INFO),
        (Phase.STANDBY, None, "standby", logging.INFO),
    ],
)
def test_a_health_check_of_a_copy_or_a_pause_says_what_it_does(  # noqa: PLR0917 - one argument for each fixture and column
    watched: Watched,
    caplog: pytest.LogCaptureFixture,
    phase: Phase,
    transfer: tuple[CopyStep, ...] | None,
    said: str,
    level: int,
) -> None:
    tables = tuple(TableProgress("shop.orders", 250, 1000, 0, TableState.COPYING, step, 9.0) for step in transfer or ())
    publisher = StatusPublisher("db1", lambda _: None)
    publisher.set(phase=phase, transfer=CopyProgress("db1", tables, 1.0, 10.0) if transfer else None)
    watch = health_monitor.HealthMonitor(watched.settings, watched.settings.secondaries[0], publisher)
    for _ in range(2):
        watch._log_checks([])
    assert said in caplog.records[-1].getMessage()
    assert "unknown" not in caplog.text
    assert caplog.records[-1].levelno == level
    assert caplog.records[0].levelno == logging.INFO  # nothing was seen before the first look


def test_health_reports_a_primary_that_is_down_when_the_stream_is_gone(
    watched: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    away = replace(watched.settings.primary, port=1)
    _look(watched, lambda s: bool(s.findings), primary=away)
    record = _told(caplog, "; primary-connection: ")
    assert record.levelno == logging.WARNING
    watched.age("beat_at", 3600)
    check = watched.check("stream-watch")
    assert check.level is HealthLevel.CRITICAL
    assert "primary-connection: " in check.message


def _connections(server: SandboxServer) -> int:
    with server.session() as session:
        return int(session.rows("SHOW GLOBAL STATUS LIKE 'Connections'")[0][1])


def test_the_sessions_stay_open_from_look_to_look(
    watched: Watched, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[int] = []
    real = health_monitor.HealthMonitor._read_view

    def counted(watch: health_monitor.HealthMonitor) -> InstanceView:
        looks.append(1)
        return real(watch)

    monkeypatch.setattr(health_monitor.HealthMonitor, "_read_view", counted)
    monkeypatch.setattr(ColumnWatch, "is_due", lambda _: True)
    before = _connections(watched.primary), _connections(watched.secondary)
    _look(watched, lambda _: len(looks) > 5)
    # One each, one for counting, and the heartbeat of this test.
    assert _connections(watched.primary) - before[0] <= 2
    assert _connections(watched.secondary) - before[1] <= 3
    assert "columns" not in caplog.text


def test_a_kept_session_that_was_lost_is_opened_again_and_no_finding(watched: Watched) -> None:
    publisher = StatusPublisher("db1", lambda _: None)
    publisher.set(phase=Phase.CAUGHT_UP, position=watched.end())
    watch = health_monitor.HealthMonitor(watched.settings, watched.settings.secondaries[0], publisher)
    try:
        for kept in ("_secondary", "_primary"):
            assert {c.name for c in watch._run_checks() if c} == {"position", "retention-left", "quarantined-tables"}
            assert watch._secondary is not None
            assert watch._primary is not None
            one = watch._secondary if kept == "_secondary" else watch._primary.session
            one.abort()
        found = [c for c in watch._run_checks() if c]
        assert [c for c in found if c.level is not HealthLevel.OK] == []
    finally:
        watch._close_sessions()


def test_a_secondary_that_is_down(watched: Watched) -> None:
    away = replace(watched.settings.secondaries[0], port=1)
    found = _look(watched, lambda s: bool(s.findings), secondaries=(away,)).findings
    assert [(name, level) for name, level, _ in found] == [("secondary-connection", "CRITICAL")]


def test_a_purged_position(watched: Watched) -> None:
    watched.save(Position("binlog.000000", 4))
    # What was purged a live stream may have read before; a file that was never there is another log's.
    found = _look(watched, lambda s: any(level == "WARNING" for _, level, _ in s.findings)).findings
    assert ("position", "WARNING") in {(name, level) for name, level, _ in found}
    watched.save(Position("binlog.999999", 4))
    found = _look(watched, lambda s: any(level == "CRITICAL" for _, level, _ in s.findings)).findings
    assert ("position", "CRITICAL") in {(name, level) for name, level, _ in found}
    assert watched.check("position").level is HealthLevel.CRITICAL


def test_health_prefers_its_own_checks_to_older_ones_of_the_monitor(watched: Watched) -> None:
    watched.beat(
        Phase.CAUGHT_UP,
        findings=(("quarantined-tables", "CRITICAL", "s.t, and copied again since"), ("columns", "WARNING", "t (c)")),
    )
    assert watched.check("quarantined-tables").level is HealthLevel.OK
    check = watched.check("stream-watch")
    assert check.level is HealthLevel.WARNING
    assert "s.t" not in check.message
    assert "columns: t (c)" in check.message
    away = replace(watched.settings, primary=replace(watched.settings.primary, port=1))
    watched.settings = away
    watched.beat(Phase.CAUGHT_UP, findings=(("position", "CRITICAL", "was lost"),))
    assert "position: was lost" in watched.check("stream-watch").message


@pytest.fixture
def _other_names(watched: Watched) -> Iterator[None]:
    for server, name in ((watched.primary, "b"), (watched.secondary, "renamed")):
        with server.session() as session:
            session.execute(f"CREATE DATABASE IF NOT EXISTS {watched.schema}")
            session.execute(f"CREATE TABLE {watched.schema}.u (id INT PRIMARY KEY, {name} INT)")
    yield
    with watched.secondary.session() as session:
        session.execute(f"DROP DATABASE {watched.schema}")


@pytest.mark.usefixtures("_other_names")
def test_columns_renamed_while_no_process_ran_are_reported(watched: Watched, caplog: pytest.LogCaptureFixture) -> None:
    publisher = StatusPublisher("db1", lambda _: None)
    publisher.set(phase=Phase.CAUGHT_UP, position=watched.end())
    with health_monitor.HealthMonitor(watched.settings, watched.settings.secondaries[0], publisher):
        wait_until(lambda: any(name == "columns" for name, _, _ in publisher.status.findings), "a report of columns")
    assert _told(caplog, f"adds them: {watched.schema}.u (b)").levelno == logging.WARNING
    watched.beat(Phase.CAUGHT_UP, findings=publisher.status.findings)
    assert watched.check("stream-watch").level is HealthLevel.WARNING


@pytest.mark.usefixtures("_other_names")
@pytest.mark.parametrize(("pattern", "is_told"), [("*.u:missing-column:b", False), ("*.u:missing-column:a", True)])
def test_columns_that_are_missing_on_purpose_are_not_reported(watched: Watched, pattern: str, *, is_told: bool) -> None:
    columns = ColumnWatch(watched.settings.selection, "db1", drift_patterns([pattern]))
    with watched.primary.session() as primary, watched.secondary.session() as secondary:
        for _ in range(2):
            check = columns.check(primary, secondary, watched.end(), left_out=frozenset())
    assert (check is not None) is is_told


@pytest.mark.usefixtures("_other_names")
def test_a_definition_in_flight_is_no_difference(watched: Watched) -> None:
    behind, end = Position("binlog.000001", 4), watched.end()
    columns = ColumnWatch(watched.settings.selection, "db1")
    with watched.primary.session() as primary, watched.secondary.session() as secondary:

        def check(place: Position, left_out: frozenset[TableName] = frozenset()) -> HealthCheck | None:
            return columns.check(primary, secondary, place, left_out=left_out)

        # Seen for the first time, then with the stream still before it.
        assert check(end) is None
        assert check(behind) is None
        assert check(end) is not None
        assert check(end, frozenset({TableName(watched.schema, "u")})) is None
        columns = ColumnWatch(watched.settings.selection, "db1")
        assert check(end) is None
        watched.on_primary(f"ALTER TABLE {watched.schema}.u CHANGE b c INT")
        # Another difference than before: the statement that made it may be in the log.
        assert check(end) is None
        assert check(end) is None
        watched.on_primary(f"ALTER TABLE {watched.schema}.u CHANGE c renamed INT")
        assert check(watched.end()) is None


def test_the_heart_beats_while_the_look_at_locks_is_not_answered(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    has_answer, is_asked = threading.Event(), threading.Event()

    def slow(*_: object) -> str:
        is_asked.set()
        has_answer.wait(60)
        return "a row lock"

    monkeypatch.setattr(lock_watch, "what_blocks", slow)
    settings = watched.settings
    (server,) = settings.secondaries
    publisher = StatusPublisher("db1", lambda _: None)
    publisher.set_lag(0.0, grows=True, heard_at=time.monotonic())
    publisher.has_held_lock = True
    with connect(server, settings.network) as writer, connect(server, settings.network) as session:
        assert WriterLock(writer, settings.state_schema, "db1").try_acquire()
        beats = BeatStore(session, settings.state_schema, "db1")
        try:
            with Heartbeat(settings, server, publisher, StopToken()):
                assert is_asked.wait(60)
                seen: set[str] = set()

                def has_beaten_on() -> bool:
                    beat = beats.load()
                    seen.update({str(beat.beat_at)} if beat is not None else set())
                    return len(seen) >= 3

                wait_until(has_beaten_on, "beats while the answer is awaited")
                has_answer.set()
                wait_until(lambda: "for a row lock" in publisher.status.message, "the answer in the status")
        finally:
            has_answer.set()
