"""Apply one statement of the log: decide about it, run it, and forget what was known of its tables."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from replica_cli.applier.ddl.decision import Verdict
from replica_cli.applier.ddl.schema_statements import empties_schema
from replica_cli.applier.quarantine import end_quarantines, quarantine_tables
from replica_cli.applier.window import Mode
from replica_cli.core.errors import ApplyRefused
from replica_cli.core.events import Statement
from replica_cli.logs import Tag, log
from replica_cli.sqlbuilder.statements.side_effects import changes_references
from replica_cli.sqlbuilder.statements.statement import StatementKind, savepoint_statement

if TYPE_CHECKING:
    from collections.abc import Sequence

    from replica_cli.applier.commit_tracker import BatchStats
    from replica_cli.applier.ddl.decision import Decision
    from replica_cli.applier.ddl.decisions import DdlDecisions
    from replica_cli.applier.ddl.execution import DdlExecution
    from replica_cli.applier.ddl.open_intent import OpenIntent
    from replica_cli.applier.ddl.secondary_names import SecondaryNames
    from replica_cli.applier.engines.definitions import Definitions
    from replica_cli.applier.engines.step_builder import Engines
    from replica_cli.applier.window import Windows
    from replica_cli.applier.writer import Writer
    from replica_cli.checkpoint.stores import CommitPosition
    from replica_cli.checkpoint.table_lifecycle import TableLifecycle
    from replica_cli.core.events import RowEvent, Transaction
    from replica_cli.core.table import TableName
    from replica_cli.mysql.session import Session
    from replica_cli.sqlbuilder.statements.statement import ParsedStatement

logger = logging.getLogger(__name__)


class StatementApplier:
    """Applies statements on the writer's session. The caller calls it when no batch is in flight.

    A statement commits by itself, so the fencing token is checked before it: `positions` is what a commit advances as
    long as `token` is the token.
    """

    def __init__(
        self,
        session: Session,
        writer: Writer,
        decisions: DdlDecisions,
        execution: DdlExecution,
        *,
        names: SecondaryNames,
        definitions: Definitions,
        engines: Engines,
        tables: TableLifecycle,
        positions: CommitPosition,
        windows: Windows,
        intent: OpenIntent,
        token: int,
    ) -> None:
        self._session = session
        self._writer = writer
        self._decisions = decisions
        self._execution = execution
        self._names = names
        self._definitions = definitions
        self._engines = engines
        self._tables = tables
        self._positions = positions
        self._windows = windows
        self._intent = intent
        self._token = token

    def apply(self, statement: Statement, transaction: Transaction, stats: BatchStats) -> None:
        """Apply a statement of a transaction as it was decided; count it in `stats` if it is ignored.

        Raises:
            ApplyRefused: it cannot be applied.
            TableChangedInWindow: a table must be copied again.
            Fenced: another process took over.
            ServerError: the server refuses something else.

        """
        parsed = self._decisions.parse(statement)
        if parsed.kind is StatementKind.SAVEPOINT:
            if not transaction.is_rolled_back:
                self._writer.add(savepoint_statement(parsed).encode())
            return
        decision = self._decisions.decide(statement, parsed, transaction, self._windows)
        if decision.verdict is Verdict.IGNORE:
            stats.ignored_statements[decision.reason] += 1
            return
        if decision.verdict is Verdict.QUARANTINE:
            self._quarantine(decision, transaction)
            return
        if self._writer.is_begun:
            raise ApplyRefused(f"{parsed.kind} after rows in one transaction", table=next(iter(parsed.tables), None))
        self._run(statement, parsed, transaction, decision)

    def is_ignored_inside_xa(self, change: RowEvent | Statement, transaction: Transaction, stats: BatchStats) -> bool:
        """Return True if a change of a prepared transaction is a statement that is ignored, and count it in `stats`.

        Raises:
            ApplyRefused: it is a statement that would have to run.

        """
        if not isinstance(change, Statement):
            return False
        reason = self._decisions.why_ignored_inside_xa(change, transaction, self._windows)
        if reason is not None:
            stats.ignored_statements[reason] += 1
        return reason is not None

    def _run(self, statement: Statement, parsed: ParsedStatement, transaction: Transaction, decision: Decision) -> None:
        self._check_token()
        self._intent.open(transaction)
        if empties_schema(parsed):
            remaining = self._execution.empty_schema(statement, parsed, transaction, decision.tables)
            self._quarantine(remaining, transaction)
            self._end_quarantine([t for t in decision.tables if t not in remaining.tables])
        else:
            modes = {self._windows.mode(t, transaction) for t in parsed.tables}
            in_window, is_replacing = Mode.IDEMPOTENT in modes, bool(decision.replaced)
            self._execution.apply(statement, parsed, transaction, in_window=in_window, is_replacing=is_replacing)
        if gone := parsed.tables if parsed.kind is StatementKind.DROP_TABLE else decision.replaced:
            self._end_quarantine(gone)
        # The statement ran with settings of its own: the writer must not rely on its settings of before.
        self._writer.discard()
        self._forget_definitions(parsed, decision.tables)
        log(
            logger, logging.INFO, Tag.INFO, "%s%s", parsed.kind,
            ": a new table has the name, so the quarantine ends" if decision.replaced else "",
            instance=self._session.server.name,
            table=", ".join(map(str, parsed.tables)) or parsed.schema, position=transaction.start,
        )  # fmt: skip

    def _quarantine(self, decision: Decision, transaction: Transaction) -> None:
        quarantine_tables(decision, transaction, self._tables, self._windows)

    def _end_quarantine(self, names: Sequence[TableName]) -> None:
        self._intent.delete_with_it(end_quarantines(names, self._tables, self._windows))

    def _forget_definitions(self, parsed: ParsedStatement, dropped: Sequence[TableName]) -> None:
        """Forget what was derived from the definitions of a statement's tables.

        `dropped` are the tables of a dropped schema. A change of a schema itself only changes defaults of later tables.
        """
        named = (*parsed.tables, *(other.name for other in parsed.mentioned), *(dropped if parsed.schema else ()))
        if parsed.schema and not named:
            return
        self._definitions.forget([t for t in map(self._names.target, named) if t is not None])
        self._engines.forget(named, are_keys_new=bool(parsed.schema) or changes_references(parsed))

    def _check_token(self) -> None:
        row_count = self._session.execute(self._positions.touch_statement(self._token))
        self._positions.check_advanced(row_count)
        self._session.commit()
