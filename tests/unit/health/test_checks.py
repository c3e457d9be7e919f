"""The level and the words of each check of one instance, from plain data."""

from __future__ import annotations

from dataclasses import replace

import pytest

from replica_cli.checkpoint.proofs import ProofSummary
from replica_cli.checkpoint.table_records import TableRecord
from replica_cli.core.errors import PositionLost, PositionPurged, PrimaryError, ReplicaError
from replica_cli.core.limiting import Part
from replica_cli.core.names import TableName
from replica_cli.core.position import Position
from replica_cli.core.quarantine_texts import with_refusal
from replica_cli.core.reports.health import HealthCheck, HealthLevel
from replica_cli.core.selection import Selection
from replica_cli.core.status import Phase, TableProgress, TableState
from replica_cli.health.checks import (
    check_alive,
    check_filters,
    check_lag,
    check_position,
    check_quarantine,
    check_retention,
    check_rows,
    check_transfer,
    check_watch,
)
from replica_cli.health.distance import Distance
from replica_cli.health.primary import PrimaryView
from replica_cli.health.secondary import InstanceState
from replica_cli.mysql.binlog.log_state import BinlogFile
from tests.unit.health.states import (
    DAY,
    END,
    FILES,
    HOUR,
    ITEMS,
    NOW,
    SALES,
    SAVED,
    SELECTION,
    beat,
    facts,
    primary,
    saved_at,
    state,
)  # fmt: skip

OK, WARNING, CRITICAL, UNKNOWN = HealthLevel.OK, HealthLevel.WARNING, HealthLevel.CRITICAL, HealthLevel.UNKNOWN
STOPPED = replace(state(), beat=beat(Phase.STOPPED))


class TestPosition:
    def test_without_one_it_is_critical_and_names_a_former_name_of_the_instance(self) -> None:
        check = check_position(primary(), InstanceState(), "db2")
        assert (check.level, check.hint) == (CRITICAL, "`replica transfer`")
        check = check_position(primary(), InstanceState(others=("old2",)), "db2")
        assert "old2" in check.hint
        assert check.hint.endswith("`replica transfer`")

    def test_one_that_the_primary_has_is_well(self) -> None:
        assert check_position(primary(), state(), "db2").level is OK

    @pytest.mark.parametrize(
        ("error", "now", "level"),
        [
            # A running stream may have read what the primary has purged since.
            (PositionPurged("purged", hint="copy"), state(), WARNING),
            (PositionPurged("purged", hint="copy"), STOPPED, CRITICAL),
            (PositionLost("reset", hint="copy"), state(), CRITICAL),
            (PrimaryError("denied"), state(), UNKNOWN),
        ],
    )
    def test_what_the_test_on_the_primary_says(
        self, error: ReplicaError, now: InstanceState, level: HealthLevel
    ) -> None:
        check = check_position(primary(), now, "db2", error=error)
        assert check.level is level
        assert error.message in check.message

    def test_a_running_stream_is_not_led_to_a_reset(self) -> None:
        lost = PositionLost("reset", hint="`replica position reset`")
        assert "reset" not in check_position(primary(), state(), "db2", error=lost).hint
        assert check_position(primary(), STOPPED, "db2", error=lost).hint == "`replica position reset`"

    def test_without_an_answer_of_the_primary_it_is_unknown_and_the_reason_is_told_once(self) -> None:
        error = PrimaryError("no route")
        assert "no route" not in check_position(PrimaryView(error=error), state(), "db2").message
        blind = PrimaryView(facts(), NOW, error=PrimaryError("no privilege"))
        check = check_position(blind, state(), "db2")
        assert (check.level, "no privilege" in check.message) == (UNKNOWN, True)

    def test_one_of_another_server_goes_on_by_gtid(self) -> None:
        now = replace(state(), saved=replace(SAVED, source_identity="server-id:9"))
        check = check_position(primary(), now, "db2")
        assert (check.level, "server-id:9" in check.message) == (WARNING, True)


def test_filters_that_changed_are_critical_and_a_running_stream_is_stopped_first() -> None:
    assert check_filters(InstanceState(), SELECTION, "db2") is None
    other = Selection((("shop", "elsewhere"),))
    for now, start in ((state(), "stop the stream, then run "), (STOPPED, "run ")):
        check = check_filters(now, other, "db2")
        assert check is not None
        assert (check.level, check.hint.startswith(start)) == (CRITICAL, True)
        same = check_filters(now, SELECTION, "db2")
        assert same is not None
        assert same.level is OK


@pytest.mark.parametrize(
    ("distance", "level", "message"),
    [
        (Distance(is_reached=True, size_bytes=0, seconds=0.0), OK, "caught up"),
        (Distance(is_reached=False, size_bytes=2048, seconds=60.0), OK, "1m00s, 2.0 KiB of binary log to apply"),
        (Distance(is_reached=False, size_bytes=None, seconds=60.1), WARNING, "1m00s"),
        (Distance(is_reached=False, size_bytes=None, seconds=600.0), WARNING, "10m00s"),
        (Distance(is_reached=False, size_bytes=None, seconds=600.1), CRITICAL, "10m00s"),
        (Distance(is_reached=False, size_bytes=5), UNKNOWN, "unknown, 5 B of binary log to apply"),
        (Distance(is_reached=False), UNKNOWN, "unknown"),
    ],
)
def test_lag(distance: Distance, level: HealthLevel, message: str) -> None:
    check = check_lag(distance, 60.0, "db2")
    assert (check.level, check.message) == (level, message)


def test_a_lag_that_is_too_large_has_what_limits_the_stream_and_a_remedy() -> None:
    late, small = Distance(is_reached=False, seconds=61.0), Distance(is_reached=False, seconds=60.0)
    check = check_lag(late, 60.0, "db2", limiting_part=Part.COMMIT)
    assert (check.message, check.level) == ("1m01s, limited by the commits on the secondary", WARNING)
    assert check.hint.startswith("a larger REPLICA_BATCH_AGE")
    assert check_lag(late, 60.0, "db2").hint == ""
    assert check_lag(small, 60.0, "db2", limiting_part=Part.COMMIT).message == "1m00s"


def test_what_limits_a_stream_is_true_only_while_it_runs() -> None:
    assert state(limiting_part="link").limiting_part is Part.LINK
    assert state(age=60.0, limiting_part="link").limiting_part is None
    assert state(limiting_part="").limiting_part is None


def test_no_lag_is_known_during_the_first_copy() -> None:
    check = check_lag(Distance(is_reached=True, seconds=0.0), 60.0, "db2", is_first_copy=True)
    assert (check.level, check.value) == (WARNING, None)


@pytest.mark.parametrize(
    ("now", "level", "words"),
    [
        (InstanceState(), CRITICAL, "no stream has ever run"),
        (state(), OK, "(host host, pid 7) is streaming"),
        (state(Phase.CAUGHT_UP), OK, "is caught up"),
        (state(age=14.9), OK, "is streaming"),
        (state(age=15.0), WARNING, "no heartbeat of"),
        (state(age=30.0), CRITICAL, "no heartbeat of"),
        (state(Phase.PAUSED), WARNING, "is paused"),
        (state(Phase.RECONNECTING, seconds_since_event=58.0), WARNING, "is reconnecting"),
        (state(Phase.RECONNECTING, seconds_since_event=59.0), CRITICAL, "is reconnecting"),
        (state(Phase.RECONNECTING, seconds_since_event=None), WARNING, "is reconnecting"),
        (state(Phase.STOPPED), CRITICAL, "stopped 1.0s ago"),
        (state(Phase.FAILED, message="db2: a row is missing"), CRITICAL, "failed 1.0s ago: a row is missing"),
        (state(deaths=1, death="SIGKILL"), WARNING, "died 1 time in a row (SIGKILL)"),
        (state(deaths=3, death="SIGKILL"), CRITICAL, "died 3 times in a row"),
    ],
)
def test_alive(now: InstanceState, level: HealthLevel, words: str) -> None:
    check = check_alive(now, "db2")
    assert (check.level, words in check.message) == (level, True)


def test_a_stream_that_failed_is_started_after_its_cause_is_gone() -> None:
    assert check_alive(state(Phase.FAILED), "db2").hint == "correct the cause, then `replica stream`"
    assert check_alive(state(Phase.STOPPED), "db2").hint == "`replica stream`"


def test_a_pause_that_is_only_wanted_shows_as_well() -> None:
    now = replace(state(), beat=replace(beat(), is_pause_wanted=True))
    assert check_alive(now, "db2").level is WARNING


class TestWatch:
    FAULT = ("lag", "WARNING", "late")

    def test_without_a_report_there_is_no_check(self) -> None:
        assert check_watch(InstanceState(), "db2", answered=()) is None
        assert check_watch(state(), "db2", answered=()) is None
        assert check_watch(state(findings=[]), "db2", answered=()) is None

    def check(self, *findings: object, answered: tuple[str, ...] = (), age: float = 1.0) -> HealthCheck:
        check = check_watch(state(age=age, findings=list(findings)), "db2", answered=answered)
        assert check is not None
        return check

    def test_faults_are_repeated_with_the_worst_level(self) -> None:
        check = self.check(["position", "OK", "fine"], list(self.FAULT), ["columns", "CRITICAL", "gone"])
        assert (check.level, check.message) == (CRITICAL, "the stream's own last check: lag: late; columns: gone")

    def test_what_was_asked_a_moment_ago_is_not_repeated(self) -> None:
        check = self.check(list(self.FAULT), answered=("lag",))
        assert (check.level, check.message) == (OK, "the stream's own last check: nothing wrong")

    def test_a_report_of_a_stream_that_is_silent_tells_its_age(self) -> None:
        assert "last check, 20s ago: " in self.check(list(self.FAULT), age=20.0).message

    @pytest.mark.parametrize("finding", [None, "x", ["lag", "LOUD", "x"], ["lag", "OK"]])
    def test_a_report_of_another_version_is_unknown(self, finding: object) -> None:
        assert self.check(finding).level is UNKNOWN


class TestQuarantine:
    LOST = TableRecord(
        ITEMS, TableState.QUARANTINED, "shop.items: a row is missing", stopped_at=Position("bin.000001", 9)
    )

    def test_none_is_well(self) -> None:
        check = check_quarantine(replace(state(), tables=(TableRecord(SALES, TableState.COPIED),)), "db2")
        assert (check.level, check.value) == (OK, 0)

    def test_one_is_critical_with_position_reason_and_how_many_rows_were_skipped(self) -> None:
        saved = replace(SAVED, skipped_count=1)
        check = check_quarantine(replace(state(), saved=saved, tables=(self.LOST,)), "db2")
        assert (check.level, check.value) == (CRITICAL, 1)
        assert check.message == (
            "shop.items, 1 row skipped in all tables since the first copy; stopped at bin.000001:9: a row is missing"
        )

    def test_of_many_five_are_named_and_the_first_with_its_reason(self) -> None:
        names = [replace(ITEMS, table=f"t{number}") for number in range(7)]
        tables = tuple(replace(self.LOST, name=name, stopped_at=None, reason="why") for name in names)
        message = check_quarantine(replace(state(), tables=tables), "db2").message
        assert message.startswith(
            "shop.t0, shop.t1, shop.t2, shop.t3, shop.t4 and 2 more; shop.t0 stopped at an unknown"
        )

    def test_a_refused_copy_and_a_table_that_is_gone_have_other_advice(self) -> None:
        plain = check_quarantine(replace(state(), tables=(self.LOST,)), "db2").hint
        refused = replace(self.LOST, reason=with_refusal("a row is missing", "no such engine"))
        assert check_quarantine(replace(state(), tables=(refused,)), "db2").hint != plain
        assert check_quarantine(replace(state(), tables=(self.LOST,)), "db2", gone={ITEMS}).hint != plain


class TestTransfer:
    PENDING = TableRecord(ITEMS, TableState.PENDING)
    JOINING = TableRecord(SALES, TableState.CATCHING_UP)

    def test_a_finished_one_is_well(self) -> None:
        assert check_transfer(replace(state(), tables=(TableRecord(ITEMS, TableState.COPIED),)), "db2").level is OK

    @pytest.mark.parametrize(
        ("phase", "level"),
        [
            (Phase.TRANSFERRING, WARNING),
            (Phase.STREAMING, WARNING),
            (Phase.STARTING, CRITICAL),
            (Phase.FAILED, CRITICAL),
        ],
    )
    def test_an_unfinished_one_is_critical_unless_somebody_copies(self, phase: Phase, level: HealthLevel) -> None:
        check = check_transfer(replace(state(phase), tables=(self.PENDING,)), "db2")
        assert (check.level, check.message, check.value) == (level, "not copied yet: shop.items", 1)
        assert check.hint == ("" if level is WARNING else "`replica transfer --resume`")

    def test_only_a_stream_goes_on_with_a_re_sync(self) -> None:
        assert check_transfer(replace(STOPPED, tables=(self.JOINING,)), "db2").hint == "`replica stream`"
        both = replace(STOPPED, tables=(self.PENDING, self.JOINING))
        assert check_transfer(both, "db2").hint == "`replica transfer --resume`"

    def test_a_table_whose_rows_are_copied_is_not_named(self) -> None:
        progress = (TableProgress("shop.items", state=TableState.COPIED),)
        check = check_transfer(replace(STOPPED, tables=(self.PENDING,), progress=progress), "db2")
        assert check.message.startswith("the copy is not finished; 1 of 1 table")


class TestRetention:
    OLD = Position("bin.000001", 400)

    def level(self, now: InstanceState, **variables: str) -> HealthLevel:
        check = check_retention(primary(**variables), now, "db2")
        assert check is not None
        return check.level

    def test_without_a_position_on_both_sides_there_is_no_check(self) -> None:
        assert check_retention(primary(), InstanceState(), "db2") is None
        assert check_retention(PrimaryView(), state(), "db2") is None

    def test_the_active_file_is_not_purged(self) -> None:
        assert self.level(saved_at(END), binlog_expire_logs_seconds="1") is OK

    def test_the_active_file_is_kept_for_the_whole_limit_at_least(self) -> None:
        check = check_retention(primary(binlog_expire_logs_seconds="7200"), saved_at(END), "db2")
        assert check is not None
        assert (check.value, check.unit) == (7200.0, "s")
        check = check_retention(primary(), saved_at(END), "db2")
        assert check is not None
        assert (check.value, check.unit) == (None, "")

    @pytest.mark.parametrize(
        ("age", "limit", "level"),
        [
            (60, 0, OK),  # never
            (60, 4 * DAY, OK),
            (3 * DAY, 4 * DAY, OK),  # a quarter is left
            (3 * DAY + 1, 4 * DAY, WARNING),
            (HOUR, 2 * HOUR, OK),
            (HOUR + 1, 2 * HOUR, WARNING),  # less than an hour
            (2 * HOUR - 1799, 2 * HOUR, CRITICAL),
            (9 * HOUR, 2 * HOUR, CRITICAL),
        ],
    )
    def test_the_age_of_the_last_applied_change_counts(self, age: int, limit: int, level: HealthLevel) -> None:
        now = saved_at(self.OLD, source_time=int(NOW) - age)
        assert self.level(now, binlog_expire_logs_seconds=str(limit)) is level

    def test_before_the_first_change_the_age_of_the_row_counts(self) -> None:
        now = saved_at(self.OLD, source_time=0)
        assert self.level(now, binlog_expire_logs_seconds="7200") is OK
        assert self.level(replace(now, saved_age_seconds=7000.0), binlog_expire_logs_seconds="7200") is CRITICAL
        assert self.level(replace(now, saved_age_seconds=None), binlog_expire_logs_seconds="7200") is UNKNOWN

    def test_the_hint_names_the_variable_that_the_server_has(self) -> None:
        now = saved_at(self.OLD, source_time=int(NOW) - DAY)
        for variables in ({"binlog_expire_logs_seconds": str(DAY)}, {"expire_logs_days": "1"}):
            check = check_retention(primary(**variables), now, "db2")
            assert check is not None
            assert check.hint.startswith(f"SET GLOBAL {next(iter(variables))} = 0;")

    @pytest.mark.parametrize(
        ("limit", "level"), [(3500 * 4, OK), (4667, OK), (4000, WARNING), (3900, CRITICAL), (3000, CRITICAL)]
    )
    def test_the_size_of_all_files_counts_as_well(self, limit: int, level: HealthLevel) -> None:
        assert sum(file.size for file in FILES) == 3500
        assert self.level(saved_at(self.OLD), max_binlog_total_size=str(limit)) is level

    def test_files_before_the_saved_position_do_not_count(self) -> None:
        view = replace(primary(max_binlog_total_size="4000"), files=(BinlogFile("bin.000000", 9_000), *FILES[1:]))
        check = check_retention(view, saved_at(Position("bin.000002", 4)), "db2")
        assert check is not None
        assert check.level is OK


class TestRows:
    def test_nothing_is_said_before_the_first_comparison(self) -> None:
        assert check_rows(state(), "db2", 0.0) is None
        assert check_rows(replace(state(), proofs=ProofSummary()), "db2", 0.0) is None

    def test_rows_that_differ_are_a_warning(self) -> None:
        check = check_rows(replace(state(), proofs=ProofSummary(3, ITEMS, 60.0)), "db2", 0.0)
        assert check is not None
        assert (check.level, check.value) == (WARNING, 3)
        assert "verify repair" in check.hint

    @pytest.mark.parametrize(("limit", "level"), [(0.0, OK), (DAY, OK), (HOUR, WARNING)])
    def test_an_old_proof_is_a_warning_if_there_is_a_limit(self, limit: float, level: HealthLevel) -> None:
        check = check_rows(replace(state(), proofs=ProofSummary(0, ITEMS, 2 * HOUR)), "db2", limit)
        assert check is not None
        assert check.level is level
        assert f"{ITEMS} was proven 2h00m ago" in check.message

    def test_a_limit_asks_for_a_first_comparison(self) -> None:
        check = check_rows(replace(state(), proofs=ProofSummary()), "db2", DAY)
        assert check is not None
        assert (check.level, check.hint) == (WARNING, "`replica verify run`")

    def test_a_comparison_that_stopped_early_is_a_warning_even_when_its_rows_are_repaired(self) -> None:
        check = check_rows(replace(state(), proofs=ProofSummary(has_too_many=True)), "db2", 0.0)
        assert check is not None
        assert (check.level, check.hint) == (WARNING, "`replica verify run --resume`")

    @pytest.mark.parametrize(("limit", "level"), [(0.0, OK), (DAY, WARNING)])
    def test_a_table_without_a_proof_is_a_warning_if_there_is_a_limit(self, limit: float, level: HealthLevel) -> None:
        check = check_rows(
            replace(state(), proofs=ProofSummary(0, ITEMS, HOUR)), "db2", limit, [TableName("shop", "new")]
        )
        assert check is not None
        assert check.level is level
        assert ("not proven yet: shop.new" in check.message) == bool(limit)
