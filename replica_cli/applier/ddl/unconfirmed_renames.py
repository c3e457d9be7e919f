"""Keeps renames that may have meant temporary tables: the log does not show whether they meant real tables.

`StatementEffects`, `AlteredTables` and the worker use it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from replica_cli.sqlbuilder.statements.statement import StatementKind

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from replica_cli.core.table import TableName
    from replica_cli.sqlbuilder.statements.statement import ParsedStatement


class UnconfirmedRenames:
    """The new names by the old names, both the primary's, until a row or a statement proves a rename wrong.

    A row or a DROP TABLE of the old name proves it: the real table was not renamed.
    """

    def __init__(self) -> None:
        self._new_names: dict[TableName, TableName] = {}

    def __contains__(self, name: TableName) -> bool:
        """Return True if a RENAME TABLE renamed this table, and may have meant a temporary one."""
        return name in self._new_names

    def add(self, new_names: Mapping[TableName, TableName]) -> None:
        """Add renames: the new name of each table by its old name."""
        self._new_names.update(new_names)

    def with_new_names(self, names: Sequence[TableName]) -> tuple[TableName, ...]:
        """Return tables to copy again, each once, together with the new names that unproven renames gave to them."""
        return tuple(dict.fromkeys((*names, *(self._new_names[n] for n in names if n in self._new_names))))

    def forget(self, name: TableName) -> None:
        """Forget the rename of a table, because it is going to be copied."""
        self._new_names.pop(name, None)

    def follow(self, parsed: ParsedStatement) -> None:
        """Update the renames after a statement has run: it may make a table of an old name, or drop or rename one."""
        if parsed.kind is StatementKind.CREATE_TABLE:
            for name in parsed.tables:
                self._new_names.pop(name, None)
        elif parsed.kind is StatementKind.DROP_TABLE:
            self._new_names = {old: new for old, new in self._new_names.items() if new not in parsed.tables}
        elif parsed.kind is StatementKind.RENAME_TABLE:
            for before, after in renames(parsed):
                self._new_names.pop(after, None)
                self._new_names = {old: after if new == before else new for old, new in self._new_names.items()}


def renames(parsed: ParsedStatement) -> Iterator[tuple[TableName, TableName]]:
    """Return the old and the new name of each table of a RENAME TABLE, in its order."""
    return zip(parsed.tables[::2], parsed.tables[1::2], strict=False)
