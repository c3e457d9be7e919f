"""The live display on a terminal: one line for each secondary, and bars for the tables that are being copied."""

from __future__ import annotations

import sys
import threading
import time
from typing import TYPE_CHECKING, Self

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from replica_cli.cli.output import units
from replica_cli.cli.output.cells import PHASE_STYLES, cut, one_line, plain
from replica_cli.cli.output.copy_bars import CopyBars
from replica_cli.cli.output.live_block import LiveBlock
from replica_cli.core.commands import fill
from replica_cli.core.limiting import REMEDIES, known_part, limit_text
from replica_cli.core.printable import printable
from replica_cli.core.status import ENDED, Phase
from replica_cli.core.wording import phase_text, short_reason, uncommitted_text
from replica_cli.logs import Tag
from replica_cli.logs.formats import timestamp
from replica_cli.logs.redaction import redact

if TYPE_CHECKING:
    from types import TracebackType

    from replica_cli.core.status import WorkerStatus

# The table of secondaries has 80 columns. If the terminal is wider, half of the rest goes to the first column of the
# table and half to the third.
_NAME_WIDTH, _POSITION_WIDTH, _NARROW = 14, 17, 80


class LiveReporter:
    """A reporter that draws the newest snapshots on stderr, with log lines above the display. Thread-safe."""

    def __init__(self, title: str, *, is_colored: bool) -> None:
        self._console = Console(
            file=sys.stderr, no_color=not is_colored, force_terminal=True, highlight=False, emoji=False, markup=False
        )
        self._title = title
        self._hint = "Ctrl-C stops"
        self._lock = threading.Lock()
        self._statuses: dict[str, WorkerStatus] = {}
        self._bars = CopyBars()
        self._start = time.monotonic()
        self._frame = LiveBlock(self._console, self._render)

    def __enter__(self) -> Self:
        self._frame.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._hint = ""
        self._frame.__exit__(kind, error, trace)

    def on_status(self, status: WorkerStatus) -> None:
        """Store the snapshot for the next drawing."""
        with self._lock:
            self._statuses[status.instance] = status
            if status.transfer:
                self._bars.note(status.instance, status.transfer.tables)
        self._frame.note()

    def on_note(self, instance: str, message: str) -> None:
        """Write the message above the display, in the form of a log line."""
        owner = f"[{instance}] " if instance else ""
        line = f"{timestamp(time.time())} [{Tag.INFO}] {owner}{fill(message, instance)}"
        self._frame.show(plain(line))

    def on_stopping(self, message: str) -> None:
        """Show that the command is stopping, and write the message above the display."""
        with self._lock:
            self._hint = "stopping"
        self.on_note("", message)

    def _render(self) -> RenderableType:
        with self._lock:
            statuses = list(self._statuses.values())
            parts: list[RenderableType] = [self._head()]
            if statuses:
                parts.append(_table_of(statuses, self._console.width))
            copies = [s.transfer for s in statuses if s.transfer and s.phase not in ENDED]
            notes = _messages(statuses)
            # Lines below the height of the terminal are cut, so the bars of all copies share the lines that are left.
            left = self._console.height - len(statuses) - len(notes) - 3
            parts.extend(self._bars.draw(copies, self._console.width, left))
            parts.extend(notes)
        return Group(*parts)

    def _head(self) -> Text:
        elapsed = units.duration(time.monotonic() - self._start)
        text = Text.assemble((printable(self._title), "bold"), (f"  {elapsed}  {self._hint}".rstrip(), "dim"))
        text.no_wrap, text.overflow = True, "ellipsis"
        return text


def _table_of(statuses: list[WorkerStatus], width: int) -> Table:
    # 80 columns: 14 + 12 + 17 + 7 + 6 + 6 + 5 + 4, and one blank between two columns.
    more = max(0, width - _NARROW) // 2
    position_width = max(
        _POSITION_WIDTH, min(_POSITION_WIDTH + more, max(len(units.position_text(s.position)) for s in statuses))
    )
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    table.add_column("secondary", no_wrap=True, max_width=_NAME_WIDTH + more)
    table.add_column("phase", no_wrap=True, min_width=12)
    table.add_column("position", no_wrap=True, max_width=position_width, min_width=position_width)
    for head, columns in (("lag", 7), ("rows/s", 6), ("trx/s", 6), ("rows", 5), ("quar", 4)):
        table.add_column(head, justify="right", no_wrap=True, min_width=columns)
    for status in statuses:
        # A copy has rows and no transactions. The lag is unknown before the first transaction.
        is_copy = status.phase is Phase.TRANSFERRING or (status.phase in ENDED and not status.transactions_total)
        copy = status.transfer if is_copy else None
        table.add_row(
            cut(printable(redact(status.instance)), _NAME_WIDTH + more),
            Text(phase_text(status.phase), style=PHASE_STYLES.get(status.phase, "")),
            plain(units.position_text(status.position, position_width)),
            "-" if status.lag_seconds is None else units.duration(status.lag_seconds),
            units.count(copy.rows_per_second if copy else status.rows_per_second),
            "-" if copy else units.count(status.transactions_per_second),
            units.count(copy.rows_copied if copy else status.rows_total),
            Text(str(len(status.quarantined)), style="bold yellow" if status.quarantined else ""),
        )
    return table


def _messages(statuses: list[WorkerStatus]) -> list[RenderableType]:
    lines: list[RenderableType] = []
    for status in statuses:
        if status.rows_uncommitted:
            lines.append(one_line(f"{status.instance}: {uncommitted_text(status.rows_uncommitted)}", "dim"))
        if part := known_part(status.limiting_part):
            lines.append(one_line(f"{status.instance}: {limit_text(part)}: {REMEDIES[part]}", "yellow"))
        if status.message:
            text = f"{status.instance}: {short_reason(status.message, status.instance)}"
            lines.append(one_line(fill(text, status.instance), "yellow"))
        if status.quarantined:
            lines.append(one_line(f"{status.instance}: quarantined {', '.join(status.quarantined)}", "yellow"))
    return lines
