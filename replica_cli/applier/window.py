"""Decides by a table's record how its events are applied: skipped, idempotently inside a replay window, or strictly."""

from __future__ import annotations

from collections import deque
from enum import Enum
from itertools import takewhile
from typing import TYPE_CHECKING

from replica_cli.checkpoint.intents import transaction_position
from replica_cli.core.status import NOT_STREAMED, TableState

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from replica_cli.checkpoint.table_records import TableRecord
    from replica_cli.core.events import Transaction
    from replica_cli.core.position import Position
    from replica_cli.core.table import TableName


class Mode(Enum):
    """How the rows of one table in one transaction are applied."""

    STRICT = "strict"
    IDEMPOTENT = "idempotent"  # inside the replay window: the copy may have seen the change already
    SKIPPED = "skipped"  # the copy began after the transaction, or a re-sync applies the table's changes
    QUARANTINED = "quarantined"


class Windows:
    """The records of all tables that have one, by the primary's names. A table without a record is applied strictly.

    A record says that a table has a replay window, that it is quarantined, or that the stream does not apply it yet.

    `is_catch_up`: True for a catch-up, which applies the changes of tables whose copy is not part of the stream yet. No
    window expires in it: the records are deleted at the hand-over.
    """

    def __init__(self, records: Mapping[TableName, TableRecord], *, is_catch_up: bool = False) -> None:
        self._records = dict(records)
        self._is_catch_up = is_catch_up
        # No window is added later. The window that ends next comes first, so that a batch checks no later window.
        copied = [] if is_catch_up else [r for r in records.values() if r.state is TableState.COPIED]
        ends = [(r.window_end, r) for r in copied if r.window_end is not None and r.window_end.file]
        self._by_end = deque(sorted(ends, key=lambda pair: pair[0].order))
        self._without_file = [r for r in copied if r.window_end is None or not r.window_end.file]

    @property
    def is_catch_up(self) -> bool:
        """Return True if only tables of a catch-up are applied: then the stream alone runs statements."""
        return self._is_catch_up

    @property
    def records(self) -> dict[TableName, TableRecord]:
        """Return the records by table. Callers add and delete records in it."""
        return self._records

    def mode(self, name: TableName, transaction: Transaction) -> Mode:
        """Return how a transaction's rows of a table are applied.

        A transaction is wholly before or wholly after each boundary of a window, so its start position decides.
        """
        record = self._records.get(name)
        if record is None:
            return Mode.STRICT
        if record.state is TableState.QUARANTINED:
            return Mode.QUARANTINED
        if record.state in NOT_STREAMED and not self._is_catch_up:
            return Mode.SKIPPED
        covered_to, window_end = record.covered_to, record.window_end
        if covered_to is not None and covered_to.is_after_transaction(transaction.start, transaction.gtid):
            return Mode.SKIPPED
        if window_end is not None and window_end.is_after_transaction(transaction.start, transaction.gtid):
            return Mode.IDEMPOTENT
        return Mode.STRICT

    def is_quarantined_at(self, name: TableName, transaction: Transaction) -> bool:
        """Return True if a table is quarantined because this very transaction could not be applied to it."""
        record = self._records.get(name)
        if record is None or record.failed_transaction is None:
            return False
        return record.failed_transaction.is_same_transaction(transaction_position(transaction))

    def has_of_secondary(self, names: Iterable[TableName]) -> bool:
        """Return True if one of the tables is quarantined as the secondary's own, which no statement may replace."""
        return any(name in self._records and self._records[name].is_of_secondary for name in names)

    def expired(self, position: Position) -> list[TableRecord]:
        """Return the records of copied tables whose window ends at or before a position."""
        while self._by_end and not self._is_current(self._by_end[0][1]):
            self._by_end.popleft()
        if position.file:
            expired = [r for _, r in takewhile(lambda pair: position.at_least(pair[0]), self._by_end)]
        else:
            expired = [r for end, r in self._by_end if position.at_least(end)]
        self._without_file = [r for r in self._without_file if self._is_current(r)]
        expired += [r for r in self._without_file if r.window_end is None or position.at_least(r.window_end)]
        return [r for r in expired if self._is_current(r)]

    def _is_current(self, record: TableRecord) -> bool:
        """Return True if a record has been neither deleted nor replaced."""
        return self._records.get(record.name) is record
