"""Find out if a secondary's tables hold rows: then a first copy refuses, and only a requested copy replaces them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replica_cli.core.names import TableName
from replica_cli.core.selection import SYSTEM_SCHEMAS
from replica_cli.mysql.tables_with_rows import have_rows
from replica_cli.sqlbuilder.identifiers import quote_table

if TYPE_CHECKING:
    from replica_cli.core.settings import Settings
    from replica_cli.mysql.session import Session

_TABLES = """SELECT table_schema, table_name FROM information_schema.tables
 WHERE table_type IN ('BASE TABLE', 'SYSTEM VERSIONED') ORDER BY table_rows DESC"""


def has_rows(session: Session, settings: Settings) -> bool:
    """Return True if a table of a schema that the filters copy to holds a row on the secondary. Raises ServerError."""
    selection = settings.selection
    for schema, table in session.rows(_TABLES):
        name = TableName(str(schema), str(table))
        is_internal = name.schema.lower() in SYSTEM_SCHEMAS or name.schema == settings.state_schema
        if is_internal or not selection.is_target_schema(name.schema):
            continue
        if have_rows(session, [f"SELECT 1 FROM {quote_table(name)} LIMIT 1"]) == [True]:
            return True
    return False
