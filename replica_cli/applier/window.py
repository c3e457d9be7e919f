"""What a table's record makes of an event: skip it, apply it idempotently, or apply it strictly."""

from __future__ import annotations

from collections import deque
from enum import Enum
from itertools import takewhile
from typing import TYPE_CHECKING

from replica_cli.checkpoint.intents import is_same_place, place_of
from replica_cli.core.errors import ApplyRefused, ReplicaError
from replica_cli.core.gtid import covers
from replica_cli.core.status import BESIDE, TableState

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from replica_cli.checkpoint.tables import TableRecord
    from replica_cli.core.events import Transaction
    from replica_cli.core.position import Position
    from replica_cli.core.table import TableName


# The fifth refusal quarantines the table: four new copies did not help, so the window is not the cause.
REFUSALS_LIMIT = 5


class TableChangedInWindow(ReplicaError):
    """A table was altered while it was copied, or is not what the log says inside its window: it is copied anew."""

    code = "table_changed_in_window"

    def __init__(self, tables: tuple[TableName, ...], reason: str) -> None:
        super().__init__(f"{', '.join(map(str, tables))}: {reason}")
        self.tables = tables
        self.place: Position | None = None  # of its transaction (checkpoint.intents.place_of), where that is known


class StatementInDoubt(TableChangedInWindow):
    """Nothing tells whether a statement ran before a kill: its tables are copied again, and it is not run."""

    code = "statement_in_doubt"


class RefusedInWindow(ApplyRefused):
    """The secondary refuses a row inside its table's window.

    The row may have been written for another definition. If a table is altered before the copy's position and altered
    back after it, the copy reads the same definition both times and does not notice. The next copy begins later.
    """

    code = "refused_in_window"


class Mode(Enum):
    """How the rows of one table in one transaction are applied."""

    STRICT = "strict"
    IDEMPOTENT = "idempotent"  # inside the replay window: the copy may have seen the change already
    SKIPPED = "skipped"  # the copy began after it, or is made and brought up beside the stream
    QUARANTINED = "quarantined"


class Windows:
    """The tables with a record, by the primary's names. A table without one is live: strict.

    `is_beside`: for the one that brings tables up to the stream; their records go when the stream takes them over.
    """

    def __init__(self, records: Mapping[TableName, TableRecord], *, is_mariadb: bool, is_beside: bool = False) -> None:
        self._records = dict(records)
        self._is_mariadb = is_mariadb
        self._is_beside = is_beside
        # None is added later. The one that ends next comes first, so that a batch looks at no window behind it.
        copied = [] if is_beside else [r for r in records.values() if r.state is TableState.COPIED]
        ends = [(r.end, r) for r in copied if r.end is not None and r.end.file]
        self._ending = deque(sorted(ends, key=lambda ending: ending[0].order))
        self._others = [r for r in copied if r.end is None or not r.end.file]

    @property
    def records(self) -> dict[TableName, TableRecord]:
        """Return the records that still matter."""
        return self._records

    def mode(self, name: TableName, transaction: Transaction) -> Mode:
        """Return how a transaction's rows of a table are applied.

        A transaction lies wholly before or behind each boundary, so its own start decides.
        """
        record = self._records.get(name)
        if record is None:
            return Mode.STRICT
        if record.state is TableState.QUARANTINED:
            return Mode.QUARANTINED
        if record.state in BESIDE and not self._is_beside:
            return Mode.SKIPPED
        if record.start is not None and self._is_before(transaction, record.start):
            return Mode.SKIPPED
        if record.end is not None and self._is_before(transaction, record.end):
            return Mode.IDEMPOTENT
        return Mode.STRICT

    def is_set_aside_at(self, name: TableName, transaction: Transaction) -> bool:
        """Say whether a table is quarantined since this very transaction, which could not be applied to it."""
        record = self._records.get(name)
        if record is None or record.state is not TableState.QUARANTINED or record.end is None:
            return False
        return is_same_place(record.end, place_of(transaction))

    def has_of_secondary(self, names: Iterable[TableName]) -> bool:
        """Say whether some tables are quarantined as the secondary's own, which no statement may replace."""
        return any(name in self._records and self._records[name].is_of_secondary for name in names)

    def expired(self, position: Position) -> list[TableRecord]:
        """Return the copied tables whose window lies behind a position."""
        while self._ending and not self._is_kept(self._ending[0][1]):
            self._ending.popleft()
        if position.file:
            behind = [r for _, r in takewhile(lambda ending: self._has_passed(position, ending[0]), self._ending)]
        else:
            behind = [r for end, r in self._ending if self._has_passed(position, end)]
        self._others = [r for r in self._others if self._is_kept(r)]
        behind += [r for r in self._others if r.end is None or self._has_passed(position, r.end)]
        return [r for r in behind if self._is_kept(r)]

    def _is_kept(self, record: TableRecord) -> bool:
        return self._records.get(record.name) is record

    def _is_before(self, transaction: Transaction, boundary: Position) -> bool:
        if boundary.file and transaction.start.file:
            return transaction.start.order < boundary.order
        if transaction.gtid:
            return covers(boundary.gtid, transaction.gtid, is_mariadb=self._is_mariadb)
        return False

    def _has_passed(self, position: Position, boundary: Position) -> bool:
        if boundary.file and position.file:
            return position.order >= boundary.order
        return covers(position.gtid, boundary.gtid, is_mariadb=self._is_mariadb)
