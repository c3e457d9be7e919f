"""Read the tables of the primary that a copy concerns, and refuse those that cannot be copied exactly."""

from __future__ import annotations

import difflib
from collections import Counter
from typing import TYPE_CHECKING

from replica_cli.core.commands import gone_advice
from replica_cli.core.errors import ApplyRefused, UsageError
from replica_cli.core.names import TableName
from replica_cli.mysql.catalog.table_definitions import (
    read_catalog,
    read_tables,
    selected_schemas,
    show_create,
    show_creates,
)
from replica_cli.mysql.errnos import ER_NO_SUCH_TABLE, ServerError
from replica_cli.sqlbuilder.statements.statement import parse_statement
from replica_cli.sqlbuilder.tokens import CATALOG
from replica_cli.transfer.errors import TableAltered, TablesRefused
from replica_cli.transfer.planning.cascade_groups import cascade_group
from replica_cli.transfer.planning.copy_definition import CopyDefinition, Origin, read_definition, reread_definition

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from replica_cli.core.selection import Selection
    from replica_cli.core.table import TableDefinition
    from replica_cli.mysql.facts import ServerFacts
    from replica_cli.mysql.session import Session

_TABLES_AT_ONCE = 100
_NAMED_TABLES = 3
_NO_NAMES: frozenset[str] = frozenset()
_CHECKS = (
    "SELECT constraint_schema, constraint_name FROM information_schema.check_constraints WHERE constraint_schema = "
)


def read_origin(primary: Session, selection: Selection, facts: ServerFacts, secondary_facts: ServerFacts) -> Origin:
    """Return what decides how definitions are translated. Raises ServerError."""
    is_crossing = facts.is_mariadb and not secondary_facts.is_mariadb
    return Origin(
        selection,
        facts.is_mariadb,
        secondary_facts.is_mariadb,
        facts.logs_cascades,
        to_version=secondary_facts.version,
        from_version=facts.version,
        shared_checks=_shared_checks(primary, selection) if is_crossing else _NO_NAMES,
    )


def _shared_checks(primary: Session, selection: Selection) -> frozenset[str]:
    """Return the names of checks that several tables would have in one schema of the secondary."""
    schemas = selected_schemas(primary, selection)
    answers = primary.rows_of_each([_CHECKS + primary.escape(schema) for schema in schemas]) if schemas else []
    names = Counter(
        (selection.schema_target(str(schema)), str(name).lower()) for rows in answers for schema, name in rows
    )
    return frozenset(name for (_, name), count in names.items() if count > 1)


def selected_definitions(
    primary: Session,
    selection: Selection,
    tables: Sequence[TableName],
    expected: Iterable[TableName] = (),
    *,
    recorded: Iterable[TableName] = (),
) -> dict[TableName, TableDefinition]:
    """Return the selected tables, or only `tables` with their cascade groups.

    `expected` is passed to `read_catalog`. `recorded` are tables that have a record in the state schema: the hint of
    the error uses them.

    Raises:
        UsageError: one of `tables` is not selected.
    """
    read = read_catalog(primary, selected_schemas(primary, selection), {*tables, *expected})
    definitions = {name: definition for name, definition in read.items() if selection.target(name)}
    missing = [table for table in tables if table not in definitions]
    if missing:
        hint = _missing_hint(missing, sorted(definitions), recorded)
        raise UsageError(f"not among the selected tables of the primary: {', '.join(map(str, missing))}", hint=hint)
    group = cascade_group(tables, definitions)
    return {name: definition for name, definition in definitions.items() if not tables or name in group}


def _missing_hint(missing: Sequence[TableName], names: Sequence[TableName], recorded: Iterable[TableName]) -> str:
    """Return the hint for tables that are not selected.

    A table with a record in the state schema was selected before. Other names may be mistyped.
    """
    hint = "check the name and the filters"
    if gone := sorted(set(missing) & set(recorded)):
        return f"{hint}; {gone_advice(gone)}"
    tables = [name.table for name in names]
    similar_tables = {t for name in missing for t in difflib.get_close_matches(name.table, tables, n=1)}
    similar = [str(name) for name in names if name.table in similar_tables][:_NAMED_TABLES]
    return f"{hint}; similar names: {', '.join(similar)}" if similar else hint


def read_definitions(
    primary: Session, origin: Origin, tables: Mapping[TableName, TableDefinition], refused: Mapping[TableName, str]
) -> tuple[CopyDefinition, ...]:
    """Read what makes each table on the secondary, and check that the table can be copied exactly.

    Tables that the primary has dropped since `tables` were read are left out.

    Args:
        primary: a session to the primary.
        origin: how definitions are translated.
        tables: the tables as the catalog has them.
        refused: tables that cannot be made on the secondary, each with the reason.

    Raises:
        TablesRefused: tables cannot be copied exactly, or are in `refused`.
        ServerError: the primary refuses a query or does not answer.

    """
    definitions: dict[TableName, CopyDefinition | None] = {}
    refused = dict(refused)
    merged = _find_merged(primary, tables)
    texts = show_creates(primary, [name for name, table in tables.items() if not table.is_sequence])
    for name, table in tables.items():
        if (merge := merged.get(name)) is not None:
            refused[name] = f"changes through {merge} (engine MERGE) are logged as rows of that table"
            continue
        try:
            definitions[name] = read_definition(primary, origin, table, texts.get(name))
        except TableAltered:
            definitions[name] = None
        except ServerError as error:
            if error.errno != ER_NO_SUCH_TABLE:
                raise
            # Dropped or renamed since the catalog was read. A new name is found after the position is read.
        except ApplyRefused as error:
            refused[name] = error.message
    # Columns and statement belong together only if the table was not altered between the two queries.
    current = _read_again(primary, list(definitions))
    for name in [n for n in definitions if definitions[n] is None or current.get(n) != tables[n]]:
        try:
            definitions[name] = reread_definition(primary, origin, name)
        except ApplyRefused as error:
            refused[name] = error.message
    if refused:
        raise TablesRefused(refused)
    return tuple(definition for definition in definitions.values() if definition is not None)


def _read_again(primary: Session, names: Sequence[TableName]) -> dict[TableName, TableDefinition]:
    """Return the tables as they are now.

    Many tables are read by schema, because reading each by its name costs several answers.
    """
    if len(names) <= _TABLES_AT_ONCE:
        return read_tables(primary, names)
    return read_catalog(primary, sorted({n.schema for n in names}), names)


def _find_merged(primary: Session, definitions: Mapping[TableName, TableDefinition]) -> dict[TableName, TableName]:
    """Return the MERGE table of each table that is part of one; the MERGE table may be in any schema.

    The log shows a change through a MERGE table as a change of the MERGE table only. Only MyISAM tables can be part of
    one. Without a MyISAM table no query is sent.

    Raises:
        ServerError: the primary refuses a query or does not answer.
    """
    if all(d.engine.upper() != "MYISAM" for d in definitions.values()):
        return {}
    merge_tables: dict[TableName, TableName] = {}
    for (schema,) in primary.rows("SHOW DATABASES"):
        sql = "SELECT table_name FROM information_schema.tables WHERE table_schema = %s AND engine = 'MRG_MYISAM'"
        for (table,) in primary.rows(sql, str(schema)):
            merge = TableName(str(schema), str(table))
            try:
                text = show_create(primary, merge)
            except ServerError as error:
                if error.is_connection_lost:
                    raise
                continue  # dropped meanwhile, or its tables do not fit together: no row can be changed through it
            for part in parse_statement(text, merge.schema, CATALOG).parts:
                if part in definitions:
                    merge_tables[part] = merge
    return merge_tables


def read_schemas(primary: Session) -> list[tuple[str, str, str]]:
    """Return name, charset and collation of each schema of the primary."""
    rows = primary.rows(
        "SELECT schema_name, default_character_set_name, default_collation_name FROM information_schema.schemata"
    )
    return [(str(name), str(charset), str(collation)) for name, charset, collation in rows]
