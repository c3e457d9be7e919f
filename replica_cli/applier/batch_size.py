"""Decide how many transactions share a commit: fewer if each takes long, so that no batch is uncommitted for long."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from replica_cli.core.settings import Batching

# Weight of the newest batch in the average time of a transaction.
_NEW_SHARE = 0.5


class AdaptiveBatchSize:
    """Learns from each batch how many seconds one transaction takes on this secondary.

    `round_trip_seconds`: how long the secondary takes to answer a query that needs no work. Every batch waits that
    long, large or small. If this time counted as work, batches over a slow link would become small, and the link would
    then cost even more.
    """

    def __init__(self, batching: Batching, round_trip_seconds: float = 0.0) -> None:
        self._most = batching.transactions
        self._round_trip = round_trip_seconds
        self._age = batching.age_seconds
        self._seconds_each: float | None = None
        self._committed_at = 0.0

    @property
    def transactions(self) -> int:
        """Return how many transactions may share the next commit, at least 1."""
        if not self._seconds_each:
            return self._most
        return max(1, min(self._most, int(self._age / self._seconds_each)))

    def note_committed(self, count: int, begun_at: float) -> None:
        """Note that a batch is committed.

        `count` is the number of its transactions. `begun_at` is the time on the monotonic clock at which its first
        statement was sent.
        """
        now = time.monotonic()
        # While the batch before was in flight, the secondary did not work on this one.
        seconds = now - max(begun_at, self._committed_at)
        self._committed_at = now
        # The measured round trip may have been slow for another reason. The shortest batch corrects it.
        self._round_trip = min(self._round_trip, seconds)
        seconds -= self._round_trip
        if count:
            each = seconds / count
            average = self._seconds_each
            self._seconds_each = each if average is None else average + (each - average) * _NEW_SHARE
