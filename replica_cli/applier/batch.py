"""One batch: transactions that are committed together on the secondary, and how far they have come."""

from __future__ import annotations

import time
from enum import Enum
from typing import TYPE_CHECKING

from replica_cli.applier.commit_tracker import BatchStats

if TYPE_CHECKING:
    from collections.abc import Sequence

    from replica_cli.applier.commit_tracker import CommitPoint
    from replica_cli.core.errors import ReplicaError
    from replica_cli.core.events import Transaction


class BatchState(Enum):
    """How far a batch has come; `Batch` says what each state means."""

    BUILT = "built"
    SENT = "sent"
    FLUSHED = "flushed"
    COMMITTING = "committing"
    COMMITTED = "committed"
    FAILED = "failed"


_NEXT = {
    BatchState.BUILT: (BatchState.SENT, BatchState.FAILED),
    BatchState.SENT: (BatchState.FLUSHED, BatchState.FAILED),
    # Without a position to save there is nothing to COMMIT.
    BatchState.FLUSHED: (BatchState.COMMITTING, BatchState.COMMITTED, BatchState.FAILED),
    BatchState.COMMITTING: (BatchState.COMMITTED, BatchState.FAILED),
    BatchState.COMMITTED: (),
    BatchState.FAILED: (),
}


class Batch:
    """Transactions of one commit. Only `CommitPipeline` moves a batch from one state to the next.

    | state | what is true | what comes next |
    |---|---|---|
    | BUILT | The transactions are chosen. Some steps may be built; none is sent. | SENT or FAILED |
    | SENT | All steps, and the position if it is saved, are given to the writer. | FLUSHED or FAILED |
    | FLUSHED | Every result has come, and is right. | COMMITTING, or COMMITTED if no position is saved |
    | COMMITTING | COMMIT is sent. It is not known whether it succeeds. | COMMITTED; FAILED if it was awaited |
    | COMMITTED | COMMIT is acknowledged, or there was nothing to commit. | |
    | FAILED | Nothing of it stays; after a connection that was lost at COMMIT, that is not known. | a new `Batch` |

    If a COMMIT fails that was not awaited, its batch stays COMMITTING: the session ends, and the next one begins at the
    saved position.

    An error while a batch is sent is kept in `failure`, and raised when its results are awaited: then a failure is
    handled in one place, and never before the commit of the batch before it is settled.

    Attributes:
        transactions: whole transactions; or the last piece of a large one; or none, to save a position.
        stats: the counts of what the batch changes. They are complete when it is sent.
        commit_point: the position that its commit reaches; None until it is sent.
        is_saved: whether it writes its position, and so needs a COMMIT.
        begun_at: when its first statement was sent, a time of the monotonic clock.
        opened_at: the same for the first piece of a large transaction, None for another batch.
        commit_at: when its COMMIT was sent, a time of the monotonic clock.
        failure: why it failed, else None.

    """

    __slots__ = (
        "_commit_point", "begun_at", "commit_at", "failure", "is_saved", "opened_at", "state", "stats", "transactions",
    )  # fmt: skip

    def __init__(
        self, transactions: Sequence[Transaction], stats: BatchStats | None = None, *, opened_at: float | None = None
    ) -> None:
        if stats is None:
            # A transaction without a size is none of the primary's: it only moves the position.
            stats = BatchStats(transactions=sum(1 for t in transactions if t.size))
        self.transactions = transactions
        self.stats = stats
        self.is_saved = False
        self.begun_at = self.commit_at = 0.0
        self.opened_at = opened_at
        self.failure: ReplicaError | None = None
        self.state = BatchState.BUILT
        self._commit_point: CommitPoint | None = None

    @property
    def commit_point(self) -> CommitPoint:
        """Return the position that the commit reaches. Raises ValueError before the batch is sent."""
        if self._commit_point is None:
            raise ValueError("the commit point of a batch is known when all of it is sent")
        return self._commit_point

    def mark_sent(self, commit_point: CommitPoint, *, is_saved: bool, begun_at: float) -> None:
        """Note that all of the batch is given to the writer."""
        self._go_to(BatchState.SENT)
        self._commit_point, self.is_saved, self.begun_at = commit_point, is_saved, begun_at

    def mark_flushed(self) -> None:
        """Note that every result of the batch has come, and is right."""
        self._go_to(BatchState.FLUSHED)

    def mark_committing(self) -> None:
        """Note that the COMMIT of the batch is about to be sent. Raises ValueError if it saves no position."""
        if not self.is_saved:
            raise ValueError("a batch that saves no position has nothing to commit")
        self._go_to(BatchState.COMMITTING)
        self.commit_at = time.monotonic()

    def mark_committed(self) -> None:
        """Note that COMMIT is acknowledged; or, if no position is saved, that all results were right.

        Raises ValueError if a COMMIT is needed and was not sent.
        """
        if self.is_saved and self.state is not BatchState.COMMITTING:
            raise ValueError(f"a batch that saves its position is {self.state.value} and was not committed")
        self._go_to(BatchState.COMMITTED)

    def mark_failed(self, failure: ReplicaError) -> None:
        """Note why the batch failed."""
        self._go_to(BatchState.FAILED)
        self.failure = failure

    def _go_to(self, state: BatchState) -> None:
        if state not in _NEXT[self.state]:
            raise ValueError(f"a batch that is {self.state.value} cannot become {state.value}")
        self.state = state
