"""How far a copy is, from the state schema alone: `health` and `position show` may run on another machine."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from replica_cli.core.status import BESIDE, CopyStatus, TableProgress, TableState

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from replica_cli.checkpoint.beats import Beat
    from replica_cli.checkpoint.progress import TableCount
    from replica_cli.checkpoint.tables import TableRecord
    from replica_cli.core.table import TableName


def read_progress(
    records: Sequence[TableRecord], counts: Mapping[TableName, TableCount], beat: Beat | None, *, is_alive: bool
) -> tuple[TableProgress, ...]:
    """Return each table of a copy that is not finished, as the state tells it; empty if there is none.

    Counts are of what is committed. Estimates, and what a live process does beside copying rows, come with its
    heartbeat; the last estimates hold after its end as well.
    """
    if not any(r.state in BESIDE for r in records):
        return ()
    transfer = beat.transfer if beat is not None else None
    told = {t.table: t for t in transfer.tables} if transfer is not None else {}
    states = {r.name: r for r in records}
    names = {r.name for r in records if r.state in BESIDE} | counts.keys()
    return tuple(
        _table(name, states.get(name), counts.get(name), told.get(str(name)), is_alive=is_alive)
        for name in sorted(names)
    )


def copy_status(tables: Sequence[TableProgress], beat: Beat | None, *, is_alive: bool) -> CopyStatus | None:
    """Return a copy in a few numbers, None if there is none; its rate is that of the live process."""
    if not tables:
        return None
    transfer = beat.transfer if beat is not None else None
    found = CopyStatus.of(tables, transfer.rows_per_second if transfer is not None and is_alive else None)
    told = transfer.totals.rows_estimated if transfer is not None and transfer.totals is not None else None
    # Of many tables the heartbeat tells what all of them are estimated to have, and not what each has.
    return found if told is None else replace(found, rows_estimated=max(told, found.rows_copied))


def _table(
    name: TableName, record: TableRecord | None, count: TableCount | None, told: TableProgress | None, *, is_alive: bool
) -> TableProgress:
    found = TableProgress(
        str(name),
        rows_copied=count.row_count if count is not None else record.row_count if record is not None else 0,
        rows_estimated=told.rows_estimated if told is not None else None,
        bytes_copied=count.byte_count if count is not None else 0,
        state=record.state if record is not None else TableState.PENDING,
    )
    if told is not None and is_alive:
        is_copied = told.state is TableState.COPIED
        found = replace(found, step=told.step, step_seconds=told.step_seconds, waits_for=told.waits_for)
    else:
        is_copied = count is not None and count.has_all_rows
    return replace(found, state=TableState.COPIED) if is_copied or found.state is TableState.JOINING else found
