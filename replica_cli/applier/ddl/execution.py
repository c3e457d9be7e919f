"""Run the statements of the log on the secondary, each exactly once, even if the process is killed."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from replica_cli.applier.ddl.schema_statements import drop_tables
from replica_cli.checkpoint.intents import Intent, digest, transaction_position
from replica_cli.core.errors import ApplyRefused, StatementInDoubt, TableChangedInWindow
from replica_cli.logs import Tag, log
from replica_cli.mysql.catalog.table_definitions import read_table, show_create
from replica_cli.mysql.errnos import ServerError
from replica_cli.sqlbuilder.definitions.create_statements import without_counter
from replica_cli.sqlbuilder.identifiers import quote_table
from replica_cli.sqlbuilder.rows.chunks import source_of
from replica_cli.sqlbuilder.statements.clauses import without_dropped, without_execution_options
from replica_cli.sqlbuilder.statements.shown_text import shown
from replica_cli.sqlbuilder.statements.statement import StatementKind, without_start_transaction
from replica_cli.sqlbuilder.statements.swaps import renamed_in_a_circle, swaps_in_place
from replica_cli.sqlbuilder.storage_engines import EngineKind, kind_of

if TYPE_CHECKING:
    from replica_cli.applier.ddl.altered import AlteredTables
    from replica_cli.applier.ddl.decision import Decision
    from replica_cli.applier.ddl.refusals import Refusals
    from replica_cli.applier.ddl.schema_statements import SchemaStatements
    from replica_cli.applier.ddl.secondary_names import SecondaryNames
    from replica_cli.applier.ddl.statement_effects import StatementEffects
    from replica_cli.applier.ddl.statement_runner import StatementRunner
    from replica_cli.applier.ddl.statement_session import StatementSession
    from replica_cli.checkpoint.intents import IntentStore
    from replica_cli.checkpoint.uncompared import UncomparedStore
    from replica_cli.core.events import Statement, Transaction
    from replica_cli.core.table import TableDefinition, TableName
    from replica_cli.mysql.session import Session
    from replica_cli.sqlbuilder.statements.statement import ParsedStatement

logger = logging.getLogger(__name__)


class DdlExecution:
    """Runs statements on the session that holds the writer's lock: without the lock it cannot alter anything.

    `catalog` is another session, which returns text as `str`.
    """

    def __init__(
        self,
        session: Session,
        catalog: Session,
        intents: IntentStore,
        names: SecondaryNames,
        statement_session: StatementSession,
        *,
        runner: StatementRunner,
        refusals: Refusals,
        schemas: SchemaStatements,
        uncompared: UncomparedStore,
        effects: StatementEffects,
        altered: AlteredTables,
    ) -> None:
        self._session = session
        self._catalog = catalog
        self._intents = intents
        self._names = names
        self._statement_session = statement_session
        self._runner = runner
        self._refusals = refusals
        self._schemas = schemas
        self._uncompared = uncompared
        self._effects = effects
        self._altered = altered

    def apply(
        self,
        statement: Statement,
        parsed: ParsedStatement,
        transaction: Transaction,
        *,
        in_window: bool,
        is_replacing: bool = False,
    ) -> None:
        """Run a statement once, also if an earlier attempt was killed.

        `in_window`: a table of the statement is inside its replay window. `is_replacing`: the statement creates a
        table, and the secondary may have the former table of that name, which was quarantined; it is dropped first.

        The intent that this leaves is deleted with `IntentStore.forget_statement` in the transaction that saves the
        position. Raises ApplyRefused if the secondary refuses the statement, StatementInDoubt if it cannot be known
        whether it ran, TableChangedInWindow if another server may produce other rows from it.
        """
        targets = self._names.targets(parsed)
        if (
            in_window
            and parsed.kind is StatementKind.CREATE_TABLE
            and all(read_table(self._catalog, t) for t in targets)
        ):
            return
        is_new = parsed.kind is StatementKind.CREATE_TABLE and all(
            read_table(self._catalog, t) is None for t in targets
        )
        try:
            with self._runner.waiting_for(transaction_position(transaction)):
                self._apply(
                    statement, parsed, transaction, targets, is_new=is_new or is_replacing, is_replacing=is_replacing
                )
        except ApplyRefused as error:
            if not parsed.schema:
                raise
            self._schemas.pass_over(error, parsed, transaction)

    def empty_schema(
        self, statement: Statement, parsed: ParsedStatement, transaction: Transaction, gone: tuple[TableName, ...]
    ) -> Decision:
        """Drop tables and their schema, and create it again for a CREATE OR REPLACE: see `SchemaStatements.empty`."""
        return self._schemas.empty(parsed, transaction, gone, lambda created: self._run(statement, created, ()))

    def _apply(
        self,
        statement: Statement,
        parsed: ParsedStatement,
        transaction: Transaction,
        targets: tuple[TableName, ...],
        *,
        is_new: bool,
        is_replacing: bool,
    ) -> None:
        before = self._fingerprint(targets)
        earlier_intent = self._intents.left_of(statement, transaction)
        if earlier_intent is None:
            self._check_outcome(statement, parsed, transaction)
            intent = Intent(transaction_position(transaction), digest(statement), before, shown(parsed))
            self._intents.save(intent, self._names.selected(parsed))
        elif earlier_intent.before_hash != before and not (is_replacing or self._is_run_again(parsed, targets)):
            log(
                logger, logging.INFO, Tag.INFO, "finished before the restart: %s", shown(parsed),
                instance=self._session.server.name, position=transaction.start,
            )  # fmt: skip
            with self._refusals.translating(parsed, transaction):
                self._finish_drop(parsed, targets)
                self._keep_transactional(targets)
            self._uncompared.add(self._altered.to_store(parsed))
            self._altered.note(parsed, {})
            return
        elif doubtful := self._tables_in_doubt(parsed):
            reason = f"{parsed.kind}: it is not known whether it ran before the restart"
            raise StatementInDoubt(doubtful, reason)
        self._refusals.check_attempts(parsed, transaction)
        with self._refusals.translating(parsed, transaction, is_new=is_new):
            self._schemas.make_missing(parsed, transaction)
            if is_replacing:
                drop_tables(self._session, targets)
        self._uncompared.add(self._altered.to_store(parsed))
        former = self._definitions(parsed) if self._altered.has_definition(parsed) else {}
        with self._refusals.translating(parsed, transaction, is_new=is_new):
            self._run(statement, parsed, targets)
            self._keep_transactional(targets)
        self._altered.note(parsed, former)

    def _definitions(self, parsed: ParsedStatement) -> dict[TableName, TableDefinition | None]:
        """Return the secondary's definitions of a statement's tables, by the primary's names."""
        return {name: self._names.definition(name) for name in self._names.selected(parsed)}

    def _is_run_again(self, parsed: ParsedStatement, targets: tuple[TableName, ...]) -> bool:
        # CREATE OR REPLACE drops first: if the secondary refuses the rest of it, the definition has changed although it
        # did not run. A TRUNCATE may run twice, and leaves the definition as it is: if that has changed, somebody else
        # changed it.
        is_half_done = parsed.kind is StatementKind.CREATE_TABLE and not self._names.are_there(targets)
        return is_half_done or parsed.kind is StatementKind.TRUNCATE

    def _check_outcome(self, statement: Statement, parsed: ParsedStatement, transaction: Transaction) -> None:
        """Raise TableChangedInWindow for an ALTER TABLE that may give rows other values on another server."""
        target = self._names.target(parsed.references[0].name) if parsed.references else None
        if parsed.kind is not StatementKind.ALTER_TABLE or target is None:
            return
        before = read_table(self._catalog, target)
        if before is None:
            return
        rows = f"SELECT 1 FROM {source_of(replace(before, name=target))} WHERE {{}} LIMIT 1"
        confirmed = [
            doubt
            for doubt in self._statement_session.doubts(statement, parsed, before)
            if self._catalog.row(rows.format(doubt.condition)) is not None
        ]
        if confirmed:
            names = (*parsed.tables, *(name for doubt in confirmed for name in doubt.sequences))
            selected = tuple(n for n in dict.fromkeys(names) if self._names.target(n) is not None)
            reason = "; ".join(doubt.reason for doubt in confirmed)
            raise TableChangedInWindow(selected, f"{parsed.kind} at {transaction.start}: {reason}")

    def _run(self, statement: Statement, parsed: ParsedStatement, targets: tuple[TableName, ...]) -> None:
        schema = self._names.schema(statement.schema)
        plan = self._statement_session.of(statement, parsed, targets)
        text = self._text(statement, plan.parsed, targets)
        try:
            self._runner.run(
                plan, text, schema if schema and self._names.has_schema(schema) else "", shown(plan.parsed)
            )
        except ServerError as error:
            if not error.is_connection_lost:
                self._take_back(parsed, targets)
            raise

    def _take_back(self, parsed: ParsedStatement, targets: tuple[TableName, ...]) -> None:
        """Forget what was noted for a statement that the server refused.

        The intent is forgotten if the tables are as before the statement. If it stayed, a change that somebody makes to
        a table, so that the statement can run, would be taken for the statement's effect. If the tables have changed in
        spite of the error, the intent stays, and the next attempt completes the statement.
        """
        self._uncompared.forget(self._altered.stored_only_for(parsed))
        intent = self._intents.load()
        if intent is not None and intent.before_hash == self._fingerprint(targets):
            self._intents.forget()

    def _text(self, statement: Statement, parsed: ParsedStatement, targets: tuple[TableName, ...]) -> bytes:
        if parsed.kind is StatementKind.DROP_TABLE and (
            len(targets) != len(parsed.tables) or not self._names.are_there(targets)
        ):
            return ("DROP TABLE IF EXISTS " + ", ".join(map(quote_table, targets))).encode()
        if parsed.kind is StatementKind.CREATE_TABLE:
            parsed = without_start_transaction(parsed)
        if parsed.kind is StatementKind.ALTER_TABLE:
            parsed = without_execution_options(parsed)
            missing = self._effects.missing_constraints(parsed)
            remaining = without_dropped(parsed, missing.names) if missing.is_left_out else parsed
            if remaining is None:
                return b"DO 0"  # the copy left out what it drops
            parsed = remaining
        if parsed.kind is StatementKind.CREATE_SCHEMA:
            target = self._names.schema(parsed.schema)
            if self._names.has_schema(target):
                return b"DO 0"  # it was to be replaced, but holds objects that are not the primary's
        text = parsed.routed(self._names.schema)
        return text.encode(self._statement_session.codec(statement), "surrogateescape")

    def _fingerprint(self, targets: tuple[TableName, ...]) -> str:
        # Without the auto-increment counters: a row that somebody else inserts must not look like the effect of a
        # statement.
        parts = []
        for target in targets:
            exists = read_table(self._catalog, target) is not None
            text = without_counter(show_create(self._catalog, target)) if exists else ""
            parts.append(f"{target}\0{text}")
        return hashlib.sha256("\0\0".join(parts).encode("utf-8", "surrogateescape")).hexdigest()

    def _tables_in_doubt(self, parsed: ParsedStatement) -> tuple[TableName, ...]:
        """Return the tables whose definitions are the same whether the statement ran or not, by the primary's names."""
        circle = renamed_in_a_circle(parsed)
        is_same = bool(circle) and all(self._body(new) == self._body(old) for new, old in circle.items())
        names = tuple(circle) if is_same else parsed.tables if swaps_in_place(parsed) else ()
        return tuple(name for name in names if self._names.target(name) is not None)

    def _body(self, name: TableName) -> str:
        """Return the definition of the secondary's table without its name, or an empty string if it does not exist."""
        target = self._names.target(name)
        if target is None or read_table(self._catalog, target) is None:
            return ""
        return without_counter(show_create(self._catalog, target)).partition("(")[2]

    def _finish_drop(self, parsed: ParsedStatement, targets: tuple[TableName, ...]) -> None:
        # A killed DROP TABLE may have dropped some of its tables and not the others.
        if parsed.kind is StatementKind.DROP_TABLE:
            drop_tables(self._session, targets)

    def _keep_transactional(self, targets: tuple[TableName, ...]) -> None:
        """Convert tables to InnoDB if needed: rows and position commit together only in a transactional engine."""
        for target in targets:
            definition = read_table(self._catalog, target)
            if definition is not None and definition.engine and kind_of(definition.engine) is not EngineKind.KEPT:
                self._session.execute(f"ALTER TABLE {quote_table(target)} ENGINE=InnoDB")
                log(
                    logger, logging.WARNING, Tag.WARN, "engine %s is not transactional: converted to InnoDB",
                    definition.engine, instance=self._session.server.name, schema=target.schema, table=target.table,
                )  # fmt: skip
