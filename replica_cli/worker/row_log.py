"""Log applied rows: the sums of each table and kind of change, less and less often while the stream is busy.

With `REPLICA_LOG_ROWS=batch` they are the sums of each batch.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from replica_cli.applier.commit_tracker import BatchStats
from replica_cli.core.settings import LogRows
from replica_cli.core.wording import counted
from replica_cli.logs import Tag, log

if TYPE_CHECKING:
    from collections.abc import Callable

    from replica_cli.core.position import Position

logger = logging.getLogger(__name__)

_LINES_PER_SECOND = 10.0
# The waits between two reports of a busy stream, in seconds, from its first report on.
_INTERVALS = (1.0, 2.0, 5.0, 10.0, 30.0)
# A stream that has applied nothing for this time is quiet.
_QUIET_SECONDS = 1.0
# Times of a clock are floating point numbers: a second later may be less than one by a rounding.
_SLACK_SECONDS = 1e-6


class ReportSchedule:
    """Decides when sums are reported: of a quiet stream at once, of a busy one less and less often.

    On average it allows no more lines than `_LINES_PER_SECOND`: a report of n lines waits until n tenths of a second
    have passed since the last one.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._step = 0
        self._came_at = self._reported_at = float("-inf")

    def note_change(self) -> None:
        """Note that something to report came."""
        if self._is_quiet:
            self._step = 0
        self._came_at = self._clock()

    def is_due(self, lines: int) -> bool:
        """Return True if a report of this many lines is due."""
        waited = self._clock() - self._reported_at + _SLACK_SECONDS
        return waited >= lines / _LINES_PER_SECOND and (self._is_quiet or waited >= self._interval)

    def note_report(self) -> None:
        """Note that all that came was reported. The next wait is longer, unless the stream is quiet."""
        self._step = 0 if self._is_quiet else min(self._step + 1, len(_INTERVALS))
        self._reported_at = self._clock()

    @property
    def _is_quiet(self) -> bool:
        return self._clock() - self._came_at + _SLACK_SECONDS >= _QUIET_SECONDS

    @property
    def _interval(self) -> float:
        # The first change after a quiet second waits for nothing.
        return _INTERVALS[self._step - 1] if self._step else 0.0


class RowLog:
    """Adds up what batches did, and logs the sums when `ReportSchedule` allows it. It outlives each `Streaming`.

    Attributes:
        rows: how often sums are logged.

    """

    def __init__(
        self, instance: str, rows: LogRows = LogRows.AUTO, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._instance = instance
        self.rows = rows
        self._schedule = ReportSchedule(clock)
        self._sums = BatchStats()

    @property
    def is_waiting(self) -> bool:
        """Return True if something is not logged yet: the caller must call `take` soon, also with an empty batch."""
        return bool(self._lines)

    @property
    def takes_each_batch(self) -> bool:
        """Return True if `take` must be called after each commit, and not only now and then."""
        return self.rows is LogRows.BATCH

    @property
    def _lines(self) -> int:
        return len(self._sums.rows) + len(self._sums.ignored_statements)

    def take(self, stats: BatchStats, position: Position) -> None:
        """Add what was done up to a position, and log the sums if that is due."""
        if stats.rows or stats.ignored_statements:
            self._schedule.note_change()
            self._sums.add(stats)
        lines = self._lines
        if lines and (self.takes_each_batch or self._schedule.is_due(lines)):
            self.flush(position)

    def flush(self, position: Position) -> None:
        """Log what is not logged yet."""
        if not self._lines:
            return
        sums, self._sums = self._sums, BatchStats()
        self._schedule.note_report()
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
