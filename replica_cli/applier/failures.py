"""Say what an error is about, where it happened and if another attempt helps. Turn bugs into errors of a table.

A bug that shows while one event is handled ends neither the process nor the stream: the applier handles it as it
handles a change that is refused.
"""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING

from replica_cli.checkpoint.intents import transaction_position
from replica_cli.core.commands import table_options
from replica_cli.core.errors import (
    ApplyRefused,
    Panic,
    RefusedInWindow,
    ReplicaError,
    RowExists,
    RowMissing,
    TableChangedInWindow,
)
from replica_cli.core.events import RowKind
from replica_cli.core.names import TableName
from replica_cli.core.wording import counted
from replica_cli.mysql.errnos import (
    DUPLICATES,
    ER_KEY_NOT_FOUND,
    ER_NO_REFERENCED_ROW,
    ER_ROW_IS_REFERENCED,
    Remedy,
    ServerError,
    is_of_table,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from replica_cli.applier.engines.steps import ApplyStep, RowEngine
    from replica_cli.core.events import RowEvent, Transaction

_KEY_NAME = re.compile(r"for key '([^']*)'")
# The foreign key in the text of a refusal: the schema is before the parent's name only if it is not the child's.
_IDENTIFIER = r"`((?:[^`]|``)+)`"
_FOREIGN_KEY = re.compile(
    rf"\({_IDENTIFIER}\.{_IDENTIFIER}, CONSTRAINT .* REFERENCES (?:{_IDENTIFIER}\.)?{_IDENTIFIER} \("
)


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


def refusal(error: ServerError, step: ApplyStep) -> ReplicaError:
    """Return the error to raise for a server's error in a step: RefusedInWindow for a row inside a replay window."""
    explanation = _explained(error, step)
    if step.is_replayed and isinstance(explanation, ApplyRefused):
        return RefusedInWindow(explanation.message, hint=explanation.hint, table=explanation.table)
    return explanation


def _explained(error: ServerError, step: ApplyStep) -> ReplicaError:
    """Return a server's error as an error of the step's table, or the error itself if it is not about the table.

    The message names keys, but no values, which must not be logged.
    """
    verb = step.kind.name
    if error.errno in DUPLICATES:
        name = _KEY_NAME.search(error.text)
        key = f" on key {name[1]}" if name else ""
        return RowExists(
            f"{step.table}: {verb} meets a row that is already there{key}",
            hint=f"`replica transfer {table_options([step.table])}` copies it again",
            table=step.table,
        )
    if error.errno == ER_KEY_NOT_FOUND:
        return RowMissing(
            f"{step.table}: a row is not found",
            hint=f"`replica transfer {table_options([step.table])}` copies it again",
            table=step.table,
        )
    if error.errno in (ER_ROW_IS_REFERENCED, ER_NO_REFERENCED_ROW):
        return RowMissing(
            f"{step.table}: {verb} is refused by a foreign key: the related rows differ from the primary's",
            hint=_related_hint(step.table, error.text),
            table=step.table,
        )
    if not is_of_table(error):
        return error
    return ApplyRefused(
        f"{step.table}: {verb} is refused by {error.server} (error {error.errno})",
        hint=f"`replica drift check`, then `replica transfer {table_options([step.table])}`",
        table=step.table,
    )


def _related_hint(table: TableName, text: str) -> str:
    """Return the command that copies a table and the table at the other end of the foreign key that refused a row.

    A copy of one of them alone brings no rows of the other one, unless the key acts (CASCADE, SET NULL). Only if both
    are in one schema, the text of the refusal tells the primary's name of the other one.
    """
    key = _FOREIGN_KEY.search(text)
    schema, child, parent_schema, parent = (part.replace("``", "`") for part in key.groups("")) if key else ("",) * 4
    if table.table in (child, parent) and parent_schema in ("", schema):
        others = [TableName(table.schema, name) for name in {child, parent} - {table.table}]
        tables = "both tables of the foreign key" if others else "it"
        return f"`replica transfer {table_options([table, *others])}` copies {tables} again"
    return (
        f"`replica transfer {table_options([table])}` copies it again; name the table at the other end of the foreign "
        "key with a second `--table`"
    )


def missing_rows(step: ApplyStep, count: int) -> RowMissing:
    """Return the error to raise for a step that has found `count` rows, fewer than it must."""
    columns = f"its key, {', '.join(step.key)}" if step.key else "all columns"
    expected = step.expected or 0
    lacking = expected - count
    number = counted(expected, "row") if lacking == expected else f"{lacking} of {counted(expected, 'row')}"
    outcome = f"{number} not found (compared by {columns})"
    if step.kind is RowKind.INSERT:
        outcome = f"{count} of {expected} rows were written"
    return RowMissing(
        f"{step.table}: {step.kind.name}: {outcome}",
        hint=f"`replica transfer {table_options([step.table])}` copies it again",
        table=step.table,
    )


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
