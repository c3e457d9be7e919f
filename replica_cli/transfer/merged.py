"""Find tables whose rows the primary also changes through a MERGE table.

The log shows such a change as a change of the MERGE table only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from replica_cli.core.names import TableName
from replica_cli.mysql.catalog.table_definitions import show_create
from replica_cli.mysql.errnos import ServerError
from replica_cli.sqlbuilder.statements.statement import parse_statement
from replica_cli.sqlbuilder.tokens import CATALOG

if TYPE_CHECKING:
    from collections.abc import Mapping

    from replica_cli.core.table import TableDefinition
    from replica_cli.mysql.session import Session


def find_merged(primary: Session, definitions: Mapping[TableName, TableDefinition]) -> dict[TableName, TableName]:
    """Return the MERGE table of each table that is part of one; the MERGE table may be in any schema.

    Only MyISAM tables can be part of one. Without a MyISAM table no query is sent.

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
