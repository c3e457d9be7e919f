"""The live display on a terminal: one line a secondary, and bars for the tables that are being copied."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from replica_cli.cli.output import units
from replica_cli.cli.output.rates import TableRates, eta_seconds
from replica_cli.core.commands import fill
from replica_cli.core.printable import printable
from replica_cli.core.status import ENDED, Phase, TableState
from replica_cli.core.wording import phase_text, told_once
from replica_cli.logs.redaction import redact

if TYPE_CHECKING:
    from types import TracebackType

    from replica_cli.core.status import TableProgress, TransferProgress, WorkerStatus

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
_PLACE_WIDTH = 17
_REFRESHES_PER_SECOND = 4


class LiveReporter:
    """Draws the newest snapshots a few times a second on stderr; lines of the log appear above."""

    def __init__(self, title: str, *, is_colored: bool) -> None:
        self._console = Console(stderr=True, no_color=not is_colored, force_terminal=True, highlight=False)
        self._title = title
        self._lock = threading.Lock()
        self._statuses: dict[str, WorkerStatus] = {}
        self._rates = TableRates()
        self._start = time.monotonic()
        self._live = Live(
            get_renderable=self._render,
            console=self._console,
            refresh_per_second=_REFRESHES_PER_SECOND,
            redirect_stdout=False,  # stdout is the answer, and may be a file
        )

    def __enter__(self) -> Self:
        self._live.start(refresh=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def on_status(self, status: WorkerStatus) -> None:
        """Keep the snapshot for the next drawing."""
        with self._lock:
            self._statuses[status.instance] = status
            for table in status.transfer.tables if status.transfer else ():
                if table.state is TableState.COPYING:
                    self._rates.note(status.instance, table)

    def on_note(self, instance: str, message: str) -> None:
        """Write the sentence above the display."""
        now = datetime.now(UTC).strftime("%H:%M:%S")
        owner = f"{instance}: " if instance else ""
        self._console.print(Text.assemble((f"{now} ", "dim"), _plain(fill(f"{owner}{message}", instance))))

    def _render(self) -> RenderableType:
        with self._lock:
            statuses = list(self._statuses.values())
            parts: list[RenderableType] = [self._head()]
            if statuses:
                parts.append(_table_of(statuses))
            copies = [(s.instance, s.transfer) for s in statuses if s.transfer and s.phase not in ENDED]
            # Live cannot scroll: what is higher than the terminal is cut off, so the bars share what is left.
            left = max(0, self._console.height - len(statuses) - 5)
            for number, (instance, progress) in enumerate(copies):
                lines = max(2, left // (len(copies) - number))
                block = self._bars(instance, progress, lines)
                left -= min(lines, len(block))
                parts.extend(block)
            parts.extend(_messages(statuses))
        return Group(*parts)

    def _head(self) -> Text:
        elapsed = units.duration(time.monotonic() - self._start)
        title = printable(self._title)
        return Text.assemble((title, "bold"), (f"  {elapsed}  Ctrl-C stops", "dim"), overflow="ellipsis")

    def _bars(self, instance: str, progress: TransferProgress, lines: int) -> list[RenderableType]:
        copy = progress.status
        eta = copy.eta_seconds
        whole = "" if copy.rows_estimated is None else f" of about {units.count(copy.rows_estimated)}"
        head = Text.assemble(
            (printable(instance), "bold"),
            f"  {copy.tables_done}/{copy.tables} tables  {units.count(copy.rows_copied)}{whole} rows  "
            f"{units.count(progress.rows_per_second)}/s",
            f"  ETA {units.duration(eta)}" if eta is not None else "",
            (f"  {progress.errors} error(s)", "yellow") if progress.errors else "",
        )
        active = [t for t in progress.tables if t.state is TableState.COPYING]
        shown = active[: max(0, lines - 2)]
        waiting = sum(t.state is TableState.PENDING for t in progress.tables) + len(active) - len(shown)
        parts: list[RenderableType] = [head]
        if shown:
            parts.append(self._bar_table(instance, shown))
        if waiting:
            parts.append(Text(f"  {waiting} more table(s) to go", style="dim"))
        return parts

    def _bar_table(self, instance: str, tables: list[TableProgress]) -> Table:
        grid = Table.grid(padding=(0, 1), expand=True)
        grid.add_column(no_wrap=True, overflow="ellipsis", max_width=26, min_width=12)
        grid.add_column(ratio=1, min_width=8)
        for width in (4, 12, 7, 11):
            grid.add_column(justify="right", no_wrap=True, min_width=width)
        for table in tables:
            if not table.is_counted:
                grid.add_row(
                    _plain(f"  {table.table}"), ProgressBar(total=None, pulse=True), "", units.count(table.rows_copied),
                    table.step.value.replace("_", " "), units.duration(table.step_seconds),
                )  # fmt: skip
                continue
            rate = self._rates.rows_per_second(instance, table.table)
            part = units.share(table.rows_copied, table.rows_estimated)
            eta = eta_seconds(table.rows_copied, table.rows_estimated, rate)
            whole = "?" if table.rows_estimated is None else units.count(table.rows_estimated)
            grid.add_row(
                _plain(f"  {table.table}"),
                ProgressBar(total=1.0 if part is not None else None, completed=part or 0.0, pulse=part is None),
                "" if part is None else f"{part:.0%}",
                f"{units.count(table.rows_copied)}/{whole}",
                f"{units.count(rate)}/s",
                "" if eta is None else f"ETA {units.duration(eta)}",
            )
        return grid


def _table_of(statuses: list[WorkerStatus]) -> Table:
    # 80 columns: 14 + 12 + 17 + 7 + 6 + 6 + 5 + 4, and one blank between two.
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    table.add_column("secondary", no_wrap=True, overflow="ellipsis", max_width=14)
    table.add_column("phase", no_wrap=True, min_width=12)
    table.add_column("position", no_wrap=True, max_width=_PLACE_WIDTH, min_width=_PLACE_WIDTH)
    for head, width in (("lag", 7), ("rows/s", 6), ("trx/s", 6), ("rows", 5), ("quar", 4)):
        table.add_column(head, justify="right", no_wrap=True, min_width=width)
    for status in statuses:
        table.add_row(
            _plain(status.instance),
            Text(phase_text(status.phase), style=_STYLES.get(status.phase, "")),
            _plain(units.place(status.position, _PLACE_WIDTH)),
            "-" if status.lag_seconds is None else units.duration(status.lag_seconds),
            units.count(status.rows_per_second),
            units.count(status.transactions_per_second),
            units.count(status.rows_total),
            Text(str(len(status.quarantined)), style="bold yellow" if status.quarantined else ""),
        )
    return table


def _messages(statuses: list[WorkerStatus]) -> list[RenderableType]:
    found: list[RenderableType] = []
    for status in statuses:
        if status.message:
            text = _plain(
                fill(f"{status.instance}: {told_once(status.message, status.instance)}", status.instance)
            ).plain
            found.append(Text(text, style="yellow", no_wrap=True, overflow="ellipsis"))
        if status.quarantined:
            text = printable(f"{status.instance}: quarantined {', '.join(status.quarantined)}")
            found.append(Text(text, style="yellow", no_wrap=True, overflow="ellipsis"))
    return found


def _plain(text: str) -> Text:
    """Return text that rich shows as it is: a bracket in a table's name is no markup."""
    return Text(printable(redact(text)))
