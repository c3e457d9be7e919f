"""The board of `replica position show --watch`: one line for each secondary, bars of its copy, and what to type."""

from __future__ import annotations

import sys
import threading
import time
from typing import TYPE_CHECKING, Self

from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from replica_cli.cli.output import units
from replica_cli.cli.output.cells import PHASE_STYLES, cut, one_line, plain
from replica_cli.cli.output.copy_bars import CopyBars
from replica_cli.cli.output.live_block import LiveBlock
from replica_cli.cli.output.outlets import has_no_reader
from replica_cli.cli.output.watch_words import (
    absence_text,
    failure_text,
    primary_text,
    quarantine_texts,
    quarantined,
    state_text,
)
from replica_cli.core.commands import fill
from replica_cli.core.position import Position
from replica_cli.core.printable import printable
from replica_cli.core.status import CopyProgress, Phase
from replica_cli.core.wording import short_reason, uncommitted_text
from replica_cli.documents.complete_commands import filled
from replica_cli.logs.redaction import redact

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from replica_cli.core.reports.position import PositionReport
    from replica_cli.core.reports.watch import WatchRound

# The table has 80 columns: these, the six numbers with the heartbeat's age, and a blank between two columns.
_NAME_WIDTH, _PHASE_WIDTH, _POSITION_WIDTH = 10, 12, 16
_NUMBERS = (("lag", 7), ("rows/s", 6), ("trx/s", 6), ("bytes", 6), ("quar", 4), ("beat", 5))
_NARROW = 80
# A wider terminal has a column with the process; it is cut to this width if the terminal has no more.
_PROCESS_WIDTH = 20


class PositionBoard:
    """Draws the newest round on stdout until its context ends. Thread-safe."""

    def __init__(
        self, primary: str, interval: str, *, is_colored: bool, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Take the name of the primary, and the interval as the user wrote it; nothing is drawn."""
        self._console = Console(
            file=sys.stdout, no_color=not is_colored, force_terminal=True, highlight=False, emoji=False, markup=False
        )
        self._primary_name = primary
        self._clock = clock
        self._title = f"replica position show of {primary} every {interval}"
        self._hint = "Ctrl-C ends"
        self._lock = threading.Lock()
        self._round: WatchRound | None = None
        self._bars = CopyBars()
        # When a server was first asked in vain, by instance; "" is the primary.
        self._failing_since: dict[str, float] = {}
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

    def show(self, each: WatchRound) -> bool:
        """Draw a round; return False if the terminal is gone."""
        with self._lock:
            self._round = each
            for report in each.reports:
                self._note_failure(report.instance, is_failing=report.failure is not None)
                self._bars.note(report.instance, [t.progress for t in report.tables if t.progress])
            self._note_failure("", is_failing=any(r.primary_failure for r in each.reports))
        self._frame.show()
        return not has_no_reader()

    def _note_failure(self, name: str, *, is_failing: bool) -> None:
        if is_failing:
            self._failing_since.setdefault(name, self._clock())
        else:
            self._failing_since.pop(name, None)

    def _since(self, name: str) -> str:
        """Return for how long a server has not been readable, empty in the first second."""
        now = self._clock()
        seconds = now - self._failing_since.get(name, now)
        return f" for {units.duration(seconds)}" if seconds >= 1 else ""

    def _render(self) -> RenderableType:
        with self._lock:
            parts: list[RenderableType] = [self._head()]
            if self._round is None:
                return Group(*parts, one_line("connecting ...", "dim"))
            reports = filled(self._round.reports)
            width, height = self._console.size
            parts += [self._primary(reports), _table_of(reports, width)]
            notes = [note for report in reports for note in self._notes(report)]
            if width < _NARROW + _PROCESS_WIDTH and (text := _processes_text(reports)):
                notes.append(one_line(text, "dim"))
            note_lines = sum(1 if n.no_wrap else max(1, -(-cell_len(n.plain) // width)) for n in notes)
            left = height - len(parts) - len(reports) - note_lines - 1
            parts.extend(self._bars.draw([c for r in reports if (c := _copy_of(r))], width, left))
            parts.extend(notes)
        return Group(*parts)

    def _head(self) -> Text:
        at = f"{self._round.time:%H:%M:%S} UTC" if self._round else ""
        text = Text.assemble((printable(self._title), "bold"), (f"  {at}  {self._hint}".rstrip(), "dim"))
        text.no_wrap, text.overflow = True, "ellipsis"
        return text

    def _primary(self, reports: tuple[PositionReport, ...]) -> Text:
        # All secondaries have the same primary, whose end of the log is read once in a round.
        report = reports[0]
        if text := primary_text(report, self._since(""), self._primary_name):
            return one_line(f"primary {text}", "bold red")
        return one_line(f"primary at {report.primary}" if isinstance(report.primary, Position) else "primary unknown")

    def _notes(self, report: PositionReport) -> list[Text]:
        """Return what is to be said below the table about a secondary, the most important first."""
        instance = report.instance
        if text := failure_text(report, self._since(instance)):
            return [_note(instance, text, "red")]
        notes = []
        if report.lost:
            hint = f"; {report.lost.hint}" if report.lost.hint else ""
            notes.append(_note(instance, f"{short_reason(report.lost.message, instance)}{hint}", "red"))
        if absence := absence_text(report):
            is_stopped = report.process is not None and report.process.phase in (Phase.STOPPED, Phase.FINISHED)
            notes.append(_note(instance, f"{absence}; `replica stream`", "yellow" if is_stopped else "red"))
        if report.is_paused:
            notes.append(_note(instance, "a pause is requested; `replica resume` ends it", "yellow"))
        if report.message:
            notes.append(_note(instance, short_reason(report.message, instance), "yellow"))
        if report.rows_uncommitted:
            notes.append(one_line(f"{instance}: {uncommitted_text(report.rows_uncommitted)}", "dim"))
        *tables, advice = quarantine_texts(quarantined(report)) or [""]
        notes += [one_line(f"{instance}: {fill(text, instance)}", "yellow") for text in tables]
        return [*notes, _note(instance, advice, "yellow")] if advice else notes


def _note(instance: str, text: str, style: str) -> Text:
    """Return a text that may take several lines, so that the command in it is whole."""
    note = plain(f"{instance}: {fill(text, instance)}")
    note.style, note.overflow = style, "fold"
    return note


def _copy_of(report: PositionReport) -> CopyProgress | None:
    if report.copy is None:
        return None
    tables = tuple(t.progress for t in report.tables if t.progress)
    rate = report.copy.rows_per_second or 0.0
    return CopyProgress(report.instance, tables, rows_per_second=rate, totals=report.copy)


def _processes_text(reports: tuple[PositionReport, ...]) -> str:
    """Return the processes in one line, for a terminal that is too narrow for a column of them."""
    named = [f"{r.instance} {r.process.holder}" for r in reports if r.process and r.process.is_running]
    return f"processes: {', '.join(named)}" if named else ""


def _table_of(reports: tuple[PositionReport, ...], width: int) -> Table:
    more = max(0, width - _NARROW)
    process = 0
    if more >= _PROCESS_WIDTH:
        longest = max((len(r.process.holder) for r in reports if r.process), default=0)
        process = max(len("process"), min(longest, more - 1))
        more -= process + 1
    name = min(_NAME_WIDTH + more // 2, max(_NAME_WIDTH, *(cell_len(printable(r.instance)) for r in reports)))
    more -= name - _NAME_WIDTH
    positions = [r.saved if isinstance(r.saved, Position) else None for r in reports]
    longest = max(len(units.position_text(position)) for position in positions)
    position_width = min(_POSITION_WIDTH + more, max(_POSITION_WIDTH, longest))
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    for head, columns in (("secondary", name), ("phase", _PHASE_WIDTH), ("position", position_width)):
        table.add_column(head, no_wrap=True, width=columns)
    for head, columns in _NUMBERS:
        table.add_column(head, justify="right", no_wrap=True, width=columns)
    if process:
        table.add_column("process", no_wrap=True, width=process)
    for report, position in zip(reports, positions, strict=True):
        cells: list[RenderableType] = [
            cut(printable(redact(report.instance)), name),
            Text(state_text(report), style=_style_of(report)),
            plain(units.position_text(position, position_width)),
            *_number_cells(report),
        ]
        if process:
            cells.append(cut(printable(redact(report.process.holder if report.process else "-")), process))
        table.add_row(*cells)
    return table


def _number_cells(report: PositionReport) -> tuple[RenderableType, ...]:
    tables = len(quarantined(report))
    process = report.process
    return (
        "-" if report.distance_seconds is None else units.duration(report.distance_seconds),
        "-" if report.rows_per_second is None else units.count(report.rows_per_second),
        "-" if report.transactions_per_second is None else units.count(report.transactions_per_second),
        "-" if report.distance_bytes is None else units.brief_size(report.distance_bytes),
        "-" if report.failure else Text(str(tables), style="bold yellow" if tables else ""),
        "-" if process is None else units.duration(process.heartbeat_seconds),
    )


def _style_of(report: PositionReport) -> str:
    if report.failure or report.lost or report.process is None:
        return "bold red"
    if not report.process.is_running:
        return "yellow" if report.process.phase in (Phase.STOPPED, Phase.FINISHED) else "bold red"
    if report.is_paused:
        return "yellow"
    return PHASE_STYLES.get(report.phase, "") if report.phase else ""
