"""Share the work of a copy: how many workers there are, and which table or range one of them takes next.

There are more workers over a long link, because each of them waits most of the time.
"""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from replica_cli.side_by_side import side_by_side

if TYPE_CHECKING:
    from replica_cli.core.settings import TransferSettings
    from replica_cli.mysql.session import Session
    from replica_cli.stop import StopToken
    from replica_cli.transfer.table_copy import TableCopy

_POLL_SECONDS = 0.1
# About how long a server works for one answer. If the link takes as long as that, a worker does half as much.
_WORK_SECONDS = 0.025
_NEAR_SECONDS = 0.005
# The largest number of connections that one worker has to one server.
_PER_WORKER = 3
# Half of the free connections are left to other clients.
_SHARE = 2
_CONNECTIONS = (
    "SELECT @@GLOBAL.max_connections, @@SESSION.max_user_connections",
    "SHOW STATUS LIKE 'Threads_connected'",
)


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


def worker_count(settings: TransferSettings, primary: Session, secondary: Session) -> int:
    """Return how many workers copy over the links to these servers. Raises ServerError."""
    if settings.far_workers <= settings.workers:
        return settings.workers
    measured = side_by_side(lambda: _measure(primary), lambda: _measure(secondary))
    answer_seconds = max(seconds for seconds, _ in measured)
    wanted = min(int(settings.workers * (1 + answer_seconds / _WORK_SECONDS)), settings.far_workers)
    if wanted <= settings.workers:
        return settings.workers
    return max(settings.workers, min(wanted, *(free // _SHARE // _PER_WORKER for _, free in measured)))


def _measure(session: Session) -> tuple[float, int]:
    """Return how many seconds an answer takes, and how many connections the server may still accept from our user."""
    began = time.monotonic()
    limits, used = session.rows_of_each(_CONNECTIONS)
    seconds = time.monotonic() - began
    if seconds > _NEAR_SECONDS:
        # The server may be near and only busy for a moment.
        began = time.monotonic()
        session.execute("DO 0")
        seconds = min(seconds, time.monotonic() - began)
    server_limit, user_limit = map(int, limits[0])
    free = server_limit - int(used[0][1])
    return seconds, min(free, user_limit) if user_limit else free
