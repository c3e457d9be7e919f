"""Apply the primary's transactions to one secondary. Each commit holds whole transactions and their position.

While the server works on one batch, the next is built. It is sent after the COMMIT of the batch before, without waiting
for the COMMIT's answer: that answer arrives with the results of the next batch.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import time
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, cast

from replica_cli.applier.batch_size import AdaptiveBatchSize
from replica_cli.applier.batch_stats import BatchStats
from replica_cli.applier.builder import WorkBuilder
from replica_cli.applier.commit_tracker import Batch, CommitTracker
from replica_cli.applier.ddl_schemas import empties_schema
from replica_cli.applier.decision import Verdict
from replica_cli.applier.failures import is_retryable, with_position
from replica_cli.applier.panic import noticing_bugs
from replica_cli.applier.quarantine import end_quarantines, quarantine_tables
from replica_cli.applier.side_questions import SideQuestions
from replica_cli.applier.window import Mode
from replica_cli.checkpoint.intents import position_of
from replica_cli.core.errors import ApplyRefused, NeedsDiagnosis, ReplicaError, TableChangedInWindow
from replica_cli.core.events import RowEvent, Statement, Transaction, XaPhase
from replica_cli.core.wording import counted
from replica_cli.logs import Tag, log
from replica_cli.retry import retrying
from replica_cli.sqlbuilder.statements.side_effects import changes_references
from replica_cli.sqlbuilder.statements.statement import StatementKind, savepoint_statement

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from replica_cli.applier.ddl_decisions import DdlDecisions
    from replica_cli.applier.ddl_execution import DdlExecution
    from replica_cli.applier.definitions import Definitions
    from replica_cli.applier.engines import Engines
    from replica_cli.applier.prefetch import Prefetch
    from replica_cli.applier.prepared import PreparedTransactions
    from replica_cli.applier.secondary_names import SecondaryNames
    from replica_cli.applier.steps import ApplyStep
    from replica_cli.applier.window import Windows
    from replica_cli.applier.writer import Writer
    from replica_cli.checkpoint.positions import SavedPosition
    from replica_cli.checkpoint.stores import CommitPosition, Stores
    from replica_cli.core.events import XaStep
    from replica_cli.core.position import Position
    from replica_cli.core.settings import Batching, Retry
    from replica_cli.core.table import TableName
    from replica_cli.mysql.session import Session
    from replica_cli.sqlbuilder.statements.statement import ParsedStatement
    from replica_cli.stop import StopToken

logger = logging.getLogger(__name__)


class Applier:
    """Applies transactions in the order of the log to one secondary.

    If a method raises, do not use the object again: a new applier begins from the saved position.
    """

    def __init__(
        self,
        session: Session,
        saved: SavedPosition,
        *,
        writer: Writer,
        engines: Engines,
        decisions: DdlDecisions,
        ddl: DdlExecution,
        names: SecondaryNames,
        prepared: PreparedTransactions,
        definitions: Definitions,
        stores: Stores,
        positions: CommitPosition,
        windows: Windows,
        batching: Batching,
        retry: Retry,
        stop: StopToken,
        is_mariadb: bool,
        is_exact: bool = False,
        prefetch: Prefetch | None = None,
    ) -> None:
        self._session = session
        self._writer = writer
        self._engines = engines
        self._decisions = decisions
        self._ddl = ddl
        self._names = names
        self._prepared = prepared
        self._definitions = definitions
        self._stores = stores
        self._positions = positions
        self._windows = windows
        self._side_questions = SideQuestions(session.server.name, retry)
        self._token = saved.token
        self._size_bytes = batching.size_bytes
        self._retry = retry
        self._stop = stop
        self._progress = CommitTracker(saved, is_mariadb=is_mariadb)
        started_at = time.monotonic()
        intent = None if windows.is_catch_up else stores.intents.load()
        self._intent_position = None if intent is None else intent.position
        self._intent_cleanup: list[bytes] = []
        self._pace = AdaptiveBatchSize(batching, time.monotonic() - started_at)
        self._builder = WorkBuilder(engines, windows, definitions, is_exact=is_exact)
        self._prefetch = prefetch
        self._is_prepared = False
        self._on_progress: Callable[[], None] = lambda: None
        self._in_flight: Batch | None = None
        self._open_tally: BatchStats | None = None
        self._open_time = 0
        self._forget_windows(saved.position)

    @property
    def position(self) -> Position:
        """Return the last committed position, or a later one if no selected row changed after it."""
        return self._progress.position

    @property
    def source_time(self) -> int:
        """Return the primary's time of the transaction that is open, else of the last applied one: Unix seconds."""
        return self._open_time if self._open_tally is not None and self._open_time else self._progress.source_time

    @property
    def is_inside_transaction(self) -> bool:
        """Return True if a piece of a large transaction is applied and not yet committed."""
        return self._open_tally is not None

    @property
    def uncommitted_rows(self) -> int:
        """Return how many rows of a large transaction's pieces are sent to the secondary and not yet committed."""
        return sum(self._open_tally.rows.values()) if self._open_tally is not None else 0

    def take_tally(self) -> BatchStats:
        """Return the counts of what was committed since the last call."""
        return self._progress.take_tally()

    def apply(
        self,
        transactions: Sequence[Transaction],
        *,
        has_more: Callable[[], bool] = lambda: False,
        on_progress: Callable[[], None] = lambda: None,
    ) -> None:
        """Apply transactions and pieces in order until a stop, with a commit for each full batch.

        `has_more` is called at the end and returns True if more transactions have already been read. Then the last
        batch stays in flight, and is committed when the next one is built; `save_position` commits it too.
        `on_progress` is called after each commit, and after each piece of a large transaction.

        Raises ApplyRefused with the position of the failing transaction (all before it are committed), Fenced,
        TableChangedInWindow, ServerError, NeedsDiagnosis.
        """
        self._on_progress = on_progress
        if not self._is_prepared:
            self._writer.prepare(self._engines.strict.preparation())
            self._is_prepared = True
        try:
            self._apply_all(transactions)
            if not has_more():
                self._settle()
        except BaseException:
            with contextlib.suppress(ReplicaError):
                self._rollback()
            raise

    def save_position(self) -> None:
        """Commit the batch that is in flight, and save a position that moved without selected changes."""
        self._settle()
        commit_point = self._progress.commit_point_after((), BatchStats())
        if self._open_tally is None and self._progress.is_ahead(commit_point):
            self._complete(self._start((), BatchStats(), must_save=True), waits=True)

    def check_definitions(self) -> None:
        """Find tables that somebody else altered on the secondary. Raises Drift if one no longer fits its rows."""
        if altered := self._definitions.check():
            self._engines.forget(altered)

    def _apply_all(self, transactions: Sequence[Transaction]) -> None:
        batch: list[Transaction] = []
        size = 0
        for transaction in transactions:
            if self._stop.is_set and not batch:
                # A stop takes effect between two batches. The remaining transactions are read again at the next start.
                return
            is_plain = transaction.is_start and transaction.is_end and transaction.xa is None
            if not is_plain or any(isinstance(c, Statement) for c in transaction.changes):
                self._apply_batch(batch)
                self._settle()
                batch, size = [], 0
                self._apply_special(transaction)
                continue
            batch.append(transaction)
            size += transaction.size
            if len(batch) >= self._pace.transactions or size >= self._size_bytes:
                self._apply_batch(batch)
                batch, size = [], 0
        self._apply_batch(batch)

    def _apply_batch(self, transactions: Sequence[Transaction]) -> None:
        """Begin to build a batch while the one before is in flight; then commit that one, and send this one."""
        if not transactions:
            return
        tally = BatchStats(transactions=sum(1 for t in transactions if t.size))
        works = self._builder.works(transactions, tally)
        failure: ReplicaError | None = None
        first: Sequence[ApplyStep] = ()
        try:
            first = self._writer.built_meanwhile(works)
        except (ApplyRefused, TableChangedInWindow) as error:
            failure = error
        finally:
            # Even if this batch cannot be built, the batch before it is good.
            self._commit_in_flight()
        if failure is not None:
            self._narrow(transactions, failure)
            return
        if self._prefetch is not None:
            self._prefetch.take(transactions, self._definitions)
        self._in_flight = self._start(transactions, tally, itertools.chain(first, works))

    def _settle(self) -> None:
        """Wait for the batch that is in flight and for its COMMIT. After that no COMMIT is in flight."""
        if self._in_flight is not None:
            self._commit_in_flight(waits=True)
        elif self._open_tally is None:  # the caller that sends the next piece checks the results
            self._writer.flush()

    def _commit_in_flight(self, *, waits: bool = False) -> None:
        """Wait for the results of the batch that is in flight, and send its COMMIT."""
        batch, self._in_flight = self._in_flight, None
        if batch is not None:
            self._finish(batch.transactions, partial(self._complete, batch, waits=waits))

    def _finish(self, transactions: Sequence[Transaction], attempt: Callable[[], None]) -> None:
        try:
            self._retrying(transactions, attempt)
        except (ApplyRefused, TableChangedInWindow) as error:
            self._narrow(transactions, error)

    def _narrow(self, transactions: Sequence[Transaction], error: ReplicaError) -> None:
        """Find the transaction that fails. Each transaction before it is committed by itself."""
        self._rollback()
        if len(transactions) == 1:
            self._apply_exactly(transactions, error)
            return
        for transaction in transactions:
            self._finish([transaction], partial(self._apply_and_commit, [transaction]))

    def _apply_exactly(self, transactions: Sequence[Transaction], error: ReplicaError) -> None:
        """Apply one failing transaction with the diagnostic engine, so that the error names the table and the key."""
        self._builder.is_exact = True
        try:
            self._retrying(transactions, partial(self._apply_and_commit, transactions))
        except (ApplyRefused, TableChangedInWindow) as exact:
            self._rollback()
            raise with_position(exact, transactions[0]) from error
        finally:
            self._builder.is_exact = False

    def _apply_and_commit(self, transactions: Sequence[Transaction]) -> None:
        tally = BatchStats(transactions=sum(1 for t in transactions if t.size))
        self._complete(self._start(transactions, tally, self._builder.works(transactions, tally)), waits=True)

    def _apply_special(self, transaction: Transaction) -> None:
        """Apply a transaction that holds statements, or a piece of a large one."""
        try:
            if transaction.is_start or self._open_tally is None:
                self._open_tally = BatchStats(transactions=1)
            self._open_time = transaction.timestamp
            if transaction.is_rolled_back:
                # First roll back the rows of the pieces before it. Its statements must run outside of a transaction.
                self._rollback()
                self._open_tally = BatchStats(transactions=1)
            if transaction.xa is None:
                self._apply_changes(transaction.changes, transaction, self._open_tally)
            elif not transaction.is_rolled_back:
                self._apply_xa(transaction, transaction.xa, self._open_tally)
            if transaction.is_end:
                tally, self._open_tally = self._open_tally, None
                batch = self._start([transaction], tally)
                self._complete(batch, waits=True)
                if batch.is_saved:
                    # Keep the diagnostic engine until a position is saved: the failure to diagnose may come in a later
                    # transaction. With the strict engine that failure would start a new diagnosis from before this
                    # transaction, and this would repeat for ever.
                    self._builder.is_exact = False
            else:
                self._on_progress()
        except (ApplyRefused, TableChangedInWindow) as error:
            self._open_tally = None
            self._rollback()
            if (
                isinstance(error, ApplyRefused)
                and _holds_rows(transaction)
                and not self._builder.is_exact
                and self._engines.strict is not self._engines.exact
            ):
                raise NeedsDiagnosis(with_position(error, transaction).message) from error
            raise with_position(error, transaction) from error

    def _apply_changes(
        self, changes: Sequence[RowEvent | Statement], transaction: Transaction, tally: BatchStats
    ) -> None:
        for is_statement, group in groupby(changes, lambda c: isinstance(c, Statement)):
            if is_statement:
                for statement in group:
                    with noticing_bugs(transaction):
                        self._apply_statement(cast("Statement", statement), transaction, tally)
            else:
                self._writer.write(
                    self._builder.works_by_mode([(transaction, cast("RowEvent", c)) for c in group], tally)
                )

    def _apply_xa(self, transaction: Transaction, step: XaStep, tally: BatchStats) -> None:
        if step.phase is XaPhase.PREPARE:
            changes = [c for c in transaction.changes if not self._is_ignored(c, transaction, tally)]
            self._prepared.keep(transaction, step, changes)
            return
        if step.phase is XaPhase.COMMIT:
            for changes in self._prepared.kept(transaction, step):
                self._apply_changes(changes, transaction, tally)
            self._apply_changes(transaction.changes, transaction, tally)
        self._prepared.forget(step)

    def _is_ignored(self, change: RowEvent | Statement, transaction: Transaction, tally: BatchStats) -> bool:
        if isinstance(change, RowEvent):
            return False
        reason = self._decisions.why_ignored_inside_xa(change, transaction, self._windows)
        if reason is not None:
            tally.ignored_statements[reason] += 1
        return reason is not None

    def _apply_statement(self, statement: Statement, transaction: Transaction, tally: BatchStats) -> None:
        parsed = self._decisions.parse(statement)
        if parsed.kind is StatementKind.SAVEPOINT:
            if not transaction.is_rolled_back:
                self._writer.add(savepoint_statement(parsed).encode())
            return
        decision = self._decisions.decide(statement, parsed, transaction, self._windows)
        if decision.verdict is Verdict.IGNORE:
            tally.ignored_statements[decision.reason] += 1
            return
        if decision.verdict is Verdict.QUARANTINE:
            quarantine_tables(decision, transaction, self._stores.tables, self._windows)
            return
        if self._writer.is_begun:
            raise ApplyRefused(f"{parsed.kind} after rows in one transaction", table=next(iter(parsed.tables), None))
        self._check_token()
        self._intent_position = position_of(transaction)
        if empties_schema(parsed):
            remaining = self._ddl.empty_schema(statement, parsed, transaction, decision.tables)
            quarantine_tables(remaining, transaction, self._stores.tables, self._windows)
            dropped = [t for t in decision.tables if t not in remaining.tables]
            self._intent_cleanup += end_quarantines(dropped, self._stores.tables, self._windows)
        else:
            modes = {self._windows.mode(t, transaction) for t in parsed.tables}
            is_replacing = bool(decision.replaced)
            self._ddl.apply(
                statement, parsed, transaction, in_window=Mode.IDEMPOTENT in modes, is_replacing=is_replacing
            )
        if gone := parsed.tables if parsed.kind is StatementKind.DROP_TABLE else decision.replaced:
            self._intent_cleanup += end_quarantines(gone, self._stores.tables, self._windows)
        self._writer.forget()
        self._forget_definitions(parsed, decision.tables)
        log(
            logger, logging.INFO, Tag.INFO, "%s%s", parsed.kind,
            ": a new table has the name, so the quarantine ends" if decision.replaced else "",
            instance=self._session.server.name,
            table=", ".join(map(str, parsed.tables)) or parsed.schema, position=transaction.start,
        )  # fmt: skip

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

    def _start(
        self,
        transactions: Sequence[Transaction],
        tally: BatchStats,
        works: Iterable[ApplyStep] = (),
        *,
        must_save: bool = False,
    ) -> Batch:
        """Send the steps of a batch and the position after it. Nothing of it is final before `_complete`."""
        failure: ReplicaError | None = None
        begun_at = time.monotonic()
        try:
            # Each statement is built while the server works on those before it. `tally` is complete when all are
            # written.
            self._writer.write(works)
        except ReplicaError as error:
            failure = error
        commit_point = self._progress.commit_point_after(transactions, tally)
        ends_intent = self._ends_intent(transactions)
        # A window's record is deleted when a position after its end is saved. If the position were not saved, a restart
        # would apply changes again that the copy already has, and strictly.
        is_needed = must_save or ends_intent or bool(self._windows.expired(commit_point.position))
        is_saved = is_needed or self._writer.is_begun or self._progress.is_due(commit_point)
        if is_saved and failure is None:
            try:
                if ends_intent:
                    for statement in (self._stores.intents.forget_statement(), *self._intent_cleanup):
                        self._writer.add(statement)
                advance = self._progress.advance(commit_point)
                self._writer.send(self._positions.advance_statement(advance, self._token))
            except ReplicaError as error:
                failure = error
        return Batch(transactions, commit_point, is_saved, failure, begun_at)

    def _ends_intent(self, transactions: Sequence[Transaction]) -> bool:
        """Return True if the intent's transaction is among these. A position before it must not delete the intent."""
        position = self._intent_position
        return position is not None and any(position.is_same_transaction(position_of(t)) for t in transactions)

    def _complete(self, batch: Batch, *, waits: bool = False) -> None:
        """Check every result of a batch, and send its COMMIT.

        The next batch waits for the answer to the COMMIT, or, if `waits`, this call does.
        """
        if batch.failure is not None:
            raise batch.failure
        row_count = self._writer.flush()
        self._log_differing(batch)
        if batch.is_saved:
            self._positions.check_advanced(row_count)
            self._writer.commit(partial(self._on_committed, batch))
            if waits:
                # Nothing was sent after the COMMIT, so the batch can be sent again if the server asks for that (Galera,
                # at COMMIT).
                self._writer.flush()
            if self._ends_intent(batch.transactions):
                self._intent_position, self._intent_cleanup = None, []
        self._progress.mark_requested(batch.commit_point, is_saved=batch.is_saved)
        if not batch.is_saved:
            self._on_committed(batch)

    def _log_differing(self, batch: Batch) -> None:
        for name, count in self._writer.take_differing().items():
            log(
                logger, logging.DEBUG, Tag.DRIFT, "%s of %s differed from the primary; the primary's change "
                "overwrites or deletes them", counted(count, "row"), name,
                instance=self._session.server.name, schema=name.schema, table=name.table,
                position=batch.transactions[0].start,
            )  # fmt: skip

    def _on_committed(self, batch: Batch) -> None:
        self._progress.mark_committed(batch.commit_point)
        if batch.is_saved:
            self._pace.note_committed(len(batch.transactions), batch.begun_at)
            self._forget_windows(batch.commit_point.position)
        self._on_progress()

    def _retrying(self, transactions: Sequence[Transaction], attempt: Callable[[], None]) -> None:
        """Attempt a batch, and repeat all of it if the server asks for that, as after a deadlock or a lock wait."""
        attempts: Iterator[Callable[[], None]] = itertools.chain(
            [attempt], itertools.repeat(partial(self._apply_and_commit, transactions))
        )

        def on_retry(attempt: int, seconds: float, error: BaseException) -> None:
            self._rollback()
            log(
                logger, logging.WARNING, Tag.RETRY, "attempt %d failed, again in %.1f s: %s", attempt, seconds, error,
                instance=self._session.server.name, position=self.position,
            )  # fmt: skip

        def once() -> None:
            next(attempts)()

        retrying(self._retry, self._stop, is_retryable=is_retryable, on_retry=on_retry)(once)

    def _forget_windows(self, position: Position) -> None:
        names = [record.name for record in self._windows.expired(position)]
        if not names:
            return
        # After an error the records stay. The tables are applied strictly from here on all the same, and the deletion
        # is tried again after a later commit.
        if not self._side_questions.ask(
            "deleting the records of ended replay windows", partial(self._forget_records, names), otherwise=False
        ):
            return
        for name in names:
            del self._windows.records[name]
        self._engines.replay.forget(names)

    def _forget_records(self, names: Sequence[TableName]) -> bool:
        self._stores.tables.end_windows(names)
        return True

    def _rollback(self) -> None:
        try:
            self._writer.forget()
        finally:
            self._session.rollback()


def _holds_rows(transaction: Transaction) -> bool:
    """Return True if rows of a transaction may be what failed.

    A statement that is refused is refused with any engine, so there is nothing to diagnose.
    """
    is_whole = transaction.is_start and transaction.is_end and transaction.xa is None
    return not is_whole or not all(isinstance(c, Statement) for c in transaction.changes)
