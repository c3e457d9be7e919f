"""Tables whose definition a statement of the stream made, and that are not yet compared with the primary's."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from replica_cli.applier.unproven import UnprovenRenames, renames
from replica_cli.sqlbuilder.statement import StatementKind
from replica_cli.sqlbuilder.tokens import Kind, solid

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from replica_cli.core.table import TableDefinition, TableName
    from replica_cli.sqlbuilder.statement import ParsedStatement

_DEFINING = (StatementKind.CREATE_TABLE, StatementKind.ALTER_TABLE)


class AlteredTables:
    """Keeps them by the primary's names, with what the secondary's table was before the first statement, None for none.

    A worker has one for all of its connections: what was not compared before an error is compared after it. The names
    are stored too (`checkpoint/uncompared.py`), for the process after this one.
    """

    def __init__(self) -> None:
        self._before: dict[TableName, TableDefinition | None] = {}
        self._stored: set[TableName] = set()
        self.renames = UnprovenRenames()

    @property
    def before(self) -> Mapping[TableName, TableDefinition | None]:
        """Return the tables with what they were before."""
        return self._before

    @staticmethod
    def has_definition(parsed: ParsedStatement) -> bool:
        """Say whether a statement makes or changes what a table is."""
        return parsed.kind in _DEFINING

    def restore(self, names: Collection[TableName]) -> None:
        """Take in what another process had not compared when it ended: what the tables were before is not known.

        What this process has stored itself it knows better: a table that it found to differ waits for its copy.
        """
        for name in frozenset(names) - self._stored:
            self._before.setdefault(name, None)
        self._stored.update(names)

    def doubt(self, name: TableName) -> None:
        """Take in a table whose rows are written although the two definitions differ, which is stored before that."""
        self._before.setdefault(name, None)
        self._stored.add(name)

    def to_store(self, parsed: ParsedStatement) -> tuple[TableName, ...]:
        """Return the tables that are to be compared behind a statement, which are stored before it runs."""
        if parsed.kind is not StatementKind.RENAME_TABLE:
            return parsed.tables if parsed.kind in _DEFINING else ()
        known, names = set(self._before), []
        for old, new in renames(parsed):
            if old in known:
                known.remove(old)
                known.add(new)
                names.append(new)
        return tuple(names)

    def stored_in_vain(self, parsed: ParsedStatement) -> tuple[TableName, ...]:
        """Return the tables that were stored for a statement that did not run, and for no other one."""
        return tuple(name for name in self.to_store(parsed) if name not in self._stored)

    @property
    def settled(self) -> tuple[TableName, ...]:
        """Return the stored tables that need no comparison any more, until they are forgotten in the store too."""
        return tuple(self._stored.difference(self._before))

    def not_stored(self, names: Collection[TableName]) -> None:
        """Take in that tables are stored no longer."""
        self._stored.difference_update(names)

    def note(self, parsed: ParsedStatement, before: Mapping[TableName, TableDefinition | None]) -> None:
        """Take in a statement that has run; `before` are its tables as they were, by the primary's names.

        What was stored for a statement that nothing tells the outcome of, as its connection was lost, is not taken in:
        `restore` does that.
        """
        tables = parsed.tables
        self._stored.update(self.to_store(parsed))
        self.renames.follow(parsed)
        if parsed.kind in _DEFINING:
            for name in tables:
                # What has its name from this statement was the first table before it.
                former = self._before.get(tables[0], before.get(tables[0]))
                self._before[name] = _untouched(self._before.get(name, before.get(name) or former), parsed)
        elif parsed.kind is StatementKind.RENAME_TABLE:
            for old, new in renames(parsed):
                if old in self._before:
                    self._before[new] = self._before.pop(old)

    def forget(self, name: TableName) -> None:
        """Forget a table: it was compared, or is gone, or is copied."""
        self._before.pop(name, None)


def _untouched(table: TableDefinition | None, parsed: ParsedStatement) -> TableDefinition | None:
    """Return what a statement left as it was: without the columns that it defines again, and without text it converts.

    What a statement defines is the same on both sides behind it, whatever it was before.
    """
    if table is None or parsed.kind is not StatementKind.ALTER_TABLE:
        return table
    tokens = solid(parsed.tokens)
    redefined = set()
    for place, token in enumerate(tokens):
        if token.is_word("MODIFY", "CHANGE"):
            rest = [t for t in tokens[place + 1 : place + 6] if not t.is_word("COLUMN", "IF", "EXISTS")]
            redefined |= {t.name.lower() for t in rest[:2] if t.kind in (Kind.NAME, Kind.WORD)}
    columns = [c for c in table.columns if c.name.lower() not in redefined]
    if not any(t.is_word("CONVERT", "CHARSET", "CHARACTER", "COLLATE") for t in tokens):
        return replace(table, columns=tuple(columns))
    return replace(table, columns=tuple(c for c in columns if c.charset is None), collation="")
