from __future__ import annotations

import io
import json
import logging
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from replica_cli import documents
from replica_cli.cli.output import plain_text, units
from replica_cli.cli.output.console import ColorChoice, Painter, is_colored
from replica_cli.cli.output.line_reporters import LineReporter, Thinning, status_text
from replica_cli.cli.output.rates import TableRates, eta_seconds
from replica_cli.core.limiting import Part
from replica_cli.core.position import Position
from replica_cli.core.reports.failure import Failure
from replica_cli.core.reports.health import HealthCheck, HealthLevel, HealthReport
from replica_cli.core.reports.position import PositionReport, ProcessNote, TableNote
from replica_cli.core.reports.stream import StreamReport, WorkerReport
from replica_cli.core.reports.transfer import CopyMethod, PlannedTable, TableAction, TransferPlan
from replica_cli.core.requests.transfer import TransferMode
from replica_cli.core.status import (
    CopyProgress,
    CopyStatus,
    CopyStep,
    Phase,
    TableProgress,
    TableState,
    WorkerStatus,
)
from replica_cli.core.table import TableName
from replica_cli.core.wording import copy_text

PLAIN = Painter(is_on=False)
PLACE = Position("binlog.000042", 1187, "0-1-100")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("choice", "environ", "is_on"),
    [
        (ColorChoice.AUTO, {}, True),
        (ColorChoice.AUTO, {"TERM": "dumb"}, False),
        (ColorChoice.AUTO, {"NO_COLOR": "1", "FORCE_COLOR": "1"}, False),
        (ColorChoice.ALWAYS, {"NO_COLOR": "1"}, True),
        (ColorChoice.NEVER, {"FORCE_COLOR": "1"}, False),
    ],
)
def test_colour_on_a_terminal(choice: ColorChoice, environ: dict[str, str], *, is_on: bool) -> None:
    assert is_colored(choice, environ, Terminal()) is is_on


def test_colour_in_a_pipe() -> None:
    assert not is_colored(ColorChoice.AUTO, {"NO_COLOR": ""}, io.StringIO())
    assert is_colored(ColorChoice.AUTO, {"FORCE_COLOR": "1"}, io.StringIO())


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "unknown"), (-0.2, "0.0s"), (0.44, "0.4s"), (9.99, "10.0s"), (12, "12s"), (59.6, "1m00s"),
        (79, "1m19s"), (3599.7, "1h00m"), (7500, "2h05m"), (86400 * 3 + 4 * 3600, "3d04h"),
    ],
)  # fmt: skip
def test_durations(seconds: float | None, text: str) -> None:
    assert units.duration(seconds) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0"), (0.04, "0"), (9.5, "9.5"), (9.99, "10"), (9999, "9999"), (10_000, "10.0k"), (99_960, "100k"),
     (999_600, "1.0M"), (12_345_678, "12.3M"), (5e12, "5.0T")],
)  # fmt: skip
def test_counts_fit_five_characters(number: float, text: str) -> None:
    assert units.count(number) == text
    assert len(text) <= 5


def test_places_are_shortened_from_the_left() -> None:
    assert units.position_text(Position("mariadb-bin.000042", 846528615), 17) == "000042:846528615"
    assert units.position_text(Position("", 0, "uuid:1-5")) == "gtid uuid:1-5"
    assert len(units.position_text(Position("", 0, "u" * 50), 17)) == 17


def test_health_is_critical_before_unknown_before_warning() -> None:
    def level(*levels: HealthLevel) -> HealthLevel:
        return HealthReport(tuple(HealthCheck("x", each, "") for each in levels)).level

    ok, warning, critical, unknown = HealthLevel
    assert level() is unknown
    assert level(ok, warning) is warning
    assert level(warning, unknown) is unknown
    assert level(unknown, critical, ok) is critical


def test_health_text_and_document() -> None:
    report = HealthReport(
        (
            HealthCheck("reach", HealthLevel.OK, "answers"),
            HealthCheck("lag", HealthLevel.WARNING, "75 s", "wait", 75.0, "seconds", "db2"),
        )
    )
    assert plain_text.health_text(report, PLAIN, only_wrong=False).splitlines() == [
        "OK           reach: answers",
        "WARNING  db2 lag: 75 s",
        "         hint: wait",
    ]
    assert "reach" not in plain_text.health_text(report, PLAIN, only_wrong=True)
    document = documents.health_document(report)
    assert (document["level"], document["status"]) == (1, "warning")
    assert json.loads(documents.dumps(document))["checks"][1] == {
        "name": "lag", "instance": "db2", "level": 1, "status": "warning", "message": "75 s", "hint": "wait",
        "value": 75.0, "unit": "seconds",
    }  # fmt: skip


def test_a_lost_position_is_named_and_no_distance_is_shown() -> None:
    report = PositionReport("db2", PLACE, primary=PLACE, lost=Failure("position_lost", "the log was reset"))
    text = plain_text.positions_text([report], PLAIN)
    assert "lost     the log was reset" in text
    document: Any = documents.positions_document([report])
    assert document["secondaries"][0]["lost"] == "the log was reset"


def test_the_process_and_its_rates_are_in_json() -> None:
    process = ProcessNote("host:17", Phase.FAILED, is_running=False, heartbeat_seconds=61.2345, message="disk full")
    report = PositionReport("db2", PLACE, process=process, rows_per_second=7.04, transactions_per_second=0.0)
    document: Any = documents.positions_document([report])
    (found,) = document["secondaries"]
    assert (found["rows_per_second"], found["transactions_per_second"]) == (7.0, 0.0)
    assert found["process"] == {
        "holder": "host:17", "phase": "failed", "is_running": False, "heartbeat_seconds": 61.234,
        "message": "disk full",
    }  # fmt: skip


def test_positions_in_json_have_null_for_unknown() -> None:
    note = TableNote(TableName("shop", "audit"), TableState.QUARANTINED, "row missing", PLACE)
    report = PositionReport("db2", PLACE, datetime(2026, 1, 1, tzinfo=UTC), tables=(note,), phase=Phase.STREAMING)
    place = {"file": "binlog.000042", "pos": 1187, "gtid": "0-1-100"}
    assert documents.positions_document([report]) == {
        "secondaries": [
            {
                "instance": "db2", "phase": "streaming", "is_paused": False, "failure": None,
                "primary_failure": None, "lost": None, "saved": place,
                "saved_at": "2026-01-01T00:00:00.000Z", "source_time": None, "primary": None,
                "distance_bytes": None, "distance_seconds": None, "copy": None, "rows_uncommitted": 0, "message": None,
                "rows_per_second": None, "transactions_per_second": None, "process": None,
                "limiting_part": None,
                "tables": [
                    {
                        "table": "shop.audit", "state": "quarantined", "reason": "row missing", "position": place,
                        "rows_copied": None, "rows_estimated": None, "step": None,
                    }
                ],
            }
        ]
    }  # fmt: skip
    text = plain_text.positions_text([report], PLAIN)
    assert "shop.audit quarantined at binlog.000042:1187: row missing" in text
    assert documents.position_document(Position("", 0, "uuid:1")) == {"file": None, "pos": None, "gtid": "uuid:1"}


def test_status_lines_keep_their_fields() -> None:
    line = documents.status_line(WorkerStatus("db2", Phase.STREAMING, PLACE, transfer=CopyProgress("db2")))
    assert list(line) == [
        "type", "time", "instance", "phase", "position", "lag_seconds", "seconds_since_event", "rows_per_second",
        "transactions_per_second", "rows_total", "rows_uncommitted", "transactions_total", "skipped_rows", "reconnects",
        "quarantined", "message", "limiting_part", "transfer",
    ]  # fmt: skip
    assert line["limiting_part"] is None
    assert "\n" not in documents.dumps(line, is_line=True)


def test_what_limits_a_stream_is_shown_everywhere() -> None:
    limited = WorkerStatus("db2", Phase.STREAMING, PLACE, lag_seconds=90.0, limiting_part=Part.COMMIT)
    assert documents.status_line(limited)["limiting_part"] == "commit"
    assert "limited by the commits on the secondary" in status_text(limited)
    report = PositionReport("db2", PLACE, phase=Phase.STREAMING, limiting_part=Part.LINK)
    shown: Any = documents.positions_document([report])
    assert shown["secondaries"][0]["limiting_part"] == "link"
    text = plain_text.positions_text([report], PLAIN)
    assert "  limit    the link to the primary: run replica nearer to the primary" in text


def test_what_limits_a_stream_is_shown_when_it_changes() -> None:
    thinning = Thinning(lambda: 1000.0)
    parts = ("", "", "link", "link", "commit", "")
    statuses = [WorkerStatus("db2", Phase.STREAMING, limiting_part=part) for part in parts]
    assert [thinning.is_due(status) for status in statuses] == [True, False, True, False, True, True]


def test_lines_thin_out_but_show_each_change_of_state() -> None:
    now = [0.0]
    thinning = Thinning(lambda: now[0])
    shown: list[float] = []
    while now[0] < 300:
        phase = Phase.RECONNECTING if 200 <= now[0] < 202 else Phase.STREAMING
        if thinning.is_due(WorkerStatus("db2", phase)):
            shown.append(now[0])
        now[0] += 0.5
    assert shown[:3] == [0.0, 1.0, 2.0]
    assert [t for t in shown if 60 <= t < 80] == [64, 69, 74, 79]
    assert {200.0, 202.0} <= set(shown)
    assert len([t for t in shown if t > 202]) == 3
    starting = Thinning(lambda: now[0])
    assert [starting.is_due(WorkerStatus("db2")) for now[0] in (0.0, 1.0, 9.0, 10.0)] == [True, False, False, True]


@pytest.mark.parametrize("phase", [Phase.CAUGHT_UP, Phase.STANDBY])
def test_lines_of_a_steady_stream_become_rare_until_something_is_applied(phase: Phase) -> None:
    now = [0.0]
    thinning = Thinning(lambda: now[0])
    shown: list[float] = []
    while now[0] < 4000:
        if thinning.is_due(WorkerStatus("db2", phase, rows_total=3 if now[0] >= 3500 else 2)):
            shown.append(now[0])
        now[0] += 1.0
    assert shown == [0, 30, 90, 210, 450, 930, 1530, 2130, 2730, 3330, 3500, 3530, 3590, 3710, 3950]


def test_a_stream_that_seems_to_be_behind_for_a_moment_writes_no_lines_about_it() -> None:
    now = [0.0]
    thinning = Thinning(lambda: now[0])
    shown: list[tuple[float, Phase]] = []
    while now[0] < 400:
        # Behind for an eighth of each second, and really from 250 s to 280 s.
        is_behind = now[0] % 1 == 0 or 250 <= now[0] < 280
        phase = Phase.STREAMING if is_behind and now[0] else Phase.CAUGHT_UP
        if thinning.is_due(WorkerStatus("db2", phase, rows_total=int(now[0] * 100))):
            shown.append((now[0], phase))
        now[0] += 0.125
    phases = [phase for _, phase in shown]
    assert phases.count(Phase.STREAMING) == 1
    assert (255.0, Phase.STREAMING) in shown
    assert (280.125, Phase.CAUGHT_UP) in shown
    assert len([at for at, _ in shown if at >= 180]) <= 9


def test_lines_of_a_caught_up_stream_that_applies_rows_come_as_those_of_one_that_is_behind() -> None:
    now = [0.0]
    thinning = Thinning(lambda: now[0])
    shown: list[float] = []
    while now[0] < 300:
        if thinning.is_due(WorkerStatus("db2", Phase.CAUGHT_UP, rows_total=int(now[0]))):
            shown.append(now[0])
        now[0] += 1.0
    assert shown[:3] == [0.0, 1.0, 2.0]
    assert [t for t in shown if t > 180] == [209, 239, 269, 299]


def test_a_copy_is_logged_a_line_a_table(caplog: pytest.LogCaptureFixture) -> None:
    now = [0.0]
    reporter = LineReporter(lambda: now[0])
    caplog.set_level(logging.INFO, logger="replica_cli")
    for rows in (0, 250):
        copying = TableProgress("shop.orders", rows, 1000, 0, TableState.COPYING)
        progress = CopyProgress("db2", (copying,), now[0], 250.0)
        reporter.on_status(WorkerStatus("db2", Phase.TRANSFERRING, transfer=progress))
        now[0] += 1.0
    line = next(r for r in caplog.records if "25.0%" in r.getMessage())
    assert line.getMessage() == "25.0% 250/1000 rows 250/s eta 3.0s"
    assert (line.tag, line.instance, line.table) == ("TRANSFER", "db2", "shop.orders")  # type: ignore[attr-defined]


def test_a_copy_is_shown_in_a_few_numbers_and_never_as_done_too_early(caplog: pytest.LogCaptureFixture) -> None:
    rows = TableProgress("shop.orders", 250, 1000, 0, TableState.COPYING)
    passed = TableProgress("shop.passed", 1200, 1000, 0, TableState.COPYING)
    indexes = TableProgress("shop.items", 500, 500, 0, TableState.COPYING, CopyStep.INDEXES, 130.0)
    done = TableProgress("shop.done", 40, 50, 0, TableState.COPIED)
    assert copy_text(CopyStatus.of((rows, done), 10.0)) == (
        "1 of 2 tables, 290 of about 1040 rows (28%), 10 rows/s, ETA 1m15s"
    )
    # What is there already is no share of an estimate that was too low.
    assert copy_text(CopyStatus.of((passed, indexes), 0.0)) == (
        "0 of 2 tables, 1700 of about 1700 rows (99%), 0 rows/s; building indexes of shop.items for 2m10s"
    )
    assert copy_text(CopyStatus.of((replace(rows, rows_estimated=None),), None)) == "0 of 1 table, 250 rows"
    caplog.set_level(logging.INFO, logger="replica_cli")
    LineReporter().on_status(
        WorkerStatus("db2", Phase.TRANSFERRING, transfer=CopyProgress("db2", (passed, indexes), 1.0, 10.0))
    )
    lines = [r.getMessage() for r in caplog.records]
    assert lines[:2] == ["99.0% 1200/1000 rows 0/s eta unknown", "building indexes for 2m10s, 500 rows copied"]


def test_a_status_line_has_only_what_is_known() -> None:
    assert status_text(WorkerStatus("db2")) == "starting"
    assert status_text(WorkerStatus("db2", Phase.FINISHED)) == "finished"
    failed = WorkerStatus("db2", Phase.FAILED, message="db2: the disk is full")
    assert status_text(failed) == "failed (the disk is full)"
    streaming = WorkerStatus("db2", Phase.CAUGHT_UP, PLACE, 0.0, quarantined=("a.b",))
    assert status_text(streaming) == (
        "caught up at binlog.000042:1187 lag 0.0s rows 0/s trx 0/s total 0 rows quarantined 1: a.b"
    )
    ended = WorkerStatus("db2", Phase.STOPPED, PLACE, rows_total=7)
    assert status_text(ended) == "stopped at binlog.000042:1187 total 7 rows"
    copied = WorkerStatus("db2", Phase.FINISHED, PLACE, transfer=CopyProgress("db2", ()))
    assert status_text(copied) == "finished at binlog.000042:1187"


def test_rates_are_of_the_last_seconds() -> None:
    now = [0.0]
    rates = TableRates(lambda: now[0])
    assert rates.rows_per_second("db2", "a") == 0.0
    rows = 0
    for second in range(60):
        now[0] = float(second)
        rows += 100 if second < 40 else 500
        rates.note("db2", TableProgress("a", rows, None))
    assert rates.rows_per_second("db2", "a") == pytest.approx(500)
    assert eta_seconds(100, 600, 500) == pytest.approx(1.0)
    assert eta_seconds(100, None, 500) is None


def test_answers_fit_80_columns_and_are_whole_in_a_pipe() -> None:
    worker = WorkerReport("a-secondary-with-a-name-of-32-ch", Phase.STOPPED, Position("", 0, "3E11FA47-71CA:1-5,7-99"))
    names = [
        TableName("sakila", name.partition(".")[2])
        for name in ("sakila.customer_loyalty_points_2024_history", "sakila.film")
    ]
    planned = [PlannedTable(name, name, TableAction.CONTINUE, CopyMethod.RANGES, ("id",), 397_000) for name in names]
    plan = TransferPlan("db2", TransferMode.NEW, tuple(planned), 4, 1000)
    for text in (
        plain_text.stream_text(StreamReport((worker,)), Painter(is_on=False, width=80)),
        plain_text.plans_text([plan], Painter(is_on=False, width=80)),
    ):
        assert max(map(len, text.splitlines())) <= 80, text
    wide = plain_text.stream_text(StreamReport((worker,)), Painter(is_on=False))
    assert len(wide.splitlines()) == 2
    folded = plain_text.columns(
        ("NAME", "ROWS"), [("x" * 8, "7"), ("表", "12")], Painter(is_on=False, width=10), right="lr"
    )
    assert folded.splitlines() == ["NAME", "  ROWS", "x" * 8, "     7", "表", "    12"]
    assert plain_text.columns(("A", "B"), [("表", "1"), ("xx", "2")], Painter(is_on=False)).splitlines()[1:] == [
        "表  1",
        "xx  2",
    ]
