"""Draws a running copy: a line with its sums, and bars for the tables that are being copied."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from replica_cli.cli.output import units
from replica_cli.cli.output.cells import cut
from replica_cli.cli.output.rates import TableRates, eta_seconds
from replica_cli.core.printable import printable
from replica_cli.core.status import TableState
from replica_cli.core.wording import counted, doing_text
from replica_cli.logs.redaction import redact

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from replica_cli.core.status import CopyProgress, TableProgress

# The widths of the numbers right of a bar: share, rows, rate, and the remaining time if the terminal is wide enough.
_NUMBERS, _ETA_WIDTH, _WITH_ETA = (4, 12, 7), 11, 100
_BAR_WIDTHS = (8, 40)
_DOING_WIDTH = 16


class CopyBars:
    """Draws copies, and remembers their progress for the rates of their tables. Not thread-safe."""

    def __init__(self) -> None:
        self._rates = TableRates()

    def note(self, instance: str, tables: Sequence[TableProgress]) -> None:
        """Remember how far the tables are that are being copied."""
        for table in tables:
            if table.state is TableState.COPYING:
                self._rates.note(instance, table)

    def draw(self, copies: Sequence[CopyProgress], width: int, lines: int) -> list[RenderableType]:
        """Return the lines of all copies for a terminal of a width; the copies share the lines that are left."""
        parts: list[RenderableType] = []
        left = max(0, lines)
        for number, progress in enumerate(copies):
            most = max(2, left // (len(copies) - number))
            block = self._copy(progress, width, most)
            left -= min(most, len(block))
            parts.extend(block)
        return parts

    def _copy(self, progress: CopyProgress, width: int, lines: int) -> list[RenderableType]:
        instance, copy = progress.instance, progress.status
        eta = copy.eta_seconds
        whole = "" if copy.rows_estimated is None else f" of about {units.count(copy.rows_estimated)}"
        rate = "" if copy.rows_per_second is None else f"  {units.count(progress.rows_per_second)}/s"
        head = Text.assemble(
            (printable(instance), "bold"),
            f"  {copy.tables_done}/{copy.tables} tables  {units.count(copy.rows_copied)}{whole} rows{rate}",
            f"  ETA {units.duration(eta)}" if eta is not None else "",
            (f"  {counted(progress.errors, 'error')}", "yellow") if progress.errors else "",
        )
        head.no_wrap, head.overflow = True, "ellipsis"
        active = [t for t in progress.tables if t.state is TableState.COPYING]
        shown = active[: max(0, lines - 2)]
        waiting = copy.tables - copy.tables_done - len(shown)
        parts: list[RenderableType] = [head]
        if shown:
            parts.append(self._bar_table(instance, shown, width))
        if waiting:
            parts.append(Text(f"  {waiting} more {'table' if waiting == 1 else 'tables'} to go", style="dim"))
        return parts

    def _bar_table(self, instance: str, tables: list[TableProgress], width: int) -> Table:
        has_eta = width >= _WITH_ETA
        widths = (*_NUMBERS, _ETA_WIDTH) if has_eta else _NUMBERS
        room = width - sum(widths) - len(widths) - 1
        name, bar = _shared_widths(room, tables)
        grid = Table.grid(padding=(0, 1, 0, 0), pad_edge=False)
        for each in (name, bar):
            grid.add_column(no_wrap=True, width=each)
        for each in widths:
            grid.add_column(justify="right", no_wrap=True, width=each)
        for table in tables:
            rate = self._rates.rows_per_second(instance, table.table)
            cells = _counted_cells(table, rate, bar) if table.is_counted else _step_cells(table)
            grid.add_row(cut(f"  {printable(redact(table.table))}", name), *cells[: len(widths) + 1])
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
