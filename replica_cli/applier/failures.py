"""Classify the applier's errors: where they happened, and whether the batch is worth another attempt."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replica_cli.checkpoint.intents import position_of
from replica_cli.core.errors import ApplyRefused, ReplicaError, TableChangedInWindow
from replica_cli.mysql.errnos import Remedy, ServerError

if TYPE_CHECKING:
    from replica_cli.core.events import Transaction


def is_retryable(error: BaseException) -> bool:
    """Return True if the server asks for the whole batch again, as after a deadlock."""
    return isinstance(error, ServerError) and error.remedy is Remedy.RETRY


def with_position(error: ReplicaError, transaction: Transaction) -> ReplicaError:
    """Add the transaction's position to the error's message and attributes, and return the error."""
    if "at " + str(transaction.start) not in error.message:
        error.message = f"{error.message}, in the transaction at {transaction.start}"
        error.args = (error.message,)
    if isinstance(error, ApplyRefused):
        error.position = transaction.start
    if isinstance(error, ApplyRefused | TableChangedInWindow):
        error.transaction_position = position_of(transaction)
    return error
