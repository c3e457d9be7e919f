"""Tables of the secondary that would be replicated if the primary had them: dropped there while nothing was read."""

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
    """Return the secondary's tables in `schemas`, or in one that is selected by name, that are none of `names`.

    Both are what the primary calls them.
    """
    targets = {selection.schema_target(schema) for schema in (*schemas, *(source for source, _ in selection.schemas))}
    # The secondary may keep names in small letters.
    ours = {str(selection.target(name)).lower() for name in names}
    rows = secondary.rows(
        "SELECT table_schema, table_name FROM information_schema.tables"
        " WHERE table_type IN ('BASE TABLE', 'SYSTEM VERSIONED', 'SEQUENCE')"
    )
    found = (TableName(str(schema), str(table)) for schema, table in rows if str(schema) in targets)
    return sorted(t for t in found if str(t).lower() not in ours and selection.source(t) is not None)
