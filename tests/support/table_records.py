"""Bring a table into a state, by the transitions of its life cycle."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from replica_cli.checkpoint.table_records import EndedCopy, NewCopy, QuarantineCause
from replica_cli.core.status import TableState

if TYPE_CHECKING:
    from replica_cli.checkpoint.table_lifecycle import TableLifecycle
    from replica_cli.checkpoint.table_records import TableRecord


def put(tables: TableLifecycle, *records: TableRecord) -> None:
    """Write records; only those that the transitions can make."""
    session = tables.session
    for record in records:
        match record.state:
            case TableState.PENDING:
                tables.request_copies([record.name], record.reason)
            case TableState.COPYING:
                copy = NewCopy(record.name, record.reason, record.copy_start)
                session.execute(tables.copy_started_statement(copy))
            case TableState.QUARANTINED:
                cause = QuarantineCause(record.name, record.reason, record.stopped_at, record.failed_transaction)
                tables.quarantine([cause], level=logging.DEBUG)
            case _:
                assert record.copy_start is not None
                assert record.window_end is not None
                must_catch_up = record.state is TableState.CATCHING_UP
                tables.end_copies(
                    [EndedCopy(record.name, record.copy_start, record.window_end, record.row_count, must_catch_up)]
                )
