"""Decide about each statement of the log: it is ignored, it runs, or its tables are quarantined."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from replica_cli.applier.ddl.decision import Decision, Verdict
from replica_cli.applier.ddl.schema_statements import empties_schema, selected_tables
from replica_cli.applier.window import Mode
from replica_cli.core.commands import passing_advice, table_options
from replica_cli.core.errors import ApplyRefused, TableChangedInWindow
from replica_cli.core.settings import DdlPolicy
from replica_cli.sqlbuilder.statements.shown_text import masked, shown
from replica_cli.sqlbuilder.statements.side_effects import makes_new_table, new_names, touches_only_server_tables
from replica_cli.sqlbuilder.statements.statement import ParsedStatement, StatementKind, holds_several, parse_statement

if TYPE_CHECKING:
    from replica_cli.applier.ddl.secondary_names import SecondaryNames
    from replica_cli.applier.ddl.statement_effects import StatementEffects
    from replica_cli.applier.ddl.statement_session import StatementSession
    from replica_cli.applier.window import Windows
    from replica_cli.checkpoint.intents import IntentStore
    from replica_cli.core.events import Statement, Transaction
    from replica_cli.core.selection import Selection
    from replica_cli.core.settings import Apply
    from replica_cli.core.table import TableName
    from replica_cli.mysql.session import Session


class DdlDecisions:
    """Parses statements and decides about each from its text, its tables' records, the filters and the user's policy.

    `catalog` is a session on the secondary that returns text as `str`. This class changes nothing on the secondary.
    """

    def __init__(
        self,
        catalog: Session,
        selection: Selection,
        names: SecondaryNames,
        intents: IntentStore,
        statement_session: StatementSession,
        *,
        effects: StatementEffects,
        apply: Apply,
    ) -> None:
        self._catalog = catalog
        self._instance = catalog.server.name
        self._selection = selection
        self._names = names
        self._intents = intents
        self._statement_session = statement_session
        self._effects = effects
        self._apply = apply

    def parse(self, statement: Statement) -> ParsedStatement:
        """Parse a statement's text as the primary read it: in its client's charset and under its sql_mode."""
        text = statement.text.decode(self._statement_session.codec(statement), "surrogateescape")
        parsed = parse_statement(text, statement.schema, self._statement_session.dialect(statement))
        if self._statement_session.is_ambiguous(statement, text):
            return replace(parsed, kind=StatementKind.UNKNOWN)
        return parsed

    def decide(
        self, statement: Statement, parsed: ParsedStatement, transaction: Transaction, windows: Windows
    ) -> Decision:
        """Return the decision about a statement.

        Raises ApplyRefused if its meaning is not known or if it must stop the stream, TableChangedInWindow if a table
        must be copied again.
        """
        if parsed.kind is StatementKind.WITHOUT_EFFECT:
            return Decision(Verdict.IGNORE, parsed.object_class)
        if parsed.kind is StatementKind.ROWS:
            return self._decide_rows(statement, parsed, transaction)
        if parsed.kind is StatementKind.UNKNOWN or holds_several(parsed):
            raise ApplyRefused(
                f"a statement that replica does not understand, at {transaction.start}: {masked(parsed)}",
                hint="run it on the secondary by hand, then `replica position reset --to FILE:POS` with the position "
                "after it",
            )
        if parsed.schema:
            return self._decide_schema(statement, parsed, transaction, windows)
        return self._decide_tables(statement, parsed, transaction, windows)

    def _decide_schema(
        self, statement: Statement, parsed: ParsedStatement, transaction: Transaction, windows: Windows
    ) -> Decision:
        """Return the decision about a statement on a schema. It names the tables that are dropped with the schema."""
        target = self._selection.schema_target(parsed.schema)
        if target is None:
            return Decision(Verdict.IGNORE, "schema outside the filters")
        if statement.error_code:
            raise ApplyRefused(
                f"{parsed.kind} failed on the primary with error {statement.error_code} after it had begun, at "
                f"{transaction.start}: {shown(parsed)}",
                hint="`replica drift check` shows what differs: correct the secondary, then "
                + passing_advice(self._instance, transaction.end),
            )
        tables: dict[TableName, Mode] = {}
        if empties_schema(parsed):
            existing = selected_tables(self._catalog, self._selection, parsed.schema)
            recorded = [n for n in windows.records if n.schema == parsed.schema]
            tables = {name: windows.mode(name, transaction) for name in (*existing, *recorded)}
        if copied := tuple(name for name, mode in tables.items() if mode is Mode.IDEMPOTENT):
            raise TableChangedInWindow(copied, f"{parsed.kind} while it was copied")
        # Tables whose copy began after the statement, or is not made yet, are left out: the copy has what the primary
        # has now.
        gone = tuple(name for name, mode in tables.items() if mode is not Mode.SKIPPED)
        if parsed.kind is StatementKind.CREATE_SCHEMA and not parsed.is_or_replace and self._names.has_schema(target):
            # CREATE DATABASE IF NOT EXISTS is logged each time that it runs, also if the schema exists.
            return Decision(Verdict.IGNORE, "schema that exists already")
        policy = self._apply.ddl_for(gone)
        if policy is DdlPolicy.STOP:
            raise self._stopped(parsed, transaction)
        if policy is DdlPolicy.QUARANTINE and gone:
            return Decision(Verdict.QUARANTINE, self._why_quarantined(parsed), gone, frozenset(gone))
        return Decision(Verdict.APPLY, tables=gone)

    def why_ignored_inside_xa(self, statement: Statement, transaction: Transaction, windows: Windows) -> str | None:
        """Return why a statement inside a prepared transaction is ignored, or None for a savepoint, which is kept.

        Raises ApplyRefused for a statement that would have to run.
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
        # A statement that names no selected table is refused too: it can reach one through a view, trigger, function or
        # foreign key.
        raise ApplyRefused(
            f"a change of rows was logged as a statement, at {transaction.start}: {masked(parsed)}",
            hint="set binlog_format=ROW on the primary, in open sessions too; then "
            f"{passing_advice(self._instance, transaction.end)}, and `replica transfer --table SCHEMA.TABLE` "
            "copies each replicated table that it changed, also by a view, trigger or function",
        )

    def _decide_tables(
        self, statement: Statement, parsed: ParsedStatement, transaction: Transaction, windows: Windows
    ) -> Decision:
        selected = self._names.selected(parsed)
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
        if are_live and self._intents.left_of(statement, transaction) is not None:
            # This statement was begun before, after a decision. The secondary may already show its effect, so it is not
            # judged again.
            return Decision(Verdict.APPLY)
        is_new = makes_new_table(parsed) or parsed.kind is not StatementKind.CREATE_TABLE
        if are_live and not is_new and self._names.are_there(self._names.targets(parsed)):
            # CREATE TABLE IF NOT EXISTS is logged each time that an application runs it, also if the table exists.
            return Decision(Verdict.IGNORE, "table that exists already")
        decision = self._effects.of_temporary(statement, parsed, selected, are_live=are_live)
        if decision is None and are_live:
            decision = self._by_policy(parsed, transaction, selected)
        return decision or self._decide_applied(statement, parsed, transaction, windows)

    def _with_quarantined(
        self,
        statement: Statement,
        parsed: ParsedStatement,
        transaction: Transaction,
        windows: Windows,
        selected: tuple[TableName, ...],
    ) -> Decision:
        # Tables that were quarantined at this same statement: it was tried before, and could not drop or create them.
        failed = [t for t in selected if windows.is_quarantined_at(t, transaction)]
        if parsed.kind is StatementKind.DROP_TABLE and not any(self._names.is_there(t) for t in failed):
            return Decision(Verdict.APPLY)
        may_replace = not failed and not windows.has_of_secondary(selected)
        if makes_new_table(parsed) and may_replace and self._apply.ddl_for(selected) is DdlPolicy.APPLY:
            # Rows of the former table that are missing on the secondary do not matter any more: all rows of the new
            # table are in the log.
            is_begun = self._intents.left_of(statement, transaction) is not None
            decision = (
                Decision(Verdict.APPLY) if is_begun else self._decide_applied(statement, parsed, transaction, windows)
            )
            return replace(decision, replaced=selected) if decision.verdict is Verdict.APPLY else decision
        merged = self._of_engine(parsed, transaction, windows) if parsed.parts else None
        gone = frozenset(selected) if parsed.kind is StatementKind.DROP_TABLE else parsed.lost_names
        # If this statement gives a name to a table of the primary, and the secondary has a table of that name already,
        # then that table is the secondary's own.
        taken = frozenset(n for n in new_names(parsed) if n not in windows.records and self._names.is_there(n))
        reason = f"{parsed.kind} together with a quarantined table"
        together = Decision(Verdict.QUARANTINE, reason, selected, gone, of_secondary=taken)
        return merged or together

    def _by_policy(
        self, parsed: ParsedStatement, transaction: Transaction, selected: tuple[TableName, ...]
    ) -> Decision | None:
        policy = self._apply.ddl_for(selected)
        if policy is DdlPolicy.STOP:
            raise self._stopped(parsed, transaction)
        if policy is DdlPolicy.QUARANTINE:
            reason = self._why_quarantined(parsed)
            is_drop = parsed.kind is StatementKind.DROP_TABLE
            return Decision(Verdict.QUARANTINE, reason, selected, frozenset(selected) if is_drop else parsed.lost_names)
        return None

    def _why_quarantined(self, parsed: ParsedStatement) -> str:
        is_general = self._apply.ddl is DdlPolicy.QUARANTINE
        return f"{parsed.kind}, and " + ("REPLICA_DDL=quarantine" if is_general else "a rule has `ddl: quarantine`")

    def _of_engine(self, parsed: ParsedStatement, transaction: Transaction, windows: Windows) -> Decision | None:
        decision = self._effects.of_engine(parsed)
        if decision is None:
            return None
        # A table that is re-copied while the stream runs is left out: its copy refuses such a table by itself.
        return replace(
            decision, tables=tuple(t for t in decision.tables if windows.mode(t, transaction) is not Mode.SKIPPED)
        )

    def _decide_applied(
        self, statement: Statement, parsed: ParsedStatement, transaction: Transaction, windows: Windows
    ) -> Decision:
        selected = self._names.selected(parsed)
        decision = self._of_engine(parsed, transaction, windows) or self._with_outside(parsed, transaction, windows)
        if decision is not None:
            return decision
        model = parsed.model
        if model is not None and windows.mode(model, transaction) is not Mode.STRICT:
            # The model was copied at another position, or is quarantined: its definition on the secondary may be
            # another one than the primary used.
            raise TableChangedInWindow(
                selected, f"{parsed.kind} like {model}, which may have another definition on the secondary"
            )
        if any(windows.mode(t, transaction) not in (Mode.STRICT, Mode.QUARANTINED) for t in selected):
            self._check_window(parsed, selected)
        self._check_names(parsed, selected, transaction)
        return self._effects.of_rows(statement, parsed, selected) or Decision(Verdict.APPLY)

    def _with_outside(self, parsed: ParsedStatement, transaction: Transaction, windows: Windows) -> Decision | None:
        """Return the decision about a statement that moves rows or a definition from or to a table outside the filters.

        Such a statement is part of an online schema change whose working tables the filters leave out. The rows or the
        definition of the other table are not on the secondary. So a selected table that exists after the statement, or
        that the primary has now, is copied again (TableChangedInWindow). A selected table that the primary does not
        have any more is quarantined, because its rows were not dropped. Returns None for any other statement.
        """
        if parsed.kind is StatementKind.DROP_TABLE:
            return None
        named = [n for n in (parsed.model, *parsed.parents) if n is not None]
        outside = next((n for n in (*parsed.tables, *named) if self._names.target(n) is None), None)
        if outside is None:
            return None
        selected = dict.fromkeys(t for t in parsed.tables if self._names.target(t) is not None)
        live = [t for t in selected if windows.mode(t, transaction) is not Mode.SKIPPED]
        reason = f"{parsed.kind} with {outside}, which is outside the filters"
        if remaining := tuple(t for t in live if t not in parsed.lost_names):
            raise TableChangedInWindow(remaining, f"{reason}, at {transaction.start}")
        if existing := self._effects.on_primary(live):
            # The table was created again, or was never gone: a RENAME TABLE may mean a temporary table of that name.
            raise TableChangedInWindow(
                existing, f"{reason}, at {transaction.start}, and the primary has such a table now"
            )
        reason += ": the primary has no table of this name any more"
        return Decision(Verdict.QUARANTINE, reason, tuple(live), frozenset(live))

    def _stopped(self, parsed: ParsedStatement, transaction: Transaction) -> ApplyRefused:
        # The error names no table, because the user asked for this stop. An error that names a table is handled as a
        # failure of that table: it is tried again, or the table is quarantined.
        return ApplyRefused(
            f"{parsed.kind} at {transaction.start}, and REPLICA_DDL=stop: {shown(parsed)}",
            hint=f"run it on {self._instance} by hand, then {passing_advice(self._instance, transaction.end)}",
        )

    def _check_names(self, parsed: ParsedStatement, selected: tuple[TableName, ...], transaction: Transaction) -> None:
        """Raise ApplyRefused if a statement may name a renamed schema where the parser does not look for schemas."""
        routed = sorted(n for n in parsed.possible_schemas if self._selection.schema_target(n) not in (None, n))
        if routed:
            raise ApplyRefused(
                f"{parsed.kind} at {transaction.start} names {', '.join(routed)} where replica cannot put "
                "the secondary's name: "
                f"{masked(parsed)}",
                hint=f"`replica transfer {table_options([selected[0]])}` copies the table again as it is now",
                table=selected[0],
            )

    def _check_window(self, parsed: ParsedStatement, selected: tuple[TableName, ...]) -> None:
        # A TRUNCATE may run again inside the replay window, because all later changes are in the log. A CREATE TABLE
        # has already run or runs now, and both are right. But CREATE OR REPLACE would remove rows that the copy may
        # have brought.
        is_create = parsed.kind is StatementKind.CREATE_TABLE and not parsed.is_or_replace
        if parsed.kind is StatementKind.TRUNCATE or is_create:
            return
        raise TableChangedInWindow(selected, f"{parsed.kind} while it was copied")
