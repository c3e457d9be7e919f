"""The secondary's table definitions as they are at the position being applied.

DDL is applied in stream order, so the secondary's own catalog is the schema of the moment: no history to keep.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from replica_cli.core.errors import Drift
from replica_cli.mysql.catalog import read_table

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

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

    def forget(self, targets: Collection[TableName] = ()) -> None:
        """Forget some tables, or all: they changed."""
        for target in alike(self._tables, targets):
            del self._tables[target]


def alike(known: Iterable[TableName], wanted: Collection[TableName]) -> set[TableName]:
    """Return those of the known names that are meant by the wanted ones, or all of them where none are wanted.

    A statement may spell a name as its server does not: capitals say nothing, better too many than one too few.
    """
    spelled = {str(name).lower() for name in wanted}
    return {name for name in known if not spelled or str(name).lower() in spelled}
