"""Apply the primary's transactions to one secondary. Each commit holds whole transactions and their position.

`transaction_router` decides by which way a transaction goes: in a batch through `commit_pipeline`, or by itself through
`serial_transactions`. This module joins the parts.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from replica_cli.applier.transaction_router import Route
from replica_cli.core.errors import ReplicaError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from replica_cli.applier.commit_pipeline import CommitPipeline
    from replica_cli.applier.commit_tracker import BatchStats
    from replica_cli.applier.engines.definitions import Definitions
    from replica_cli.applier.engines.step_builder import Engines
    from replica_cli.applier.serial_transactions import SerialTransactions
    from replica_cli.applier.transaction_router import TransactionRouter
    from replica_cli.applier.writer import Writer
    from replica_cli.core.events import Transaction
    from replica_cli.core.position import Position


class Applier:
    """Applies transactions in the order of the log to one secondary.

    If a method raises, do not use the object again: a new applier begins from the saved position.
    """

    def __init__(
        self,
        router: TransactionRouter,
        pipeline: CommitPipeline,
        serial: SerialTransactions,
        *,
        writer: Writer,
        engines: Engines,
        definitions: Definitions,
    ) -> None:
        self._router = router
        self._pipeline = pipeline
        self._serial = serial
        self._writer = writer
        self._engines = engines
        self._definitions = definitions
        self._is_prepared = False

    @property
    def position(self) -> Position:
        """Return the last committed position, or a later one if no selected row changed after it."""
        return self._pipeline.position

    @property
    def source_time(self) -> int:
        """Return the primary's time of the transaction that is open, else of the last applied one: Unix seconds."""
        return self._serial.source_time or self._pipeline.source_time

    @property
    def is_inside_transaction(self) -> bool:
        """Return True if a piece of a large transaction is applied and not yet committed."""
        return self._serial.is_open

    @property
    def uncommitted_rows(self) -> int:
        """Return how many rows of a large transaction's pieces are sent to the secondary and not yet committed."""
        return self._serial.uncommitted_rows

    def take_stats(self) -> BatchStats:
        """Return the counts of what was committed since the last call."""
        return self._pipeline.take_stats()

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
        self._pipeline.on_progress = on_progress
        if not self._is_prepared:
            self._writer.prepare(self._engines.strict.preparation())
            self._is_prepared = True
        try:
            # A portion is the transactions of one batch, or one transaction that shares no batch.
            for route, portion in self._router.routed(transactions, lambda: self._pipeline.batch_limit):
                if route is Route.ROWS:
                    self._pipeline.submit(portion)
                else:
                    self._drain()
                    self._serial.apply(portion[0], route)
            if not has_more():
                self._drain()
        except BaseException:
            with contextlib.suppress(ReplicaError):
                self._pipeline.rollback()
            raise

    def save_position(self) -> None:
        """Commit the batch that is in flight, and save a position that moved without selected changes."""
        self._drain()
        if not self._serial.is_open:
            self._pipeline.save_position()

    def check_definitions(self) -> None:
        """Find tables that somebody else altered on the secondary. Raises Drift if one no longer fits its rows."""
        if altered := self._definitions.check():
            self._engines.forget(altered)

    def _drain(self) -> None:
        # Results of the pieces of an open transaction are checked when the next piece is sent, or committed.
        if not self._serial.is_open:
            self._pipeline.drain()
