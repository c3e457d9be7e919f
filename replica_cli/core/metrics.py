"""Frozen values that a worker has counted and measured; they travel to the supervisor with its status.

Times with `_at` are seconds of CLOCK_MONOTONIC, which is the same for all processes of one machine. So a reader in
another process knows how old something is at the moment at which it reads, even if the worker is blocked since then.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from replica_cli.core.limiting import Part
    from replica_cli.core.status import WorkerStatus

# The upper bounds of the buckets of all histograms, in seconds.
BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


@dataclass(frozen=True, slots=True)
class Histogram:
    """How often a time was in each bucket.

    Attributes:
        counts: one for each bound of BOUNDS, of the times above the bound before it; the last is of those above all.
        total_seconds: the sum of all times.
    """

    counts: tuple[int, ...] = (0,) * (len(BOUNDS) + 1)
    total_seconds: float = 0.0

    @property
    def count(self) -> int:
        """Return how many times were measured."""
        return sum(self.counts)


@dataclass(frozen=True, slots=True)
class StreamMetrics:
    """What a worker has counted since its process began, and the newest of what it measures. None: not known.

    Attributes:
        rows: rows that were committed, by kind (insert, update, delete).
        batches: commits that saved a position, those of transactions that share no batch included.
        commit_seconds: from sending COMMIT until its answer was read. The next statements are sent meanwhile, and the
            answer is read after them, so a time is at most one batch too long.
        apply_seconds: from the first statement of a batch until the answer to its COMMIT was read.
        part_seconds: seconds of the thread that applies, by part.
        queue_bytes: bytes of transactions that are read and not taken by the thread that applies.
        batch_transactions: transactions of the last batch.
        batch_rows: rows of the last batch.
        batch_limit: how many transactions the next batch may have; 0 before the first.
        reconnects: connections that were lost, by side (primary, secondary).
        retries: attempts after errors, by reason (`error_policy.retry_reason`).
        errors: errors by code (`ReplicaError.code`) and class (`error_policy.class_of`).
        lag_seconds: the lag at `lag_known_at`; it grows from then on if `lag_grows`.
        heard_at: when the primary last sent anything, heartbeat events included.
        changed_at: when a change of replicated rows was last read; None if none was read yet.
        distance_bytes: bytes of binary log between the saved position and the end of the primary's log.
        retention_seconds: how long the primary keeps the log of the saved position at least, at `retention_known_at`.
            None also if the primary purges nothing by its age.
        writer_token: the fencing token.
        memory_bytes: the resident memory of the worker process.
        tables: tables that have a record, by state. Live tables have none.
        verified_rows: rows that the scrub has compared.
        row_differences: rows that are known to differ.
        proven_at: when the table that was proven the longest time ago was proven; None if no table was.
    """

    rows: Mapping[str, int] = field(default_factory=dict)
    batches: int = 0
    commit_seconds: Histogram = Histogram()
    apply_seconds: Histogram = Histogram()
    part_seconds: Mapping[Part, float] = field(default_factory=dict)
    queue_bytes: int = 0
    batch_transactions: int = 0
    batch_rows: int = 0
    batch_limit: int = 0
    reconnects: Mapping[str, int] = field(default_factory=dict)
    retries: Mapping[str, int] = field(default_factory=dict)
    errors: Mapping[tuple[str, str], int] = field(default_factory=dict)
    lag_seconds: float | None = None
    lag_grows: bool = False
    lag_known_at: float = 0.0
    heard_at: float | None = None
    changed_at: float | None = None
    distance_bytes: int | None = None
    retention_seconds: float | None = None
    retention_known_at: float = 0.0
    writer_token: int | None = None
    memory_bytes: int | None = None
    tables: Mapping[str, int] = field(default_factory=dict)
    verified_rows: int = 0
    row_differences: int | None = None
    proven_at: float | None = None

    def lag_at(self, now: float) -> float | None:
        """Return the lag at a monotonic time."""
        if self.lag_seconds is None or not self.lag_grows:
            return self.lag_seconds
        return self.lag_seconds + max(0.0, now - self.lag_known_at)

    def retention_at(self, now: float) -> float | None:
        """Return at a monotonic time how long the primary keeps the log of the saved position at least.

        It shrinks until the position is looked at again: the position may not have moved since then.
        """
        if self.retention_seconds is None:
            return None
        return max(0.0, self.retention_seconds - max(0.0, now - self.retention_known_at))


@dataclass(frozen=True, slots=True)
class ProcessFacts:
    """What the supervisor knows about a worker process: if it runs, and how many processes before it died."""

    is_running: bool = True
    deaths: int = 0


@dataclass(frozen=True, slots=True)
class Newest:
    """What a command knows at the moment about its secondaries.

    Attributes:
        statuses: the newest status of each.
        processes: by instance, what is known of its process; empty if one process does everything, as in a transfer.
    """

    statuses: Sequence[WorkerStatus]
    processes: Mapping[str, ProcessFacts] = field(default_factory=dict)
