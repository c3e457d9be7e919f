"""Tell of which tables a statement in the log may have changed rows or the definition."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replica_cli.sqlbuilder.session_context import ANSI_QUOTES, NO_BACKSLASH_ESCAPES
from replica_cli.sqlbuilder.statements.statement import StatementKind, parse_statement
from replica_cli.sqlbuilder.tokens import Dialect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from replica_cli.core.events import Statement
    from replica_cli.core.names import TableName
    from replica_cli.mysql.facts import ServerFacts
    from replica_cli.verify.tables import VerifiedTable

_WITHOUT_EFFECT = frozenset(
    {
        StatementKind.SAVEPOINT,
        StatementKind.WITHOUT_EFFECT,
        StatementKind.ALTER_SCHEMA,
        StatementKind.TEMPORARY_SEQUENCE,
    }
)
_OF_TABLES = frozenset(
    {StatementKind.CREATE_TABLE, StatementKind.ALTER_TABLE, StatementKind.DROP_TABLE, StatementKind.RENAME_TABLE,
     StatementKind.TRUNCATE, StatementKind.SEQUENCE}
)  # fmt: skip


class LoggedStatements:
    """Reads the statements of one log for some tables."""

    def __init__(self, tables: Iterable[VerifiedTable], facts: ServerFacts) -> None:
        """Take the tables, and the facts of the primary, which say how it reads a statement."""
        self._facts = facts
        # A statement about a table changes what is known of those whose rows change by foreign keys when its rows do.
        self._concerned: dict[TableName, set[TableName]] = {}
        for table in tables:
            for name in (table.name, *(each.name for each in table.cascades.tables)):
                self._concerned.setdefault(name, set()).add(table.name)

    def tables_of(self, statement: Statement) -> frozenset[TableName]:
        """Return those of the tables that a statement may have changed; all of them if it is not understood."""
        mode = statement.context.sql_mode or 0
        dialect = Dialect(
            is_mariadb=self._facts.is_mariadb,
            has_ansi_quotes=bool(mode & ANSI_QUOTES),
            has_backslash_escapes=not mode & NO_BACKSLASH_ESCAPES,
            folds_names=self._facts.lower_case_table_names > 0,
        )
        try:
            text = statement.text.decode()
        except UnicodeDecodeError:
            return self._concerned_by(lambda _: True)
        parsed = parse_statement(text, statement.schema, dialect)
        if parsed.kind in _WITHOUT_EFFECT or (parsed.kind is StatementKind.CREATE_SCHEMA and not parsed.is_or_replace):
            return frozenset()
        if parsed.kind in {StatementKind.CREATE_SCHEMA, StatementKind.DROP_SCHEMA}:
            return self._concerned_by(lambda name: name.schema.lower() == parsed.schema.lower())
        if parsed.kind not in _OF_TABLES:
            return self._concerned_by(lambda _: True)
        # A statement may spell a name otherwise than its server.
        named = {str(name).lower() for name in (*parsed.tables, *parsed.parts)}
        return self._concerned_by(lambda name: str(name).lower() in named)

    def _concerned_by(self, is_meant: Callable[[TableName], bool]) -> frozenset[TableName]:
        return frozenset().union(*(tables for name, tables in self._concerned.items() if is_meant(name)))
