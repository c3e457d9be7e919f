"""What a server says, such as names and errors, acts on no terminal and fakes no record, in no form of output."""

from __future__ import annotations

import io
import json
import logging
import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from rich.console import Console

from replica_cli import documents
from replica_cli.cli import drift
from replica_cli.cli.output import board, live, plain_text, verify_text, watch_lines
from replica_cli.cli.output.console import Painter
from replica_cli.cli.output.failures import render_failure
from replica_cli.core.differences import Aspect, Difference, DriftReport, Severity
from replica_cli.core.position import Position
from replica_cli.core.reports.demo import DemoReport, DemoTable
from replica_cli.core.reports.failure import Failure, Unknown
from replica_cli.core.reports.health import HealthCheck, HealthLevel, HealthReport
from replica_cli.core.reports.pause import PauseReport
from replica_cli.core.reports.position import PositionReport, ProcessNote, TableNote
from replica_cli.core.reports.repair import PlannedRepair, RepairedTable, RepairPlan, RepairReport
from replica_cli.core.reports.reset import ResetPlan
from replica_cli.core.reports.stream import StreamReport, WorkerReport
from replica_cli.core.reports.transfer import (
    CopyMethod,
    CopyReport,
    PlannedTable,
    TableAction,
    TransferPlan,
    TransferReport,
)
from replica_cli.core.reports.verify import ProofReport, ProvenTable, TableVerdict, VerifyReport
from replica_cli.core.reports.watch import WatchRound
from replica_cli.core.requests.reset import ResetKind
from replica_cli.core.requests.transfer import TransferMode
from replica_cli.core.settings import LogFormat, Logging
from replica_cli.core.status import CopyProgress, CopyStatus, Phase, TableProgress, TableState, WorkerStatus
from replica_cli.core.table import TableName
from replica_cli.core.verification import Difference as RowDifference
from replica_cli.core.verification import DifferenceKind
from replica_cli.logs import Tag, close_logging, log, setup_logging
from replica_cli.logs.graylog import _flat

if TYPE_CHECKING:
    from collections.abc import Callable

PLAIN = Painter(is_on=False)
EVIL = "a\x1b]0;x\x07\x9b2J\r\u202e\n2026-01-01T00:00:00.000Z [ERROR] [db1] forged"
NAME = TableName("shop[/]", EVIL)
PLACE = Position(EVIL, 4, EVIL)
UNSAFE = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]")
FAILURE = Failure("x", EVIL, EVIL)
_LITERALS = ((EVIL, f"_utf8mb4 x'{EVIL.encode().hex()}'"),)
ROW = RowDifference(
    NAME, DifferenceKind.DIFFERS, _LITERALS, (EVIL,), PLACE, primary_row=_LITERALS, secondary_row=((EVIL, EVIL),)
)

TEXTS: dict[str, Callable[[], str]] = {
    "position show": lambda: plain_text.positions_text(
        [PositionReport(EVIL, PLACE, tables=(TableNote(NAME, TableState.QUARANTINED, EVIL, PLACE),))], PLAIN
    ),
    "position reset": lambda: plain_text.resets_text(
        [ResetPlan(EVIL, ResetKind.FORGET, PLACE, None, EVIL, "x", (EVIL,))], PLAIN
    ),
    "pause": lambda: plain_text.pauses_text([PauseReport(EVIL, holder=EVIL)], PLAIN),
    "drift": lambda: plain_text.drift_text(
        DriftReport(EVIL, (), (), (Difference(NAME, NAME, Aspect.DEFAULT, EVIL, EVIL, EVIL, Severity.BREAKS),)),
        PLAIN,
        lists_accepted=True,
    ),
    "verify run": lambda: verify_text.verify_text(
        VerifyReport(EVIL, (TableVerdict(NAME, 1, 1, 1, 1, PLACE, EVIL),)), PLAIN
    ),
    "repair plan": lambda: verify_text.repair_plans_text(
        [RepairPlan(EVIL, (PlannedRepair(NAME, 1, 1, 1, EVIL),))], PLAIN
    ),
    "repair": lambda: verify_text.repair_text(RepairReport(EVIL, (RepairedTable(NAME, 1, 1, 1, EVIL, PLACE),)), PLAIN),
    "verify show": lambda: verify_text.proofs_text(
        ProofReport(
            EVIL,
            (ProvenTable(NAME, 1, PLACE, None, is_whole=True, differences=1),),
            ((EVIL, EVIL),),
            (ROW,),
            1,
            has_run=True,
        ),
        PLAIN,
        shows_values=True,
    ),
    "health": lambda: plain_text.health_text(
        HealthReport((HealthCheck("x", HealthLevel.CRITICAL, EVIL, EVIL, instance=EVIL),)), PLAIN, only_wrong=False
    ),
    "plan": lambda: plain_text.plans_text(
        [
            TransferPlan(
                EVIL,
                TransferMode.NEW,
                (PlannedTable(NAME, NAME, TableAction.CREATE, CopyMethod.RANGES, (EVIL,)),),
                1,
                1,
                (EVIL,),
            )
        ],
        PLAIN,
    ),
    "transfer": lambda: plain_text.transfer_text(TransferReport((CopyReport(EVIL),)), PLAIN),
    "stream": lambda: plain_text.stream_text(StreamReport((WorkerReport(EVIL, Phase.FAILED, PLACE),)), PLAIN),
    "demo": lambda: plain_text.demo_text(
        DemoReport((DemoTable(EVIL, NAME, 1, 1, is_equal=False, detail=EVIL),)), PLAIN
    ),
}


@pytest.mark.parametrize("form", TEXTS)
def test_no_text_holds_a_raw_control_character_or_a_forged_line(form: str) -> None:
    text = TEXTS[form]()
    assert not UNSAFE.search(text)
    assert "\n2026" not in text
    assert r"\x1b" in text


def test_errors_are_safe_as_text_and_in_json(capsys: pytest.CaptureFixture[str]) -> None:
    render_failure(FAILURE, is_json=False, paint=PLAIN)
    render_failure(FAILURE, is_json=False, paint=PLAIN, problems=(EVIL,))
    render_failure(FAILURE, is_json=True, paint=PLAIN)
    *texts, document = capsys.readouterr().err.splitlines()
    assert len(texts) == 4
    assert not any(UNSAFE.search(line) for line in (*texts, document))
    assert json.loads(document)["message"] == EVIL


@pytest.mark.parametrize("form", LogFormat)
def test_a_record_is_one_line_and_says_the_name(form: LogFormat) -> None:
    stream = io.StringIO()
    logger = logging.getLogger("replica_cli.test")
    setup_logging(Logging(format=form), stream=stream)
    try:
        log(logger, logging.ERROR, Tag.ERROR, "is quarantined: %s", EVIL, instance="db1", schema="s", table=EVIL)
    finally:
        close_logging()
        logging.captureWarnings(capture=False)
    (line,) = stream.getvalue().splitlines()
    assert not UNSAFE.search(line)
    if form is LogFormat.JSON:
        assert json.loads(line)["table"] == EVIL


def test_graylog_gets_safe_texts_and_fields() -> None:
    record = logging.makeLogRecord(
        {"msg": "%s", "args": (EVIL,), "levelno": logging.ERROR, "table": EVIL, "position": EVIL}
    )
    flat: Any = _flat(record, "project")
    for text in (flat.table, flat.position, flat.getMessage()):
        assert not UNSAFE.search(text)
        assert "\n" not in text


def test_the_live_display_shows_names_as_they_are_written_and_not_as_markup(monkeypatch: pytest.MonkeyPatch) -> None:
    reporter = live.LiveReporter("title", is_colored=False)
    screen = Console(file=io.StringIO(), width=200, height=40, force_terminal=False)
    monkeypatch.setattr(reporter, "_console", screen)
    progress = CopyProgress("db[/]", (TableProgress(f"[/]{EVIL}", 1, 2, state=TableState.COPYING),))
    status = WorkerStatus("db[/]", Phase.TRANSFERRING, PLACE, message=EVIL, quarantined=(EVIL,), transfer=progress)
    reporter.on_status(status)
    reporter.on_note("db[/]", EVIL)
    screen.print(reporter._render())
    output = screen.file.getvalue()  # type: ignore[attr-defined]
    assert not UNSAFE.search(output)
    assert "\n2026" not in output
    assert "db[/]" in output


def hostile_rounds() -> list[WatchRound]:
    tables = (
        TableNote(NAME, TableState.QUARANTINED, EVIL, PLACE),
        TableNote(NAME, TableState.COPYING, progress=TableProgress(f"[/]{EVIL}", 1, 2, state=TableState.COPYING)),
    )
    running = ProcessNote(EVIL, Phase.STREAMING, is_running=True, heartbeat_seconds=1.0, message=EVIL)
    ended = ProcessNote(EVIL, Phase.FAILED, is_running=False, heartbeat_seconds=99.0, message=EVIL)
    known = PositionReport(
        f"db[/]{EVIL}", PLACE, primary=PLACE, tables=tables, phase=Phase.STREAMING, message=EVIL, lost=FAILURE,
        copy=CopyStatus(1, 0, 1, 2), process=running,
    )  # fmt: skip
    unknown = PositionReport(EVIL, Unknown(FAILURE), primary=Unknown(FAILURE))
    time = datetime(2026, 1, 1, tzinfo=UTC)
    return [WatchRound(time, (known, replace(known, process=ended))), WatchRound(time, (unknown,))]


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("width", [80, 240])
def test_the_board_shows_names_as_they_are_written_and_not_as_markup(
    number: int, width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = board.PositionBoard(f"[/]{EVIL}", "2s", is_colored=False)
    screen = Console(file=io.StringIO(), width=width, height=60, force_terminal=False)
    monkeypatch.setattr(made, "_console", screen)
    monkeypatch.setattr(made, "_round", hostile_rounds()[number])
    screen.print(made._render())
    output = screen.file.getvalue()  # type: ignore[attr-defined]
    assert not UNSAFE.search(output)
    assert "\n2026" not in output
    assert r"\x1b" in output
    assert "[/]" in output


@pytest.mark.parametrize("number", [0, 1])
def test_the_lines_of_a_watch_are_one_each(number: int, capsys: pytest.CaptureFixture[str]) -> None:
    each = hostile_rounds()[number]
    watch_lines.write_round(each)
    watch_lines.write_json_round(each)
    *texts, document = capsys.readouterr().out.splitlines()
    assert len(texts) == len(each.reports)
    assert not any(UNSAFE.search(line) for line in (*texts, document))
    assert len(json.loads(document)["secondaries"]) == len(each.reports)


def test_sql_of_drift_is_raw_in_a_file_and_safe_on_a_terminal() -> None:
    statement = f"-- values may be lost\nALTER TABLE `{EVIL}` ADD c INT"
    assert drift._script("db1", [statement], is_terminal=False) == f"-- db1\n{statement};"
    shown = drift._script("db1", [statement], is_terminal=True)
    assert not UNSAFE.search(shown)
    assert "write it to a file" in shown


def test_documents_complete_the_commands_of_their_instance() -> None:
    check = HealthCheck("x", HealthLevel.CRITICAL, "m", "`replica stream`", instance="db 2")
    document: Any = documents.health_document(HealthReport((check,)))
    (found,) = document["checks"]
    assert found["hint"] == "`replica stream --secondary 'db 2'`"
