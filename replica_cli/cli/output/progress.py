"""Which reporter fits: JSON lines, a live display, log lines, or silence."""

from __future__ import annotations

import contextlib
import sys
from enum import StrEnum
from typing import TYPE_CHECKING

from replica_cli.core.reporter import Reporter, SilentReporter

if TYPE_CHECKING:
    from collections.abc import Iterator


class ProgressForm(StrEnum):
    """How progress is shown."""

    JSON = "json"
    LIVE = "live"
    LINES = "lines"
    SILENT = "silent"


def progress_form(wanted: str, *, is_json: bool, verbosity: int, terminal: str = "") -> ProgressForm:
    """Choose: --json first, then REPLICA_PROGRESS (`wanted`), then a live display where nothing writes between.

    `terminal` is TERM: a dumb one cannot draw in place.
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
    """Give the reporter, and put the terminal right whatever ends the block."""
    if form is ProgressForm.LIVE:
        from replica_cli.cli.output.live import LiveReporter  # noqa: PLC0415 - rich costs start-up

        with LiveReporter(title, is_colored=is_colored) as reporter:
            yield reporter
        return
    if form is ProgressForm.SILENT:
        yield SilentReporter()
        return
    from replica_cli.cli.output.lines import JsonReporter, LineReporter  # noqa: PLC0415 - only where they are used

    yield JsonReporter() if form is ProgressForm.JSON else LineReporter()
