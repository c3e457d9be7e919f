"""What the applier does with errors: where they happened, and whether the same batch is worth another attempt."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replica_cli.applier.window import TableChangedInWindow
from replica_cli.checkpoint.intents import place_of
from replica_cli.core.errors import ApplyRefused, ReplicaError
from replica_cli.mysql.errnos import Remedy, ServerError

if TYPE_CHECKING:
    from replica_cli.core.events import Transaction


class NeedsDiagnosis(ReplicaError):
    """A piece of a large transaction failed in a group of tables: try again with the engine that can tell which."""

    code = "not_exact"


def is_retryable(error: BaseException) -> bool:
    """Say whether the server asks for the whole batch once more, as after a deadlock."""
    return isinstance(error, ServerError) and error.remedy is Remedy.RETRY


def with_position(error: ReplicaError, transaction: Transaction) -> ReplicaError:
    """Return the error with the transaction's place in its message."""
    if "at " + str(transaction.start) not in error.message:
        error.message = f"{error.message}, in the transaction at {transaction.start}"
        error.args = (error.message,)
    if isinstance(error, ApplyRefused):
        error.position = transaction.start
    if isinstance(error, ApplyRefused | TableChangedInWindow):
        error.place = place_of(transaction)
    return error
