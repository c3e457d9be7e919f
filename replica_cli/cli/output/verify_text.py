"""Builds the answers of `replica verify` as plain text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replica_cli.cli.output import units
from replica_cli.cli.output.plain_text import columns, of_safe_texts
from replica_cli.core.verification import shown_key
from replica_cli.core.wording import counted, duration

if TYPE_CHECKING:
    from collections.abc import Sequence

    from replica_cli.cli.output.console import Painter
    from replica_cli.core.reports.repair import RepairPlan, RepairReport
    from replica_cli.core.reports.verify import ProofReport, TableVerdict, VerifyReport
    from replica_cli.core.verification import Difference


@of_safe_texts
def verify_text(report: VerifyReport, paint: Painter) -> str:
    """Return the result of a run on one secondary: a table, and one sentence."""
    rows = [
        (
            str(v.table),
            f"{v.rows:,}",
            str(v.missing),
            str(v.extra),
            str(v.differs),
            units.position_text(v.position),
        )
        for v in report.tables
    ]
    heads = ("table", "rows", "missing", "extra", "differs", "proven at")
    parts = [columns(heads, rows, paint, right="lrrrrl")] if rows else []
    parts += [paint.doubtful(f"{v.table} is not decided: {v.undecided}") for v in report.tables if v.undecided]
    parts.append(_sentence(report, paint))
    return "\n".join(parts)


def _sentence(report: VerifyReport, paint: Painter) -> str:
    differing = [v for v in report.tables if v.differences]
    undecided = [v for v in report.tables if v.undecided]
    rows = sum(v.rows for v in report.tables)
    took = duration(report.elapsed_milliseconds / 1000)
    head = f"{report.instance}: "
    if differing:
        count = sum(v.differences for v in differing)
        ended = ", and the run ended early" if report.is_stopped else ""
        text = f"{counted(count, 'row')} in {counted(len(differing), 'table')} differ{ended}: `replica verify repair`"
        return paint.bad(head + text)
    if undecided or report.is_stopped:
        return paint.doubtful(f"{head}no difference so far, but {counted(len(undecided), 'table')} not decided")
    if report.is_count_only:
        tables = counted(len(report.tables), "table")
        return f"{head}the same numbers of rows in {tables}; their values were not compared"
    return paint.good(
        f"{head}equal: {counted(len(report.tables), 'table')}, {rows:,} rows, proven while both servers ran, in {took}"
    )


def verdict_word(verdict: TableVerdict) -> str:
    """Return what is known of a table in one word."""
    if verdict.differences:
        return "differs"
    return "undecided" if verdict.undecided else "equal"


@of_safe_texts
def proofs_text(report: ProofReport, paint: Painter, *, shows_values: bool = False) -> str:
    """Return what is proven on one secondary: a table, the rows that differ, and one sentence."""
    if not report.has_run:
        return f"{report.instance}: no rows were compared yet: `replica verify run`"
    rows = [
        (
            str(t.table) + ("" if t.is_whole else " (first part)"),
            f"{t.rows:,}",
            units.position_text(t.position),
            "-" if t.proven_at is None else f"{t.proven_at:%Y-%m-%d %H:%M:%S}Z",
            str(t.differences),
        )
        for t in report.tables
    ]
    heads = ("table", "rows", "proven at", "time", "differences")
    parts = [paint.bold(report.instance)]
    parts += [columns(heads, rows, paint, right="lrllr")] if rows else []
    parts += [paint.doubtful(f"{table} is not decided: {reason}") for table, reason in report.undecided]
    parts += [_difference_text(d, shows_values=shows_values) for d in report.differences]
    hidden = report.difference_count - sum(d.count for d in report.differences)
    if hidden > 0:
        parts.append(f"… and {counted(hidden, 'more row')}")
    if report.is_unfinished:
        parts.append(paint.doubtful("the last run was not finished: `replica verify run --resume` goes on with it"))
    if report.difference_count:
        parts.append(paint.bad(f"{counted(report.difference_count, 'row')} differ: `replica verify repair`"))
    elif not report.undecided and not report.is_unfinished:
        parts.append(paint.good("no row is known to differ"))
    return "\n".join(parts)


def _difference_text(difference: Difference, *, shows_values: bool) -> str:
    columns_text = f"  {', '.join(difference.columns)}" if difference.columns else ""
    lines = [f"  {difference.kind:8} {difference.table}  {shown_key(difference)}{columns_text}"]
    for name, row in (("primary", difference.primary_row), ("secondary", difference.secondary_row)):
        if shows_values and row is not None:
            wanted = set(difference.columns) or {column for column, _ in row}
            values = ", ".join(f"{column}={value}" for column, value in row if column in wanted)
            lines.append(f"    {name}: {values}")
    return "\n".join(lines)


@of_safe_texts
def repair_plans_text(plans: Sequence[RepairPlan], paint: Painter) -> str:
    """Return what a repair would do."""
    rows = [
        (plan.instance, str(t.table), str(t.missing), str(t.extra), str(t.differs), t.refusal)
        for plan in plans
        for t in plan.tables
    ]
    if not rows:
        return "no row is known to differ: `replica verify run` looks for such rows"
    heads = ("secondary", "table", "insert", "delete", "replace", "left out")
    return columns(heads, rows, paint, right="llrrrl")


@of_safe_texts
def repair_text(report: RepairReport, paint: Painter) -> str:
    """Return what a repair did on one secondary."""
    rows = [
        (str(t.table), str(t.written), str(t.vanished), str(t.refused), units.position_text(t.position))
        for t in report.tables
    ]
    heads = ("table", "written", "vanished", "refused", "at")
    parts = [columns(heads, rows, paint, right="lrrrl")] if rows else []
    parts += [paint.doubtful(f"{t.table}: {t.reason}") for t in report.tables if t.reason]
    written = sum(t.written for t in report.tables)
    left = sum(t.refused for t in report.tables)
    text = f"{report.instance}: {counted(written, 'row')} written and proven equal"
    parts.append(paint.doubtful(f"{text}, {left} not written") if left else paint.good(text))
    return "\n".join(parts)
