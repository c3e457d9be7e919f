"""Data definition in stream order: what is done about a statement, and doing it once."""

from __future__ import annotations

import contextlib
import hashlib
import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from replica_cli.applier.decision import Decision, Verdict
from replica_cli.applier.refusals import refusal
from replica_cli.applier.running import StatementRunner
from replica_cli.applier.schemas import drop_schema, empties_schema, selected_tables, without_replace
from replica_cli.applier.window import Mode, StatementInDoubt, TableChangedInWindow
from replica_cli.checkpoint.intents import Intent, is_same_place, place_of
from replica_cli.core.commands import shell_word, table_options
from replica_cli.core.errors import ApplyRefused, LockWait
from replica_cli.core.settings import DdlPolicy
from replica_cli.core.wording import counted
from replica_cli.logs import Tag, log
from replica_cli.mysql.catalog import read_table, show_create
from replica_cli.mysql.errnos import ER_LOCK_WAIT_TIMEOUT, Remedy, ServerError, is_of_table
from replica_cli.sqlbuilder.chunks import source_of
from replica_cli.sqlbuilder.clauses import without_dropped, without_way
from replica_cli.sqlbuilder.definition import without_counter
from replica_cli.sqlbuilder.effects import makes_new_table, new_names, touches_only_server_tables
from replica_cli.sqlbuilder.engines import EngineKind, kind_of
from replica_cli.sqlbuilder.identifiers import quote_table
from replica_cli.sqlbuilder.statement import (
    ParsedStatement,
    StatementKind,
    parse_statement,
    without_start_transaction,
)
from replica_cli.sqlbuilder.swaps import renamed_in_a_circle, swaps_in_place
from replica_cli.sqlbuilder.tokens import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from replica_cli.applier.altered import AlteredTables
    from replica_cli.applier.effects import StatementEffects
    from replica_cli.applier.lock_waits import LockPatience
    from replica_cli.applier.statement_session import StatementSession
    from replica_cli.applier.window import Windows
    from replica_cli.checkpoint.intents import IntentStore
    from replica_cli.checkpoint.uncompared import UncomparedStore
    from replica_cli.core.events import Statement, Transaction
    from replica_cli.core.selection import Selection
    from replica_cli.core.table import TableDefinition, TableName
    from replica_cli.mysql.session import Session

logger = logging.getLogger(__name__)


class DdlApplier:
    """Applies statements on the session that holds the lock: a connection that was fenced off cannot alter anything.

    `catalog` is another session, in which text is text.
    """

    def __init__(
        self,
        session: Session,
        catalog: Session,
        intents: IntentStore,
        selection: Selection,
        statement_session: StatementSession,
        *,
        uncompared: UncomparedStore,
        effects: StatementEffects,
        altered: AlteredTables,
        policy: DdlPolicy,
        patience: LockPatience,
        stops_at_failure: bool,
    ) -> None:
        self._session = session
        self._catalog = catalog
        self._intents = intents
        self._uncompared = uncompared
        self._selection = selection
        self._statement_session = statement_session
        self._effects = effects
        self._altered = altered
        self._policy = policy
        self._stops_at_failure = stops_at_failure
        self._runner = StatementRunner(session, patience)

    def parse(self, statement: Statement) -> ParsedStatement:
        """Read a statement's text as the primary read it: in its client's charset, under its sql_mode."""
        text = statement.text.decode(self._codec(statement), "surrogateescape")
        parsed = parse_statement(text, statement.schema, self._statement_session.dialect(statement))
        if self._statement_session.is_ambiguous(statement, text):
            return replace(parsed, kind=StatementKind.UNKNOWN)
        return parsed

    def decide(
        self, statement: Statement, parsed: ParsedStatement, transaction: Transaction, windows: Windows
    ) -> Decision:
        """Say what becomes of a statement.

        Raises ApplyRefused where it cannot be placed or must stop the stream, TableChangedInWindow where a table has
        to be copied anew.
        """
        if parsed.kind is StatementKind.WITHOUT_EFFECT:
            return Decision(Verdict.IGNORE, parsed.object_class)
        if parsed.kind is StatementKind.ROWS:
            return self._decide_rows(statement, parsed, transaction)
        if parsed.kind is StatementKind.UNKNOWN or _holds_several(parsed):
            raise ApplyRefused(
                f"a statement that cannot be placed, at {transaction.start}: {_masked(parsed)}",
                hint="run it on the secondary by hand, then `replica position reset --to FILE:POS` with its end",
            )
        if parsed.schema:
            return self._decide_schema(statement, parsed, transaction, windows)
        return self._decide_tables(statement, parsed, transaction, windows)

    def _decide_schema(
        self, statement: Statement, parsed: ParsedStatement, transaction: Transaction, windows: Windows
    ) -> Decision:
        """Say what becomes of a statement on a schema; the decision names the tables that go with it."""
        target = self._selection.schema_target(parsed.schema)
        if target is None:
            return Decision(Verdict.IGNORE, "schema outside the filters")
        if statement.error_code:
            raise ApplyRefused(
                f"{parsed.kind} failed on the primary with error {statement.error_code} after it had begun, at "
                f"{transaction.start}: {_shown(parsed)}",
                hint="`replica drift check` shows what differs: make it the same, then " + self._passing(transaction),
            )
        tables: dict[TableName, Mode] = {}
        if empties_schema(parsed):
            here = selected_tables(self._catalog, self._selection, parsed.schema)
            known = [n for n in windows.records if n.schema == parsed.schema]
            tables = {name: windows.mode(name, transaction) for name in (*here, *known)}
        if copied := tuple(name for name, mode in tables.items() if mode is Mode.IDEMPOTENT):
            raise TableChangedInWindow(copied, f"{parsed.kind} while it was copied")
        # A copy that began after the statement, or is still to come, has what the primary has now.
        gone = tuple(name for name, mode in tables.items() if mode is not Mode.SKIPPED)
        if parsed.kind is StatementKind.CREATE_SCHEMA and not parsed.replaces and self._has_schema(target):
            # CREATE DATABASE IF NOT EXISTS is logged each time that somebody says it.
            return Decision(Verdict.IGNORE, "schema that is there")
        if self._policy is DdlPolicy.STOP:
            raise self._stopped(parsed, transaction)
        if self._policy is DdlPolicy.QUARANTINE and gone:
            return Decision(Verdict.QUARANTINE, f"{parsed.kind}, and REPLICA_DDL=quarantine", gone, frozenset(gone))
        return Decision(Verdict.APPLY, tables=gone)

    def why_ignored_inside_xa(self, statement: Statement, transaction: Transaction, windows: Windows) -> str | None:
        """Say why a statement inside a prepared transaction is nothing to us, None for a savepoint, which is kept.

        Raises ApplyRefused for one that is something to us.
        """
        parsed = self.parse(statement)
        if parsed.kind is StatementKind.SAVEPOINT:
            return None
        decision = self.decide(statement, parsed, transaction, windows)
        if decision.verdict is not Verdict.IGNORE:
            raise ApplyRefused(f"{parsed.kind} inside an XA transaction", table=next(iter(parsed.tables), None))
        return decision.reason

    def _decide_rows(self, statement: Statement, parsed: ParsedStatement, transaction: Transaction) -> Decision:
        if touches_only_server_tables(parsed, statement.schema):
            return Decision(Verdict.IGNORE, "statement on the server's own tables")
        # Also one that names no table of ours: views, triggers, functions and foreign keys reach other tables.
        raise ApplyRefused(
            f"a change of rows was logged as a statement, at {transaction.start}: {_masked(parsed)}",
            hint="have rows logged (binlog_format=ROW, in open sessions too); then "
            f"{self._passing(transaction)}, and `replica transfer --table SCHEMA.TABLE` "
            "copies each replicated table that it changed, also by a view, trigger or function",
        )

    def _decide_tables(
        self, statement: Statement, parsed: ParsedStatement, transaction: Transaction, windows: Windows
    ) -> Decision:
        selected = tuple(t for t in parsed.tables if self._selection.target(t) is not None)
        modes = {windows.mode(t, transaction) for t in selected}
        if not selected:
            outside = Decision(Verdict.IGNORE, f"{parsed.kind} outside the filters")
            return self._of_engine(parsed, transaction, windows) or outside
        if modes == {Mode.SKIPPED}:
            return Decision(Verdict.IGNORE, "before the copy")
        self._effects.check_dropped(parsed, selected)
        if Mode.QUARANTINED in modes:
            return self._with_quarantined(statement, parsed, transaction, windows, selected)
        are_live = modes == {Mode.STRICT}
        if are_live and self._left_of(statement, transaction) is not None:
            # It was judged before it was begun; what is on the secondary now may be what it has done.
            return Decision(Verdict.APPLY)
        is_new = makes_new_table(parsed) or parsed.kind is not StatementKind.CREATE_TABLE
        if are_live and not is_new and self._are_there(self.targets(parsed)):
            # CREATE TABLE IF NOT EXISTS is logged each time that an application says it.
            return Decision(Verdict.IGNORE, "table that is there")
        found = self._effects.of_temporary(statement, parsed, selected, are_live=are_live)
        if found is None and are_live:
            found = self._by_policy(parsed, transaction, selected)
        return found or self._decide_applied(statement, parsed, transaction, windows)

    def _with_quarantined(
        self,
        statement: Statement,
        parsed: ParsedStatement,
        transaction: Transaction,
        windows: Windows,
        selected: tuple[TableName, ...],
    ) -> Decision:
        # A table that is set aside since this very statement could not be dropped, or made.
        stuck = [t for t in selected if windows.is_set_aside_at(t, transaction)]
        is_stuck = bool(stuck)
        if parsed.kind is StatementKind.DROP_TABLE and not any(self._is_there(t) for t in stuck):
            return Decision(Verdict.APPLY)
        may_replace = not is_stuck and not windows.has_of_secondary(selected)
        if makes_new_table(parsed) and may_replace and self._policy is DdlPolicy.APPLY:
            # The rows of the former table that are missing here do not matter any more: all of this one are in the log.
            is_begun = self._left_of(statement, transaction) is not None
            found = (
                Decision(Verdict.APPLY) if is_begun else self._decide_applied(statement, parsed, transaction, windows)
            )
            return replace(found, replaced=selected) if found.verdict is Verdict.APPLY else found
        merged = self._of_engine(parsed, transaction, windows) if parsed.parts else None
        gone = frozenset(selected) if parsed.kind is StatementKind.DROP_TABLE else parsed.gone
        # A name that the primary's table has only from here on is another one's here.
        taken = frozenset(n for n in new_names(parsed) if n not in windows.records and self._is_there(n))
        reason = f"{parsed.kind} together with a quarantined table"
        together = Decision(Verdict.QUARANTINE, reason, selected, gone, of_secondary=taken)
        return merged or together

    def _by_policy(
        self, parsed: ParsedStatement, transaction: Transaction, selected: tuple[TableName, ...]
    ) -> Decision | None:
        if self._policy is DdlPolicy.STOP:
            raise self._stopped(parsed, transaction)
        if self._policy is DdlPolicy.QUARANTINE:
            reason = f"{parsed.kind}, and REPLICA_DDL=quarantine"
            is_drop = parsed.kind is StatementKind.DROP_TABLE
            return Decision(Verdict.QUARANTINE, reason, selected, frozenset(selected) if is_drop else parsed.gone)
        return None

    def _of_engine(self, parsed: ParsedStatement, transaction: Transaction, windows: Windows) -> Decision | None:
        found = self._effects.of_engine(parsed)
        if found is None:
            return None
        # A table that is copied beside the stream is its copy's: that refuses such a table by itself.
        return replace(found, tables=tuple(t for t in found.tables if windows.mode(t, transaction) is not Mode.SKIPPED))

    def _decide_applied(
        self, statement: Statement, parsed: ParsedStatement, transaction: Transaction, windows: Windows
    ) -> Decision:
        selected = tuple(t for t in parsed.tables if self._selection.target(t) is not None)
        found = self._of_engine(parsed, transaction, windows) or self._with_outside(parsed, transaction, windows)
        if found is not None:
            return found
        model = parsed.model
        if model is not None and windows.mode(model, transaction) is not Mode.STRICT:
            # Copied at another moment, or set aside: the secondary's one need not be what the new one was made like.
            raise TableChangedInWindow(selected, f"{parsed.kind} like {model}, which is not of that moment here")
        if any(windows.mode(t, transaction) not in (Mode.STRICT, Mode.QUARANTINED) for t in selected):
            self._check_window(parsed, selected)
        self._check_names(parsed, selected, transaction)
        return self._effects.of_rows(statement, parsed, selected) or Decision(Verdict.APPLY)

    def _with_outside(self, parsed: ParsedStatement, transaction: Transaction, windows: Windows) -> Decision | None:
        """Say what becomes of a statement that takes rows or a definition from a table outside the filters, or to one.

        As an online schema change does whose tables are left out. A table that is there after it, or now, is copied
        again (TableChangedInWindow), as the rows or the definition of the other one are not here. A table that is gone
        is set aside: its rows were not dropped. Returns None for another statement.
        """
        if parsed.kind is StatementKind.DROP_TABLE:
            return None
        named = [n for n in (parsed.model, *parsed.parents) if n is not None]
        outside = next((n for n in (*parsed.tables, *named) if self._selection.target(n) is None), None)
        if outside is None:
            return None
        selected = dict.fromkeys(t for t in parsed.tables if self._selection.target(t) is not None)
        live = [t for t in selected if windows.mode(t, transaction) is not Mode.SKIPPED]
        reason = f"{parsed.kind} with {outside}, which is outside the filters"
        if stays := tuple(t for t in live if t not in parsed.gone):
            raise TableChangedInWindow(stays, f"{reason}, at {transaction.start}")
        if there := self._effects.on_primary(live):
            # Made again, or never gone: a RENAME TABLE may mean a temporary table of that name.
            raise TableChangedInWindow(there, f"{reason}, at {transaction.start}, and the primary has such a table now")
        reason += ": the primary has no table of this name any more"
        return Decision(Verdict.QUARANTINE, reason, tuple(live), frozenset(live))

    def _stopped(self, parsed: ParsedStatement, transaction: Transaction) -> ApplyRefused:
        # It names no table: this is what the user asked for, not a failure that goes away or sets a table aside.
        return ApplyRefused(
            f"{parsed.kind} at {transaction.start}, and REPLICA_DDL=stop: {_shown(parsed)}",
            hint=f"run it on {self._session.server.name} by hand, then {self._passing(transaction)}",
        )

    def _passing(self, transaction: Transaction) -> str:
        """Return what to type so that the stream goes on after a transaction."""
        name = shell_word(self._session.server.name)
        return f"`replica position reset --secondary {name} --to {transaction.end}` passes it over"

    def _check_names(self, parsed: ParsedStatement, selected: tuple[TableName, ...], transaction: Transaction) -> None:
        """Refuse a statement that may name a schema, which has another name here, where no schema is looked for."""
        routed = sorted(n for n in parsed.unplaced if self._selection.schema_target(n) not in (None, n))
        if routed:
            raise ApplyRefused(
                f"{parsed.kind} at {transaction.start} names {', '.join(routed)} where it cannot be routed: "
                f"{_masked(parsed)}",
                hint=f"`replica transfer {table_options([selected[0]])}` copies the table again as it is now",
                table=selected[0],
            )

    def _check_window(self, parsed: ParsedStatement, selected: tuple[TableName, ...]) -> None:
        # TRUNCATE replays in its place: all later changes are in the log. CREATE is done already, or not yet; but
        # CREATE OR REPLACE takes away rows that the copy may have brought.
        is_create = parsed.kind is StatementKind.CREATE_TABLE and not parsed.replaces
        if parsed.kind is StatementKind.TRUNCATE or is_create:
            return
        raise TableChangedInWindow(selected, f"{parsed.kind} while it was copied")

    def empty_schema(
        self, statement: Statement, parsed: ParsedStatement, transaction: Transaction, gone: tuple[TableName, ...]
    ) -> Decision:
        """Drop tables and their schema, and create it again for a CREATE OR REPLACE. After a kill it is done again.

        Return which tables are still there, as the secondary refuses to drop them: they are to be quarantined.
        Raises LockWait as long as it may be tried again, ApplyRefused if a failure is to stop the stream.
        """
        try:
            with self._runner.waiting_for(place_of(transaction)), self._refusing(parsed, transaction):
                self._empty_schema(statement, parsed, transaction, gone)
        except ApplyRefused as error:
            self._check_passable(error)
            self._session.execute("SET SESSION foreign_key_checks=1")
            left = set(selected_tables(self._catalog, self._selection, parsed.schema))
            kept = tuple(name for name in gone if name in left)
            self._warn_of_schema(
                error, parsed, transaction, "its tables are set aside" if kept else "it stays as it is"
            )
            return Decision(Verdict.QUARANTINE, error.message, kept, frozenset(kept))
        return Decision(Verdict.APPLY)

    def _check_passable(self, error: ApplyRefused) -> None:
        """Raise a schema's error if the statement may be tried again, or if a failure is to stop the stream."""
        if self._stops_at_failure or (isinstance(error, LockWait) and not error.is_over):
            raise error

    def _warn_of_schema(
        self, error: ApplyRefused, parsed: ParsedStatement, transaction: Transaction, outcome: str
    ) -> None:
        log(
            logger, logging.WARNING, Tag.WARN, "%s; %s, and the stream goes on", error.message, outcome,
            instance=self._session.server.name, schema=parsed.schema, position=transaction.start,
        )  # fmt: skip

    def _pass_over(self, error: ApplyRefused, parsed: ParsedStatement, transaction: Transaction) -> None:
        """Go on after a CREATE or ALTER DATABASE that the secondary refuses, with what can be had of it.

        A schema holds nothing but defaults for tables, and CREATE TABLE comes with those of the primary.
        """
        self._check_passable(error)
        target = self._selection.schema_target(parsed.schema) or parsed.schema
        outcome = "CREATE TABLE comes with the primary's default charset all the same"
        if not isinstance(error, LockWait):
            try:
                with self._runner.waiting_for(place_of(transaction)), self._refusing(parsed, transaction):
                    is_new = not self._has_schema(target)
                    self._session.execute_one(
                        self._statement_session.schema_statement(parsed.schema, target, is_new=is_new)
                    )
                outcome = "the schema has the nearest default to the primary's, and nothing else of the statement"
            except ApplyRefused:
                logger.debug("the schema's charset is refused too", exc_info=True)
        if not self._has_schema(target):
            outcome = "the schema is not made: the next CREATE TABLE in it tries again"
        self._warn_of_schema(error, parsed, transaction, outcome)

    def _empty_schema(
        self, statement: Statement, parsed: ParsedStatement, transaction: Transaction, gone: tuple[TableName, ...]
    ) -> None:
        self._check_attempts(parsed, transaction)
        schema = self._selection.schema_target(parsed.schema) or parsed.schema
        targets = tuple(t for t in map(self._selection.target, gone) if t is not None)
        left = drop_schema(self._session, self._catalog, schema, targets) if self._has_schema(schema) else []
        if left:
            shown = ", ".join(left[:5]) + (" …" if len(left) > 5 else "")
            log(
                logger, logging.WARNING, Tag.WARN, "%s: the schema stays on this side, as it holds %d objects that "
                "are not the primary's or are copied at this moment: %s", parsed.kind, len(left), shown,
                instance=self._session.server.name, schema=schema, position=transaction.start,
            )  # fmt: skip
        if parsed.kind is StatementKind.CREATE_SCHEMA:
            self._run(statement, without_replace(parsed), ())

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
        targets = self.targets(parsed)
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
            self._pass_over(error, parsed, transaction)

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
        left = self._left_of(statement, transaction)
        if left is None:
            self._check_outcome(statement, parsed, transaction)
            intent = Intent(place_of(transaction), _digest(statement), before, _shown(parsed))
            self._intents.save(intent)
        elif left.before_hash != before and not (is_replacing or self._is_run_again(parsed, targets)):
            log(
                logger, logging.INFO, Tag.INFO, "finished before the restart: %s", _shown(parsed),
                instance=self._session.server.name, position=transaction.start,
            )  # fmt: skip
            with self._refusing(parsed, transaction):
                self._finish_drop(parsed, targets)
                self._keep_transactional(targets)
            self._uncompared.add(self._altered.to_store(parsed))
            self._altered.note(parsed, {})
            return
        elif doubtful := self._tables_in_doubt(parsed):
            reason = f"{parsed.kind} is in doubt: nothing tells whether it ran before the restart"
            raise StatementInDoubt(doubtful, reason)
        self._check_attempts(parsed, transaction)
        with self._refusing(parsed, transaction, is_new=is_new):
            self._make_schemas(parsed, transaction)
            if is_replacing:
                self._drop(targets)
        self._uncompared.add(self._altered.to_store(parsed))
        defined = self._definitions(parsed) if self._altered.has_definition(parsed) else {}
        with self._refusing(parsed, transaction, is_new=is_new):
            self._run(statement, parsed, targets)
            self._keep_transactional(targets)
        self._altered.note(parsed, defined)

    def _make_schemas(self, parsed: ParsedStatement, transaction: Transaction) -> None:
        """Make the schemas that a statement makes or alters something in, and that the secondary does not have.

        The primary had them without a table when the copy was made, or when they came into the filters.
        """
        names = {name.schema for name in parsed.tables if self._selection.target(name) is not None}
        if parsed.kind is StatementKind.ALTER_SCHEMA:
            names.add(parsed.schema)
        if parsed.kind is StatementKind.DROP_TABLE:
            return
        for name in sorted(names):
            target = self._selection.schema_target(name) or name
            if not self._has_schema(target):
                self._session.execute_one(self._statement_session.schema_statement(name, target))
                log(
                    logger, logging.INFO, Tag.INFO, "the schema was missing and is made",
                    instance=self._session.server.name, schema=target, position=transaction.start,
                )  # fmt: skip

    @contextlib.contextmanager
    def _refusing(self, parsed: ParsedStatement, transaction: Transaction, *, is_new: bool = False) -> Iterator[None]:
        """Make a refusal of the secondary one of the statement's table: another one would end the stream for all."""
        try:
            yield
        except ServerError as error:
            is_ours = error.server == self._session.server.name
            if not is_ours or not (is_of_table(error) or error.remedy is Remedy.RETRY):
                raise
            # The server's own words may quote a row's values.
            logger.debug("%s", error.text)
            selected = [t for t in parsed.tables if self._selection.target(t) is not None]
            if error.remedy is Remedy.RETRY:
                raise self._interrupted(error, parsed, selected) from error
            hint = "mend the secondary so that it can run, or run it by hand; then " + self._passing(transaction)
            raise refusal(
                error, parsed, _shown(parsed), selected, is_new=is_new, has_other_names=self._has_other_names, hint=hint
            ) from error

    def _has_other_names(self, parsed: ParsedStatement) -> bool:
        """Say whether the secondary's table may have a constraint that a statement drops under another name."""
        missing = self._effects.missing_constraints(parsed)
        return bool(missing.names) and not missing.is_left_out

    def _interrupted(self, error: ServerError, parsed: ParsedStatement, selected: Sequence[TableName]) -> LockWait:
        is_lock = error.errno == ER_LOCK_WAIT_TIMEOUT
        what = "waits for a lock that another connection holds" if is_lock else "was interrupted"
        return LockWait(
            f"{parsed.kind} {what} on {error.server} (error {error.errno}): {_shown(parsed)}",
            hint="end the transaction or query that uses the table there, then start the stream again",
            table=next(iter(selected), None),
        )

    def _check_attempts(self, parsed: ParsedStatement, transaction: Transaction) -> None:
        """Raise LockWait if attempts that ended with their connections took as long as the statement may wait."""
        if attempts := self._runner.lost_attempts(place_of(transaction)):
            selected = [t for t in parsed.tables if self._selection.target(t) is not None]
            raise LockWait(
                f"{parsed.kind} lost its connection to {self._session.server.name} in {counted(attempts, 'attempt')}, "
                f"which took as long as a statement may wait for a lock: {_shown(parsed)}",
                hint="end the transaction or query that uses the table there, and let nothing between cut a connection "
                "on which nothing moves; then start the stream again",
                table=next(iter(selected), None),
            )

    def _definitions(self, parsed: ParsedStatement) -> dict[TableName, TableDefinition | None]:
        """Return the secondary's definitions of a statement's tables, by the primary's names."""
        targets = {name: self._selection.target(name) for name in parsed.tables}
        return {n: read_table(self._catalog, target) for n, target in targets.items() if target is not None}

    def _left_of(self, statement: Statement, transaction: Transaction) -> Intent | None:
        """Return the intent that an attempt to run this very statement left."""
        left = self._intents.load()
        if left is None or left.statement_hash != _digest(statement):
            return None
        return left if is_same_place(left.position, place_of(transaction)) else None

    def _is_run_again(self, parsed: ParsedStatement, targets: tuple[TableName, ...]) -> bool:
        # CREATE OR REPLACE drops first: a secondary that refuses the rest of it has changed all the same. A TRUNCATE
        # may be done twice, and another definition than before it may be somebody's own doing.
        is_half_done = parsed.kind is StatementKind.CREATE_TABLE and not self._are_there(targets)
        return is_half_done or parsed.kind is StatementKind.TRUNCATE

    def _check_outcome(self, statement: Statement, parsed: ParsedStatement, transaction: Transaction) -> None:
        """Raise TableChangedInWindow for an ALTER TABLE whose rows another server may not make the same."""
        target = self._selection.target(parsed.references[0].name) if parsed.references else None
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
            selected = tuple(n for n in dict.fromkeys(names) if self._selection.target(n) is not None)
            reason = "; ".join(doubt.reason for doubt in found)
            raise TableChangedInWindow(selected, f"{parsed.kind} at {transaction.start}: {reason}")

    def _run(self, statement: Statement, parsed: ParsedStatement, targets: tuple[TableName, ...]) -> None:
        schema = self._selection.schema_target(statement.schema) or statement.schema
        plan = self._statement_session.of(statement, parsed, targets)
        text = self._text(statement, plan.parsed, targets)
        try:
            self._runner.run(plan, text, schema if schema and self._has_schema(schema) else "", _shown(plan.parsed))
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
            len(targets) != len(parsed.tables) or not self._are_there(targets)
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
            target = self._selection.schema_target(parsed.schema) or parsed.schema
            if self._has_schema(target):
                return b"DO 0"  # replaced, and kept as it holds what is not the primary's
        text = parsed.routed(lambda schema: self._selection.schema_target(schema) or schema)
        return text.encode(self._codec(statement), "surrogateescape")

    def target(self, name: TableName) -> TableName | None:
        """Return what the secondary calls a table of the primary, None if the filters leave it out."""
        return self._selection.target(name)

    def targets(self, parsed: ParsedStatement) -> tuple[TableName, ...]:
        """Return what the secondary calls the statement's tables."""
        return tuple(t for t in map(self._selection.target, parsed.tables) if t is not None)

    def _is_there(self, name: TableName) -> bool:
        target = self._selection.target(name)
        return target is not None and read_table(self._catalog, target) is not None

    def _are_there(self, targets: tuple[TableName, ...]) -> bool:
        return all(read_table(self._catalog, t) is not None for t in targets)

    def _fingerprint(self, targets: tuple[TableName, ...]) -> str:
        # Without the counters: they change when somebody else inserts a row here, also if the statement did not run.
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
        return tuple(name for name in names if self._selection.target(name) is not None)

    def _body(self, name: TableName) -> str:
        """Return the definition of the secondary's table without its name, empty if it is not there."""
        target = self._selection.target(name)
        if target is None or read_table(self._catalog, target) is None:
            return ""
        return without_counter(show_create(self._catalog, target)).partition("(")[2]

    def _finish_drop(self, parsed: ParsedStatement, targets: tuple[TableName, ...]) -> None:
        # Some of several tables may be gone and others not.
        if parsed.kind is StatementKind.DROP_TABLE:
            self._drop(targets)

    def _drop(self, targets: tuple[TableName, ...]) -> None:
        self._session.execute("SET SESSION foreign_key_checks=0")
        self._session.execute("DROP TABLE IF EXISTS " + ", ".join(map(quote_table, targets)))
        self._session.execute("SET SESSION foreign_key_checks=1")

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

    def _has_schema(self, schema: str) -> bool:
        sql = "SELECT 1 FROM information_schema.schemata WHERE schema_name = %s"
        return self._catalog.row(sql, schema) is not None

    def _codec(self, statement: Statement) -> str:
        return self._statement_session.codec(statement)


def _digest(statement: Statement) -> str:
    return hashlib.sha256(statement.text).hexdigest()


def _holds_several(parsed: ParsedStatement) -> bool:
    # What a primary logs as one statement is one; the session that runs it would refuse more by a syntax error.
    solid = [t for t in parsed.tokens if not t.is_blank]
    return any(t.is_symbol(";") for t in solid[:-1])


def _masked(parsed: ParsedStatement) -> str:
    # Values of rows, and passwords, stay out of logs.
    hidden = (replace(t, text="?") if t.kind in (Kind.STRING, Kind.NUMBER) else t for t in parsed.tokens)
    return _shown(replace(parsed, tokens=tuple(hidden)))


def _shown(parsed: ParsedStatement) -> str:
    text = "".join(t.text for t in parsed.tokens).strip()
    text = text.encode("utf-8", "replace").decode()
    return text if len(text) <= 300 else text[:300] + " …"
