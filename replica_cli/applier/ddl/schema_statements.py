"""Create, alter and drop schemas on the secondary, and go on if the secondary refuses that.

A schema of the secondary may also hold tables that the filters leave out, own views and routines, and tables whose copy
began after the statement. So the selected tables are dropped by name, and the schema only if nothing is left in it. A
schema only holds defaults for tables, so a refused statement on a schema stops the stream only if the user's policy is
to stop at each failure.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from replica_cli.applier.ddl.decision import Decision, Verdict
from replica_cli.checkpoint.intents import transaction_position
from replica_cli.core.errors import ApplyRefused, LockWait
from replica_cli.core.names import TableName
from replica_cli.logs import Tag, log
from replica_cli.sqlbuilder.identifiers import quote, quote_table
from replica_cli.sqlbuilder.statements.statement import StatementKind

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from replica_cli.applier.ddl.refusals import Refusals
    from replica_cli.applier.ddl.secondary_names import SecondaryNames
    from replica_cli.applier.ddl.statement_runner import StatementRunner
    from replica_cli.applier.ddl.statement_session import StatementSession
    from replica_cli.core.events import Transaction
    from replica_cli.core.selection import Selection
    from replica_cli.mysql.session import Session
    from replica_cli.sqlbuilder.statements.statement import ParsedStatement

logger = logging.getLogger(__name__)

_TABLES = "SELECT table_name FROM information_schema.tables WHERE table_schema = %s AND table_type <> 'VIEW'"
_OBJECTS = """SELECT table_name FROM information_schema.tables WHERE table_schema = %s
 UNION ALL SELECT routine_name FROM information_schema.routines WHERE routine_schema = %s
 UNION ALL SELECT event_name FROM information_schema.events WHERE event_schema = %s"""
_TABLES_PER_STATEMENT = 200


def empties_schema(parsed: ParsedStatement) -> bool:
    """Return True if a statement drops every table of a schema."""
    if parsed.kind is StatementKind.CREATE_SCHEMA:
        return parsed.is_or_replace
    return parsed.kind is StatementKind.DROP_SCHEMA


def selected_tables(catalog: Session, selection: Selection, schema: str) -> tuple[TableName, ...]:
    """Return the selected tables of a schema that the secondary has, by the primary's names. Raises ServerError."""
    target = selection.schema_target(schema)
    names = (TableName(schema, str(table)) for (table,) in catalog.rows(_TABLES, target))
    return tuple(name for name in names if selection.target(name) is not None)


def drop_tables(session: Session, targets: Sequence[TableName]) -> None:
    """Drop tables of the secondary, even if foreign keys refer to them. Raises ServerError."""
    session.execute("SET SESSION foreign_key_checks=0")
    for first in range(0, len(targets), _TABLES_PER_STATEMENT):
        names = targets[first : first + _TABLES_PER_STATEMENT]
        session.execute("DROP TABLE IF EXISTS " + ", ".join(map(quote_table, names)))
    session.execute("SET SESSION foreign_key_checks=1")


def drop_schema(session: Session, catalog: Session, schema: str, tables: Sequence[TableName]) -> list[str]:
    """Drop some tables of the secondary, and their schema if it is then empty.

    Return the names of the remaining objects. After a kill it can be called again and does the rest. Raises
    ServerError.
    """
    drop_tables(session, tables)
    remaining = [str(name) for (name,) in catalog.rows(_OBJECTS, schema, schema, schema)]
    if not remaining:
        session.execute(f"DROP DATABASE IF EXISTS {quote(schema)}")
    return remaining


def without_replace(parsed: ParsedStatement) -> ParsedStatement:
    """Return a CREATE OR REPLACE DATABASE without its OR REPLACE, which MySQL does not know."""
    indexes = [i for i, t in enumerate(parsed.tokens) if t.is_word("OR", "REPLACE")][:2]
    tokens = tuple(t._replace(text="") if i in indexes else t for i, t in enumerate(parsed.tokens))
    return replace(parsed, tokens=tokens)


class SchemaStatements:
    """Changes schemas on the session that holds the writer's lock.

    `catalog` is another session, which returns text as `str`. `stops_for` returns True
    for a table whose failure stops the stream, and for None if the failure of a table that is not known does.
    """

    def __init__(
        self,
        session: Session,
        catalog: Session,
        selection: Selection,
        names: SecondaryNames,
        statement_session: StatementSession,
        *,
        runner: StatementRunner,
        refusals: Refusals,
        stops_for: Callable[[TableName | None], bool],
    ) -> None:
        self._session = session
        self._catalog = catalog
        self._selection = selection
        self._names = names
        self._statement_session = statement_session
        self._runner = runner
        self._refusals = refusals
        self._stops_for = stops_for

    def empty(
        self,
        parsed: ParsedStatement,
        transaction: Transaction,
        gone: tuple[TableName, ...],
        create: Callable[[ParsedStatement], None],
    ) -> Decision:
        """Drop tables and their schema, and `create` the schema again for a CREATE OR REPLACE.

        After a kill this can run again. If the secondary refuses to drop tables, the decision that is returned names
        the tables that it still has, and the caller quarantines them. Raises LockWait as long as the statement may be
        tried again, ApplyRefused if a failure must stop the stream.
        """
        try:
            with (
                self._runner.waiting_for(transaction_position(transaction)),
                self._refusals.translating(parsed, transaction),
            ):
                self._empty(parsed, transaction, gone, create)
        except ApplyRefused as error:
            self._check_passable(error, gone)
            self._session.execute("SET SESSION foreign_key_checks=1")
            existing = set(selected_tables(self._catalog, self._selection, parsed.schema))
            remaining = tuple(name for name in gone if name in existing)
            outcome = "its tables are quarantined" if remaining else "it stays as it is"
            if parsed.kind is StatementKind.CREATE_SCHEMA and not self._names.has_schema(
                self._names.schema(parsed.schema)
            ):
                # The former schema is dropped. The new one is made as far as the secondary accepts it.
                self.pass_over(error, parsed, transaction)
            else:
                self._warn(error, parsed, transaction, outcome)
            return Decision(Verdict.QUARANTINE, error.message, remaining, frozenset(remaining))
        return Decision(Verdict.APPLY)

    def _check_passable(self, error: ApplyRefused, tables: Sequence[TableName]) -> None:
        """Raise the error if the statement may be tried again, or if a failure of its tables must stop the stream."""
        if any(map(self._stops_for, tables or (None,))) or (isinstance(error, LockWait) and not error.is_over):
            raise error

    def _warn(self, error: ApplyRefused, parsed: ParsedStatement, transaction: Transaction, outcome: str) -> None:
        log(
            logger, logging.WARNING, Tag.WARN, "%s; %s, and the stream goes on", error.message, outcome,
            instance=self._session.server.name, schema=parsed.schema, position=transaction.start,
        )  # fmt: skip

    def pass_over(self, error: ApplyRefused, parsed: ParsedStatement, transaction: Transaction) -> None:
        """Go on after a CREATE or ALTER DATABASE that the secondary refuses, with what it does accept of it.

        A schema only holds defaults for tables, and each CREATE TABLE carries the primary's defaults with it.
        """
        self._check_passable(error, ())
        target = self._names.schema(parsed.schema)
        outcome = "each CREATE TABLE still carries the primary's default charset"
        if not isinstance(error, LockWait):
            try:
                with (
                    self._runner.waiting_for(transaction_position(transaction)),
                    self._refusals.translating(parsed, transaction),
                ):
                    is_new = not self._names.has_schema(target)
                    self._session.execute_one(
                        self._statement_session.schema_statement(parsed.schema, target, is_new=is_new)
                    )
                outcome = (
                    "the schema gets the default charset nearest to the primary's, and nothing else of the statement"
                )
            except ApplyRefused:
                logger.debug("the schema's charset is refused too", exc_info=True)
        if not self._names.has_schema(target):
            outcome = "the schema is not made: the next CREATE TABLE in it tries again"
        self._warn(error, parsed, transaction, outcome)

    def _empty(
        self,
        parsed: ParsedStatement,
        transaction: Transaction,
        gone: tuple[TableName, ...],
        create: Callable[[ParsedStatement], None],
    ) -> None:
        self._refusals.check_attempts(parsed, transaction)
        schema = self._names.schema(parsed.schema)
        targets = tuple(t for t in map(self._names.target, gone) if t is not None)
        remaining = drop_schema(self._session, self._catalog, schema, targets) if self._names.has_schema(schema) else []
        if remaining:
            shown = ", ".join(remaining[:5]) + (" …" if len(remaining) > 5 else "")
            log(
                logger, logging.WARNING, Tag.WARN, "%s: the schema stays on the secondary, because it holds %d "
                "objects that are not the primary's or are being copied: %s", parsed.kind, len(remaining), shown,
                instance=self._session.server.name, schema=schema, position=transaction.start,
            )  # fmt: skip
        if parsed.kind is StatementKind.CREATE_SCHEMA:
            create(without_replace(parsed))

    def make_missing(self, parsed: ParsedStatement, transaction: Transaction) -> None:
        """Create the schemas that a statement needs and that the secondary does not have.

        The primary had no table in them when the copy was made, or when the filters began to select them.
        """
        names = {name.schema for name in self._names.selected(parsed)}
        if parsed.kind is StatementKind.ALTER_SCHEMA:
            names.add(parsed.schema)
        if parsed.kind is StatementKind.DROP_TABLE:
            return
        for name in sorted(names):
            target = self._names.schema(name)
            if not self._names.has_schema(target):
                self._session.execute_one(self._statement_session.schema_statement(name, target))
                log(
                    logger, logging.INFO, Tag.INFO, "the schema was missing and is made",
                    instance=self._session.server.name, schema=target, position=transaction.start,
                )  # fmt: skip
