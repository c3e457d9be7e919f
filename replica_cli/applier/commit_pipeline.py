"""Commit batch after batch on one session, and build each one while the server works on the one before it.

What is sent and awaited for the batches A, B and C, in this order:

    A: send its steps, then the UPDATE of the position row
    B: build its first steps                 (the server works on A)
    A: wait for all results; send COMMIT
    B: send its steps and its position       (COMMIT of A is not answered)
    C: build its first steps                 (the server commits A and works on B)
    A: read the answer to COMMIT
    B: wait for all results; send COMMIT
    C: send its steps and its position ...

So a batch costs no round trip of its own: the answer to its COMMIT comes with the results of the next batch.

What may be in flight, and why nothing half done can be committed:

- COMMIT of a batch is sent only when every result of it is known and right. The last result is that of the position
  row: it changes only if the process still has the fencing token.
- At most one COMMIT is not answered. The statements of the next batch may follow it, but not the next COMMIT.
- The session has autocommit off. If a COMMIT fails that was not awaited, what was sent after it is in a transaction
  that is never committed. The writer reports that the session cannot be used any more, even if nothing was sent after
  the COMMIT, and the applier begins again from the position row.
- If a batch fails before its COMMIT, it is rolled back, and the batch after it is not sent yet, only built. The failure
  isolator repeats the failed batch, or finds the transaction that fails, and waits for each COMMIT. Then the next batch
  is sent.
- Statements that run outside of a transaction, pieces of large transactions and XA steps begin when nothing is in
  flight: see `drain`.
"""

from __future__ import annotations

import itertools
import logging
import time
from functools import partial
from typing import TYPE_CHECKING

from replica_cli.applier.batch import Batch, BatchState
from replica_cli.core.errors import ApplyRefused, ReplicaError, TableChangedInWindow
from replica_cli.core.wording import counted
from replica_cli.logs import Tag, log

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from replica_cli.applier.batch_size import AdaptiveBatchSize
    from replica_cli.applier.commit_tracker import BatchStats, CommitPoint, CommitTracker
    from replica_cli.applier.ddl.open_intent import OpenIntent
    from replica_cli.applier.ended_windows import EndedWindows
    from replica_cli.applier.engines.step_builder import StepBuilder
    from replica_cli.applier.engines.steps import ApplyStep
    from replica_cli.applier.failure_isolator import FailureIsolator
    from replica_cli.applier.writer import Writer
    from replica_cli.checkpoint.stores import CommitPosition
    from replica_cli.core.events import Transaction
    from replica_cli.core.position import Position
    from replica_cli.measures import StreamMeasures
    from replica_cli.mysql.session import Session

logger = logging.getLogger(__name__)


class CommitPipeline:
    """Sends and commits batches in their order. One thread uses it.

    Its session is the writer of a stream, which holds the writer's lock, or that of a catch-up, which does not.

    If a method raises, the batch in flight is lost: only `rollback` may be called after that.

    Attributes:
        on_progress: called after each commit.

    """

    def __init__(
        self,
        session: Session,
        writer: Writer,
        positions: CommitPosition,
        tracker: CommitTracker,
        *,
        token: int,
        batch_size: AdaptiveBatchSize,
        steps: StepBuilder,
        isolator: FailureIsolator,
        intent: OpenIntent,
        ended_windows: EndedWindows,
        read_ahead: Callable[[Sequence[Transaction]], None],
        measures: StreamMeasures,
    ) -> None:
        """Prepare the pipeline; nothing is sent.

        Args:
            session: the session of the writer.
            writer: carries out steps on the session.
            positions: what a commit advances: the position row, or the records of tables in a catch-up.
            tracker: follows the commits, from the saved position on.
            token: the fencing token of this process.
            batch_size: learns from each commit.
            steps: builds the steps of transactions.
            isolator: handles a batch that fails.
            intent: the intent of the last DDL statement.
            ended_windows: deletes the records of replay windows that end.
            read_ahead: called with the transactions of each batch before they are sent.
            measures: counts the batches.

        """
        self._session = session
        self._writer = writer
        self._positions = positions
        self._tracker = tracker
        self._token = token
        self._batch_size = batch_size
        self._steps = steps
        self._isolator = isolator
        self._intent = intent
        self._ended_windows = ended_windows
        self._read_ahead = read_ahead
        self._measures = measures
        self._in_flight: Batch | None = None
        self.on_progress: Callable[[], None] = lambda: None

    @property
    def position(self) -> Position:
        """Return the last committed position, or a later one if no selected row changed after it."""
        return self._tracker.position

    @property
    def source_time(self) -> int:
        """Return the primary's time of the last committed transaction, in Unix seconds."""
        return self._tracker.source_time

    @property
    def batch_limit(self) -> int:
        """Return how many transactions the next batch may have."""
        return self._batch_size.transactions

    def take_stats(self) -> BatchStats:
        """Return the counts of what was committed since the last call."""
        return self._tracker.take_stats()

    def submit(self, transactions: Sequence[Transaction]) -> None:
        """Build a batch of rows while the one before is in flight, commit that one, and send this one.

        The new batch then is in flight. A failure of the batch before, or of building this one, is handled here.
        """
        batch = Batch(transactions)
        steps = self._steps.steps(transactions, batch.stats)
        first: Sequence[ApplyStep] = ()
        try:
            first = self._writer.build_ahead(steps)
        except (ApplyRefused, TableChangedInWindow) as error:
            batch.mark_failed(error)
        finally:
            # Even if this batch cannot be built, the batch before it is good.
            self._finish_in_flight()
        if batch.failure is not None:
            self._isolator.isolate(self, transactions, batch.failure)
            return
        self._read_ahead(transactions)
        self._send(batch, itertools.chain(first, steps))
        self._in_flight = batch

    def drain(self) -> None:
        """Wait for the batch that is in flight and for its COMMIT. After that no statement is unanswered."""
        if self._in_flight is not None:
            self._finish_in_flight(waits=True)
        else:
            self._writer.flush()

    def commit(self, batch: Batch, steps: Iterable[ApplyStep] = (), *, must_save: bool = False) -> None:
        """Send a batch, or the rest of it, commit it and wait for the answer.

        Args:
            batch: the batch. The writer may have got statements of it before.
            steps: its steps.
            must_save: save the position even if nothing else asks for it.

        """
        self._send(batch, steps, must_save=must_save)
        self.finish(batch, waits=True)

    def apply_now(self, transactions: Sequence[Transaction]) -> None:
        """Build, send and commit transactions of rows as one batch, and wait for the answer."""
        batch = Batch(transactions)
        self.commit(batch, self._steps.steps(transactions, batch.stats))

    def save_position(self) -> None:
        """Save a position that moved without selected changes. Call it after `drain`."""
        batch = Batch(())
        if self._tracker.is_ahead(self._tracker.commit_point_after((), batch.stats)):
            self.commit(batch, must_save=True)

    def finish(self, batch: Batch, *, waits: bool) -> None:
        """Check every result of a batch that was sent, and send its COMMIT.

        Args:
            batch: the batch.
            waits: wait for the answer to COMMIT. Without it, the answer is read with the results of the next batch.

        Raises:
            ReplicaError: the failure of the batch, also one that came while it was sent.
            Fenced: another process took over.

        """
        if batch.failure is not None:
            raise batch.failure
        try:
            row_count = self._writer.flush()
            batch.mark_flushed()
            self._log_differing(batch)
            if batch.is_saved:
                self._positions.check_advanced(row_count)
                self._request_commit(batch, waits=waits)
        except ReplicaError as error:
            if batch.state is not BatchState.COMMITTED:
                batch.mark_failed(error)
            raise
        self._tracker.mark_requested(batch.commit_point, is_saved=batch.is_saved)
        if not batch.is_saved:
            self._note_committed(batch)

    def rollback(self) -> None:
        """Forget everything that is not committed: on the server, in flight, and in the writer.

        Raises:
            ServerError: if the session cannot be used any more.

        """
        self._in_flight = None
        try:
            self._writer.discard()
        finally:
            self._session.rollback()

    def _finish_in_flight(self, *, waits: bool = False) -> None:
        batch, self._in_flight = self._in_flight, None
        if batch is not None:
            self._isolator.finish(self, batch, waits=waits)

    def _send(self, batch: Batch, steps: Iterable[ApplyStep], *, must_save: bool = False) -> None:
        """Give the steps of a batch, and the position after it, to the writer. An error is kept in the batch."""
        begun_at = time.monotonic()
        failure: ReplicaError | None = None
        try:
            # Each statement is built while the server works on those before it. The counts of the batch are complete
            # when all are written.
            self._writer.write(steps)
        except ReplicaError as error:
            failure = error
        # Also after a failure: if the log has other transactions than those of the saved position, PositionLost tells
        # the cause.
        commit_point = self._tracker.commit_point_after(batch.transactions, batch.stats)
        if failure is None:
            try:
                is_saved = self._save(batch, commit_point, must_save=must_save)
            except ReplicaError as error:
                failure = error
        if failure is not None:
            batch.mark_failed(failure)
        else:
            batch.mark_sent(commit_point, is_saved=is_saved, begun_at=begun_at)

    def _save(self, batch: Batch, commit_point: CommitPoint, *, must_save: bool) -> bool:
        """Send the position of a batch after its steps, if it must be saved. Return True if it is sent."""
        ends_intent = self._intent.ends_with(batch.transactions)
        is_needed = must_save or ends_intent or self._ended_windows.need_saving(commit_point.position)
        if not (is_needed or self._writer.is_begun or self._tracker.is_due(commit_point)):
            return False
        for statement in self._intent.statements() if ends_intent else ():
            self._writer.add(statement)
        self._writer.send(self._positions.advance_statement(self._tracker.advance(commit_point), self._token))
        return True

    def _request_commit(self, batch: Batch, *, waits: bool) -> None:
        batch.mark_committing()
        self._writer.commit(partial(self._note_committed, batch), waits=waits)
        if self._intent.ends_with(batch.transactions):
            self._intent.close()

    def _note_committed(self, batch: Batch) -> None:
        batch.mark_committed()
        self._tracker.mark_committed(batch.commit_point)
        if batch.is_saved:
            self._batch_size.note_committed(len(batch.transactions), batch.begun_at)
            self._measure(batch)
            self._ended_windows.forget(batch.commit_point.position)
        self.on_progress()

    def _measure(self, batch: Batch) -> None:
        if batch.stats.transactions:  # not if only a position was saved
            self._measures.note_batch(
                batch.stats.transactions,
                sum(batch.stats.rows.values()),
                self._batch_size.transactions,
                begun_at=batch.begun_at if batch.opened_at is None else batch.opened_at,
                commit_at=batch.commit_at,
            )

    def _log_differing(self, batch: Batch) -> None:
        for name, count in self._writer.take_differing().items():
            log(
                logger, logging.DEBUG, Tag.DRIFT, "%s of %s differed from the primary; the primary's change "
                "overwrites or deletes them", counted(count, "row"), name,
                instance=self._session.server.name, schema=name.schema, table=name.table,
                position=batch.transactions[0].start,
            )  # fmt: skip
