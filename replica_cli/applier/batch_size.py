"""How many transactions share a commit: few where each takes long, so that no commit is in the making for long."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from replica_cli.core.settings import Batching

# What counts of the newest batch; the rest is what was known before.
_NEW_SHARE = 0.5


class AdaptiveBatchSize:
    """Learns from each batch how long a transaction takes on this secondary, in seconds.

    `round_trip_seconds`: how long an answer of the secondary takes that takes no work. Every batch waits so long, large
    or small: counted as the transactions' time it would make batches on a long way small, and the way still slower.
    """

    def __init__(self, batching: Batching, round_trip_seconds: float = 0.0) -> None:
        self._most = batching.transactions
        self._round_trip = round_trip_seconds
        self._age = batching.age_seconds
        self._seconds_each: float | None = None
        self._landed_at = 0.0

    @property
    def transactions(self) -> int:
        """Return how many may share the next commit."""
        if not self._seconds_each:
            return self._most
        return max(1, min(self._most, int(self._age / self._seconds_each)))

    def landed(self, count: int, begun_at: float) -> None:
        """Note that so many transactions were committed just now; they were begun at a time of the monotonic clock."""
        now = time.monotonic()
        # While the one before it was on its way nobody worked on this one.
        seconds = now - max(begun_at, self._landed_at)
        self._landed_at = now
        # The first answer may have been slow for another reason.
        self._round_trip = min(self._round_trip, seconds)
        seconds -= self._round_trip
        if count:
            each = seconds / count
            known = self._seconds_each
            self._seconds_each = each if known is None else known + (each - known) * _NEW_SHARE
