"""Find orphan tables of the secondary, for example those that the primary dropped while no process read the log."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replica_cli.core.names import TableName

if TYPE_CHECKING:
    from collections.abc import Collection

    from replica_cli.core.selection import Selection
    from replica_cli.mysql.session import Session


def find_orphan_tables(
    secondary: Session, selection: Selection, schemas: Collection[str], names: Collection[TableName]
) -> list[TableName]:
    """Return the tables of the secondary that the selection covers and that are not among `names`.

    Only tables in `schemas`, or in a schema that the selection names, are returned. `schemas` and `names` are the
    primary's names, the results are the secondary's.
    """
    targets = {selection.schema_target(schema) for schema in (*schemas, *(source for source, _ in selection.schemas))}
    # The secondary may store names in lower case.
    known = {str(selection.target(name)).lower() for name in names}
    rows = secondary.rows(
        "SELECT table_schema, table_name FROM information_schema.tables"
        " WHERE table_type IN ('BASE TABLE', 'SYSTEM VERSIONED', 'SEQUENCE')"
    )
    candidates = (TableName(str(schema), str(table)) for schema, table in rows if str(schema) in targets)
    return sorted(t for t in candidates if str(t).lower() not in known and selection.source(t) is not None)
