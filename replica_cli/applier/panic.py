"""A bug while one event is handled ends neither the process nor the stream: it becomes the failure of that event."""

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
    """Yield the engine's work. Raises what it raises, and Panic with the table for what it never should."""
    try:
        yield from engine.works(events)
    except ReplicaError:
        raise
    except Exception as error:
        for event in events if len(events) > 1 else ():
            for _ in works_of(engine, [event]):
                pass
        # Each by itself is fine, or there is only one: its table is the one to blame.
        raise _panic(error, f"{events[-1].kind.name} event", events[-1].table.name) from error


@contextlib.contextmanager
def noticing_bugs(transaction: Transaction) -> Iterator[None]:
    """Turn an exception that is no condition of ours into Panic: for statements, whose tables may be unknown."""
    try:
        yield
    except ReplicaError:
        raise
    except Exception as error:
        raise _panic(error, f"statement at {transaction.start}", None) from error


def _panic(error: Exception, what: str, table: TableName | None) -> Panic:
    owner = f"{table}: " if table else ""
    # The exception's own text may quote a row's values: they stay out of logs.
    return Panic(f"{owner}{type(error).__name__} while a {what} was handled", error=error, table=table)
