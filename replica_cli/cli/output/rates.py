"""Computes the copy rate of each table from a series of snapshots."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from replica_cli.core.status import TableProgress

_WINDOW_SECONDS = 10.0


class TableRates:
    """Remembers how many rows of each table were copied in the last ten seconds. Not thread-safe."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: dict[tuple[str, str], deque[tuple[float, int]]] = {}

    def note(self, instance: str, table: TableProgress) -> None:
        """Remember the newest number of copied rows of a table."""
        now = self._clock()
        points = self._seen.setdefault((instance, table.table), deque())
        points.append((now, table.rows_copied))
        # The first point stays until the second one is older than the window, so that the rate covers the whole window.
        while len(points) > 2 and now - points[1][0] >= _WINDOW_SECONDS:
            points.popleft()

    def rows_per_second(self, instance: str, table: str) -> float:
        """Return the rate of the last ten seconds, 0 if fewer than two numbers are known."""
        points = self._seen.get((instance, table))
        if not points or len(points) < 2 or points[-1][0] <= points[0][0]:
            return 0.0
        return max(0.0, (points[-1][1] - points[0][1]) / (points[-1][0] - points[0][0]))


def eta_seconds(rows: int, estimated: int | None, rate: float) -> float | None:
    """Return the seconds until all estimated rows are copied, None if the estimate or the rate is not known."""
    if not estimated or rate <= 0 or rows >= estimated:
        return None
    return (estimated - rows) / rate
