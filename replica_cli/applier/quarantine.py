"""Tables that are set aside by a statement: recorded with reason and place, and said once."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from replica_cli.checkpoint.tables import TableRecord
from replica_cli.core.commands import table_options
from replica_cli.core.status import TableState
from replica_cli.logs import Tag, log

if TYPE_CHECKING:
    from collections.abc import Sequence

    from replica_cli.applier.decision import Decision
    from replica_cli.applier.window import Windows
    from replica_cli.checkpoint.tables import TableStore
    from replica_cli.core.events import Transaction
    from replica_cli.core.table import TableName

logger = logging.getLogger(__name__)


def set_aside(
    decision: Decision, transaction: Transaction, tables: TableStore, windows: Windows, *, instance: str
) -> None:
    """Record the tables of a decision as quarantined."""
    for name in decision.tables:
        before = windows.records.get(name)
        if before is not None and before.state is TableState.QUARANTINED:
            continue  # where and why it stopped first is what counts
        record = TableRecord(name, TableState.QUARANTINED, start=transaction.start, reason=decision.reason)
        tables.save(record)
        windows.records[name] = record
        log(
            logger, logging.WARNING, Tag.SKIPPED, "is set aside: %s; `replica transfer %s` brings it back",
            decision.reason, table_options([name]), instance=instance, schema=name.schema, table=name.table,
            position=transaction.start,
        )  # fmt: skip


def forget_dropped(names: Sequence[TableName], tables: TableStore, windows: Windows) -> None:
    """Take back the quarantine of tables that were dropped: gone on both sides they have no hole any more."""
    for name in names:
        record = windows.records.get(name)
        if record is not None and record.state is TableState.QUARANTINED:
            tables.forget(name)
            del windows.records[name]
