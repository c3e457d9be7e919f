"""Quarantines tables because of a statement, and ends the quarantine of tables that are dropped or made again.

The applier uses it.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from replica_cli.checkpoint.intents import transaction_position
from replica_cli.checkpoint.quarantine import quarantine
from replica_cli.checkpoint.tables import OF_SECONDARY, TableRecord
from replica_cli.core.commands import gone_advice
from replica_cli.core.quarantine import copy_advice, with_refusal
from replica_cli.core.status import TableState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from replica_cli.applier.ddl.decision import Decision
    from replica_cli.applier.window import Windows
    from replica_cli.checkpoint.tables import TableStore
    from replica_cli.core.events import Transaction
    from replica_cli.core.table import TableName

_UNCOPYABLE = "such a table cannot be copied exactly"


def quarantine_tables(
    decision: Decision, transaction: Transaction, tables: TableStore, windows: Windows, *, instance: str
) -> None:
    """Quarantine the tables of a decision, all of them at once; log each once.

    A table that is quarantined already keeps its record.
    """
    # The reason and the position of the first failure count.
    names = [name for name in decision.tables if not _is_quarantined(name, windows)]
    reason = with_refusal(decision.reason, _UNCOPYABLE) if decision.is_uncopyable else decision.reason
    records = [
        TableRecord(
            name,
            TableState.QUARANTINED,
            start=transaction.start,
            end=transaction_position(transaction),
            reason=f"{reason}; {OF_SECONDARY}" if name in decision.of_secondary else reason,
        )
        for name in names
    ]
    quarantine(
        tables, records, instance=instance, level=logging.WARNING,
        advice=lambda r: gone_advice([r.name]) if r.name in decision.gone else copy_advice(
            [r.name], is_refused=decision.is_uncopyable
        ),
    )  # fmt: skip
    windows.records.update({record.name: record for record in records})


def forget_dropped(names: Sequence[TableName], tables: TableStore, windows: Windows) -> list[bytes]:
    """End the quarantine of tables that were dropped or made again: they have no missing rows any more.

    Returns:
        The statements that delete the tables' records. They belong in the transaction that saves the position after the
        drop. If the process is killed before that, the rows of these tables come again, and are skipped again.

    """
    dropped = [name for name in names if _is_quarantined(name, windows)]
    for name in dropped:
        del windows.records[name]
    return [tables.forget_statement(name, TableState.QUARANTINED) for name in dropped]


def _is_quarantined(name: TableName, windows: Windows) -> bool:
    record = windows.records.get(name)
    return record is not None and record.state is TableState.QUARANTINED
