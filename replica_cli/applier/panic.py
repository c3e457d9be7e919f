"""Turns a bug that shows while one event is handled into the failure of that event's table.

So a bug ends neither the process nor the stream: the applier handles it as it handles a change that is refused.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from replica_cli.core.errors import Panic, ReplicaError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from replica_cli.applier.steps import ApplyStep, RowEngine
    from replica_cli.core.events import RowEvent, Transaction
    from replica_cli.core.table import TableName


def works_of(engine: RowEngine, events: Sequence[RowEvent]) -> Iterator[ApplyStep]:
    """Yield the engine's steps.

    Raises:
        ReplicaError: as the engine does.
        Panic: if the engine raises any other exception; it names the table.

    """
    try:
        yield from engine.works(events)
    except ReplicaError:
        raise
    except Exception as error:
        for event in events if len(events) > 1 else ():
            for _ in works_of(engine, [event]):
                pass
        # There is only one event, or each event alone works: the table of the last one is named.
        raise _panic(error, f"{events[-1].kind.name} event", events[-1].table.name) from error


@contextlib.contextmanager
def noticing_bugs(transaction: Transaction) -> Iterator[None]:
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
