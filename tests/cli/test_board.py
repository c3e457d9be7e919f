"""What `position show --watch` draws: the line of each secondary, what is below it, widths and resizes."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from replica_cli.cli.output import units
from replica_cli.cli.output.board import PositionBoard
from replica_cli.core.errors import ExitCode
from replica_cli.core.position import Position
from replica_cli.core.reports.failure import Failure, Unknown
from replica_cli.core.reports.position import PositionReport, ProcessNote, TableNote
from replica_cli.core.reports.watch import NO_ANSWER, WatchRound
from replica_cli.core.status import CopyStatus, Phase, TableProgress, TableState
from replica_cli.core.table import TableName
from tests.cli.test_live import Terminal

if TYPE_CHECKING:
    from collections.abc import Callable

PLACE, END = Position("binlog.000042", 846528615), Position("binlog.000042", 846540903)
TIME = datetime(2026, 1, 1, 12, 30, 5, tzinfo=UTC)
ORDERS = TableName("shop", "orders")


def process(
    phase: Phase | None = Phase.STREAMING, age: float = 0.4, *, is_running: bool = True, message: str = ""
) -> ProcessNote:
    return ProcessNote("a-host:4711", phase, is_running, age, message)


def streaming(name: str = "db1") -> PositionReport:
    return PositionReport(
        name, PLACE, primary=END, distance_bytes=12288, distance_seconds=1.2, phase=Phase.STREAMING,
        process=process(), rows_per_second=812.4, transactions_per_second=46100.0,
    )  # fmt: skip


def silent(name: str, code: str, message: str, *, is_reachable: bool = False) -> PositionReport:
    failure = Failure(code, message, exit_code=ExitCode.SECONDARY)
    return PositionReport(name, Unknown(failure, is_reachable=is_reachable), primary=END)


def copying(name: str = "db1") -> PositionReport:
    tables = [
        TableNote(TableName("shop", "big"), TableState.COPYING,
                  progress=TableProgress("shop.big", 114_000, 199_000, state=TableState.COPYING)),
        TableNote(ORDERS, TableState.PENDING, progress=TableProgress("shop.orders")),
    ]  # fmt: skip
    copy = CopyStatus(2, 0, 114_000, 199_000, 9000.0)
    return PositionReport(
        name, PLACE, primary=END, tables=tuple(tables), phase=Phase.TRANSFERRING, is_copied=False, copy=copy,
        process=process(Phase.TRANSFERRING), rows_per_second=9000.0,
    )  # fmt: skip


def quarantined(count: int = 1) -> PositionReport:
    tables = tuple(
        TableNote(TableName("shop", f"t{i}"), TableState.QUARANTINED, "row missing", PLACE) for i in range(count)
    )
    return replace(streaming(), tables=tables)


class Drawn(Terminal):
    """A terminal with a board on it, and the board's clock."""

    board: PositionBoard
    now = 100.0

    def show(self, *reports: PositionReport) -> None:
        self.board.show(WatchRound(TIME, reports))


@pytest.fixture
def draw(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Drawn]:
    def drawn(*reports: PositionReport, width: int = 80, height: int = 24) -> Drawn:
        shown = Drawn(width, height)
        monkeypatch.setattr(sys, "stdout", shown)
        monkeypatch.setattr(os, "get_terminal_size", shown.size)
        shown.board = PositionBoard("db0", "2s", is_colored=True, clock=lambda: shown.now)
        shown.show(*reports)
        return shown

    return drawn


def test_a_board_of_80_columns_has_a_line_for_each_secondary_and_one_of_processes(
    draw: Callable[..., Drawn],
) -> None:
    assert draw(streaming(), replace(streaming("db2"), phase=Phase.CAUGHT_UP)).lines == [
        "replica position show of db0 every 2s  12:30:05 UTC  Ctrl-C ends",
        "primary at binlog.000042:846540903",
        "secondary  phase        position             lag rows/s  trx/s  bytes quar  beat",
        "db1        streaming    000042:846528615    1.2s    812  46.1k  12.0K    0  0.4s",
        "db2        caught up    000042:846528615    1.2s    812  46.1k  12.0K    0  0.4s",
        "processes: db1 a-host:4711, db2 a-host:4711",
    ]


def test_a_wider_board_has_the_processes_and_the_positions_whole(draw: Callable[..., Drawn]) -> None:
    lines = draw(streaming("a-secondary-with-a-long-name"), width=140).lines
    assert lines[2].endswith("beat process")
    assert re.match(r"a-secondary-with-a-long-name streaming +binlog\.000042:846528615 .* a-host:4711$", lines[3])
    assert len(lines) == 4


@pytest.mark.parametrize("width", [40, 60, 80, 99, 100, 101, 120, 200])
def test_no_line_of_a_board_is_wider_than_the_terminal(draw: Callable[..., Drawn], width: int) -> None:
    reports = (
        streaming("a-secondary-with-a-name-of-32-ch"), copying("db2"), quarantined(9),
        silent("db4", "server_error", "Can't connect to a server that has a very long name " * 3),
    )  # fmt: skip
    shown = draw(*reports, width=width, height=60)
    assert not any(shown.screen._is_wrapped)


def test_a_secondary_without_a_process_says_so_and_since_when(draw: Callable[..., Drawn]) -> None:
    stopped = replace(streaming(), phase=Phase.STOPPED, process=process(Phase.STOPPED, 125.0, is_running=False))
    failed = replace(
        streaming("db2"), phase=Phase.FAILED,
        process=process(Phase.FAILED, 61.0, is_running=False, message="db2: the disk is full"),
    )  # fmt: skip
    killed = replace(streaming("db3"), phase=None, process=process(Phase.CAUGHT_UP, 40.0, is_running=False))
    never = replace(streaming("db4"), phase=None, process=None)
    lines = draw(stopped, failed, killed, never, width=200).lines
    assert [line.split()[1:3] for line in lines[3:7]] == [["no", "process"]] * 4
    assert lines[7:] == [
        "db1: the process (host a-host, pid 4711) stopped 2m05s ago; `replica stream --secondary db1`",
        "db2: the process (host a-host, pid 4711) failed 1m01s ago: the disk is full; `replica stream --secondary db2`",
        (
            "db3: no heartbeat of the process (host a-host, pid 4711) for 40s, it was caught up; "
            "`replica stream --secondary db3`"
        ),
        "db4: no stream has ever run; `replica stream --secondary db4`",
    ]


def test_a_server_that_cannot_be_read_does_not_hide_the_others(
    draw: Callable[..., Drawn],
) -> None:
    reports = (
        silent("db1", "server_error", "db1: connection refused"),
        silent("db2", "server_error", "db2: SELECT denied", is_reachable=True),
        silent("db3", NO_ANSWER, "no answer for 7.0s"),
        streaming("db4"),
    )
    shown = draw(*reports, width=120)
    assert [line[11:23].strip() for line in shown.lines[3:7]] == [
        "unreachable", "not readable", "no answer", "streaming",
    ]  # fmt: skip
    assert shown.lines[7:9] == ["db1: unreachable: connection refused", "db2: not readable: SELECT denied"]
    assert shown.lines[9] == "db3: no answer for 7.0s"
    shown.now += 90
    shown.show(*reports)
    assert "db1: unreachable for 1m30s: connection refused" in shown.lines
    shown.show(streaming("db1"), *reports[1:])
    assert not any("connection refused" in line for line in shown.lines)


def test_a_primary_that_does_not_answer_is_named_once(draw: Callable[..., Drawn]) -> None:
    gone = Unknown(Failure("server_error", "db0: connection refused", exit_code=ExitCode.PRIMARY))
    lines = draw(replace(streaming(), primary=gone), replace(streaming("db2"), primary=gone)).lines
    assert lines[1] == "primary unreachable: connection refused"
    assert "\n".join(lines).count("refused") == 1


def test_quarantined_tables_come_with_the_command_to_type(draw: Callable[..., Drawn]) -> None:
    lines = draw(quarantined(5), width=200).lines
    assert lines[4:7] == [f"db1: quarantined shop.t{i} at binlog.000042:846528615: row missing" for i in range(3)]
    assert lines[7] == "db1: quarantined 2 more tables"
    options = " ".join(f"--table shop.t{i}" for i in range(5))
    assert lines[8] == f"db1: `replica transfer {options} --secondary db1` copies them again"


def test_a_pause_is_shown_from_the_request_on(draw: Callable[..., Drawn]) -> None:
    lines = draw(
        replace(streaming(), is_paused=True), replace(streaming("db2"), is_paused=True, phase=Phase.PAUSED)
    ).lines
    assert [line[11:23].strip() for line in lines[3:5]] == ["pausing", "paused"]
    assert lines[5] == "db1: a pause is requested; `replica resume --secondary db1` ends it"


def test_a_copy_has_bars_for_the_tables_that_are_copied(draw: Callable[..., Drawn]) -> None:
    lines = draw(copying()).lines
    assert lines[4] == "db1  0/2 tables  114k of about 199k rows  9000/s  ETA 9.4s"
    assert re.match(r"  shop\.big +━+.* 57% +114k/199k", lines[5])
    assert lines[6] == "  1 more table to go"


def test_a_resize_leaves_no_trace_of_the_board(draw: Callable[..., Drawn]) -> None:
    shown = draw(copying(), quarantined(4), width=200, height=50)
    for width in (80, 60, 140, 80):
        shown.screen.resize(width)
        shown.show(copying(), quarantined(4))
        text = "\n".join(shown.lines)
        assert text.count("replica position show of db0") == 1, text
        assert sum("position  " in line for line in shown.lines) == 1, text


def test_a_board_of_many_secondaries_is_cut_to_the_terminal(draw: Callable[..., Drawn]) -> None:
    shown = draw(*(streaming(f"db{i}") for i in range(40)))
    assert len(shown.lines) == 23
    assert shown.lines[-1] == "… and 22 more lines"


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0"),
        (999, "999"),
        (1000, "1.0K"),
        (12288, "12.0K"),
        (1 << 20, "1.0M"),
        (150 << 30, "150G"),
        (3 << 40, "3.0T"),
    ],
)
def test_bytes_in_a_column_have_at_most_five_characters(count: int, text: str) -> None:
    assert units.brief_size(count) == text
    assert all(len(units.brief_size(int(1.37**power))) <= 5 for power in range(100))
