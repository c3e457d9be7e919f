"""The secondary's table definitions as they are at the position being applied.

DDL is applied in stream order, so the secondary's own catalog is the schema of the moment: no history to keep.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from replica_cli.core.errors import Drift
from replica_cli.core.table import TableName
from replica_cli.mysql.catalog import read_table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from replica_cli.core.table import TableDefinition
    from replica_cli.mysql.session import Row, Session


@dataclass(frozen=True, slots=True)
class ChildKey:
    """A foreign key seen from its parent: (child's column, parent's column) pairs; `updates`: ON UPDATE CASCADE."""

    child: TableName
    columns: tuple[tuple[str, str], ...]
    updates: bool


def _grouped(rows: list[Row]) -> Iterator[tuple[tuple[object, ...], list[Row]]]:
    for key, parts in groupby(rows, lambda row: (row[0], row[1], row[2], row[5])):
        yield key, list(parts)


class Definitions:
    """A cache over the catalog, by the secondary's names; forgotten at each DDL."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._tables: dict[TableName, TableDefinition] = {}
        self._children: dict[TableName, tuple[ChildKey, ...]] = {}

    def get(self, target: TableName) -> TableDefinition:
        """Return a table's definition. Raises Drift where the secondary has no such table."""
        found = self._tables.get(target)
        if found is None:
            found = read_table(self._session, target)
            if found is None:
                raise Drift(f"{target} is missing on {self._session.server.name}")
            self._tables[target] = found
        return found

    def children(self, target: TableName) -> tuple[ChildKey, ...]:
        """Return the foreign keys of any table that point to this one."""
        if target not in self._children:
            rows = self._session.rows(
                "SELECT k.table_schema, k.table_name, k.constraint_name, k.column_name, k.referenced_column_name,"
                " r.update_rule FROM information_schema.key_column_usage k"
                " JOIN information_schema.referential_constraints r ON r.constraint_schema = k.constraint_schema"
                " AND r.constraint_name = k.constraint_name AND r.table_name = k.table_name"
                " WHERE k.referenced_table_schema = %s AND k.referenced_table_name = %s"
                " ORDER BY k.table_schema, k.table_name, k.constraint_name, k.ordinal_position",
                target.schema,
                target.table,
            )
            self._children[target] = tuple(
                ChildKey(
                    TableName(str(schema), str(table)),
                    tuple((str(row[3]), str(row[4])) for row in parts),
                    updates=rule == "CASCADE",
                )
                for (schema, table, _, rule), parts in _grouped(rows)
            )
        return self._children[target]

    def forget(self) -> None:
        """Forget everything: a table changed, and others may refer to it."""
        self._tables.clear()
        self._children.clear()
