"""Carries a statement of the log out on the secondary, once, whatever happens to the process or the connection."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from replica_cli.applier.ddl_schemas import drop_tables
from replica_cli.applier.window import StatementInDoubt, TableChangedInWindow
from replica_cli.checkpoint.intents import Intent, digest, place_of
from replica_cli.core.errors import ApplyRefused
from replica_cli.logs import Tag, log
from replica_cli.mysql.catalog import read_table, show_create
from replica_cli.mysql.errnos import ServerError
from replica_cli.sqlbuilder.chunks import source_of
from replica_cli.sqlbuilder.clauses import without_dropped, without_way
from replica_cli.sqlbuilder.definition import without_counter
from replica_cli.sqlbuilder.engines import EngineKind, kind_of
from replica_cli.sqlbuilder.identifiers import quote_table
from replica_cli.sqlbuilder.showing import shown
from replica_cli.sqlbuilder.statement import StatementKind, without_start_transaction
from replica_cli.sqlbuilder.swaps import renamed_in_a_circle, swaps_in_place

if TYPE_CHECKING:
    from replica_cli.applier.altered import AlteredTables
    from replica_cli.applier.ddl_schemas import SchemaStatements
    from replica_cli.applier.decision import Decision
    from replica_cli.applier.effects import StatementEffects
    from replica_cli.applier.refusals import Refusals
    from replica_cli.applier.running import StatementRunner
    from replica_cli.applier.secondary_names import SecondaryNames
    from replica_cli.applier.statement_session import StatementSession
    from replica_cli.checkpoint.intents import IntentStore
    from replica_cli.checkpoint.uncompared import UncomparedStore
    from replica_cli.core.events import Statement, Transaction
    from replica_cli.core.table import TableDefinition, TableName
    from replica_cli.mysql.session import Session
    from replica_cli.sqlbuilder.statement import ParsedStatement

logger = logging.getLogger(__name__)


class DdlExecution:
    """Runs statements on the session that holds the lock: a connection that was fenced off cannot alter anything.

    `catalog` is another session, in which text is text.
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
        """Carry a statement out, once, whatever happened to the process that tried before.

        `is_replacing`: it makes a table, and one that is there is the former one of that name, which was quarantined.
        The intent that this leaves goes with `IntentStore.forget_statement` in the position's transaction.
        Raises ApplyRefused where the secondary refuses it, StatementInDoubt where nothing tells whether it ran,
        TableChangedInWindow where another server may make other rows of it.
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
            with self._runner.waiting_for(place_of(transaction)):
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
        left = self._intents.left_of(statement, transaction)
        if left is None:
            self._check_outcome(statement, parsed, transaction)
            intent = Intent(place_of(transaction), digest(statement), before, shown(parsed))
            self._intents.save(intent)
        elif left.before_hash != before and not (is_replacing or self._is_run_again(parsed, targets)):
            log(
                logger, logging.INFO, Tag.INFO, "finished before the restart: %s", shown(parsed),
                instance=self._session.server.name, position=transaction.start,
            )  # fmt: skip
            with self._refusals.raised(parsed, transaction):
                self._finish_drop(parsed, targets)
                self._keep_transactional(targets)
            self._uncompared.add(self._altered.to_store(parsed))
            self._altered.note(parsed, {})
            return
        elif doubtful := self._tables_in_doubt(parsed):
            reason = f"{parsed.kind} is in doubt: nothing tells whether it ran before the restart"
            raise StatementInDoubt(doubtful, reason)
        self._refusals.check_attempts(parsed, transaction)
        with self._refusals.raised(parsed, transaction, is_new=is_new):
            self._schemas.make_missing(parsed, transaction)
            if is_replacing:
                drop_tables(self._session, targets)
        self._uncompared.add(self._altered.to_store(parsed))
        defined = self._definitions(parsed) if self._altered.has_definition(parsed) else {}
        with self._refusals.raised(parsed, transaction, is_new=is_new):
            self._run(statement, parsed, targets)
            self._keep_transactional(targets)
        self._altered.note(parsed, defined)

    def _definitions(self, parsed: ParsedStatement) -> dict[TableName, TableDefinition | None]:
        """Return the secondary's definitions of a statement's tables, by the primary's names."""
        return {name: self._names.definition(name) for name in self._names.selected(parsed)}

    def _is_run_again(self, parsed: ParsedStatement, targets: tuple[TableName, ...]) -> bool:
        # CREATE OR REPLACE drops first: a secondary that refuses the rest of it has changed all the same. A TRUNCATE
        # may be done twice, and another definition than before it may be somebody's own doing.
        is_half_done = parsed.kind is StatementKind.CREATE_TABLE and not self._names.are_there(targets)
        return is_half_done or parsed.kind is StatementKind.TRUNCATE

    def _check_outcome(self, statement: Statement, parsed: ParsedStatement, transaction: Transaction) -> None:
        """Raise TableChangedInWindow for an ALTER TABLE whose rows another server may not make the same."""
        target = self._names.target(parsed.references[0].name) if parsed.references else None
        if parsed.kind is not StatementKind.ALTER_TABLE or target is None:
            return
        before = read_table(self._catalog, target)
        if before is None:
            return
        rows = f"SELECT 1 FROM {source_of(replace(before, name=target))} WHERE {{}} LIMIT 1"
        found = [
            doubt
            for doubt in self._statement_session.doubts(statement, parsed, before)
            if self._catalog.row(rows.format(doubt.condition)) is not None
        ]
        if found:
            names = (*parsed.tables, *(name for doubt in found for name in doubt.sequences))
            selected = tuple(n for n in dict.fromkeys(names) if self._names.target(n) is not None)
            reason = "; ".join(doubt.reason for doubt in found)
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
        """Forget what was noted for a statement that the server refused: the intent, if the tables are as before it.

        An intent that stayed would take what somebody does to a table, so that the statement can run, for its outcome.
        Where the tables are others in spite of the error, the next attempt ends what was done of it.
        """
        self._uncompared.forget(self._altered.stored_in_vain(parsed))
        left = self._intents.load()
        if left is not None and left.before_hash == self._fingerprint(targets):
            self._intents.forget()

    def _text(self, statement: Statement, parsed: ParsedStatement, targets: tuple[TableName, ...]) -> bytes:
        if parsed.kind is StatementKind.DROP_TABLE and (
            len(targets) != len(parsed.tables) or not self._names.are_there(targets)
        ):
            return ("DROP TABLE IF EXISTS " + ", ".join(map(quote_table, targets))).encode()
        if parsed.kind is StatementKind.CREATE_TABLE:
            parsed = without_start_transaction(parsed)
        if parsed.kind is StatementKind.ALTER_TABLE:
            parsed = without_way(parsed)
            missing = self._effects.missing_constraints(parsed)
            found = without_dropped(parsed, missing.names) if missing.is_left_out else parsed
            if found is None:
                return b"DO 0"  # the copy left out what it drops
            parsed = found
        if parsed.kind is StatementKind.CREATE_SCHEMA:
            target = self._names.schema(parsed.schema)
            if self._names.has_schema(target):
                return b"DO 0"  # replaced, and kept as it holds what is not the primary's
        text = parsed.routed(self._names.schema)
        return text.encode(self._statement_session.codec(statement), "surrogateescape")

    def _fingerprint(self, targets: tuple[TableName, ...]) -> str:
        # Without the counters: a row that somebody else inserts here is no sign that a statement ran.
        parts = []
        for target in targets:
            exists = read_table(self._catalog, target) is not None
            text = without_counter(show_create(self._catalog, target)) if exists else ""
            parts.append(f"{target}\0{text}")
        return hashlib.sha256("\0\0".join(parts).encode("utf-8", "surrogateescape")).hexdigest()

    def _tables_in_doubt(self, parsed: ParsedStatement) -> tuple[TableName, ...]:
        """Return the primary's names of the tables whose definitions are the same whether the statement ran or not."""
        circle = renamed_in_a_circle(parsed)
        is_same = bool(circle) and all(self._body(new) == self._body(old) for new, old in circle.items())
        names = tuple(circle) if is_same else parsed.tables if swaps_in_place(parsed) else ()
        return tuple(name for name in names if self._names.target(name) is not None)

    def _body(self, name: TableName) -> str:
        """Return the definition of the secondary's table without its name, empty if it is not there."""
        target = self._names.target(name)
        if target is None or read_table(self._catalog, target) is None:
            return ""
        return without_counter(show_create(self._catalog, target)).partition("(")[2]

    def _finish_drop(self, parsed: ParsedStatement, targets: tuple[TableName, ...]) -> None:
        # Some of several tables may be gone and others not.
        if parsed.kind is StatementKind.DROP_TABLE:
            drop_tables(self._session, targets)

    def _keep_transactional(self, targets: tuple[TableName, ...]) -> None:
        """Rows and position commit together only in a transactional engine."""
        for target in targets:
            definition = read_table(self._catalog, target)
            if definition is not None and definition.engine and kind_of(definition.engine) is not EngineKind.KEPT:
                self._session.execute(f"ALTER TABLE {quote_table(target)} ENGINE=InnoDB")
                log(
                    logger, logging.WARNING, Tag.WARN, "engine %s is not transactional, InnoDB takes its place here",
                    definition.engine, instance=self._session.server.name, schema=target.schema, table=target.table,
                )  # fmt: skip
