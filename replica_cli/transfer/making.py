"""Make a table on the secondary; if the copy replaces an existing table, try the definition as a scratch table first.

So a refusal of the server is known before anything is dropped. A scratch table is empty and lives for a moment. If the
process is killed in that moment, the next copy of the instance drops the scratch table.
"""

from __future__ import annotations

import contextlib
import hashlib
from functools import partial
from typing import TYPE_CHECKING

from replica_cli.core.errors import ApplyRefused, Interrupted
from replica_cli.core.names import TableName
from replica_cli.core.reports.transfer import TableAction
from replica_cli.mysql.catalog.table_definitions import read_columns, read_table
from replica_cli.mysql.errnos import ER_DROP_INDEX_FK, ER_NO_SUCH_TABLE, ER_UNKNOWN_SEQUENCES, Remedy, ServerError
from replica_cli.sqlbuilder.definitions.create_statements import with_other_name
from replica_cli.sqlbuilder.identifiers import quote, quote_table
from replica_cli.sqlbuilder.storage_engines import EngineKind, kind_of
from replica_cli.transfer.modes import make_each
from replica_cli.transfer.tables import KeysMade

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from replica_cli.core.table import Column, TableDefinition
    from replica_cli.mysql.session import Session
    from replica_cli.transfer.source import SourceTable
    from replica_cli.transfer.tables import TableRun
    from replica_cli.transfer.waiting import LockWaits

# An index that is built from sorted rows at the end costs the secondary a third of the time that it costs row by row.
# For this many rows that is worth a statement more.
DEFERRED_KEYS_ROWS = 20_000
_SCRATCH_TABLES = "SELECT table_schema, table_name FROM information_schema.tables WHERE table_schema IN ({}) AND {}"
_MISSING_OBJECT = frozenset({ER_NO_SUCH_TABLE, ER_UNKNOWN_SEQUENCES})


def make_table(secondary: Session, run: TableRun, owner: str) -> None:
    """Drop the existing table and make it again, without foreign keys and without triggers.

    A large table is made without the indexes that `add_deferred_keys` builds after its rows are copied. These indexes
    are first made and then dropped, so that a refusal is known before the first row. Foreign keys of other tables that
    refer to this table stay, because the session does not check them. If the definition was not tried yet, it is tried
    as a scratch table, and an error of that drops nothing.

    Raises:
        ServerError: the secondary refuses the statement or does not answer.
        ApplyRefused: the server made another table than the statement says.
    """
    if not run.is_accepted:
        try_out(secondary, run.source, owner)
        run.is_accepted = True
    _drop(secondary, run.target)
    has_all = _make(secondary, run.source, run.target, run.source.statements.create)
    run.keys = KeysMade.ALL if has_all else KeysMade.WITHOUT_DEFERRED


def make_new_tables(secondary: Session, runs: Sequence[TableRun]) -> list[TableRun]:
    """Make small tables that do not exist yet, all at once, without foreign keys and triggers.

    Return those that were made exactly as their statements say. The others may exist or not.

    Raises:
        ServerError: the connection is lost.
    """
    statements: list[str] = []
    numbers: dict[TableRun, int] = {}
    schema = ""
    for run in runs:
        if run.target.schema != schema:
            schema = run.target.schema
            statements.append(f"USE {quote(schema)}")
        numbers[run] = len(statements)
        statements.append(run.source.statements.create)
    answers = secondary.execute_ones(statements)
    made = [run for run, number in numbers.items() if not isinstance(answers[number], ServerError)]
    definitions = read_columns(secondary, [run.target for run in made])
    return [run for run in made if _is_as_said(definitions.get(run.target), run.source)]


def _is_as_said(made: TableDefinition | None, source: SourceTable) -> bool:
    try:
        _check_made(made, source)
    except ApplyRefused:
        return False
    return True


def drop_table(secondary: Session, name: TableName, target: TableName, waits: LockWaits) -> None:
    """Drop the secondary's table `target`, which the primary does not have any more as `name`.

    Raises the same errors as `LockWaits.run`.
    """
    waits.run(secondary, name, lambda: _drop(secondary, target))


def _drop(secondary: Session, table: TableName) -> None:
    secondary.execute(f"DROP TABLE IF EXISTS {quote_table(table)}")


def try_out(secondary: Session, source: SourceTable, owner: str) -> None:
    """Make the table as a scratch table and drop it. Raises the same errors as `make_table`."""
    scratch = scratch_name(source.target, owner)
    # In MySQL the name of a check is unique in a schema, and the existing table uses it.
    is_free = secondary.is_mariadb
    create = with_other_name(source.statements.create, source.target, scratch, keeps_check_names=is_free)
    _drop(secondary, scratch)
    try:
        _make(secondary, source, scratch, create)
    finally:
        # The error of `_make` is the one to report. A lost connection shows at the next statement, and the next copy
        # drops the table.
        with contextlib.suppress(ServerError):
            _drop(secondary, scratch)


def may_lose(run: TableRun) -> bool:
    """Return True if the copy would drop an existing table, and the new definition was not tried yet."""
    return not run.is_accepted and run.planned.action in (TableAction.REPLACE, TableAction.FILL)


def find_refused(secondary: Session, runs: Iterable[TableRun], owner: str, waits: LockWaits) -> dict[TableName, str]:
    """Try tables as scratch tables; return those that the secondary refuses, each with the reason.

    Errors that may go away are not returned (a full disk, a sequence that is not made yet): the worker tries these
    tables again.

    Raises:
        Interrupted: a stop was asked for.
        ServerError: the connection is lost.
    """
    refused = {}
    for run in runs:
        if waits.is_over():
            raise Interrupted("stopped before the copy began")
        try:
            # No other client uses the scratch table. It can only wait for a lock of the whole server, such as that of a
            # backup that blocks all DDL.
            waits.run(secondary, run.name, partial(try_out, secondary, run.source, owner))
        except ApplyRefused as error:
            refused[run.name] = error.message
        except ServerError as error:
            if error.is_connection_lost:
                raise
            if error.remedy is Remedy.FATAL and error.errno not in _MISSING_OBJECT:
                refused[run.name] = error.message
        else:
            run.is_accepted = True
    return refused


def drop_scratch_tables(secondary: Session, schemas: Collection[str], owner: str) -> None:
    """Drop the scratch tables that a killed process has left in these schemas. Raises ServerError."""
    if not schemas:
        return
    prefix = _scratch_prefix(owner)
    names = ", ".join(secondary.escape(schema) for schema in sorted(schemas))
    condition = f"LEFT(table_name, {len(prefix)}) = '{prefix}'"
    for schema, table in secondary.rows(_SCRATCH_TABLES.format(names, condition)):
        _drop(secondary, TableName(str(schema), str(table)))


def scratch_name(target: TableName, owner: str) -> TableName:
    """Return the name of a table's scratch table.

    It is in the same schema, so that our privileges in that schema are tried as well. It is at least as long as the
    table's own name, because the server makes the names of checks from it.
    """
    name = f"{_scratch_prefix(owner)}{hashlib.sha256(str(target).encode()).hexdigest()[:16]}"
    return TableName(target.schema, name.ljust(len(target.table), "_"))


def _scratch_prefix(owner: str) -> str:
    return f"_replica_{hashlib.sha256(owner.encode()).hexdigest()[:8]}_"


def _make(secondary: Session, source: SourceTable, name: TableName, create: str) -> bool:
    """Make a table and check it; return True if it has all of its indexes."""
    keys = source.statements.deferred_keys if source.definition.estimated_rows >= DEFERRED_KEYS_ROWS else ()
    # CREATE TABLE refers to other tables only in defaults. USE gives the names in them that have no schema their
    # meaning.
    # All statements are sent together, and the ALTER runs even if the CREATE fails: if another client has just made a
    # table of this name, that table loses the indexes.
    statements = [f"USE {quote(name.schema)}", create]
    if keys:
        dropped = ", ".join(f"DROP KEY {quote(key)}" for key, _ in keys)
        statements.append(f"ALTER TABLE {quote_table(name)} {dropped}")
    has_all = not keys
    try:
        make_each(secondary, statements, name)
    except ServerError as error:
        # A foreign key of a table that this copy does not copy may need one of these indexes. Then all of them stay.
        if error.errno != ER_DROP_INDEX_FK:
            raise
        has_all = True
    _check_made(read_table(secondary, name), source)
    return has_all


def _check_made(made: TableDefinition | None, source: SourceTable) -> None:
    """Raise ApplyRefused if settings of the server that our user may not change have made another table.

    They can cause an invisible primary key, an engine without transactions, and a TIMESTAMP that changes by itself.
    """
    if made is None:
        raise ApplyRefused("the secondary accepted CREATE TABLE, and does not have the table")
    if kind_of(made.engine) is not EngineKind.KEPT:
        raise ApplyRefused(
            f"the secondary made it with engine {made.engine}: its rows would not commit with the position",
            hint="SET GLOBAL enforce_storage_engine = NULL on the secondary, then `replica transfer --resume`",
        )
    wanted, made_columns = _comparable_columns(source.definition), _comparable_columns(made.with_history())
    if wanted != made_columns:
        differing = ", ".join(sorted({column for column, _ in wanted ^ made_columns}))
        raise ApplyRefused(
            f"the secondary made other columns than the primary has: {differing}",
            hint="set sql_generate_invisible_primary_key=OFF and explicit_defaults_for_timestamp=ON on the secondary, "
            "or give this user SESSION_VARIABLES_ADMIN there; then `replica transfer --resume`",
        )


def _comparable_columns(definition: TableDefinition) -> set[tuple[str, tuple[bool, bool] | None]]:
    """Return the columns' names; for a TIMESTAMP NOT NULL also if it lacks a default, and if it changes by itself."""
    return {
        (c.name, (c.default is None, "on update" in c.extra.lower()) if _is_implicit(c) else None)
        for c in definition.columns
    }


def _is_implicit(column: Column) -> bool:
    return column.data_type == "timestamp" and not column.is_nullable and not column.is_generated
