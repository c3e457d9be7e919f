"""The applier: whole source transactions in, one commit out, the position always with the rows.

While the server works on one batch the next is built, and sent behind the COMMIT of the one before it, whose answer
comes with the results of the next.
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
from replica_cli.applier.failures import NeedsDiagnosis, is_retryable, with_position
from replica_cli.applier.panic import noticing_bugs
from replica_cli.applier.quarantine import forget_dropped, set_aside
from replica_cli.applier.side_questions import SideQuestions
from replica_cli.applier.window import Mode, TableChangedInWindow
from replica_cli.checkpoint.intents import is_same_place, place_of
from replica_cli.core.errors import ApplyRefused, ReplicaError
from replica_cli.core.events import RowEvent, Statement, Transaction, XaPhase
from replica_cli.core.status import TableState
from replica_cli.core.wording import counted
from replica_cli.logs import Tag, log
from replica_cli.retry import retrying
from replica_cli.sqlbuilder.effects import changes_references
from replica_cli.sqlbuilder.statement import StatementKind, savepoint_statement

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
    from replica_cli.checkpoint.stores import Stores
    from replica_cli.core.events import XaStep
    from replica_cli.core.position import Position
    from replica_cli.core.settings import Batching, Retry
    from replica_cli.core.table import TableName
    from replica_cli.mysql.session import Session
    from replica_cli.sqlbuilder.statement import ParsedStatement
    from replica_cli.stop import StopToken

logger = logging.getLogger(__name__)


class Applier:
    """Applies transactions in order on one secondary.

    After any exception the object is spent, but for what `apply` itself narrowed down: the truth is in the position
    row, and a new applier begins from there.
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
        self._windows = windows
        self._side = SideQuestions(session.server.name, retry)
        self._token = saved.token
        self._size_bytes = batching.size_bytes
        self._retry = retry
        self._stop = stop
        self._progress = CommitTracker(saved, is_mariadb=is_mariadb)
        asked_at = time.monotonic()
        left = stores.intents.load()
        self._intent_place = None if left is None else left.position
        self._behind_intent: list[bytes] = []
        self._pace = AdaptiveBatchSize(batching, time.monotonic() - asked_at)
        self._builder = WorkBuilder(engines, windows, definitions, is_exact=is_exact)
        self._prefetch = prefetch
        self._is_prepared = False
        self._on_progress: Callable[[], None] = lambda: None
        self._flying: Batch | None = None
        self._open: BatchStats | None = None
        self._open_time = 0
        self._forget_windows(saved.position)

    @property
    def position(self) -> Position:
        """Return the last committed position (or one behind it in which nothing was ours)."""
        return self._progress.position

    @property
    def source_time(self) -> int:
        """Return the primary's time of the transaction that is open, else of the last applied one: Unix seconds."""
        return self._open_time if self._open is not None and self._open_time else self._progress.source_time

    @property
    def is_inside_transaction(self) -> bool:
        """Say whether a piece of a large transaction is applied and not yet committed."""
        return self._open is not None

    @property
    def uncommitted_rows(self) -> int:
        """Return the rows of a large transaction's pieces that are sent to the secondary and not committed."""
        return sum(self._open.rows.values()) if self._open is not None else 0

    def take_tally(self) -> BatchStats:
        """Return what was committed since the last call."""
        return self._progress.take_tally()

    def apply(
        self,
        transactions: Sequence[Transaction],
        *,
        has_more: Callable[[], bool] = lambda: False,
        on_progress: Callable[[], None] = lambda: None,
    ) -> None:
        """Apply transactions and pieces in order, committing as batches fill, until a stop.

        `has_more` is asked at the end whether others are there already. The last batch is then left on its way, and
        committed once the next one is built; `save_position` commits it too. `on_progress` is called after each commit,
        and after each piece of a large transaction.

        Raises ApplyRefused with the position of the failing transaction (all before it are committed), Fenced,
        TableChangedInWindow, ServerError.
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
        """Commit what is on its way, and save a position that moved without changes of ours."""
        self._settle()
        mark = self._progress.behind((), BatchStats())
        if self._open is None and self._progress.is_ahead(mark):
            self._land(self._start((), BatchStats(), must_save=True), waits=True)

    def check_definitions(self) -> None:
        """Notice what somebody else altered on the secondary. Raises Drift where a table no longer fits its rows."""
        if altered := self._definitions.check():
            self._engines.forget(altered)

    def _apply_all(self, transactions: Sequence[Transaction]) -> None:
        run: list[Transaction] = []
        size = 0
        for transaction in transactions:
            if self._stop.is_set and not run:
                # The batch in hand is done; what else was read is read again next time.
                return
            is_plain = transaction.is_start and transaction.is_end and transaction.xa is None
            if not is_plain or any(isinstance(c, Statement) for c in transaction.changes):
                self._apply_run(run)
                self._settle()
                run, size = [], 0
                self._apply_special(transaction)
                continue
            run.append(transaction)
            size += transaction.size
            if len(run) >= self._pace.transactions or size >= self._size_bytes:
                self._apply_run(run)
                run, size = [], 0
        self._apply_run(run)

    def _apply_run(self, run: Sequence[Transaction]) -> None:
        """Begin to build a batch while the one before it is on its way; then commit that one, and send this."""
        if not run:
            return
        tally = BatchStats(transactions=sum(1 for t in run if t.size))
        works = self._builder.works(run, tally)
        failure: ReplicaError | None = None
        first: Sequence[ApplyStep] = ()
        try:
            first = self._writer.built_meanwhile(works)
        except (ApplyRefused, TableChangedInWindow) as error:
            failure = error
        finally:
            # Whatever is wrong with this one, the one before it is good.
            self._commit_flying()
        if failure is not None:
            self._narrow(run, failure)
            return
        if self._prefetch is not None:
            self._prefetch.take(run, self._definitions)
        self._flying = self._start(run, tally, itertools.chain(first, works))

    def _settle(self) -> None:
        """Wait for the batch that is on its way and commit it; behind that no commit is on its way any more."""
        if self._flying is not None:
            self._commit_flying(waits=True)
        elif self._open is None:  # the results of a large transaction's pieces are taken in by who sends the next one
            self._writer.flush()

    def _commit_flying(self, *, waits: bool = False) -> None:
        """Wait for the results of the batch that is on its way and ask for its commit."""
        batch, self._flying = self._flying, None
        if batch is not None:
            self._finish(batch.run, partial(self._land, batch, waits=waits))

    def _finish(self, run: Sequence[Transaction], attempt: Callable[[], None]) -> None:
        try:
            self._retrying(run, attempt)
        except (ApplyRefused, TableChangedInWindow) as error:
            self._narrow(run, error)

    def _narrow(self, run: Sequence[Transaction], error: ReplicaError) -> None:
        """Find the transaction that fails: those before it are good and are kept, each by itself."""
        self._rollback()
        if len(run) == 1:
            self._apply_exactly(run, error)
            return
        for transaction in run:
            self._finish([transaction], partial(self._commit_run, [transaction]))

    def _apply_exactly(self, run: Sequence[Transaction], error: ReplicaError) -> None:
        """Apply one failing transaction with the engine that can name the table and the key that fail."""
        self._builder.is_exact = True
        try:
            self._retrying(run, partial(self._commit_run, run))
        except (ApplyRefused, TableChangedInWindow) as exact:
            self._rollback()
            raise with_position(exact, run[0]) from error
        finally:
            self._builder.is_exact = False

    def _commit_run(self, run: Sequence[Transaction]) -> None:
        tally = BatchStats(transactions=sum(1 for t in run if t.size))
        self._land(self._start(run, tally, self._builder.works(run, tally)), waits=True)

    def _apply_special(self, transaction: Transaction) -> None:
        """Apply a transaction that holds statements, or a piece of a large one."""
        try:
            if transaction.is_start or self._open is None:
                self._open = BatchStats(transactions=1)
            self._open_time = transaction.timestamp
            if transaction.is_rolled_back:
                # Rows of the pieces before it go first: the statements in it have to be run outside of a transaction.
                self._rollback()
                self._open = BatchStats(transactions=1)
            if transaction.xa is None:
                self._apply_changes(transaction.changes, transaction, self._open)
            elif not transaction.is_rolled_back:
                self._apply_xa(transaction, transaction.xa, self._open)
            if transaction.is_end:
                tally, self._open = self._open, None
                batch = self._start([transaction], tally)
                self._land(batch, waits=True)
                if batch.is_saved:
                    # What failed may be behind it: with no position saved, another attempt begins before it again.
                    self._builder.is_exact = False
            else:
                self._on_progress()
        except (ApplyRefused, TableChangedInWindow) as error:
            self._open = None
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
        self, found: Sequence[RowEvent | Statement], transaction: Transaction, tally: BatchStats
    ) -> None:
        for is_statement, changes in groupby(found, lambda c: isinstance(c, Statement)):
            if is_statement:
                for statement in changes:
                    with noticing_bugs(transaction):
                        self._apply_statement(cast("Statement", statement), transaction, tally)
            else:
                self._writer.write(
                    self._builder.works_by_mode([(transaction, cast("RowEvent", c)) for c in changes], tally)
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
            instance = self._session.server.name
            set_aside(decision, transaction, self._stores.tables, self._windows, instance=instance)
            return
        if self._writer.is_begun:
            raise ApplyRefused(f"{parsed.kind} behind rows in one transaction", table=next(iter(parsed.tables), None))
        self._check_token()
        self._intent_place = place_of(transaction)
        if empties_schema(parsed):
            stuck = self._ddl.empty_schema(statement, parsed, transaction, decision.tables)
            instance = self._session.server.name
            set_aside(stuck, transaction, self._stores.tables, self._windows, instance=instance)
            dropped = [t for t in decision.tables if t not in stuck.tables]
            self._behind_intent += forget_dropped(dropped, self._stores.tables, self._windows)
        else:
            modes = {self._windows.mode(t, transaction) for t in parsed.tables}
            is_replacing = bool(decision.replaced)
            self._ddl.apply(
                statement, parsed, transaction, in_window=Mode.IDEMPOTENT in modes, is_replacing=is_replacing
            )
        if gone := parsed.tables if parsed.kind is StatementKind.DROP_TABLE else decision.replaced:
            self._behind_intent += forget_dropped(gone, self._stores.tables, self._windows)
        self._writer.forget()
        self._forget_known(parsed, decision.tables)
        log(
            logger, logging.INFO, Tag.INFO, "%s%s", parsed.kind,
            ": a new table has the name, so the quarantine ends" if decision.replaced else "",
            instance=self._session.server.name,
            table=", ".join(map(str, parsed.tables)) or parsed.schema, position=transaction.start,
        )  # fmt: skip

    def _forget_known(self, parsed: ParsedStatement, dropped: Sequence[TableName]) -> None:
        """Forget what was learnt of the tables of a statement that has run; `dropped` are those of a dropped schema.

        A schema is nothing but a default for tables that come later.
        """
        named = (*parsed.tables, *(other.name for other in parsed.others), *(dropped if parsed.schema else ()))
        if parsed.schema and not named:
            return
        self._definitions.forget([t for t in map(self._names.target, named) if t is not None])
        self._engines.forget(named, are_keys_new=bool(parsed.schema) or changes_references(parsed))

    def _check_token(self) -> None:
        found = self._session.execute(self._stores.positions.touch_statement(self._token))
        self._stores.positions.check_advanced(found)
        self._session.commit()

    def _start(
        self, run: Sequence[Transaction], tally: BatchStats, works: Iterable[ApplyStep] = (), *, must_save: bool = False
    ) -> Batch:
        """Send a batch's work and the position behind it; nothing of it counts until it has landed."""
        failure: ReplicaError | None = None
        begun_at = time.monotonic()
        try:
            # The next statement is built while the server works on the last ones; all are counted when it is over.
            self._writer.write(works)
        except ReplicaError as error:
            failure = error
        mark = self._progress.behind(run, tally)
        ends_intent = self._ends_intent(run)
        # A window's record goes when its end is saved: without it, what the copy has already would be applied again.
        is_needed = must_save or ends_intent or bool(self._windows.expired(mark.position))
        is_saved = is_needed or self._writer.is_begun or self._progress.is_due(mark)
        if is_saved and failure is None:
            try:
                if ends_intent:
                    for statement in (self._stores.intents.forget_statement(), *self._behind_intent):
                        self._writer.add(statement)
                advance = self._progress.advance(mark)
                self._writer.send(self._stores.positions.advance_statement(advance, self._token))
            except ReplicaError as error:
                failure = error
        return Batch(run, mark, is_saved, failure, begun_at)

    def _ends_intent(self, run: Sequence[Transaction]) -> bool:
        """Say whether the transaction of the intent is among these: a position before it must leave the intent."""
        place = self._intent_place
        return place is not None and any(is_same_place(place, place_of(t)) for t in run)

    def _land(self, batch: Batch, *, waits: bool = False) -> None:
        """Take in every result of a batch, and ask for its commit; the next one waits for the answer, or this."""
        if batch.failure is not None:
            raise batch.failure
        found = self._writer.flush()
        self._tell_differing(batch)
        if batch.is_saved:
            self._stores.positions.check_advanced(found)
            self._writer.commit(partial(self._landed, batch))
            if waits:
                # Nothing is behind it: a server that asks for the batch once more (Galera, at COMMIT) gets it.
                self._writer.flush()
            if self._ends_intent(batch.run):
                self._intent_place, self._behind_intent = None, []
        self._progress.mark_requested(batch.mark, is_saved=batch.is_saved)
        if not batch.is_saved:
            self._landed(batch)

    def _tell_differing(self, batch: Batch) -> None:
        for name, count in self._writer.take_differing().items():
            log(
                logger, logging.DEBUG, Tag.DRIFT, "%s of %s had other values than the primary had before its "
                "change, which overwrites or deletes them", counted(count, "row"), name,
                instance=self._session.server.name, schema=name.schema, table=name.table, position=batch.run[0].start,
            )  # fmt: skip

    def _landed(self, batch: Batch) -> None:
        self._progress.mark_committed(batch.mark)
        if batch.is_saved:
            self._pace.landed(len(batch.run), batch.begun_at)
            self._forget_windows(batch.mark.position)
        self._on_progress()

    def _retrying(self, run: Sequence[Transaction], attempt: Callable[[], None]) -> None:
        """Attempt a batch, and do all of it again where the server asks for it, as after a deadlock or a lock wait."""
        attempts: Iterator[Callable[[], None]] = itertools.chain(
            [attempt], itertools.repeat(partial(self._commit_run, run))
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
        # After an error the records stay: the tables are strict from here on, and are asked for again.
        if not self._side.ask("replay windows that have ended", partial(self._forget_records, names), otherwise=False):
            return
        for name in names:
            del self._windows.records[name]
        self._engines.replay.forget(names)

    def _forget_records(self, names: Sequence[TableName]) -> bool:
        self._stores.tables.forget(names, TableState.COPIED)
        return True

    def _rollback(self) -> None:
        try:
            self._writer.forget()
        finally:
            self._session.rollback()


def _holds_rows(transaction: Transaction) -> bool:
    """Say whether rows of a transaction may be what failed: a statement's own refusal is the same with any engine."""
    is_whole = transaction.is_start and transaction.is_end and transaction.xa is None
    return not is_whole or not all(isinstance(c, Statement) for c in transaction.changes)
