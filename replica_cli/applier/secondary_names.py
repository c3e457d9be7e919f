"""What the secondary calls the tables and schemas of the primary's statements, and which of them it has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replica_cli.mysql.catalog import read_table

if TYPE_CHECKING:
    from replica_cli.core.selection import Selection
    from replica_cli.core.table import TableDefinition, TableName
    from replica_cli.mysql.session import Session
    from replica_cli.sqlbuilder.statement import ParsedStatement


class SecondaryNames:
    """Asks the secondary on a session in which text is text. Names are the primary's, `targets` are the secondary's."""

    def __init__(self, catalog: Session, selection: Selection) -> None:
        self._catalog = catalog
        self._selection = selection

    def target(self, name: TableName) -> TableName | None:
        """Return what the secondary calls a table, None if the filters leave it out."""
        return self._selection.target(name)

    def targets(self, parsed: ParsedStatement) -> tuple[TableName, ...]:
        """Return what the secondary calls the tables of a statement."""
        return tuple(t for t in map(self._selection.target, parsed.tables) if t is not None)

    def selected(self, parsed: ParsedStatement) -> tuple[TableName, ...]:
        """Return the tables of a statement that the filters do not leave out."""
        return tuple(t for t in parsed.tables if self._selection.target(t) is not None)

    def schema(self, name: str) -> str:
        """Return what the secondary calls a schema; one outside the filters has its own name."""
        return self._selection.schema_target(name) or name

    def definition(self, name: TableName) -> TableDefinition | None:
        """Return the definition of the secondary's table, None if it is not there."""
        target = self._selection.target(name)
        return read_table(self._catalog, target) if target is not None else None

    def is_there(self, name: TableName) -> bool:
        """Say whether the secondary has a table."""
        return self.definition(name) is not None

    def are_there(self, targets: tuple[TableName, ...]) -> bool:
        """Say whether the secondary has all of some tables."""
        return all(read_table(self._catalog, t) is not None for t in targets)

    def has_schema(self, target: str) -> bool:
        """Say whether the secondary has a schema."""
        sql = "SELECT 1 FROM information_schema.schemata WHERE schema_name = %s"
        return self._catalog.row(sql, target) is not None
