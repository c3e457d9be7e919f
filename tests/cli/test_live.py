"""What is seen on a terminal: widths, resizes while the display runs, and what Ctrl-C leaves behind."""

from __future__ import annotations

import io
import logging
import os
import re
import sys
import threading
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from replica_cli.cli.output import live_block, stream_above
from replica_cli.cli.output.live import LiveReporter
from replica_cli.cli.output.reporters import ProgressForm, progress_form
from replica_cli.core.position import Position
from replica_cli.core.status import CopyProgress, CopyStep, Phase, TableProgress, TableState, WorkerStatus
from replica_cli.logs import Tag, log
from replica_cli.logs.display import DisplayFilter
from tests.support.terminal import Screen

if TYPE_CHECKING:
    from collections.abc import Callable

PLACE = Position("binlog.000042", 846528615)
LONG = tuple(f"sakila.customer_loyalty_points_{year}_history" for year in (2024, 2025))


class Terminal(io.StringIO):
    """A stream that is a terminal, and the screen that shows what was written to it."""

    def __init__(self, width: int, height: int) -> None:
        super().__init__()
        self.screen = Screen(width)
        self.height = height

    def isatty(self) -> bool:
        return True

    def fileno(self) -> int:
        return 2

    def write(self, text: str, /) -> int:
        self.screen.feed(text)
        return len(text)

    def size(self, _descriptor: int) -> os.terminal_size:
        return os.terminal_size((self.screen.width, self.height))

    @property
    def lines(self) -> list[str]:
        return self.screen.lines


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, int], Terminal]:
    def made(width: int, height: int) -> Terminal:
        found = Terminal(width, height)
        monkeypatch.setattr(sys, "stderr", found)
        monkeypatch.setattr(os, "get_terminal_size", found.size)
        return found

    return made


def copying() -> WorkerStatus:
    names = (*LONG, "sakila.film")
    copied = tuple(TableProgress(name, 114_000, 199_000, state=TableState.COPYING) for name in names)
    indexes = TableProgress("sakila.orders", 9, 9, state=TableState.COPYING, step=CopyStep.CHECKING, step_seconds=3)
    progress = CopyProgress("db2", (*copied, indexes), 4.0, 28_500.0, position=PLACE)
    return WorkerStatus("db2", Phase.TRANSFERRING, PLACE, transfer=progress)


def streaming(name: str = "db2") -> WorkerStatus:
    return WorkerStatus(
        name, Phase.STREAMING, PLACE, 0.4, rows_per_second=3, transactions_per_second=1, rows_total=7763
    )


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_no_line_of_the_display_is_wider_than_the_terminal(
    terminal: Callable[[int, int], Terminal], width: int
) -> None:
    shown = terminal(width, 40)
    reporter = LiveReporter("replica stream from a-primary-with-a-long-name.example.com", is_colored=True)
    for status in (copying(), streaming("a-secondary-with-a-name-of-32-ch")):
        reporter.on_status(status)
    reporter._frame.show()
    assert not any(shown.screen._is_wrapped)
    assert "replica stream from" in shown.lines[0]
    assert all(name in "\n".join(shown.lines) for name in LONG) is (width >= 120)


def test_what_a_terminal_has_more_goes_to_names_before_bars(terminal: Callable[[int, int], Terminal]) -> None:
    for width in (80, 120, 200):
        shown = terminal(width, 40)
        reporter = LiveReporter("title", is_colored=True)
        reporter.on_status(copying())
        reporter._frame.show()
        bars = [line for line in shown.lines if "━" in line]
        assert len(bars) == 3
        assert all(line.count("━") + line.count("╸") + line.count("╺") <= 40 for line in bars)
        # Names that are alike at their beginnings are told apart where they are cut.
        assert "2024_history" in bars[0]
        assert "2025_history" in bars[1]
    assert any("sakila.orders" in line and "checking the" in line for line in shown.lines)


def test_a_copy_shows_its_rows_and_its_position_in_the_table(terminal: Callable[[int, int], Terminal]) -> None:
    shown = terminal(80, 24)
    reporter = LiveReporter("title", is_colored=False)
    reporter.on_status(copying())
    reporter._frame.show()
    assert re.match(r"db2 +transferring 000042:846528615 +- +28\.5k +- +342k +0$", shown.lines[2])


def test_a_resize_leaves_no_trace(terminal: Callable[[int, int], Terminal]) -> None:
    shown = terminal(200, 40)
    reporter = LiveReporter("replica stream from db1", is_colored=True)
    reporter.on_status(copying())
    reporter.on_note("db2", "a sentence that stays")
    for number, width in enumerate((80, 60, 120, 80, 200, 33)):
        reporter.on_status(copying() if number % 2 else streaming())
        shown.screen.resize(width)
        reporter._frame.show()
        text = "\n".join(shown.lines)
        assert "a sentence that stays" in text.replace("\n", "")
        assert text.count("replica stream from db1") == 1, text
        assert sum("position" in line for line in shown.lines) == 1, text


def test_a_display_higher_than_the_terminal_is_cut(terminal: Callable[[int, int], Terminal]) -> None:
    shown = terminal(80, 6)
    reporter = LiveReporter("title", is_colored=False)
    for number in range(9):
        reporter.on_status(streaming(f"db{number}"))
    for _ in range(3):
        reporter._frame.show()
    assert len(shown.lines) == 5
    assert shown.lines[-1] == "… and 7 more lines"


def test_after_a_stop_no_line_says_that_ctrl_c_stops(terminal: Callable[[int, int], Terminal]) -> None:
    shown = terminal(80, 24)
    with LiveReporter("replica stream from db1", is_colored=False) as reporter:
        reporter.on_status(streaming())
        assert "Ctrl-C stops" in shown.lines[0]
        shown.write("^C")  # as the terminal itself echoes it
        reporter.on_stopping("stopping: a sentence")
        print("half a line", end="", file=sys.stderr)
        assert re.fullmatch(r"\S+Z \[INFO\] stopping: a sentence", shown.lines[0])
        assert shown.lines[1].endswith("stopping")
    assert sys.stderr is shown
    text = "\n".join(shown.lines)
    assert "^C" not in text
    assert "Ctrl-C" not in text
    assert shown.lines[1] == "half a line"
    assert text.count("replica stream from db1") == 1


def test_lines_of_the_log_go_above_as_they_are(terminal: Callable[[int, int], Terminal]) -> None:
    shown = terminal(40, 24)
    with LiveReporter("title", is_colored=False):
        print("[/]not markup :smile:\nand `a command that is longer than the terminal is wide`", file=sys.stderr)
    assert shown.lines[0] == "[/]not markup :smile:"
    assert "".join(shown.lines[1:3]) == "and `a command that is longer than the terminal is wide`"
    assert len([line for line in shown.lines if "title" in line]) == 1


def test_a_command_says_at_once_whom_it_asks(terminal: Callable[[int, int], Terminal]) -> None:
    shown = terminal(80, 24)
    with stream_above.waiting_for("connecting to \x1b[2Jdb1 ..."):
        assert shown.lines == [r"connecting to \x1b[2Jdb1 ..."]
        print("a warning", file=sys.stderr)
        assert shown.lines == ["a warning", r"connecting to \x1b[2Jdb1 ..."]
    assert shown.lines == ["a warning"]
    assert sys.stderr is shown


def test_above_a_display_a_repeated_warning_is_shown_once_in_a_while() -> None:
    now = [0.0]
    shown = DisplayFilter(lambda: now[0])
    kept: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: kept.append(record.getMessage())  # type: ignore[method-assign]
    handler.addFilter(shown)
    logger = logging.getLogger("replica_cli.display_test")
    logger.setLevel(logging.DEBUG)
    logger.addHandler(handler)
    try:
        log(logger, logging.INFO, Tag.INFO, "streaming from x", instance="db1")
        log(logger, logging.INFO, Tag.SUCCESS, "copied", instance="db1")
        for attempt in range(8):
            for instance in ("db1", "db2"):
                log(
                    logger,
                    logging.WARNING,
                    Tag.RECONNECT,
                    "%s %d",
                    instance,
                    attempt,
                    instance=instance,
                    subject="gone",
                )
            now[0] += 50
        log(logger, logging.WARNING, Tag.RECONNECT, "other", instance="db1", subject="refused")
        log(logger, logging.WARNING, Tag.WARN, "always", instance="db1")
        log(logger, logging.WARNING, Tag.WARN, "always", instance="db1")
    finally:
        logger.removeHandler(handler)
    assert kept == ["copied", "db1 0", "db2 0", "db1 6", "db2 6", "other", "always", "always"]


def test_a_dumb_terminal_gets_lines(terminal: Callable[[int, int], Terminal]) -> None:
    terminal(80, 24)
    assert progress_form("auto", is_json=False, verbosity=0, terminal="xterm") is ProgressForm.LIVE
    assert progress_form("auto", is_json=False, verbosity=0, terminal="dumb") is ProgressForm.LINES


def test_what_is_new_is_drawn_soon_and_nothing_is_drawn_again_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_block, "_SECONDS_BETWEEN", 0.001)
    monkeypatch.setattr(live_block, "_SECONDS_IDLE", 1000.0)
    drawn: list[str] = []
    has_drawn = threading.Event()

    def render() -> str:
        drawn.append("")
        has_drawn.set()
        return "a line"

    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with live_block.LiveBlock(Console(file=io.StringIO()), render) as made:
        for count in (1, 2, 3):
            assert has_drawn.wait(60)
            has_drawn.clear()
            assert len(drawn) == count  # the first as the context begins
            made.note()
    # The last note, and one to leave the display as it is.
    assert len(drawn) <= count + 3
