"""`replica health`: each check against real servers, in the state that it is for."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from replica_cli.checkpoint.beats import BeatStore
from replica_cli.checkpoint.positions import Advance, PositionStore
from replica_cli.checkpoint.progress import ProgressStore, RangeProgress
from replica_cli.checkpoint.table_lifecycle import TableLifecycle
from replica_cli.checkpoint.table_records import TableRecord
from replica_cli.cli.output.console import Painter
from replica_cli.cli.output.tables import positions_text
from replica_cli.core.position import Position
from replica_cli.core.reports.health import HealthLevel
from replica_cli.core.selection import Selection
from replica_cli.core.settings import Secret
from replica_cli.core.status import CopyStep, Phase, TableProgress, TableState, TransferProgress, WorkerStatus
from replica_cli.core.table import TableName
from replica_cli.sandbox.process import free_port
from replica_cli.service.position import show_positions
from tests.engine.watched import NAME, Watched
from tests.support.table_records import put

OK, WARNING, CRITICAL, UNKNOWN = HealthLevel.OK, HealthLevel.WARNING, HealthLevel.CRITICAL, HealthLevel.UNKNOWN


def test_all_is_well(watched: Watched) -> None:
    report = watched.report()
    assert [c for c in report.checks if c.level is not OK] == []
    assert report.level is OK
    keys = [(c.instance, c.name) for c in report.checks]
    assert len(keys) == len(set(keys))


def test_a_server_that_is_down_is_a_check(watched: Watched) -> None:
    settings = watched.settings
    down = replace(settings.secondaries[0], name="db2", port=free_port())
    watched.settings = replace(settings, secondaries=(*settings.secondaries, down))
    report = watched.report()
    assert report.level is CRITICAL
    assert [(c.instance, c.name) for c in report.checks if c.level is not OK] == [("db2", "secondary-connection")]


def test_the_primary_is_down(watched: Watched) -> None:
    watched.settings = replace(watched.settings, primary=replace(watched.settings.primary, port=free_port()))
    report = watched.report()
    wrong = {c.name: c.level for c in report.checks if c.level is not OK}
    assert wrong == {"primary-connection": CRITICAL, "position": UNKNOWN, "lag": UNKNOWN}
    assert report.level is CRITICAL


def test_a_state_that_cannot_be_read_is_unknown(watched: Watched) -> None:
    watched.on_state("ALTER TABLE binlog_position DROP COLUMN gtid")
    report = watched.report()
    assert report.level is UNKNOWN
    assert {c.name for c in report.checks if c.level is not OK} == {"state"}


def test_a_state_that_is_hidden_from_us_is_unknown_not_empty(watched: Watched) -> None:
    name = f"u_{time.monotonic_ns()}"
    with watched.secondary.session() as session:
        session.execute(f"CREATE USER {name}@'%' IDENTIFIED BY 'a-Long-enough-1'")
        try:
            limited = replace(watched.settings.secondaries[0], user=name, password=Secret("a-Long-enough-1"))
            watched.settings = replace(watched.settings, secondaries=(limited,))
            assert watched.check("state").level is UNKNOWN
            assert watched.check("secondary-grants").level is CRITICAL
        finally:
            session.execute(f"DROP USER {name}@'%'")


def test_no_position(watched: Watched) -> None:
    watched.on_state("DELETE FROM binlog_position")
    assert watched.check("position").level is CRITICAL
    assert watched.check("position").hint == "`replica transfer`"


def test_position_of_another_primary(watched: Watched) -> None:
    watched.on_state("UPDATE binlog_position SET source_identity = 'server-id:4711'")
    # It has executed all that was applied: the stream goes on by GTID.
    assert watched.check("position").level is WARNING
    assert "--restart" not in watched.check("position").hint
    watched.on_state("UPDATE binlog_position SET gtid = ''")
    assert watched.check("position").level is CRITICAL


def test_position_that_was_purged(watched: Watched) -> None:
    watched.save(replace(watched.end(), gtid=""))
    watched.on_state("UPDATE binlog_position SET file = 'binlog.000000'")
    # A live stream may have read it before it was purged.
    assert watched.check("position").level is WARNING
    # One that says at this moment that it has ended reads nothing any more.
    watched.beat(Phase.FAILED)
    assert watched.check("position").level is CRITICAL
    watched.beat(Phase.STREAMING)
    watched.age("beat_at", 3600)
    check = watched.check("position")
    assert check.level is CRITICAL
    assert "are missing" in check.message


def test_position_past_the_end_of_its_file(watched: Watched) -> None:
    watched.on_state("UPDATE binlog_position SET pos = 99999999999")
    check = watched.check("position")
    assert "past the end" in check.message
    # A live stream looks by itself; only without one there is something to be done.
    assert "--restart" not in check.hint
    watched.age("beat_at", 3600)
    assert "--restart" in watched.check("position").hint


def test_changed_filters(watched: Watched) -> None:
    watched.settings = replace(watched.settings, selection=Selection((("other", "other"),)))
    assert watched.check("filters").level is CRITICAL


@pytest.mark.parametrize(("age", "level"), [(5, OK), (90, WARNING), (3600, CRITICAL)])
def test_lag_without_a_stream_is_the_age_of_the_first_change_that_is_missing(
    watched: Watched, age: int, level: HealthLevel
) -> None:
    watched.age("beat_at", 3600)
    watched.on_state("UPDATE binlog_position SET source_time = UNIX_TIMESTAMP() - 7200")
    watched.on_primary(f"SET timestamp = UNIX_TIMESTAMP() - {age}", f"CREATE TABLE {watched.schema}.first (id INT)")
    watched.write()
    check = watched.check("lag")
    assert check.level is level
    assert check.value is not None
    assert age <= check.value < age + 5


def test_a_first_change_after_an_idle_hour_that_waits_a_moment_is_no_stall(watched: Watched) -> None:
    watched.write()
    watched.beat(Phase.STREAMING, lag_seconds=4.0)
    watched.age("moved_at", 3600)
    assert watched.check("stream-moving").level is OK
    watched.beat(Phase.STREAMING, lag_seconds=40.0)
    watched.age("moved_at", 3600)
    assert watched.check("stream-moving").level is CRITICAL


def test_lag_after_an_idle_hour_is_what_the_stream_says(watched: Watched) -> None:
    watched.on_state("UPDATE binlog_position SET source_time = UNIX_TIMESTAMP() - 3600")
    watched.write()
    watched.beat(Phase.STREAMING, lag_seconds=0.4)
    assert watched.check("lag").level is OK


def test_a_beat_of_an_idle_stream_tells_nothing_of_what_came_since(watched: Watched) -> None:
    watched.beat(Phase.CAUGHT_UP, lag_seconds=0.0)
    watched.age("beat_at", 9)
    watched.write()
    check = watched.check("lag")
    assert check.value is not None
    assert check.value < 5
    watched.beat(Phase.RECONNECTING, seconds_since_event=55.0)
    watched.age("beat_at", 9)
    assert watched.check("stream-alive").level is CRITICAL


@pytest.mark.parametrize(("age", "level"), [(2, OK), (12, OK), (17, WARNING), (60, CRITICAL)])
def test_a_stream_that_fell_silent(watched: Watched, age: int, level: HealthLevel) -> None:
    watched.age("beat_at", age)
    assert watched.check("stream-alive").level is level


@pytest.mark.parametrize(
    ("phase", "level"),
    [(Phase.STOPPED, CRITICAL), (Phase.FAILED, CRITICAL), (Phase.PAUSED, WARNING), (Phase.RECONNECTING, WARNING)],
)
def test_what_a_stream_says_of_itself(watched: Watched, phase: Phase, level: HealthLevel) -> None:
    watched.beat(phase, message="the reason", seconds_since_event=5.0)
    assert watched.check("stream-alive").level is level


def test_reconnecting_for_long(watched: Watched) -> None:
    watched.beat(Phase.RECONNECTING, seconds_since_event=300.0)
    assert watched.check("stream-alive").level is CRITICAL


def test_up_and_not_moving(watched: Watched) -> None:
    watched.beat(Phase.STREAMING)
    watched.age("moved_at", 120)
    assert watched.check("stream-moving").level is OK  # nothing to do
    watched.write()
    check = watched.check("stream-moving")
    assert check.level is CRITICAL
    assert "has not moved" in check.message


def test_the_first_change_after_an_idle_hour_is_given_time(watched: Watched) -> None:
    watched.age("moved_at", 3600)
    watched.write()
    end = watched.end()
    # Applied as soon as anybody looks a second time.
    watched.on_state(
        "CREATE EVENT catches_up ON SCHEDULE AT CURRENT_TIMESTAMP + INTERVAL 1 SECOND DO UPDATE binlog_position SET "
        f"file = '{end.file}', pos = {end.pos}, gtid = '{end.gtid}'"
    )
    watched.on_state("SET GLOBAL event_scheduler = ON")
    try:
        assert watched.check("stream-moving").level is OK
    finally:
        watched.on_state("SET GLOBAL event_scheduler = OFF")


def test_quarantined_tables(watched: Watched) -> None:
    watched.save_table(TableState.QUARANTINED, reason="row missing", stopped_at=Position("binlog.000001", 4))
    check = watched.check("quarantined-tables")
    assert (check.level, check.value) == (CRITICAL, 1)
    assert "not on the primary any more: shop.orders: " in check.hint
    assert "binlog.000001:4" in check.message


def test_unfinished_transfer(watched: Watched) -> None:
    watched.save_table(TableState.COPYING)
    watched.beat(Phase.TRANSFERRING)
    assert watched.check("unfinished-transfer").level is WARNING
    watched.beat(Phase.STOPPED)
    assert watched.check("unfinished-transfer").level is CRITICAL
    assert "--resume" in watched.check("unfinished-transfer").hint


def test_a_copy_that_builds_indexes_for_long_moves_and_no_other_step_does(watched: Watched) -> None:
    watched.save_table(TableState.COPYING)
    held = "a table metadata lock, held by connection 7, app@example"
    for step, seconds, waits_for, level in (
        (CopyStep.ROWS, 400.0, "", CRITICAL), (CopyStep.INDEXES, 4000.0, "", OK), (CopyStep.PREPARING, 40.0, "", OK),
        (CopyStep.PREPARING, 400.0, "", WARNING), (CopyStep.FOREIGN_KEYS, 400.0, "", WARNING),
        (CopyStep.PREPARING, 4.0, held, WARNING), (CopyStep.INDEXES, 4.0, held, WARNING),
    ):  # fmt: skip
        table = TableProgress(str(NAME), 5, 10, 0, TableState.COPYING, step, seconds, waits_for)
        watched.beat(Phase.TRANSFERRING, transfer=TransferProgress("db1", (table,), 400.0, 1.0))
        watched.age("moved_at", 400)
        check = watched.check("stream-moving")
        assert check.level is level
        if waits_for:
            # Beside a stream as well.
            watched.beat(Phase.CAUGHT_UP, transfer=TransferProgress("db1", (table,), 400.0, 1.0))
            assert watched.check("stream-moving").level is level
            assert check.message == f"waiting for a lock on {NAME} for 4.0s ({held})"


def test_a_copy_is_told_from_the_state_alone_while_it_runs_and_after_it_was_killed(watched: Watched) -> None:
    names = [NAME, TableName("shop", "done"), TableName("shop", "waiting")]
    told = (
        TableProgress(str(names[0]), 1, 1000, 0, TableState.COPYING),
        TableProgress(str(names[1]), 40, 50, 0, TableState.COPIED),
        TableProgress(str(names[2]), 0, 210, 0, TableState.PENDING),
    )
    with watched.secondary.session() as session:
        place = (session, watched.settings.state_schema, "db1")
        states = (TableState.COPYING, TableState.COPYING, TableState.PENDING)
        put(TableLifecycle(*place), *(TableRecord(n, s) for n, s in zip(names, states, strict=True)))
        progress = ProgressStore(*place)
        for name, rows, is_done in ((names[0], 250, False), (names[1], 40, True)):
            before, after = RangeProgress(1), RangeProgress(1, b"1", row_count=rows, byte_count=9, is_done=is_done)
            progress.begin(name, "f", [before])
            session.execute(progress.advance_statement(name, before, after))
        progress.verify(names[1])
    watched.beat(Phase.TRANSFERRING, transfer=TransferProgress("db1", told, 10.0, 29.0))
    check = watched.check("unfinished-transfer")
    # What is committed counts, not what was told a moment before.
    assert "1 of 3 tables, 290 of about 1250 rows (23%), 29 rows/s, ETA 33s" in check.message
    (report,) = show_positions(watched.settings, watched.settings.secondaries)
    assert report.copy is not None
    assert (report.copy.tables_done, report.copy.rows_copied, report.copy.rows_estimated) == (1, 290, 1250)
    assert "copy     1 of 3 tables, 290 of about" in positions_text([report], Painter(is_on=False))
    watched.age("beat_at", 3600)
    check = watched.check("unfinished-transfer")
    assert check.message.endswith("1 of 3 tables, 290 of about 1250 rows (23%)")
    watched.on_state('UPDATE stream_status SET snapshot = \'{"transfer": {"tables": [7]}}\'')
    assert watched.check("unfinished-transfer").message.endswith("1 of 3 tables, 290 rows")


@pytest.mark.parametrize(("age", "level"), [(60, OK), (6900, WARNING), (90000, CRITICAL)])
def test_retention_left(watched: Watched, age: int, level: HealthLevel) -> None:
    watched.on_primary("FLUSH BINARY LOGS")
    before = watched.primary.session()
    kept = before.row("SELECT @@GLOBAL.binlog_expire_logs_seconds")
    assert kept is not None
    try:
        # Nothing is purged in here: the server looks at the age only when it begins another file.
        before.execute("SET GLOBAL binlog_expire_logs_seconds = 9000")
        watched.on_state("UPDATE binlog_position SET source_time = UNIX_TIMESTAMP() - %s", age)
        check = watched.check("retention-left")
    finally:
        before.execute("SET GLOBAL binlog_expire_logs_seconds = %s", kept[0])
        before.close()
    assert check.level is level
    assert check.value == pytest.approx(max(0, 9000 - age), abs=5)


def test_no_password_in_any_check(watched: Watched) -> None:
    wrong = Secret("not-the-one-7f3a")
    watched.settings = replace(watched.settings, primary=replace(watched.settings.primary, password=wrong))
    report = watched.report()
    assert watched.check("primary-connection").level is CRITICAL
    assert wrong.reveal() not in repr(report)


def test_beats_keep_the_wish_to_pause_and_tell_movement(watched: Watched) -> None:
    with watched.secondary.session() as session:
        beats = BeatStore(session, watched.settings.state_schema, "db9")
        assert beats.load() is None
        assert not beats.set_pause(True)  # nobody there to hear
        status = WorkerStatus("db9", Phase.STREAMING, position=Position("binlog.000001", 4))
        beats.beat(status, connection_id=session.connection_id)
        assert not beats.is_pause_wanted()
        first = beats.load()
        assert first is not None
        assert first.age_seconds < 5
        assert first.connection_id == session.connection_id
        assert beats.set_pause(True)
        beats.beat(status)
        assert beats.is_pause_wanted()
        second = beats.load()
        assert second is not None
        assert second.moved_at == first.moved_at
        assert second.beat_at > first.beat_at
        assert second.snapshot["position"] == {"file": "binlog.000001", "pos": 4, "gtid": ""}
        beats.beat(replace(status, rows_total=1))
        third = beats.load()
        assert third is not None
        assert third.moved_at is not None
        assert first.moved_at is not None
        assert third.moved_at > first.moved_at
        # Rows of a large transaction, which is then rolled back and applied again.
        moved = [third.moved_at]
        for rows in (1000, 2000, 500, 2000, 2500):
            beats.beat(replace(status, rows_total=1, rows_uncommitted=rows))
            beat = beats.load()
            assert beat is not None
            moved.append(str(beat.moved_at))
        assert moved[0] < moved[1] < moved[2] == moved[3] == moved[4] < moved[5]


def test_a_stream_that_advances_is_well(watched: Watched) -> None:
    watched.write()
    with watched.secondary.session() as session:
        store = PositionStore(session, watched.settings.state_schema, "db1")
        token = store.take_token()
        statement = store.advance_statement(Advance(watched.end(), int(time.time()), 1, 1), token)
        store.check_advanced(session.execute(statement))
    assert watched.report().level is OK


def test_a_worker_that_dies_again_and_again_is_not_healthy_while_it_is_up(watched: Watched) -> None:
    watched.beat(Phase.STREAMING, deaths=1, death="SIGKILL")
    check = watched.check("stream-alive")
    assert (check.level, "died 1 time in a row (SIGKILL)" in check.message) == (WARNING, True)
    watched.beat(Phase.STREAMING, deaths=3, death="SIGKILL")
    assert watched.check("stream-alive").level is CRITICAL
    watched.beat(Phase.STREAMING)
    assert watched.check("stream-alive").level is OK
