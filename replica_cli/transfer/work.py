"""Share the remaining work between the workers: tables to begin and ranges to copy."""

from __future__ import annotations

import heapq
import itertools
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from replica_cli.stop import StopToken
    from replica_cli.transfer.table_copy import TableCopy

_POLL_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Task:
    """One task: begin a table, or complete one whose rows are copied (`range_number` 0), or copy one of its ranges.

    `others` are small tables that are copied together with it.
    """

    table: TableCopy
    range_number: int = 0
    others: tuple[TableCopy, ...] = ()


class WorkQueue:
    """The tasks, largest tables first. The queue ends when no task is left and none is being done.

    Ranges of tables that were begun come before tables to begin. But while fewer than `ahead` ranges wait, a table is
    begun first: workers that begin tables wait for answers, and others keep the servers busy with rows. All methods may
    be called from any thread.
    """

    def __init__(self, stop: StopToken, ahead: int = 0) -> None:
        self._stop = stop
        self._ahead = ahead
        self._changed = threading.Condition()
        self._ranges: list[tuple[int, int, Task]] = []
        self._tables: list[tuple[int, int, Task]] = []
        self._order = itertools.count()
        self._busy = 0
        self.error: BaseException | None = None

    def put(self, *tasks: Task) -> None:
        """Add tasks."""
        with self._changed:
            for task in tasks:
                size = task.table.definition.primary.estimated_bytes
                heap = self._ranges if task.range_number else self._tables
                heapq.heappush(heap, (-size, next(self._order), task))
            self._changed.notify_all()

    def take(self) -> Task | None:
        """Return the next task, None when the work is over; wait while other workers may still add tasks."""
        with self._changed:
            while not self.is_over:
                heap = self._next()
                if heap and not self._stop.is_paused:
                    self._busy += 1
                    return heapq.heappop(heap)[-1]
                if not self._busy and not heap:
                    return None
                self._changed.wait(_POLL_SECONDS)
            return None

    def _next(self) -> list[tuple[int, int, Task]]:
        is_enough_begun = len(self._ranges) >= self._ahead
        return self._ranges if self._ranges and (is_enough_begun or not self._tables) else self._tables

    def done(self) -> None:
        """Record the end of a task that was taken."""
        with self._changed:
            self._busy -= 1
            self._changed.notify_all()

    def fail(self, error: BaseException) -> None:
        """End the work of all workers because of an error that concerns more than one table."""
        with self._changed:
            self.error = self.error or error
            self._changed.notify_all()

    @property
    def is_over(self) -> bool:
        """Return True if no worker may begin another chunk: after a stop, or after an error of the whole copy."""
        return self._stop.is_set or self.error is not None
