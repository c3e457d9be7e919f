"""Chooses the reporter of a command: JSON lines, a live display, log lines, or none."""

from __future__ import annotations

import contextlib
import sys
from enum import StrEnum
from typing import TYPE_CHECKING

from replica_cli.core.reporter import Reporter, SilentReporter

if TYPE_CHECKING:
    from collections.abc import Iterator


class ProgressForm(StrEnum):
    """How a command shows its progress."""

    JSON = "json"
    LIVE = "live"
    LINES = "lines"
    SILENT = "silent"


def progress_form(wanted: str, *, is_json: bool, verbosity: int, terminal: str = "") -> ProgressForm:
    """Return how progress is shown.

    `--json` decides first, then `--quiet` and REPLICA_PROGRESS. With REPLICA_PROGRESS=auto the display is live if
    stderr is a terminal and `--verbose` is not given, because nothing else may write between the drawings.

    Args:
        wanted: the value of REPLICA_PROGRESS: auto, bar, lines or off.
        is_json: whether `--json` is given.
        verbosity: as in `Invocation`.
        terminal: the value of TERM; a `dumb` terminal cannot move the cursor.
    """
    if is_json:
        return ProgressForm.JSON
    if wanted == "off" or verbosity < 0:
        return ProgressForm.SILENT
    can_draw = verbosity == 0 and sys.stderr.isatty() and terminal != "dumb"
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
