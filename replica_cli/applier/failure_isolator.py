"""Handle a batch that fails: repeat it, or find the transaction and the row that fail.

1. If the server asks for it, as after a deadlock, the whole batch is repeated after a delay.
2. If a change of the batch cannot be applied, each of its transactions is committed by itself, so that all before the
   failing one are kept.
3. The failing transaction is applied once more with the diagnostic engine, so that the error names table and key.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Protocol

from replica_cli.applier.failures import is_retryable, with_position
from replica_cli.core.errors import ApplyRefused, ReplicaError, TableChangedInWindow
from replica_cli.logs import Tag, log
from replica_cli.retry import retrying

if TYPE_CHECKING:
    from collections.abc import Sequence

    from replica_cli.applier.batch import Batch
    from replica_cli.applier.engines.step_builder import StepBuilder
    from replica_cli.core.events import Transaction
    from replica_cli.core.position import Position
    from replica_cli.core.settings import Retry
    from replica_cli.stop import StopToken

logger = logging.getLogger(__name__)


class BatchCommits(Protocol):
    """What the isolator uses of `CommitPipeline`."""

    @property
    def position(self) -> Position:
        """Return the last committed position."""

    def finish(self, batch: Batch, *, waits: bool) -> None:
        """Check the results of a batch that was sent, and send its COMMIT."""

    def apply_now(self, transactions: Sequence[Transaction]) -> None:
        """Build, send and commit transactions as one batch, and wait for the answer."""

    def rollback(self) -> None:
        """Forget everything that is not committed."""


class FailureIsolator:
    """Repeats and splits failed batches of one pipeline. No other batch is in flight meanwhile."""

    def __init__(self, steps: StepBuilder, retry: Retry, stop: StopToken, *, instance: str) -> None:
        self._steps = steps
        self._retry = retry
        self._stop = stop
        self._instance = instance

    def finish(self, pipeline: BatchCommits, batch: Batch, *, waits: bool) -> None:
        """Finish a batch that was sent; if it fails, repeat or isolate it. `waits` is as in `CommitPipeline.finish`.

        Raises:
            ApplyRefused: a change cannot be applied. All transactions before it are committed.
            TableChangedInWindow: likewise, and its table must be copied again.
            ServerError: what another attempt does not help.

        """
        try:
            self._attempt(pipeline, batch.transactions, sent=batch, waits=waits)
        except (ApplyRefused, TableChangedInWindow) as error:
            self.isolate(pipeline, batch.transactions, error)

    def isolate(self, pipeline: BatchCommits, transactions: Sequence[Transaction], error: ReplicaError) -> None:
        """Commit the transactions of a failed batch one by one, up to the one that fails. Raises as `finish`.

        All of them may succeed. `error` is the failure of the batch.
        """
        pipeline.rollback()
        if len(transactions) == 1:
            self._diagnose(pipeline, transactions, error)
            return
        for transaction in transactions:
            try:
                self._attempt(pipeline, [transaction])
            except (ApplyRefused, TableChangedInWindow) as own:
                pipeline.rollback()
                self._diagnose(pipeline, [transaction], own)

    def _diagnose(self, pipeline: BatchCommits, transactions: Sequence[Transaction], error: ReplicaError) -> None:
        """Apply a failing transaction with the diagnostic engine, so that the error names the table and the key."""
        try:
            with self._steps.diagnosing():
                self._attempt(pipeline, transactions)
        except (ApplyRefused, TableChangedInWindow) as diagnosis:
            pipeline.rollback()
            raise with_position(diagnosis, transactions[0]) from error

    def _attempt(
        self,
        pipeline: BatchCommits,
        transactions: Sequence[Transaction],
        *,
        sent: Batch | None = None,
        waits: bool = True,
    ) -> None:
        """Commit transactions as one batch, and repeat it as long as the server asks for that.

        The first attempt finishes what was `sent`, if anything was. Each later one builds and sends all of it again,
        because the server has rolled it back.
        """

        def on_retry(attempt: int, seconds: float, error: BaseException) -> None:
            pipeline.rollback()
            log(
                logger, logging.WARNING, Tag.RETRY, "attempt %d failed, again in %.1f s: %s", attempt, seconds, error,
                instance=self._instance, position=pipeline.position,
            )  # fmt: skip

        for attempt in retrying(self._retry, self._stop, is_retryable=is_retryable, on_retry=on_retry):
            with attempt:
                if sent is not None and attempt.retry_state.attempt_number == 1:
                    pipeline.finish(sent, waits=waits)
                else:
                    pipeline.apply_now(transactions)
