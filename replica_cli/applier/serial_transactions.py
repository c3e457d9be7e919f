"""Apply the transactions that share no batch: those with statements, steps of XA transactions, pieces of large ones."""

from __future__ import annotations

import time
from itertools import groupby
from typing import TYPE_CHECKING, cast

from replica_cli.applier.batch import Batch
from replica_cli.applier.commit_tracker import BatchStats
from replica_cli.applier.failures import bugs_as_panic, with_position
from replica_cli.core.errors import ApplyRefused, NeedsDiagnosis, TableChangedInWindow
from replica_cli.core.events import RowEvent, Statement, XaPhase
from replica_cli.core.limiting import Part

if TYPE_CHECKING:
    from collections.abc import Sequence

    from replica_cli.applier.commit_pipeline import CommitPipeline
    from replica_cli.applier.ddl.statement_applier import StatementApplier
    from replica_cli.applier.engines.step_builder import StepBuilder
    from replica_cli.applier.prepared_transactions import PreparedTransactions
    from replica_cli.applier.transaction_router import Route
    from replica_cli.applier.writer import Writer
    from replica_cli.core.events import Transaction, XaStep
    from replica_cli.measures import PartClock


class SerialTransactions:
    """Applies one transaction after another, and waits for the COMMIT of each.

    The pieces of a large transaction are sent one after another, and committed with the last one. None of these
    transactions is repeated in place: the pieces before are gone, and a statement has committed by itself. After an
    error the applier begins again from the position row.
    """

    def __init__(
        self,
        pipeline: CommitPipeline,
        writer: Writer,
        steps: StepBuilder,
        statements: StatementApplier,
        prepared: PreparedTransactions,
        *,
        parts: PartClock,
    ) -> None:
        self._pipeline = pipeline
        self._writer = writer
        self._steps = steps
        self._statements = statements
        self._prepared = prepared
        self._parts = parts
        # The counts of the transaction whose pieces are applied and not committed; None if there is none.
        self._open: BatchStats | None = None
        self._open_time = 0
        self._opened_at = 0.0

    @property
    def is_open(self) -> bool:
        """Return True if a piece of a large transaction is applied and not yet committed."""
        return self._open is not None

    @property
    def uncommitted_rows(self) -> int:
        """Return how many rows of the open transaction's pieces are sent to the secondary."""
        return sum(self._open.rows.values()) if self._open is not None else 0

    @property
    def source_time(self) -> int:
        """Return the primary's time of the open transaction in Unix seconds, 0 if none is open or it has no time."""
        return self._open_time if self._open is not None else 0

    def apply(self, transaction: Transaction, route: Route) -> None:
        """Apply a transaction or a piece. Call it when no batch is in flight.

        Raises:
            ApplyRefused: a change cannot be applied.
            NeedsDiagnosis: a row may be what fails, and the diagnostic engine can say which.
            TableChangedInWindow: a table must be copied again.
            Fenced: another process took over.
            ServerError: a server does not answer, or refuses something else.

        """
        try:
            self._apply(transaction)
        except (ApplyRefused, TableChangedInWindow) as error:
            self._open = None
            self._pipeline.rollback()
            with_position(error, transaction)
            if isinstance(error, ApplyRefused) and route.may_hold_rows and self._steps.can_diagnose:
                raise NeedsDiagnosis(error.message) from error
            raise

    def _apply(self, transaction: Transaction) -> None:
        if transaction.is_start or self._open is None:
            self._open = BatchStats(transactions=1)
            self._opened_at = time.monotonic()
        self._open_time = transaction.timestamp
        if transaction.is_rolled_back:
            # First roll back the rows of the pieces before it. Its statements must run outside of a transaction.
            self._pipeline.rollback()
            self._open = BatchStats(transactions=1)
        if transaction.xa is None:
            self._apply_changes(transaction.changes, transaction, self._open)
        elif not transaction.is_rolled_back:
            self._apply_xa(transaction, transaction.xa, self._open)
        if transaction.is_end:
            batch, self._open = Batch([transaction], self._open, opened_at=self._opened_at), None
            self._commit(batch)
        else:
            self._pipeline.on_progress()

    def _commit(self, batch: Batch) -> None:
        self._pipeline.commit(batch)
        if batch.is_saved:
            # Keep the diagnostic engine until a position is saved: the failure to diagnose may come in a later
            # transaction. With the strict engine that failure would start a new diagnosis from before this transaction,
            # and this would repeat for ever.
            self._steps.is_diagnostic = False

    def _apply_changes(
        self, changes: Sequence[RowEvent | Statement], transaction: Transaction, stats: BatchStats
    ) -> None:
        for is_statement, group in groupby(changes, lambda c: isinstance(c, Statement)):
            if is_statement:
                # The secondary works on a statement alone, and longer than this process.
                before = self._parts.enter(Part.SECONDARY)
                try:
                    for statement in group:
                        with bugs_as_panic(transaction):
                            self._statements.apply(cast("Statement", statement), transaction, stats)
                finally:
                    self._parts.enter(before)
            else:
                events = [(transaction, cast("RowEvent", event)) for event in group]
                self._writer.write(self._steps.steps_by_mode(events, stats))

    def _apply_xa(self, transaction: Transaction, step: XaStep, stats: BatchStats) -> None:
        if step.phase is XaPhase.PREPARE:
            ignored = self._statements.is_ignored_inside_xa
            self._prepared.keep(
                transaction, step, [c for c in transaction.changes if not ignored(c, transaction, stats)]
            )
            return
        if step.phase is XaPhase.COMMIT:
            for changes in self._prepared.kept(transaction, step):
                self._apply_changes(changes, transaction, stats)
            self._apply_changes(transaction.changes, transaction, stats)
        self._prepared.forget(step)
