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

    def get(self, target: TableName) -> TableDefinition:
        """Return a table's definition. Raises Drift where the secondary has no such table."""
        found = self._tables.get(target)
        if found is None:
            found = read_table(self._session, target)
            if found is None:
                raise Drift(f"{target} is missing on {self._session.server.name}")
            self._tables[target] = found
        return found

    def forget(self) -> None:
        """Forget everything: a table changed."""
        self._tables.clear()
