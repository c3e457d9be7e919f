"""Rates of single tables, from one snapshot to the next."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from replica_cli.core.status import TableProgress

_WINDOW_SECONDS = 10.0


class TableRates:
    """Remembers how far each table was in the last seconds. One thread at a time."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: dict[tuple[str, str], deque[tuple[float, int]]] = {}

    def note(self, instance: str, table: TableProgress) -> None:
        """Take one table's newest count."""
        now = self._clock()
        points = self._seen.setdefault((instance, table.table), deque())
        points.append((now, table.rows_copied))
        # The first point stays, however old, until a second one is old enough to take its place.
        while len(points) > 2 and now - points[1][0] >= _WINDOW_SECONDS:
            points.popleft()

    def rows_per_second(self, instance: str, table: str) -> float:
        """Return the rate over the window, 0 until two counts are known."""
        points = self._seen.get((instance, table))
        if not points or len(points) < 2 or points[-1][0] <= points[0][0]:
            return 0.0
        return max(0.0, (points[-1][1] - points[0][1]) / (points[-1][0] - points[0][0]))


def eta_seconds(rows: int, estimated: int | None, rate: float) -> float | None:
    """Return the seconds to go, None where the estimate or the rate does not say."""
    if not estimated or rate <= 0 or rows >= estimated:
        return None
    return (estimated - rows) / rate
