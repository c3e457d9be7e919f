"""The secondary's table definitions as they are at the position being applied.

DDL is applied in stream order, so the secondary's own catalog is the schema of the moment: no history to keep.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from replica_cli.core.errors import Drift
from replica_cli.mysql.catalog import read_table

if TYPE_CHECKING:
    from replica_cli.core.table import TableDefinition, TableName
    from replica_cli.mysql.session import Session


class Definitions:
    """A cache over the catalog, by the secondary's names; forgotten at each DDL."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._tables: dict[TableName, TableDefinition] = {}
        self._referenced: dict[TableName, frozenset[str]] = {}

    def get(self, target: TableName) -> TableDefinition:
        """Return a table's definition. Raises Drift where the secondary has no such table."""
        found = self._tables.get(target)
        if found is None:
            found = read_table(self._session, target)
            if found is None:
                raise Drift(
                    f"{target} is missing on {self._session.server.name}",
                    hint=f"`replica transfer --table {target}` copies it anew",
                )
            self._tables[target] = found
        return found

    def referenced_columns(self, target: TableName) -> frozenset[str]:
        """Return the columns of a table that foreign keys of any table point to."""
        if target not in self._referenced:
            rows = self._session.rows(
                "SELECT DISTINCT referenced_column_name FROM information_schema.key_column_usage "
                "WHERE referenced_table_schema = %s AND referenced_table_name = %s",
                target.schema,
                target.table,
            )
            self._referenced[target] = frozenset(str(row[0]) for row in rows)
        return self._referenced[target]

    def forget(self) -> None:
        """Forget everything: a table changed, and others may refer to it."""
        self._tables.clear()
        self._referenced.clear()
