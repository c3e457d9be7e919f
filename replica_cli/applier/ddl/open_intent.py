"""Delete the intent of a DDL statement in the transaction that saves the position after the statement."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replica_cli.checkpoint.intents import transaction_position

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from replica_cli.checkpoint.intents import IntentStore
    from replica_cli.core.events import Transaction
    from replica_cli.core.position import Position


class OpenIntent:
    """The intent that is in the state schema, and what else must be deleted together with it.

    `position` is that of the intent that an earlier process left, None if it left none. `StatementApplier` opens an
    intent, and `CommitPipeline` closes it.
    """

    def __init__(self, store: IntentStore, position: Position | None) -> None:
        self._store = store
        self._position = position
        self._cleanup: list[bytes] = []

    def open(self, transaction: Transaction) -> None:
        """Note that a statement of a transaction is about to run, and leaves an intent."""
        self._position = transaction_position(transaction)

    def delete_with_it(self, statements: Iterable[bytes]) -> None:
        """Add statements that delete records which end with the statement of the intent."""
        self._cleanup += statements

    def ends_with(self, transactions: Sequence[Transaction]) -> bool:
        """Return True if the intent's transaction is among these.

        A position before that transaction must not delete the intent.
        """
        position = self._position
        return position is not None and any(position.is_same_transaction(transaction_position(t)) for t in transactions)

    def statements(self) -> Sequence[bytes]:
        """Return the statements for the transaction of the position after the intent's transaction."""
        return (self._store.forget_statement(), *self._cleanup)

    def close(self) -> None:
        """Note that these statements are committed, or that their COMMIT is sent."""
        self._position, self._cleanup = None, []
