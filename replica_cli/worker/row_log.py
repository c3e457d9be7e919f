"""Log applied rows: at most one line each second for each table and kind of change, whatever the number of batches."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from replica_cli.applier.commit_tracker import BatchStats
from replica_cli.core.wording import counted
from replica_cli.logs import Tag, log

if TYPE_CHECKING:
    from collections.abc import Callable

    from replica_cli.core.position import Position

logger = logging.getLogger(__name__)

# The shortest time between two reports.
_SECONDS = 1.0


class RowLog:
    """Adds up what batches did, and logs the sums. Changes after a second without a report are logged at once."""

    def __init__(self, instance: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._instance = instance
        self._clock = clock
        self._sums = BatchStats()
        self._logged_at = float("-inf")

    @property
    def is_waiting(self) -> bool:
        """Return True if something is not logged yet: the caller must call `take` soon, also with an empty batch."""
        return bool(self._sums.rows or self._sums.ignored_statements)

    def take(self, stats: BatchStats, position: Position) -> None:
        """Add what a batch did up to a position, and log the sums if the last report is old enough."""
        self._sums.add(stats)
        if self.is_waiting and self._clock() - self._logged_at >= _SECONDS:
            self.flush(position)

    def flush(self, position: Position) -> None:
        """Log what is not logged yet."""
        sums, self._sums = self._sums, BatchStats()
        if not (sums.rows or sums.ignored_statements):
            return
        self._logged_at = self._clock()
        for (kind, table), rows in sums.rows.items():
            log(
                logger, logging.INFO, Tag[kind.name], "%d row(s) affected", rows, instance=self._instance,
                schema=table.schema, table=table.table, rows=rows, position=position,
            )  # fmt: skip
        for reason, count in sums.ignored_statements.items():
            log(
                logger, logging.INFO, Tag.INFO, "%s skipped: %s", counted(count, "statement"), reason,
                instance=self._instance, position=position,
            )  # fmt: skip
