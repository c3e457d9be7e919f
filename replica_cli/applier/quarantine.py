"""Quarantines tables because of a statement, and ends the quarantine of tables that are dropped or made again.

The applier uses it. Both keep the stream's records of the tables, in `Windows`, as they are in the state schema.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from replica_cli.checkpoint.intents import transaction_position
from replica_cli.checkpoint.table_records import OF_SECONDARY, QuarantineCause
from replica_cli.core.commands import gone_advice
from replica_cli.core.quarantine_texts import copy_advice, with_refusal
from replica_cli.core.status import TableState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from replica_cli.applier.ddl.decision import Decision
    from replica_cli.applier.window import Windows
    from replica_cli.checkpoint.table_lifecycle import TableLifecycle
    from replica_cli.core.events import Transaction
    from replica_cli.core.table import TableName

_UNCOPYABLE = "such a table cannot be copied exactly"


def quarantine_tables(decision: Decision, transaction: Transaction, tables: TableLifecycle, windows: Windows) -> None:
    """Quarantine the tables of a decision, all of them at once; log each once.

    A table that is quarantined already keeps its record.
    """
    # The reason and the position of the first failure count.
    names = [name for name in decision.tables if not _is_quarantined(name, windows)]
    reason = with_refusal(decision.reason, _UNCOPYABLE) if decision.is_uncopyable else decision.reason
    causes = [
        QuarantineCause(
            name,
            f"{reason}; {OF_SECONDARY}" if name in decision.of_secondary else reason,
            stopped_at=transaction.start,
            failed_transaction=transaction_position(transaction),
            advice=gone_advice([name])
            if name in decision.gone
            else copy_advice([name], is_refused=decision.is_uncopyable),
        )
        for name in names
    ]
    records = tables.quarantine(causes, level=logging.WARNING)
    windows.records.update({record.name: record for record in records})


def end_quarantines(names: Sequence[TableName], tables: TableLifecycle, windows: Windows) -> list[bytes]:
    """End the quarantine of tables that were dropped or made again: they have no missing rows any more.

    Returns:
        The statements that delete the tables' records. They belong in the transaction that saves the position after the
        drop. If the process is killed before that, the rows of these tables come again, and are skipped again.

    """
    quarantined = [name for name in names if _is_quarantined(name, windows)]
    for name in quarantined:
        del windows.records[name]
    return [tables.end_quarantine_statement(name) for name in quarantined]


def _is_quarantined(name: TableName, windows: Windows) -> bool:
    record = windows.records.get(name)
    return record is not None and record.state is TableState.QUARANTINED
