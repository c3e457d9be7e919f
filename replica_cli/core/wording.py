"""Writes numbers and states as words for people, in one way for the terminal, log lines and messages of checks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replica_cli.core.status import CopyStep

if TYPE_CHECKING:
    from replica_cli.core.status import CopyStatus, Phase, TableProgress

_SHOWN_STEPS = 3
_STEPS = {
    CopyStep.PREPARING: "preparing",
    CopyStep.CHECKING: "checking the definition of",
    CopyStep.INDEXES: "building indexes of",
    CopyStep.FOREIGN_KEYS: "adding foreign keys of",
}


def size(count: int | None) -> str:
    """Return a number of bytes as `7.8 KiB`."""
    if count is None:
        return "unknown"
    value = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(value) < 1024:
            return f"{count} B" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TiB"


def duration(seconds: float | None) -> str:
    """Return seconds as `0.4s`, `12s`, `1m19s`, `2h05m`, `3d04h`."""
    if seconds is None:
        return "unknown"
    if seconds < 10:
        return f"{max(0.0, seconds):.1f}s"
    whole = round(seconds)
    for below, unit, big, small in ((3600, 60, "m", "s"), (86400, 3600, "h", "m"), (float("inf"), 86400, "d", "h")):
        if whole < 60:
            return f"{whole}s"
        if whole < below:
            part = (whole % unit) * {"s": 60, "m": 60, "h": 24}[small] // unit
            return f"{whole // unit}{big}{part:02d}{small}"
    raise AssertionError(whole)


def phase_text(phase: Phase) -> str:
    """Return a phase in words: `caught up`."""
    return phase.value.replace("_", " ")


def holder_text(holder: str) -> str:
    """Return the holder of a writer's lock in words; `holder` is the `host:pid` that the process wrote."""
    host, _, pid = holder.rpartition(":")
    return f"the process (host {host}, pid {pid})" if host and pid.isdigit() else holder


COPY_DONE = "every table is copied, there is nothing to do"


def counted(number: int, noun: str) -> str:
    """Return a number with its noun: `1 table`, `2 tables`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def uncommitted_text(rows: int) -> str:
    """Return the progress of a large transaction that is applied in pieces."""
    return f"{counted(rows, 'row')} of a transaction that is not committed yet"


def rolled_back_text(rows: int) -> str:
    """Return what a stop rolls back; `rows` are rows of a large transaction that were applied already, 0 if none."""
    what = f"{uncommitted_text(rows)} were applied: they are" if rows else "what was not committed is"
    return f"{what} rolled back, and the next start reads it again"


def short_reason(reason: str, name: object, position: object = None) -> str:
    """Return a reason without the name and the position that the caller shows before it already."""
    text = reason
    while text.startswith(f"{name}: "):
        text = text.removeprefix(f"{name}: ")
    return text if position is None else text.replace(f", in the transaction at {position}", "")


def copy_text(copy: CopyStatus) -> str:
    """Return `3 of 7 tables, 1200 of about 3000 rows (40%), 365 rows/s, ETA 4.9s; building indexes of shop.a`."""
    rows = counted(copy.rows_copied, "row")
    if copy.rows_estimated is not None and copy.share is not None:
        rows = f"{copy.rows_copied} of about {counted(copy.rows_estimated, 'row')} ({copy.share:.0%})"
    parts = [f"{copy.tables_done} of {counted(copy.tables, 'table')}", rows]
    if copy.rows_per_second is not None:
        parts.append(f"{copy.rows_per_second:.0f} rows/s")
    if copy.eta_seconds is not None:
        parts.append(f"ETA {duration(copy.eta_seconds)}")
    steps = "".join(f"; {step_text(table)} {table.table}{_since(table)}" for table in copy.steps[:_SHOWN_STEPS])
    more = len(copy.steps) - _SHOWN_STEPS
    return ", ".join(parts) + steps + (f" and {more} more" if more > 0 else "")


def step_text(table: TableProgress) -> str:
    """Return a copy's step in words before the table's name: `building indexes of`; empty while rows are copied."""
    return "waiting for a lock on" if table.waits_for else _STEPS.get(table.step, "")


def doing_text(table: TableProgress) -> str:
    """Return a copy's step in words after the table's name: `building indexes`."""
    return step_text(table).removesuffix(" of").removesuffix(" on")


def _since(table: TableProgress) -> str:
    return f" for {duration(table.step_seconds)}" if table.step_seconds >= 1 else ""
