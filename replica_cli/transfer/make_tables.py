"""Make tables on the secondary: first without foreign keys and possibly without indexes, which are added at the end."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING

from replica_cli.core.errors import ApplyRefused
from replica_cli.logs import Tag, log
from replica_cli.mysql.catalog.table_definitions import read_columns, read_table
from replica_cli.mysql.errnos import ER_DROP_INDEX_FK, ER_DUP_KEYNAME, ServerError
from replica_cli.sqlbuilder.identifiers import quote, quote_table
from replica_cli.sqlbuilder.storage_engines import EngineKind, kind_of
from replica_cli.transfer.modes import make, make_each
from replica_cli.transfer.table_copy import KeysMade

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from replica_cli.core.names import TableName
    from replica_cli.core.table import Column, TableDefinition
    from replica_cli.mysql.session import Session
    from replica_cli.transfer.connections import Connections
    from replica_cli.transfer.lock_waits import LockWaits
    from replica_cli.transfer.planning.copy_definition import CopyDefinition
    from replica_cli.transfer.table_copy import TableCopy

logger = logging.getLogger(__name__)

# An index that is built from sorted rows at the end costs the secondary a third of the time that it costs row by row.
# For this many rows that is worth a statement more.
DEFERRED_KEYS_ROWS = 20_000
_KEYS = "SELECT DISTINCT index_name FROM information_schema.statistics WHERE table_schema = %s AND table_name = %s"


def make_table(secondary: Session, table: TableCopy) -> None:
    """Drop the existing table and make it again, without foreign keys and without triggers.

    A large table is made without the indexes that `add_deferred_keys` builds after its rows are copied. These indexes
    are first made and then dropped, so that a refusal is known before the first row. Foreign keys of other tables that
    refer to this table stay, because the session does not check them. The definition must be accepted: the secondary
    has made it as a scratch table, or no table would be lost.

    Raises:
        ServerError: the secondary refuses the statement or does not answer.
        ApplyRefused: the server made another table than the statement says.
    """
    drop(secondary, table.target)
    has_all = make_as(secondary, table.definition, table.target, table.definition.statements.create)
    table.note_made(KeysMade.ALL if has_all else KeysMade.WITHOUT_DEFERRED)


def make_new_tables(secondary: Session, copies: Sequence[TableCopy]) -> list[TableCopy]:
    """Make small tables that do not exist yet, all at once, without foreign keys and triggers.

    Return those that were made exactly as their statements say. The others may exist or not.

    Raises:
        ServerError: the connection is lost.
    """
    statements: list[str] = []
    numbers: dict[TableCopy, int] = {}
    schema = ""
    for table in copies:
        if table.target.schema != schema:
            schema = table.target.schema
            statements.append(f"USE {quote(schema)}")
        numbers[table] = len(statements)
        statements.append(table.definition.statements.create)
    answers = secondary.execute_ones(statements)
    made = [table for table, number in numbers.items() if not isinstance(answers[number], ServerError)]
    definitions = read_columns(secondary, [table.target for table in made])
    return [table for table in made if _is_as_said(definitions.get(table.target), table.definition)]


def _is_as_said(made: TableDefinition | None, definition: CopyDefinition) -> bool:
    try:
        _check_made(made, definition)
    except ApplyRefused:
        return False
    return True


def drop_table(secondary: Session, name: TableName, target: TableName, waits: LockWaits) -> None:
    """Drop the secondary's table `target`, which the primary does not have any more as `name`.

    Raises the same errors as `LockWaits.run`.
    """
    waits.run(secondary, name, lambda: drop(secondary, target))


def drop(secondary: Session, table: TableName) -> None:
    """Drop a table of the secondary, if it exists. Raises ServerError."""
    secondary.execute(f"DROP TABLE IF EXISTS {quote_table(table)}")


def make_as(secondary: Session, definition: CopyDefinition, name: TableName, create: str) -> bool:
    """Make a table with the name `name` and check it; return True if it has all of its indexes.

    `create` is the statement of the definition, for that name. Raises the same errors as `make_table`.
    """
    keys = definition.statements.deferred_keys if definition.primary.estimated_rows >= DEFERRED_KEYS_ROWS else ()
    # CREATE TABLE refers to other tables only in defaults. USE gives the names in them that have no schema their
    # meaning.
    # All statements are sent together, and the ALTER copies even if the CREATE fails: if another client has just made a
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
    _check_made(read_table(secondary, name), definition)
    return has_all


def _check_made(made: TableDefinition | None, definition: CopyDefinition) -> None:
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
    wanted, made_columns = _comparable_columns(definition.primary), _comparable_columns(made.with_history())
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


def add_deferred_keys(
    connections: Connections, table: TableCopy, waits: LockWaits, *, on_begin: Callable[[], None]
) -> None:
    """Build the indexes that the table lacks; do nothing if it has all of them.

    `on_begin` is called before the work if there are any.

    Raises:
        Interrupted: a stop was asked for.
        LockWait: the statement waited too long for a table lock.
        LockHeld: another process may write to the secondary by now.
        ServerError: the secondary refuses the statement or does not answer.
    """
    if not table.definition.statements.deferred_keys or table.keys is KeysMade.ALL:
        return
    lacks_all = table.keys is KeysMade.WITHOUT_DEFERRED
    missing = _deferred_keys(table) if lacks_all else _missing_keys(connections.secondary, table)
    if not missing:
        return
    on_begin()
    session = connections.altering
    connections.endpoints.guard(session)
    while missing:
        log(
            logger, logging.INFO, Tag.INFO, "%s: builds %d %s", table.name, len(missing),
            "index" if len(missing) == 1 else "indexes", instance=session.server.name,
        )  # fmt: skip
        try:
            added = ", ".join(f"ADD {clause}" for clause in missing)
            statement = f"ALTER TABLE {quote_table(table.target)} {added}"
            waits.run(session, table.name, partial(make, session, statement, table.target))
        except ServerError as error:
            before, missing = missing, _missing_keys(session, table) if error.errno == ER_DUP_KEYNAME else missing
            # After a cut connection the server may still finish the statement of the earlier attempt. Then some indexes
            # exist, and the next attempt builds only those that are still missing.
            if missing == before:
                raise
        else:
            return


def _deferred_keys(table: TableCopy) -> list[str]:
    return [clause for _, clause in table.definition.statements.deferred_keys]


def _missing_keys(session: Session, table: TableCopy) -> list[str]:
    existing = {str(row[0]).lower() for row in session.rows(_KEYS, table.target.schema, table.target.table)}
    return [clause for name, clause in table.definition.statements.deferred_keys if name.lower() not in existing]


def add_foreign_keys(secondary: Session, table: TableCopy) -> None:
    """Add the foreign keys that do not exist yet. Rows are not checked, because they are of different moments."""
    statements = table.definition.statements.foreign_keys
    if not statements:
        return
    existing = read_table(secondary, table.target)
    clauses = [f"CONSTRAINT {quote(k.name)} FOREIGN KEY" for k in existing.foreign_keys] if existing else []
    for statement in statements:
        if not any(clause in statement for clause in clauses):
            make(secondary, statement, table.target, is_foreign_key=True)
