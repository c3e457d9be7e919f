"""Shows a running comparison of rows: a live block with bars on a terminal, or lines, or JSON lines."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from typing import TYPE_CHECKING

from rich.console import Console, Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from replica_cli.cli.output import units
from replica_cli.cli.output.cells import cut, one_line
from replica_cli.cli.output.live_block import LiveBlock
from replica_cli.core.printable import printable
from replica_cli.core.wording import counted
from replica_cli.logs.redaction import redact

if TYPE_CHECKING:
    from collections.abc import Iterator

    from replica_cli.core.verification import Difference, TableProof, VerifyProgress

_NAME_WIDTH, _BAR_WIDTH = 30, 24


class LiveVerify:
    """Draws the newest progress of each secondary on stderr. Thread-safe."""

    def __init__(self, title: str, *, is_colored: bool) -> None:
        self._console = Console(
            file=sys.stderr, no_color=not is_colored, force_terminal=True, highlight=False, emoji=False, markup=False
        )
        self._title = title
        self._hint = "Ctrl-C stops"
        self._lock = threading.Lock()
        self._progress: dict[str, VerifyProgress] = {}
        self._start = time.monotonic()
        self._frame = LiveBlock(self._console, self._render)

    @contextlib.contextmanager
    def drawing(self) -> Iterator[LiveVerify]:
        """Draw while the context lasts."""
        with self._frame:
            try:
                yield self
            finally:
                # Before the last drawing.
                self._hint = ""

    def on_progress(self, progress: VerifyProgress) -> None:
        """Store the progress for the next drawing."""
        with self._lock:
            self._progress[progress.instance] = progress
        self._frame.note()

    def on_difference(self, instance: str, difference: Difference) -> None:
        """Do nothing: the number of differences is part of the progress."""

    def on_stopping(self, message: str) -> None:
        """Show that the command is stopping."""
        self._hint = "stopping"
        self._frame.show(one_line(message, "yellow"))

    def _render(self) -> RenderableType:
        with self._lock:
            newest = list(self._progress.values())
        elapsed = units.duration(time.monotonic() - self._start)
        head = Text.assemble((printable(self._title), "bold"), (f"  {elapsed}  {self._hint}".rstrip(), "dim"))
        parts: list[RenderableType] = [head]
        for progress in newest:
            parts.append(_head_of(progress))
            if progress.tables:
                parts.append(_bars(progress.tables, self._console.width))
            if progress.waits_for:
                parts.append(one_line(f"  waits: {progress.waits_for}", "yellow"))
        return Group(*parts)


def _head_of(progress: VerifyProgress) -> Text:
    eta = progress.eta_seconds
    text = Text.assemble(
        (printable(progress.instance), "bold"),
        f"  {progress.tables_done}/{progress.tables_total} tables  {units.count(progress.rows)} rows"
        f"  {units.count(progress.rows_per_second)}/s",
        f"  ETA {units.duration(eta)}" if eta is not None else "",
        (f"  {counted(progress.differences, 'difference')}", "bold red") if progress.differences else "",
    )
    text.no_wrap, text.overflow = True, "ellipsis"
    return text


def _bars(tables: tuple[TableProof, ...], width: int) -> Table:
    name = max(12, min(_NAME_WIDTH, width - _BAR_WIDTH - 26))
    grid = Table.grid(padding=(0, 1, 0, 0), pad_edge=False)
    grid.add_column(no_wrap=True, width=name)
    grid.add_column(no_wrap=True, width=_BAR_WIDTH)
    for columns in (4, 12, 8):
        grid.add_column(justify="right", no_wrap=True, min_width=columns)
    for table in tables:
        part = units.share(table.rows, table.rows_estimated)
        whole = "?" if table.rows_estimated is None else units.count(table.rows_estimated)
        grid.add_row(
            cut(f"  {printable(redact(str(table.table)))}", name),
            ProgressBar(
                total=1.0 if part is not None else None, completed=part or 0.0, pulse=part is None, width=_BAR_WIDTH
            ),
            "" if part is None else f"{part:.0%}",
            f"{units.count(table.rows)}/{whole}",
            Text(f"{table.differences} diff", style="red") if table.differences else "",
        )
    return grid
