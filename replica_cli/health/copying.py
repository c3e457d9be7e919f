"""Read how far a copy is, from the state schema alone.

`health` and `position show` use it. They may run on another machine than the copy.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from replica_cli.core.status import NOT_STREAMED, CopyStatus, TableProgress, TableState

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from replica_cli.checkpoint.beats import Beat
    from replica_cli.checkpoint.progress import TableCount
    from replica_cli.checkpoint.table_records import TableRecord
    from replica_cli.core.table import TableName


def read_progress(
    records: Sequence[TableRecord], counts: Mapping[TableName, TableCount], beat: Beat | None, *, is_alive: bool
) -> tuple[TableProgress, ...]:
    """Return the progress of each table of an unfinished copy, empty if there is none.

    Row counts are those of committed chunks. Estimates, and the step that a running process is at, come from its
    heartbeat. The last estimates are used even after the process has ended.
    """
    if not any(r.state in NOT_STREAMED for r in records):
        return ()
    transfer = beat.transfer if beat is not None else None
    reported = {t.table: t for t in transfer.tables} if transfer is not None else {}
    states = {r.name: r for r in records}
    names = {r.name for r in records if r.state in NOT_STREAMED} | counts.keys()
    return tuple(
        _table(name, states.get(name), counts.get(name), reported.get(str(name)), is_alive=is_alive)
        for name in sorted(names)
    )


def copy_status(tables: Sequence[TableProgress], beat: Beat | None, *, is_alive: bool) -> CopyStatus | None:
    """Return the sums of a copy, None if there is no copy; only a running process has a rate."""
    if not tables:
        return None
    transfer = beat.transfer if beat is not None else None
    status = CopyStatus.of(tables, transfer.rows_per_second if transfer is not None and is_alive else None)
    estimate = transfer.totals.rows_estimated if transfer is not None and transfer.totals is not None else None
    # For a copy of many tables, the heartbeat holds the estimate for all tables together, not for each table.
    return status if estimate is None else replace(status, rows_estimated=max(estimate, status.rows_copied))


def _table(
    name: TableName,
    record: TableRecord | None,
    count: TableCount | None,
    reported: TableProgress | None,
    *,
    is_alive: bool,
) -> TableProgress:
    progress = TableProgress(
        str(name),
        rows_copied=count.row_count if count is not None else record.row_count if record is not None else 0,
        rows_estimated=reported.rows_estimated if reported is not None else None,
        bytes_copied=count.byte_count if count is not None else 0,
        state=record.state if record is not None else TableState.PENDING,
    )
    if reported is not None and is_alive:
        is_copied = reported.state is TableState.COPIED
        progress = replace(
            progress, step=reported.step, step_seconds=reported.step_seconds, waits_for=reported.waits_for
        )
    else:
        is_copied = count is not None and count.has_all_rows
    is_copied = is_copied or progress.state is TableState.CATCHING_UP
    return replace(progress, state=TableState.COPIED) if is_copied else progress
