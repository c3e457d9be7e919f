"""A table made on the secondary: first under a scratch name, where the copy would replace one that is there.

What the server refuses shows before anything is dropped. A scratch table is empty and lives for a moment. A kill in
that moment leaves it behind; the next copy of the instance drops it.
"""

from __future__ import annotations

import contextlib
import hashlib
from functools import partial
from typing import TYPE_CHECKING

from replica_cli.core.errors import ApplyRefused, Interrupted
from replica_cli.core.names import TableName
from replica_cli.core.reports.transfer import TableAction
from replica_cli.mysql.catalog import read_columns, read_table
from replica_cli.mysql.errnos import ER_DROP_INDEX_FK, ER_NO_SUCH_TABLE, ER_UNKNOWN_SEQUENCES, Remedy, ServerError
from replica_cli.sqlbuilder.definition import with_other_name
from replica_cli.sqlbuilder.engines import EngineKind, kind_of
from replica_cli.sqlbuilder.identifiers import quote, quote_table
from replica_cli.transfer.modes import make_each
from replica_cli.transfer.tables import KeysMade

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from replica_cli.core.table import Column, TableDefinition
    from replica_cli.mysql.session import Session
    from replica_cli.transfer.source import SourceTable
    from replica_cli.transfer.tables import TableRun
    from replica_cli.transfer.waiting import LockWaits

# Sorted at the end an index costs the secondary a third of what it costs row by row: worth a statement more.
DEFERRED_KEYS_ROWS = 20_000
_SCRATCH_TABLES = "SELECT table_schema, table_name FROM information_schema.tables WHERE table_schema IN ({}) AND {}"
_NOT_THERE = frozenset({ER_NO_SUCH_TABLE, ER_UNKNOWN_SEQUENCES})


def make_table(secondary: Session, run: TableRun, owner: str) -> None:
    """Drop what is there and make the table without its foreign keys, and without triggers.

    A large one is left without the indexes that `add_deferred_keys` makes when its rows are there. They are made and
    dropped first: what the server does not take of them shows before the first row.
    Foreign keys of other tables that point here stay, as the session does not check them.
    Raises ServerError, ApplyRefused if the server made another table than the statement says. Nothing was dropped then
    if the definition is a new one.
    """
    if not run.is_accepted:
        try_out(secondary, run.source, owner)
        run.is_accepted = True
    _drop(secondary, run.target)
    has_all = _make(secondary, run.source, run.target, run.source.statements.create)
    run.keys = KeysMade.ALL if has_all else KeysMade.WITHOUT_DEFERRED


def make_new_tables(secondary: Session, runs: Sequence[TableRun]) -> list[TableRun]:
    """Make small tables that are not there, without foreign keys and triggers, all at once.

    Return those that were made as their statements say; any other may be there or not. Raises ServerError if the
    connection is lost.
    """
    texts: list[str] = []
    numbers: dict[TableRun, int] = {}
    schema = ""
    for run in runs:
        if run.target.schema != schema:
            schema = run.target.schema
            texts.append(f"USE {quote(schema)}")
        numbers[run] = len(texts)
        texts.append(run.source.statements.create)
    answers = secondary.execute_ones(texts)
    made = [run for run, number in numbers.items() if not isinstance(answers[number], ServerError)]
    there = read_columns(secondary, [run.target for run in made])
    return [run for run in made if _is_as_said(there.get(run.target), run.source)]


def _is_as_said(made: TableDefinition | None, source: SourceTable) -> bool:
    try:
        _check_made(made, source)
    except ApplyRefused:
        return False
    return True


def drop_table(secondary: Session, name: TableName, target: TableName, waits: LockWaits) -> None:
    """Drop the secondary's table `target` that the primary, as `name`, has no longer. Raises as `LockWaits.run`."""
    waits.run(secondary, name, lambda: _drop(secondary, target))


def _drop(secondary: Session, table: TableName) -> None:
    secondary.execute(f"DROP TABLE IF EXISTS {quote_table(table)}")


def try_out(secondary: Session, source: SourceTable, owner: str) -> None:
    """Make the table under a scratch name and drop it. Raises as `make_table` does."""
    scratch = scratch_name(source.target, owner)
    # MySQL takes the name of a check once in a schema, and the table that is there has it.
    is_free = secondary.is_mariadb
    create = with_other_name(source.statements.create, source.target, scratch, keeps_check_names=is_free)
    _drop(secondary, scratch)
    try:
        _make(secondary, source, scratch, create)
    finally:
        # What made it fail counts; a lost connection shows at the next statement, and the next copy drops it.
        with contextlib.suppress(ServerError):
            _drop(secondary, scratch)


def may_lose(run: TableRun) -> bool:
    """Return True if the copy would replace a table by one that the secondary was not yet seen to make."""
    return not run.is_accepted and run.planned.action in (TableAction.REPLACE, TableAction.FILL)


def find_refused(secondary: Session, runs: Iterable[TableRun], owner: str, waits: LockWaits) -> dict[TableName, str]:
    """Try tables out; return why the secondary refuses them, of those that it refuses.

    What may go well later is left to the worker, which tries again: a full disk, a sequence that is yet to be made.
    Raises Interrupted, ServerError if the connection is lost.
    """
    refused = {}
    for run in runs:
        if waits.is_over():
            raise Interrupted("stopped before the copy began")
        try:
            # Of another table only the whole server's locks: a backup that keeps definitions from being changed.
            waits.run(secondary, run.name, partial(try_out, secondary, run.source, owner))
        except ApplyRefused as error:
            refused[run.name] = error.message
        except ServerError as error:
            if error.is_connection_lost:
                raise
            if error.remedy is Remedy.FATAL and error.errno not in _NOT_THERE:
                refused[run.name] = error.message
        else:
            run.is_accepted = True
    return refused


def drop_scratch_tables(secondary: Session, schemas: Collection[str], owner: str) -> None:
    """Drop the scratch tables that a kill has left in some schemas. Raises ServerError."""
    if not schemas:
        return
    prefix = _prefix(owner)
    names = ", ".join(secondary.escape(schema) for schema in sorted(schemas))
    condition = f"LEFT(table_name, {len(prefix)}) = '{prefix}'"
    for schema, table in secondary.rows(_SCRATCH_TABLES.format(names, condition)):
        _drop(secondary, TableName(str(schema), str(table)))


def scratch_name(target: TableName, owner: str) -> TableName:
    """Return the name of a table's scratch table, in the same schema: our rights there count as well.

    It is as long as the table's own, as the server makes names of checks from it.
    """
    name = f"{_prefix(owner)}{hashlib.sha256(str(target).encode()).hexdigest()[:16]}"
    return TableName(target.schema, name.ljust(len(target.table), "_"))


def _prefix(owner: str) -> str:
    return f"_replica_{hashlib.sha256(owner.encode()).hexdigest()[:8]}_"


def _make(secondary: Session, source: SourceTable, name: TableName, create: str) -> bool:
    """Make a table; say whether it has all of its keys."""
    keys = source.statements.deferred_keys if source.definition.estimated_rows >= DEFERRED_KEYS_ROWS else ()
    # CREATE TABLE speaks of other tables only through defaults; a schema in use keeps bare names meaningful.
    # All are sent together, and the ALTER runs even if the CREATE fails: if another client has just made a table of
    # this name, that table loses the indexes.
    statements = [f"USE {quote(name.schema)}", create]
    if keys:
        dropped = ", ".join(f"DROP KEY {quote(key)}" for key, _ in keys)
        statements.append(f"ALTER TABLE {quote_table(name)} {dropped}")
    has_all = not keys
    try:
        make_each(secondary, statements, name)
    except ServerError as error:
        # A foreign key of a table that is not copied now may need one of them: then all stay.
        if error.errno != ER_DROP_INDEX_FK:
            raise
        has_all = True
    _check_made(read_table(secondary, name), source)
    return has_all


def _check_made(made: TableDefinition | None, source: SourceTable) -> None:
    """Compare what was made where settings of the server that our user may not change put something else.

    They are an invisible primary key, an engine without transactions, and a TIMESTAMP that changes by itself.
    """
    if made is None:
        raise ApplyRefused("the table was made on the secondary and is not there")
    if kind_of(made.engine) is not EngineKind.KEPT:
        raise ApplyRefused(
            f"the secondary made it with engine {made.engine}: its rows would not commit with the position",
            hint="SET GLOBAL enforce_storage_engine = NULL on the secondary, then `replica transfer --resume`",
        )
    wanted, found = _columns(source.definition), _columns(made.with_history())
    if wanted != found:
        differing = ", ".join(sorted({column for column, _ in wanted ^ found}))
        raise ApplyRefused(
            f"the secondary made other columns than the primary has: {differing}",
            hint="set sql_generate_invisible_primary_key=OFF and explicit_defaults_for_timestamp=ON on the secondary, "
            "or give this user SESSION_VARIABLES_ADMIN there; then `replica transfer --resume`",
        )


def _columns(definition: TableDefinition) -> set[tuple[str, tuple[bool, bool] | None]]:
    """Return the columns' names; of a TIMESTAMP NOT NULL whether it has a default, and changes by itself."""
    return {
        (c.name, (c.default is None, "on update" in c.extra.lower()) if _is_implicit(c) else None)
        for c in definition.columns
    }


def _is_implicit(column: Column) -> bool:
    return column.data_type == "timestamp" and not column.is_nullable and not column.is_generated
