"""Count and measure what a worker does. The objects live as long as the process; snapshots of them are frozen.

The hot path adds plain numbers. Each number has one thread that writes it, unless the class says otherwise; any thread
may read.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from bisect import bisect_left
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

from replica_cli.core.limiting import Part
from replica_cli.core.metrics import BOUNDS, Histogram, StreamMetrics

if TYPE_CHECKING:
    from collections.abc import Mapping

Key = TypeVar("Key")

_MEMORY_SECONDS = 1.0
_STATM = Path("/proc/self/statm")


class PartClock:
    """Knows in which part the thread that applies is, and its seconds in each part. One thread switches."""

    __slots__ = ("_present", "_seen", "_spent")

    def __init__(self) -> None:
        self._spent = dict.fromkeys(Part, 0.0)
        # The present part, and since when; None while a switch is made, and while the thread does not stream.
        self._present: tuple[Part, float] | None = None
        self._seen = self._spent.copy()

    def enter(self, part: Part | None) -> Part | None:
        """End the present part and begin another one; None: the thread does not stream. Return the part that ends."""
        # It is called a few times for each batch, so it does no more than it must.
        now, present, self._present = time.monotonic(), self._present, None
        ended = None
        if present is not None:
            ended, since = present
            self._spent[ended] += now - since
        if part is not None:
            self._present = (part, now)
        return ended

    def begin_work(self, waited_seconds: float) -> None:
        """End a wait and begin to build. Only so much of the wait was one; during the rest this process was busy."""
        now, present, self._present = time.monotonic(), self._present, None
        if present is not None:
            part, since = present
            waited = min(now - since, waited_seconds)
            self._spent[part] += waited
            self._spent[Part.BUILDING] += now - since - waited
        self._present = (Part.BUILDING, now)

    @property
    def seconds(self) -> Mapping[Part, float]:
        """Return the seconds by part, those of the present part until now included. They never become less."""
        # First the sums: if the thread switches in between, the time of the part that ends is missed for this once. In
        # the other order it would be counted twice.
        spent, present = self._spent.copy(), self._present
        if present is not None:
            part, since = present
            spent[part] += max(0.0, time.monotonic() - since)
        # A counter that becomes less looks like a new process.
        self._seen = {part: max(value, self._seen[part]) for part, value in spent.items()}
        return self._seen


class WatchedReader(Protocol):
    """A reader of the binary log; any thread may ask it."""

    @property
    def queue_bytes(self) -> int:
        """Return how many bytes of transactions are read and not taken."""

    @property
    def changed_at(self) -> float | None:
        """Return the monotonic time at which a change of rows was last read, None before the first."""


class HistogramCounter:
    """Counts times by bucket. One thread adds."""

    __slots__ = ("_counts", "_total")

    def __init__(self) -> None:
        self._counts = [0] * (len(BOUNDS) + 1)
        self._total = 0.0

    def add(self, seconds: float) -> None:
        """Count a time."""
        self._counts[bisect_left(BOUNDS, seconds)] += 1
        self._total += seconds

    @property
    def snapshot(self) -> Histogram:
        """Return the counts."""
        return Histogram(tuple(self._counts), self._total)


class StreamMeasures:
    """The counts of one worker process. They outlive each stream and each applier.

    The thread that applies writes most of it. The health monitor writes distance and retention. Errors may come from
    several threads, and are counted under a lock.

    Attributes:
        parts: where the time of the thread that applies goes.
        writer_token: the fencing token, None before the stream begins.
        tables: tables that have a record, by state.
    """

    def __init__(self) -> None:
        self.parts = PartClock()
        self.writer_token: int | None = None
        self.tables: Mapping[str, int] = {}
        self._verified_rows = 0
        self._differences: int | None = None
        self._proven_at: float | None = None
        self._commit, self._apply = HistogramCounter(), HistogramCounter()
        self._rows: dict[str, int] = {}
        self._batches = self._batch_transactions = self._batch_rows = self._batch_limit = 0
        self._reconnects: dict[str, int] = {}
        self._retries: dict[str, int] = {}
        self._errors: dict[tuple[str, str], int] = {}
        self._lock = threading.Lock()
        self._reader: WatchedReader | None = None
        self._changed_at: float | None = None
        self._distance: int | None = None
        self._retention: tuple[float | None, float] = (None, 0.0)
        self._memory: tuple[int | None, float] = (None, float("-inf"))

    def watch(self, reader: WatchedReader | None) -> None:
        """Take what a reader holds and has read into each snapshot, until another one or None replaces it."""
        if self._reader is not None:
            self._changed_at = self._reader.changed_at or self._changed_at
        self._reader = reader

    def note_batch(self, transactions: int, rows: int, limit: int, *, begun_at: float, commit_at: float) -> None:
        """Count a batch whose COMMIT is acknowledged.

        Args:
            transactions: the number of its transactions.
            rows: the number of its rows.
            limit: how many transactions the next batch may have.
            begun_at: when its first statement was sent, a monotonic time.
            commit_at: when its COMMIT was sent, a monotonic time.

        """
        now = time.monotonic()
        self._batches += 1
        self._batch_transactions, self._batch_rows, self._batch_limit = transactions, rows, limit
        self._commit.add(now - commit_at)
        self._apply.add(now - begun_at)

    def note_rows(self, kind: str, count: int) -> None:
        """Count committed rows of one kind."""
        self._rows[kind] = self._rows.get(kind, 0) + count

    def note_error(self, code: str, error_class: str, *, retry: str | None, side: str | None) -> None:
        """Count an error, and what is done about it. From any thread.

        Args:
            code: the code of the error.
            error_class: the class of what is done about it.
            retry: the reason of another attempt, None if there is none.
            side: whose connection is made again, `primary` or `secondary`; None if none is.

        """
        with self._lock:
            # New dictionaries: a snapshot in another thread may be reading the old ones.
            self._errors = _counted(self._errors, (code, error_class))
            if retry is not None:
                self._retries = _counted(self._retries, retry)
            if side is not None:
                self._reconnects = _counted(self._reconnects, side)

    def note_primary(self, distance_bytes: int | None, retention_seconds: float | None) -> None:
        """Take what a look at the primary's log has shown; None for what it has not."""
        self._distance = distance_bytes
        self._retention = (retention_seconds, time.monotonic())

    def note_verified(self, rows: int) -> None:
        """Count rows that the scrub has compared. Only its thread calls it."""
        self._verified_rows += rows

    def note_proofs(self, differences: int, oldest_age_seconds: float | None) -> None:
        """Take what the state says of compared rows: how many differ, and how old the oldest proof of a table is."""
        self._differences = differences
        self._proven_at = None if oldest_age_seconds is None else time.monotonic() - oldest_age_seconds

    def forget_distance(self) -> None:
        """Take note that the primary or the secondary does not answer. How long the log is kept stays a lower bound."""
        self._distance = None

    def snapshot(
        self, *, lag_seconds: float | None, lag_grows: bool, lag_known_at: float, heard_at: float | None
    ) -> StreamMetrics:
        """Return all of it at this moment, with the lag that the caller knows. From any thread."""
        retention, retention_known_at = self._retention
        reader = self._reader
        changed_at = None if reader is None else reader.changed_at
        return StreamMetrics(
            rows=self._rows.copy(),
            batches=self._batches,
            commit_seconds=self._commit.snapshot,
            apply_seconds=self._apply.snapshot,
            part_seconds=self.parts.seconds,
            queue_bytes=0 if reader is None else reader.queue_bytes,
            batch_transactions=self._batch_transactions,
            batch_rows=self._batch_rows,
            batch_limit=self._batch_limit,
            reconnects=self._reconnects,
            retries=self._retries,
            errors=self._errors,
            lag_seconds=lag_seconds,
            lag_grows=lag_grows,
            lag_known_at=lag_known_at,
            heard_at=heard_at,
            changed_at=changed_at or self._changed_at,
            distance_bytes=self._distance,
            retention_seconds=retention,
            retention_known_at=retention_known_at,
            writer_token=self.writer_token,
            memory_bytes=self._memory_bytes(),
            tables=self.tables,
            verified_rows=self._verified_rows,
            row_differences=self._differences,
            proven_at=self._proven_at,
        )

    def _memory_bytes(self) -> int | None:
        size, read_at = self._memory
        if time.monotonic() - read_at >= _MEMORY_SECONDS:
            size = resident_bytes()
            self._memory = (size, time.monotonic())
        return size


def resident_bytes() -> int | None:
    """Return the resident memory of this process, None if the system does not report it."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        return int(_STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return None


def _counted(counts: dict[Key, int], key: Key) -> dict[Key, int]:
    return {**counts, key: counts.get(key, 0) + 1}
