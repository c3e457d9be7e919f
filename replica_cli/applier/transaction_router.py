"""Decide by which way each transaction is applied: in a batch with its neighbours, or by itself."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from replica_cli.core.events import Statement

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from replica_cli.core.events import Transaction
    from replica_cli.stop import StopToken


class Route(Enum):
    """What a transaction holds, and so how it is applied.

    Only ROWS shares a batch. All others are applied one by one, when no batch is in flight.
    """

    ROWS = "rows"  # a whole transaction of row events alone, or one that only moves the position
    STATEMENTS = "statements"  # a whole transaction of statements alone
    MIXED = "mixed"  # a whole transaction of statements and rows, for example with savepoints
    XA = "xa"  # a step of an XA transaction, or a piece of it
    PIECE = "piece"  # a piece of a large transaction

    @property
    def may_hold_rows(self) -> bool:
        """Return True if rows of the transaction may be what failed, and not only a statement."""
        return self is not Route.STATEMENTS


def route_of(transaction: Transaction) -> Route:
    """Return the route of a transaction. It is called once for each."""
    if transaction.xa is not None:
        return Route.XA
    if not (transaction.is_start and transaction.is_end):
        return Route.PIECE
    changes = transaction.changes
    for change in changes:
        if isinstance(change, Statement):
            is_alone = all(isinstance(c, Statement) for c in changes)
            return Route.STATEMENTS if is_alone else Route.MIXED
    return Route.ROWS


class TransactionRouter:
    """Cuts a sequence of transactions into batches and single transactions. The applier uses it.

    `size_bytes`: a batch is full when its transactions have this size.
    """

    def __init__(self, size_bytes: int, stop: StopToken) -> None:
        self._size_bytes = size_bytes
        self._stop = stop

    def routed(
        self, transactions: Sequence[Transaction], most: Callable[[], int]
    ) -> Iterator[tuple[Route, Sequence[Transaction]]]:
        """Yield batches of ROWS transactions, and the others one by one, in their order, until a stop.

        `most` returns how many transactions the next batch may have.
        """
        batch: list[Transaction] = []
        size, limit = 0, most()
        for transaction in transactions:
            if not batch and self._stop.is_set:
                # A stop takes effect between two batches. The remaining transactions are read again at the next start.
                return
            route = route_of(transaction)
            if route is Route.ROWS:
                batch.append(transaction)
                size += transaction.size
                if len(batch) < limit and size < self._size_bytes:
                    continue
            if batch:
                yield Route.ROWS, batch
                batch, size, limit = [], 0, most()
            if route is not Route.ROWS:
                yield route, (transaction,)
                limit = most()
        if batch:
            yield Route.ROWS, batch
