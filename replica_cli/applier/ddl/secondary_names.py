"""Maps the tables and schemas of the primary's statements to the secondary's names, and reads which of them exist.

The DDL part of the applier uses it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from replica_cli.mysql.catalog.table_definitions import read_table

if TYPE_CHECKING:
    from replica_cli.core.selection import Selection
    from replica_cli.core.table import TableDefinition, TableName
    from replica_cli.mysql.session import Session
    from replica_cli.sqlbuilder.statements.statement import ParsedStatement


class SecondaryNames:
    """The secondary's names, by the selection and the secondary's catalog.

    `catalog` is a session whose character set is utf8mb4. A `name` is the primary's, a `target` is the secondary's.
    """

    def __init__(self, catalog: Session, selection: Selection) -> None:
        self._catalog = catalog
        self._selection = selection

    def target(self, name: TableName) -> TableName | None:
        """Return the secondary's name of a table, None if the filters leave it out."""
        return self._selection.target(name)

    def targets(self, parsed: ParsedStatement) -> tuple[TableName, ...]:
        """Return the secondary's names of the tables of a statement, without those that the filters leave out."""
        return tuple(t for t in map(self._selection.target, parsed.tables) if t is not None)

    def selected(self, parsed: ParsedStatement) -> tuple[TableName, ...]:
        """Return the tables of a statement that are in the selection, by the primary's names."""
        return tuple(t for t in parsed.tables if self._selection.target(t) is not None)

    def schema(self, name: str) -> str:
        """Return the secondary's name of a schema; a schema outside the selection keeps its name."""
        return self._selection.schema_target(name) or name

    def definition(self, name: TableName) -> TableDefinition | None:
        """Return the secondary's definition of a table, None if the secondary does not have it."""
        target = self._selection.target(name)
        return read_table(self._catalog, target) if target is not None else None

    def is_there(self, name: TableName) -> bool:
        """Return True if the secondary has a table."""
        return self.definition(name) is not None

    def are_there(self, targets: tuple[TableName, ...]) -> bool:
        """Return True if the secondary has all of these tables."""
        return all(read_table(self._catalog, t) is not None for t in targets)

    def has_schema(self, target: str) -> bool:
        """Return True if the secondary has a schema."""
        sql = "SELECT 1 FROM information_schema.schemata WHERE schema_name = %s"
        return self._catalog.row(sql, target) is not None
