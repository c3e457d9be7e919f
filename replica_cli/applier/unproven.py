"""Renames of which the log does not tell whether they meant real tables or temporary ones of the same names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replica_cli.sqlbuilder.statement import StatementKind

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from replica_cli.core.table import TableName
    from replica_cli.sqlbuilder.statement import ParsedStatement


class UnprovenRenames:
    """Keeps the new names by the old ones, both the primary's, until a row or a statement proves a rename wrong."""

    def __init__(self) -> None:
        self._new_names: dict[TableName, TableName] = {}

    def __contains__(self, name: TableName) -> bool:
        """Say whether a RENAME TABLE took this name away, and may have meant a temporary table."""
        return name in self._new_names

    def add(self, new_names: Mapping[TableName, TableName]) -> None:
        """Take in renames: the new name of each table by its old one."""
        self._new_names.update(new_names)

    def with_new_names(self, names: Sequence[TableName]) -> tuple[TableName, ...]:
        """Return tables to copy again, each once, with the new names that unproven renames gave to them."""
        return tuple(dict.fromkeys((*names, *(self._new_names[n] for n in names if n in self._new_names))))

    def forget(self, name: TableName) -> None:
        """Forget the rename of a table: its copy is asked for."""
        self._new_names.pop(name, None)

    def follow(self, parsed: ParsedStatement) -> None:
        """Take in a statement that has run: a table has its old name again, or another name, or is dropped."""
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
