"""Builds answers as plain text with aligned columns, for terminals and pipes."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, ParamSpec

from replica_cli.cli.output import units
from replica_cli.cli.output.console import Painter
from replica_cli.core.errors import ExitCode
from replica_cli.core.limiting import NAMES, REMEDIES
from replica_cli.core.printable import each_text, printable
from replica_cli.core.reports.failure import Unknown
from replica_cli.core.reports.health import HealthLevel
from replica_cli.core.status import ENDED, Phase, TableState
from replica_cli.core.wording import (
    COPY_DONE,
    copy_text,
    counted,
    doing_text,
    holder_text,
    phase_text,
    short_reason,
    uncommitted_text,
)
from replica_cli.documents.complete_commands import filled

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from replica_cli.core.differences import Difference, DriftReport
    from replica_cli.core.position import Position
    from replica_cli.core.reports.demo import DemoReport
    from replica_cli.core.reports.failure import Failure
    from replica_cli.core.reports.health import HealthReport
    from replica_cli.core.reports.pause import PauseReport
    from replica_cli.core.reports.position import PositionReport, TableNote
    from replica_cli.core.reports.reset import ResetPlan
    from replica_cli.core.reports.stream import StreamReport
    from replica_cli.core.reports.transfer import TransferPlan, TransferReport

P = ParamSpec("P")
_INDENT = "  "


def of_safe_texts(render: Callable[P, str]) -> Callable[P, str]:
    """Decorate a function so that the texts in its reports are printable, and their commands complete."""

    @functools.wraps(render)
    def rendered(*args: P.args, **named: P.kwargs) -> str:
        texts: Any = tuple(_safe(arg) for arg in args)
        return render(*texts, **named)

    return rendered


def _safe(value: object) -> object:
    return value if isinstance(value, Painter) else each_text(filled(value), printable)


def columns(heads: Sequence[str], rows: Sequence[Sequence[str]], paint: Painter, *, right: str = "") -> str:
    """Return rows as aligned columns under bold heads.

    If the terminal is too narrow for a row, the columns that do not fit are on further, indented lines. `right` has
    one letter for each column, `r` for a column that is aligned to the right.
    """
    widths = [max(units.cell_width(line[i]) for line in (heads, *rows)) for i in range(len(heads))]
    groups = _lines_of(widths, paint.width)

    def aligned(cells: Sequence[str], i: int) -> str:
        blanks = " " * (widths[i] - units.cell_width(cells[i]))
        return blanks + cells[i] if right[i : i + 1] == "r" else cells[i] + blanks

    def lines(cells: Sequence[str]) -> list[str]:
        return [
            (_INDENT if number else "") + "  ".join(aligned(cells, i) for i in group).rstrip()
            for number, group in enumerate(groups)
        ]

    return "\n".join([*map(paint.bold, lines(heads)), *(line for row in rows for line in lines(row))])


def _lines_of(widths: Sequence[int], limit: int) -> list[list[int]]:
    """Return the columns of each line of a row; all on one line if `limit` is 0."""
    groups: list[list[int]] = [[]]
    for i, width in enumerate(widths):
        used = sum(widths[j] + 2 for j in groups[-1]) + (len(_INDENT) if len(groups) > 1 else 0)
        if limit and groups[-1] and used + width > limit:
            groups.append([])
        groups[-1].append(i)
    return groups


@of_safe_texts
def positions_text(reports: Sequence[PositionReport], paint: Painter) -> str:
    """Return a block of lines for each secondary, because a position is too wide for a column."""
    return "\n\n".join(_position_block(r, paint) for r in reports)


@of_safe_texts
def resets_text(plans: Sequence[ResetPlan], paint: Painter) -> str:
    """Return what a reset changes, as a block of lines for each secondary."""
    blocks = []
    for plan in (p for p in plans if p.failure is None):
        after = "forgotten" if plan.after is None else _full(plan.after)
        lines = [paint.bold(plan.instance), f"  position  {_full(plan.before)}", f"        ->  {after}"]
        if plan.filters_after != plan.filters_before:
            lines += [f"  filters   {plan.filters_before or '-'}", f"        ->  {plan.filters_after}"]
        lines += [f"  {paint.doubtful('warning')}   {w}" for w in plan.warnings]
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)


@of_safe_texts
def pauses_text(reports: Sequence[PauseReport], paint: Painter) -> str:
    """Return the pause state as one line for each secondary that could be asked."""
    lines = []
    for report in (r for r in reports if r.failure is None):
        wish = "paused" if report.is_pause_wanted else "not paused"
        if not report.holder:
            text = f"{wish}; no process is running, and the next one will " + (
                "wait" if report.is_pause_wanted else "go on"
            )
        elif (report.phase is Phase.PAUSED) == report.is_pause_wanted:
            text = f"{wish}: {holder_text(report.holder)} is {_words(report.phase)}"
        else:
            text = (
                f"requested; {holder_text(report.holder)} is still {_words(report.phase)}: it finishes its batch first"
            )
        lines.append(f"{paint.bold(report.instance)}: {text}")
    return "\n".join(lines)


@of_safe_texts
def drift_text(report: DriftReport, paint: Painter, *, lists_accepted: bool = False) -> str:
    """Return the number and a table of the differences of one secondary."""
    differences = report.differences
    accepted = f", {len(report.accepted)} accepted" if report.accepted else ""
    broken = sum(str(d.severity) == "breaks" for d in differences)
    head = f"{counted(len(differences), 'difference')}, {broken} of them would break replication"
    lines = [f"{paint.bold(report.instance)}: {head if differences else paint.good('no drift')}{accepted}"]
    rows = [_drift_row(d, str(d.severity)) for d in differences]
    rows += [_drift_row(d, "accepted") for d in report.accepted] if lists_accepted else []
    if rows:
        lines.append(columns(("SEVERITY", "TABLE", "ASPECT", "NAME", "PRIMARY", "SECONDARY"), rows, paint))
    return "\n".join(lines)


def _drift_row(difference: Difference, severity: str) -> tuple[str, ...]:
    d = difference
    return (severity, str(d.table), str(d.aspect), d.name or "-", _cut(d.primary), _cut(d.secondary))


@of_safe_texts
def health_text(report: HealthReport, paint: Painter, *, only_wrong: bool) -> str:
    """Return one line for each check; the hint of a check that is not OK is on the next line."""
    painted = {
        HealthLevel.OK: paint.good,
        HealthLevel.WARNING: paint.doubtful,
        HealthLevel.CRITICAL: paint.bad,
        HealthLevel.UNKNOWN: paint.doubtful,
    }
    lines = []
    width = max((len(c.instance) for c in report.checks), default=0)
    for check in report.checks:
        if only_wrong and check.level is HealthLevel.OK:
            continue
        owner = f"{check.instance.ljust(width)} " if width else ""
        lines.append(f"{painted[check.level](check.level.name.ljust(8))} {owner}{check.name}: {check.message}")
        if check.hint and check.level is not HealthLevel.OK:
            lines.append(f"         hint: {check.hint}")
    return "\n".join(lines)


@of_safe_texts
def plans_text(plans: Sequence[TransferPlan], paint: Painter) -> str:
    """Return what a transfer does, as a table for each secondary."""
    blocks = []
    for plan in (p for p in plans if p.failure is None):
        warnings = [f"{paint.doubtful('warning')}: {w}" for w in plan.warnings]
        if plan.is_done:
            blocks.append("\n".join([f"{paint.bold(plan.instance)}: {COPY_DONE}", *warnings]))
            continue
        rows = [
            (
                str(t.name) if t.name == t.target else f"{t.name} as {t.target}",
                t.action.value,
                "?" if t.rows_estimated is None else f"~{t.rows_estimated}",
                str(t.ranges),
                t.method.value,
                ",".join(t.key) or "-",
            )
            for t in plan.tables
        ]
        total = sum(t.rows_estimated or 0 for t in plan.tables)
        lines = [
            f"{paint.bold(plan.instance)}: {plan.mode} transfer of {counted(len(rows), 'table')}, about {total} rows",
            f"{counted(plan.workers, 'worker')}, {counted(plan.chunk_rows, 'row')} in a chunk",
        ]
        heads = ("TABLE", "ACTION", "ROWS", "RANGES", "METHOD", "KEY")
        lines += [columns(heads, rows, paint, right="llrrll")] if rows else []
        lines += warnings
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)


@of_safe_texts
def transfer_text(report: TransferReport, paint: Painter) -> str:
    """Return the results of a transfer, one row for each secondary."""
    rows = [
        (
            c.instance,
            _ending(c.failure),
            str(c.tables),
            "-" if c.rows is None else str(c.rows),
            units.duration(c.elapsed_milliseconds / 1000),
            units.count(c.rows * 1000 / c.elapsed_milliseconds) if c.rows and c.elapsed_milliseconds else "-",
            str(c.errors),
        )
        for c in report.copies
    ]
    return columns(("SECONDARY", "STATE", "TABLES", "ROWS", "TIME", "ROWS/S", "ERRORS"), rows, paint, right="llrrrrr")


def _ending(failure: Failure | None) -> str:
    if failure is None:
        return "finished"
    return "stopped" if failure.exit_code in (ExitCode.INTERRUPTED, ExitCode.TERMINATED) else "failed"


@of_safe_texts
def stream_text(report: StreamReport, paint: Painter) -> str:
    """Return the results of a stream, one row for each secondary."""
    rows = [
        (
            w.instance,
            w.phase.value,
            units.position_text(w.position),
            str(w.rows_total),
            str(w.transactions_total),
            str(len(w.quarantined)),
            units.duration(w.elapsed_seconds),
        )
        for w in report.workers
    ]
    heads = ("SECONDARY", "STATE", "POSITION", "ROWS", "TRX", "QUAR", "TIME")
    return columns(heads, rows, paint, right="lllrrrr")


@of_safe_texts
def demo_text(report: DemoReport, paint: Painter) -> str:
    """Return both comparisons, and how many rows were copied and streamed in which time."""
    rows = [
        (
            t.instance,
            str(t.table),
            str(t.rows_proven),
            units.position_text(t.proven_at),
            "equal" if t.is_proven else "NOT PROVEN",
            ("equal" if t.is_equal else "DIFFERENT") + (f" ({t.detail})" if t.detail else ""),
        )
        for t in report.tables
    ]
    heads = ("SECONDARY", "TABLE", "ROWS", "PROVEN AT", "WHILE WRITTEN", "AT THE END")
    verdict = paint.good("all tables are equal") if report.is_equal else paint.bad("tables differ")
    lines = [
        columns(heads, rows, paint, right="llrlll"),
        "",
        (
            f"{report.rows_transferred} rows transferred in {units.duration(report.transfer_seconds)}, "
            f"{report.rows_streamed} rows streamed; {units.duration(report.elapsed_seconds)} in all: {verdict}"
        ),
    ]
    if report.env_file:
        lines.append(f"the servers are running; settings for them: {report.env_file}")
    return "\n".join(lines)


def _position_block(report: PositionReport, paint: Painter) -> str:
    saved = _known(report.saved)
    if report.saved_at:
        saved += f", saved {units.moment(report.saved_at)}"
    lines = [
        f"{paint.bold(report.instance)}  {_phase(report, paint)}",
        f"  saved    {saved}",
        f"  primary  {_known(report.primary)}",
        f"  lag      {_distance(report)}",
    ]
    if report.copy:
        lines.append(f"  copy     {copy_text(report.copy)}")
    if report.limiting_part:
        lines.append(f"  limit    {NAMES[report.limiting_part]}: {REMEDIES[report.limiting_part]}")
    if report.message:
        lines.append(f"  message  {short_reason(report.message, report.instance)}")
    if report.rows_uncommitted:
        lines.append(f"  applied  {uncommitted_text(report.rows_uncommitted)}")
    if report.lost:
        lines.append(f"  {paint.bad('lost')}     {report.lost.message}")
    if report.source_time:
        lines.append(f"  last     change made at {units.moment(report.source_time)}")
    for note in report.tables:
        position = f" at {note.position}" if note.position else ""
        reason = f": {short_reason(note.reason, note.table, note.position)}" if note.reason else ""
        lines.append(
            f"  {paint.doubtful('table')}    {note.table} {_state(note, report.phase)}{_part(note)}{position}{reason}"
        )
    return "\n".join(lines)


def _words(phase: Phase | None) -> str:
    return "in an unknown phase" if phase is None else phase_text(phase)


def _state(note: TableNote, phase: Phase | None) -> str:
    """Return the state of a table; in a copy that is not finished, a table may be copied already."""
    if note.progress is not None and note.progress.state is TableState.COPIED:
        return TableState.COPIED.value
    is_begun = note.state is TableState.COPYING and (phase is None or phase in ENDED)
    return "not finished" if is_begun else note.state.value


def _part(note: TableNote) -> str:
    """Return the progress of a table's copy, empty before it begins."""
    progress = note.progress
    if progress is None or progress.state is TableState.PENDING:
        return ""
    if progress.state is TableState.COPIED:
        return f", {counted(progress.rows_copied, 'row')}"
    share = units.share(progress.rows_copied, progress.rows_estimated)
    rows = f", {counted(progress.rows_copied, 'row')}" + (f" ({share:.0%})" if share is not None else "")
    step = "" if progress.is_counted else f", {doing_text(progress)} for {units.duration(progress.step_seconds)}"
    return rows + step


def _phase(report: PositionReport, paint: Painter) -> str:
    if isinstance(report.saved, Unknown):
        return paint.bad("not readable" if report.saved.is_reachable else "unreachable")
    phase = phase_text(report.phase) if report.phase else "not running"
    return f"{phase}, pausing" if report.is_paused and report.phase is not Phase.PAUSED else phase


def _distance(report: PositionReport) -> str:
    if not report.is_copied:
        return "unknown until the copy is done"
    known = []
    if report.distance_bytes is not None:
        known.append(units.size(report.distance_bytes))
    if report.distance_seconds is not None:
        known.append(units.duration(report.distance_seconds))
    return ", ".join(known) or "unknown"


def _known(position: Position | Unknown | None) -> str:
    if isinstance(position, Unknown):
        return f"{'unknown' if position.is_reachable else 'unreachable'}: {position.failure.message}"
    return _full(position)


def _full(position: object) -> str:
    gtid = getattr(position, "gtid", "")
    if position is None:
        return "none"
    text = str(position)
    return f"{text} (gtid {gtid})" if gtid and gtid not in text else text


def _cut(text: str | None, width: int = 40) -> str:
    if text is None:
        return "-"
    flat = " ".join(text.split())
    return flat if len(flat) <= width else f"{flat[: width - 3]}..."
