"""DROP DATABASE and CREATE OR REPLACE DATABASE on the secondary: the tables of the filters go, and nothing else.

A secondary may hold tables in the same schema that the filters leave out, views and routines of its own, and tables
whose copy began after the statement. So the tables are dropped by name, and the schema only if nothing is left in it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from replica_cli.core.table import TableName
from replica_cli.sqlbuilder.identifiers import quote, quote_table
from replica_cli.sqlbuilder.statement import StatementKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from replica_cli.core.selection import Selection
    from replica_cli.mysql.session import Session
    from replica_cli.sqlbuilder.statement import ParsedStatement

_TABLES = "SELECT table_name FROM information_schema.tables WHERE table_schema = %s AND table_type <> 'VIEW'"
_OBJECTS = """SELECT table_name FROM information_schema.tables WHERE table_schema = %s
 UNION ALL SELECT routine_name FROM information_schema.routines WHERE routine_schema = %s
 UNION ALL SELECT event_name FROM information_schema.events WHERE event_schema = %s"""
_TABLES_A_STATEMENT = 200


def empties_schema(parsed: ParsedStatement) -> bool:
    """Return True if every table of a schema is gone after the statement."""
    return parsed.kind is StatementKind.DROP_SCHEMA or (parsed.kind is StatementKind.CREATE_SCHEMA and parsed.replaces)


def selected_tables(catalog: Session, selection: Selection, schema: str) -> tuple[TableName, ...]:
    """Return the primary's names of the tables that the secondary has of a schema. Raises ServerError."""
    target = selection.schema_target(schema)
    names = (TableName(schema, str(table)) for (table,) in catalog.rows(_TABLES, target))
    return tuple(name for name in names if selection.target(name) is not None)


def drop_schema(session: Session, catalog: Session, schema: str, tables: Sequence[TableName]) -> list[str]:
    """Drop some tables of the secondary, and their schema if nothing else is in it; return the names of what is left.

    Doing it again, after a kill, does what is left to do. Raises ServerError.
    """
    session.execute("SET SESSION foreign_key_checks=0")
    for first in range(0, len(tables), _TABLES_A_STATEMENT):
        names = tables[first : first + _TABLES_A_STATEMENT]
        session.execute("DROP TABLE IF EXISTS " + ", ".join(map(quote_table, names)))
    left = [str(name) for (name,) in catalog.rows(_OBJECTS, schema, schema, schema)]
    if not left:
        session.execute(f"DROP DATABASE IF EXISTS {quote(schema)}")
    session.execute("SET SESSION foreign_key_checks=1")
    return left


def without_replace(parsed: ParsedStatement) -> ParsedStatement:
    """Return a CREATE OR REPLACE DATABASE without its OR REPLACE, which MySQL does not know."""
    places = [i for i, t in enumerate(parsed.tokens) if t.is_word("OR", "REPLACE")][:2]
    tokens = tuple(replace(t, text="") if i in places else t for i, t in enumerate(parsed.tokens))
    return replace(parsed, tokens=tokens)
