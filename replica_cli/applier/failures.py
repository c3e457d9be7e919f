"""Say of an error where it happened and whether another attempt helps, and turn bugs into errors of a table.

A bug that shows while one event is handled ends neither the process nor the stream: the applier handles it as it
handles a change that is refused.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from replica_cli.checkpoint.intents import transaction_position
from replica_cli.core.errors import ApplyRefused, Panic, ReplicaError, TableChangedInWindow
from replica_cli.mysql.errnos import Remedy, ServerError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from replica_cli.applier.engines.steps import ApplyStep, RowEngine
    from replica_cli.core.events import RowEvent, Transaction
    from replica_cli.core.table import TableName


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
        error.transaction_position = transaction_position(transaction)
    return error


def engine_steps(engine: RowEngine, events: Sequence[RowEvent]) -> Iterator[ApplyStep]:
    """Yield the engine's steps.

    Raises:
        ReplicaError: as the engine does.
        Panic: if the engine raises any other exception; it names the table.

    """
    try:
        yield from engine.steps(events)
    except ReplicaError:
        raise
    except Exception as error:
        for event in events if len(events) > 1 else ():
            for _ in engine_steps(engine, [event]):
                pass
        # There is only one event, or each event alone works: the table of the last one is named.
        raise _panic(error, f"{events[-1].kind.name} event", events[-1].table.name) from error


@contextlib.contextmanager
def bugs_as_panic(transaction: Transaction) -> Iterator[None]:
    """Raise Panic in place of an exception that is no ReplicaError.

    For statements: the Panic names no table, as a statement's tables may be unknown.
    """
    try:
        yield
    except ReplicaError:
        raise
    except Exception as error:
        raise _panic(error, f"statement at {transaction.start}", None) from error


def _panic(error: Exception, what: str, table: TableName | None) -> Panic:
    owner = f"{table}: " if table else ""
    # The exception's own text may quote values of a row, which must not be logged.
    return Panic(f"{owner}{type(error).__name__} while the {what} was handled", error=error, table=table)
