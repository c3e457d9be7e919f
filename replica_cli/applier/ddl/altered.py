"""Track tables that a statement of the stream defined and that are not yet compared with the primary's definition.

`DdlExecution` notes them, and `DefinitionCheck` (worker/definition_check.py) compares them and forgets them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from replica_cli.applier.ddl.unconfirmed_renames import UnconfirmedRenames, renames
from replica_cli.sqlbuilder.statements.statement import StatementKind
from replica_cli.sqlbuilder.tokens import Kind, solid

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from replica_cli.core.table import TableDefinition, TableName
    from replica_cli.sqlbuilder.statements.statement import ParsedStatement

_DEFINING = (StatementKind.CREATE_TABLE, StatementKind.ALTER_TABLE)


class AlteredTables:
    """The tables to compare, by the primary's names.

    Each has its former definition: the parts of the secondary's definition from before the first statement that no
    statement has defined again since. It is None if there was no table, or if the definition is not known.

    A worker has one object for all of its connections: what was not compared before an error is compared after it. The
    names are also stored on the secondary (`checkpoint/uncompared.py`), so that the next process compares what is left.
    """

    def __init__(self) -> None:
        self._before: dict[TableName, TableDefinition | None] = {}
        self._stored: set[TableName] = set()
        self.renames = UnconfirmedRenames()

    @property
    def before(self) -> Mapping[TableName, TableDefinition | None]:
        """Return the tables to compare, each with its former definition or None."""
        return self._before

    @staticmethod
    def has_definition(parsed: ParsedStatement) -> bool:
        """Return True if a statement creates a table or changes its definition."""
        return parsed.kind in _DEFINING

    def restore(self, names: Collection[TableName]) -> None:
        """Add the tables that an earlier process stored and did not compare. Their former definitions are not known.

        Names that this process has stored itself are left alone, because this process knows their state. One of them
        may have been forgotten because it differs and waits for its copy.
        """
        for name in frozenset(names) - self._stored:
            self._before.setdefault(name, None)
        self._stored.update(names)

    def doubt(self, name: TableName) -> None:
        """Add a table whose rows are written although the two definitions differ. The caller has stored its name."""
        self._before.setdefault(name, None)
        self._stored.add(name)

    def to_store(self, parsed: ParsedStatement) -> tuple[TableName, ...]:
        """Return the tables that must be compared after a statement. They are stored before the statement runs."""
        if parsed.kind is not StatementKind.RENAME_TABLE:
            return parsed.tables if parsed.kind in _DEFINING else ()
        tracked, names = set(self._before), []
        for old, new in renames(parsed):
            if old in tracked:
                tracked.remove(old)
                tracked.add(new)
                names.append(new)
        return tuple(names)

    def stored_only_for(self, parsed: ParsedStatement) -> tuple[TableName, ...]:
        """Return the tables that are stored for this statement only.

        The caller uses it if the statement did not run.
        """
        return tuple(name for name in self.to_store(parsed) if name not in self._stored)

    @property
    def settled(self) -> tuple[TableName, ...]:
        """Return the stored tables that need no comparison any more, and whose stored names can be deleted."""
        return tuple(self._stored.difference(self._before))

    def mark_not_stored(self, names: Collection[TableName]) -> None:
        """Note that the stored names of some tables were deleted."""
        self._stored.difference_update(names)

    def note(self, parsed: ParsedStatement, before: Mapping[TableName, TableDefinition | None]) -> None:
        """Note a statement that has run.

        `before` has the definitions of its tables before it ran, by the primary's names.

        A statement whose connection was lost, so that its outcome is not known, is not noted here. Its tables are
        stored, and `restore` adds them.
        """
        tables = parsed.tables
        self._stored.update(self.to_store(parsed))
        self.renames.follow(parsed)
        if parsed.kind in _DEFINING:
            for name in tables:
                # A table that gets its name from this statement (ALTER TABLE ... RENAME) was the statement's first
                # table before.
                former = self._before.get(tables[0], before.get(tables[0]))
                self._before[name] = _untouched(self._before.get(name, before.get(name) or former), parsed)
        elif parsed.kind is StatementKind.RENAME_TABLE:
            for old, new in renames(parsed):
                if old in self._before:
                    self._before[new] = self._before.pop(old)

    def forget(self, name: TableName) -> None:
        """Forget a table, because it was compared, dropped or copied."""
        self._before.pop(name, None)


def _untouched(table: TableDefinition | None, parsed: ParsedStatement) -> TableDefinition | None:
    """Return the parts of a definition that an ALTER TABLE leaves as they were.

    The columns that it defines again (MODIFY, CHANGE) are left out. If it names a charset or collation, all columns
    with a charset are left out too, and the table's collation. The statement defines these parts in the same way on
    both servers, so a difference before it does not matter any more.
    """
    if table is None or parsed.kind is not StatementKind.ALTER_TABLE:
        return table
    tokens = solid(parsed.tokens)
    redefined = set()
    for index, token in enumerate(tokens):
        if token.is_word("MODIFY", "CHANGE"):
            rest = [t for t in tokens[index + 1 : index + 6] if not t.is_word("COLUMN", "IF", "EXISTS")]
            redefined |= {t.name.lower() for t in rest[:2] if t.kind in (Kind.NAME, Kind.WORD)}
    columns = [c for c in table.columns if c.name.lower() not in redefined]
    if not any(t.is_word("CONVERT", "CHARSET", "CHARACTER", "COLLATE") for t in tokens):
        return replace(table, columns=tuple(columns))
    return replace(table, columns=tuple(c for c in columns if c.charset is None), collation="")
