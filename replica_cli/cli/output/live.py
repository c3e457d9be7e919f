"""The live display on a terminal: one line for each secondary, and bars for the tables that are being copied."""

from __future__ import annotations

import sys
import threading
import time
from typing import TYPE_CHECKING, Self

from rich.cells import cell_len, set_cell_size
from rich.console import Console, Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from replica_cli.cli.output import units
from replica_cli.cli.output.live_block import LiveBlock
from replica_cli.cli.output.rates import TableRates, eta_seconds
from replica_cli.core.commands import fill
from replica_cli.core.limiting import REMEDIES, known_part, limit_text
from replica_cli.core.printable import printable
from replica_cli.core.status import ENDED, Phase, TableState
from replica_cli.core.wording import counted, doing_text, phase_text, short_reason, uncommitted_text
from replica_cli.logs import Tag
from replica_cli.logs.formats import timestamp
from replica_cli.logs.redaction import redact

if TYPE_CHECKING:
    from types import TracebackType

    from replica_cli.core.status import CopyProgress, TableProgress, WorkerStatus

_STYLES = {
    Phase.TRANSFERRING: "cyan",
    Phase.STREAMING: "green",
    Phase.CAUGHT_UP: "bold green",
    Phase.RECONNECTING: "yellow",
    Phase.PAUSED: "yellow",
    Phase.STOPPING: "yellow",
    Phase.FINISHED: "bold green",
    Phase.FAILED: "bold red",
}
# The table of secondaries has 80 columns. If the terminal is wider, half of the rest goes to the first column of the
# table and half to the third.
_NAME_WIDTH, _POSITION_WIDTH, _NARROW = 14, 17, 80
# The widths of the numbers right of a bar: share, rows, rate, and the remaining time if the terminal is wide enough.
_NUMBERS, _ETA_WIDTH, _WITH_ETA = (4, 12, 7), 11, 100
_BAR_WIDTHS = (8, 40)
_DOING_WIDTH = 16


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
        self._rates = TableRates()
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
            for table in status.transfer.tables if status.transfer else ():
                if table.state is TableState.COPYING:
                    self._rates.note(status.instance, table)
        self._frame.note()

    def on_note(self, instance: str, message: str) -> None:
        """Write the message above the display, in the form of a log line."""
        owner = f"[{instance}] " if instance else ""
        line = f"{timestamp(time.time())} [{Tag.INFO}] {owner}{fill(message, instance)}"
        self._frame.show(_plain(line))

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
            copies = [(s.instance, s.transfer) for s in statuses if s.transfer and s.phase not in ENDED]
            notes = _messages(statuses)
            # Lines below the height of the terminal are cut, so the bars of all copies share the lines that are left.
            left = max(0, self._console.height - len(statuses) - len(notes) - 3)
            for number, (instance, progress) in enumerate(copies):
                lines = max(2, left // (len(copies) - number))
                block = self._bars(instance, progress, lines)
                left -= min(lines, len(block))
                parts.extend(block)
            parts.extend(notes)
        return Group(*parts)

    def _head(self) -> Text:
        elapsed = units.duration(time.monotonic() - self._start)
        text = Text.assemble((printable(self._title), "bold"), (f"  {elapsed}  {self._hint}".rstrip(), "dim"))
        text.no_wrap, text.overflow = True, "ellipsis"
        return text

    def _bars(self, instance: str, progress: CopyProgress, lines: int) -> list[RenderableType]:
        copy = progress.status
        eta = copy.eta_seconds
        whole = "" if copy.rows_estimated is None else f" of about {units.count(copy.rows_estimated)}"
        head = Text.assemble(
            (printable(instance), "bold"),
            f"  {copy.tables_done}/{copy.tables} tables  {units.count(copy.rows_copied)}{whole} rows  "
            f"{units.count(progress.rows_per_second)}/s",
            f"  ETA {units.duration(eta)}" if eta is not None else "",
            (f"  {counted(progress.errors, 'error')}", "yellow") if progress.errors else "",
        )
        head.no_wrap, head.overflow = True, "ellipsis"
        active = [t for t in progress.tables if t.state is TableState.COPYING]
        shown = active[: max(0, lines - 2)]
        waiting = copy.tables - copy.tables_done - len(shown)
        parts: list[RenderableType] = [head]
        if shown:
            parts.append(self._bar_table(instance, shown))
        if waiting:
            parts.append(Text(f"  {waiting} more {'table' if waiting == 1 else 'tables'} to go", style="dim"))
        return parts

    def _bar_table(self, instance: str, tables: list[TableProgress]) -> Table:
        has_eta = self._console.width >= _WITH_ETA
        widths = (*_NUMBERS, _ETA_WIDTH) if has_eta else _NUMBERS
        room = self._console.width - sum(widths) - len(widths) - 1
        name, bar = _shared_widths(room, tables)
        grid = Table.grid(padding=(0, 1, 0, 0), pad_edge=False)
        for width in (name, bar):
            grid.add_column(no_wrap=True, width=width)
        for width in widths:
            grid.add_column(justify="right", no_wrap=True, width=width)
        for table in tables:
            rate = self._rates.rows_per_second(instance, table.table)
            cells = _counted_cells(table, rate, bar) if table.is_counted else _step_cells(table)
            grid.add_row(_cut(f"  {printable(redact(table.table))}", name), *cells[: len(widths) + 1])
        return grid


def _shared_widths(room: int, tables: list[TableProgress]) -> tuple[int, int]:
    """Return the widths of the names and of the bars; names are cut only if the bars have their least width."""
    least = _BAR_WIDTHS[0] if all(t.is_counted for t in tables) else _DOING_WIDTH
    longest = max(cell_len(printable(t.table)) for t in tables) + 2
    name = max(12, min(longest, room - least))
    return name, max(least, min(_BAR_WIDTHS[1], room - name))


def _counted_cells(table: TableProgress, rate: float, width: int) -> tuple[RenderableType, ...]:
    part = units.share(table.rows_copied, table.rows_estimated)
    eta = eta_seconds(table.rows_copied, table.rows_estimated, rate)
    whole = "?" if table.rows_estimated is None else units.count(table.rows_estimated)
    return (
        ProgressBar(total=1.0 if part is not None else None, completed=part or 0.0, pulse=part is None, width=width),
        "" if part is None else f"{part:.0%}",
        f"{units.count(table.rows_copied)}/{whole}",
        f"{units.count(rate)}/s",
        "" if eta is None else f"ETA {units.duration(eta)}",
    )


def _step_cells(table: TableProgress) -> tuple[RenderableType, ...]:
    """Return the cells of a table in a step in which the number of rows does not grow: the step replaces the bar."""
    doing = Text(doing_text(table), style="dim", no_wrap=True, overflow="ellipsis")
    return (doing, "", units.count(table.rows_copied), units.duration(table.step_seconds), "")


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
            _cut(printable(redact(status.instance)), _NAME_WIDTH + more),
            Text(phase_text(status.phase), style=_STYLES.get(status.phase, "")),
            _plain(units.position_text(status.position, position_width)),
            "-" if status.lag_seconds is None else units.duration(status.lag_seconds),
            units.count(copy.rows_per_second if copy else status.rows_per_second),
            "-" if copy else units.count(status.transactions_per_second),
            units.count(copy.rows_copied if copy else status.rows_total),
            Text(str(len(status.quarantined)), style="bold yellow" if status.quarantined else ""),
        )
    return table


def _cut(text: str, width: int) -> Text:
    """Return a name, cut in its middle if it is too wide: names often differ only at one of their ends."""
    if cell_len(text) > width:
        head = (width - 1) // 2
        tail = text
        while cell_len(tail) > width - 1 - head:
            tail = tail[1:]
        text = f"{set_cell_size(text, head)}…{tail}"
    return Text(text)


def _messages(statuses: list[WorkerStatus]) -> list[RenderableType]:
    lines: list[RenderableType] = []
    for status in statuses:
        if status.rows_uncommitted:
            text = printable(f"{status.instance}: {uncommitted_text(status.rows_uncommitted)}")
            lines.append(Text(text, style="dim", no_wrap=True, overflow="ellipsis"))
        if part := known_part(status.limiting_part):
            text = printable(f"{status.instance}: {limit_text(part)}: {REMEDIES[part]}")
            lines.append(Text(text, style="yellow", no_wrap=True, overflow="ellipsis"))
        if status.message:
            text = _plain(
                fill(f"{status.instance}: {short_reason(status.message, status.instance)}", status.instance)
            ).plain
            lines.append(Text(text, style="yellow", no_wrap=True, overflow="ellipsis"))
        if status.quarantined:
            text = printable(f"{status.instance}: quarantined {', '.join(status.quarantined)}")
            lines.append(Text(text, style="yellow", no_wrap=True, overflow="ellipsis"))
    return lines


def _plain(text: str) -> Text:
    """Return text that rich shows unchanged, so that a bracket in a table's name is not taken for markup."""
    return Text(printable(redact(text)))
