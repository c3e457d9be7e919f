"""Chooses how a command shows what goes on: as JSON lines, in a live display, as lines, or not at all."""

from __future__ import annotations

import contextlib
import sys
from enum import StrEnum
from typing import TYPE_CHECKING, TextIO

from replica_cli.core.reporter import Reporter, SilentReporter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from replica_cli.cli.output.console import Painter
    from replica_cli.core.reports.watch import WatchRound


class ProgressForm(StrEnum):
    """How a command shows its progress."""

    JSON = "json"
    LIVE = "live"
    LINES = "lines"
    SILENT = "silent"


def progress_form(
    wanted: str, *, is_json: bool, verbosity: int, terminal: str = "", stream: TextIO | None = None
) -> ProgressForm:
    """Return how progress is shown.

    `--json` decides first, then `--quiet` and REPLICA_PROGRESS. With REPLICA_PROGRESS=auto the display is live if
    its stream is a terminal and `--verbose` is not given, because nothing else may write between the drawings.

    Args:
        wanted: the value of REPLICA_PROGRESS: auto, bar, lines or off.
        is_json: whether `--json` is given.
        verbosity: as in `Invocation`.
        terminal: the value of TERM; a `dumb` terminal cannot move the cursor.
        stream: where the display is drawn, None for stderr.
    """
    if is_json:
        return ProgressForm.JSON
    if wanted == "off" or verbosity < 0:
        return ProgressForm.SILENT
    can_draw = verbosity == 0 and (stream or sys.stderr).isatty() and terminal != "dumb"
    if wanted == "bar" or (wanted == "auto" and can_draw):
        return ProgressForm.LIVE
    return ProgressForm.LINES


@contextlib.contextmanager
def open_reporter(form: ProgressForm, title: str, *, is_colored: bool) -> Iterator[Reporter]:
    """Return a context that gives the reporter. A live display restores the terminal at the end of the context."""
    if form is ProgressForm.LIVE:
        from replica_cli.cli.output.live import LiveReporter  # noqa: PLC0415 - rich takes long to load

        with LiveReporter(title, is_colored=is_colored) as reporter:
            yield reporter
        return
    if form is ProgressForm.SILENT:
        yield SilentReporter()
        return
    from replica_cli.cli.output.line_reporters import JsonReporter, LineReporter  # noqa: PLC0415 - not loaded for other forms

    yield JsonReporter() if form is ProgressForm.JSON else LineReporter()


@contextlib.contextmanager
def open_watch(
    paint: Painter, primary: str, interval: str, *, is_board: bool, is_json: bool
) -> Iterator[Callable[[WatchRound], bool]]:
    """Return a context that gives the function that shows a round, and returns False if it cannot be seen any more.

    `primary` is the name of the primary, `interval` what the user wrote.
    """
    if is_board:
        from replica_cli.cli.output.board import PositionBoard  # noqa: PLC0415 - rich takes long to load

        with PositionBoard(primary, interval, is_colored=paint.is_on) as board:
            yield board.show
        return
    from replica_cli.cli.output.watch_lines import write_json_round, write_round  # noqa: PLC0415 - not loaded for other forms

    yield write_json_round if is_json else write_round
