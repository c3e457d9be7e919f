"""Frozen snapshots of what a worker does; the live table, log lines, JSON and `replica health` read them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Sequence

    from replica_cli.core.metrics import StreamMetrics
    from replica_cli.core.position import Position


class Phase(StrEnum):
    """What a worker does at the moment."""

    STARTING = "starting"
    TRANSFERRING = "transferring"
    STREAMING = "streaming"
    CAUGHT_UP = "caught_up"
    RECONNECTING = "reconnecting"
    PAUSED = "paused"
    STANDBY = "standby"
    STOPPING = "stopping"
    STOPPED = "stopped"  # a stop was requested before its work was done
    FINISHED = "finished"  # the copy is complete, or the stream that had to catch up has done so
    FAILED = "failed"


# A stream that applies changes: it is behind, or it has caught up.
STREAMING_PHASES = frozenset({Phase.STREAMING, Phase.CAUGHT_UP})
ENDED = frozenset({Phase.STOPPED, Phase.FINISHED, Phase.FAILED})


class TableState(StrEnum):
    """The state of one table on a secondary."""

    PENDING = "pending"
    COPYING = "copying"
    CATCHING_UP = "joining"  # copied by a re-sync, and in catch-up
    COPIED = "copied"
    QUARANTINED = "quarantined"


# States of tables whose copy is not finished.
UNFINISHED = frozenset({TableState.PENDING, TableState.COPYING})
# States of tables whose changes the stream does not apply yet.
NOT_STREAMED = UNFINISHED | {TableState.CATCHING_UP}


class CopyStep(StrEnum):
    """The step of a table's copy; the number of copied rows grows only in ROWS."""

    PREPARING = "preparing"  # the table is created, and cut into ranges
    ROWS = "rows"
    CHECKING = "checking"  # if the definition is still the one with which the copy began
    INDEXES = "indexes"
    FOREIGN_KEYS = "foreign_keys"


# The highest share of a copy that is not done. Without it the share could reach 1 early: estimates are often too low.
ALMOST = 0.99


@dataclass(frozen=True, slots=True)
class TableProgress:
    """The progress of one table's copy.

    Attributes:
        rows_estimated: the primary's estimate of the rows, None if it has none.
        step_seconds: the time since `step` began, or since the wait for a lock began.
        waits_for: the lock that the table's statement waits for, and the holder of the lock; empty if it does not wait.
    """

    table: str
    rows_copied: int = 0
    rows_estimated: int | None = None
    bytes_copied: int = 0
    state: TableState = TableState.PENDING
    step: CopyStep = CopyStep.ROWS
    step_seconds: float = 0.0
    waits_for: str = ""

    @property
    def is_counted(self) -> bool:
        """Return True unless the copy is in a step in which the number of rows does not grow."""
        return self.state is not TableState.COPYING or self.step is CopyStep.ROWS


@dataclass(frozen=True, slots=True)
class CopiedTable:
    """A table whose copy has just ended, for the command that requested it.

    `at` is the time of the end in ISO 8601; it distinguishes two copies of one table.
    """

    table: str
    rows: int
    at: str


# If a copy has at most this number of tables, its snapshot lists all of them. The snapshot of a larger copy lists the
# tables that are being copied, and the sums: it is made ten times a second, and must not grow with the tables.
LISTED_TABLES_LIMIT = 100


@dataclass(frozen=True, slots=True)
class CopyProgress:
    """The progress of a copy to one secondary.

    Attributes:
        tables: all tables, or if there are more than LISTED_TABLES_LIMIT, those that are being copied.
        position: the saved position, from which a stream continues.
        totals: the sums of all tables; if None, they are computed from `tables`.
        ended: the tables whose copies ended last.
    """

    instance: str
    tables: tuple[TableProgress, ...] = ()
    elapsed_seconds: float = 0.0
    rows_per_second: float = 0.0
    errors: int = 0
    position: Position | None = None
    totals: CopyStatus | None = None
    ended: tuple[CopiedTable, ...] = ()

    @property
    def rows_copied(self) -> int:
        """Return the number of rows copied so far, of all tables."""
        return self.status.rows_copied

    @property
    def status(self) -> CopyStatus:
        """Return the sums of all tables."""
        return self.totals or CopyStatus.of(self.tables, self.rows_per_second)


@dataclass(frozen=True, slots=True)
class CopyStatus:
    """The sums of a copy.

    Attributes:
        rows_per_second: None while no process copies.
        steps: the tables in a step in which the number of rows does not grow.
    """

    tables: int
    tables_done: int
    rows_copied: int
    rows_estimated: int | None = None
    rows_per_second: float | None = None
    steps: tuple[TableProgress, ...] = ()

    @classmethod
    def of(cls, tables: Sequence[TableProgress], rows_per_second: float | None) -> Self:
        """Return the sums of tables. If more rows are copied than estimated, the copied rows count as the estimate."""
        has_estimate = any(t.rows_estimated is not None for t in tables)
        return cls(
            tables=len(tables),
            tables_done=sum(t.state is TableState.COPIED for t in tables),
            rows_copied=sum(t.rows_copied for t in tables),
            rows_estimated=sum(_whole(t) for t in tables) if has_estimate else None,
            rows_per_second=rows_per_second,
            steps=tuple(t for t in tables if not t.is_counted),
        )

    def with_change(self, before: TableProgress, after: TableProgress) -> Self:
        """Return the sums after one table has changed from `before` to `after`. `steps` does not change."""
        estimated = self.rows_estimated
        return replace(
            self,
            tables_done=self.tables_done + (after.state is TableState.COPIED) - (before.state is TableState.COPIED),
            rows_copied=self.rows_copied + after.rows_copied - before.rows_copied,
            rows_estimated=None if estimated is None else estimated + _whole(after) - _whole(before),
        )

    @property
    def share(self) -> float | None:
        """Return the share of the rows that is copied, from 0 to 1; at most ALMOST before the end, None if unknown."""
        if not self.rows_estimated:
            return None
        return (
            self.rows_copied / self.rows_estimated
            if self.is_done
            else min(ALMOST, self.rows_copied / self.rows_estimated)
        )

    @property
    def is_done(self) -> bool:
        """Return True if every table is copied."""
        return self.tables_done == self.tables

    @property
    def eta_seconds(self) -> float | None:
        """Return the seconds until all rows are copied at the present rate, None if that is unknown."""
        if self.rows_estimated is None or not self.rows_per_second or self.rows_copied >= self.rows_estimated:
            return None
        return (self.rows_estimated - self.rows_copied) / self.rows_per_second


def _whole(table: TableProgress) -> int:
    if table.state is TableState.COPIED:
        return table.rows_copied
    return max(table.rows_estimated or 0, table.rows_copied)


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """The state of one worker at one moment. The lag is None until it is known."""

    instance: str
    phase: Phase = Phase.STARTING
    position: Position | None = None
    lag_seconds: float | None = None
    seconds_since_event: float | None = None
    rows_per_second: float = 0.0
    transactions_per_second: float = 0.0
    rows_total: int = 0
    transactions_total: int = 0
    quarantined: tuple[str, ...] = ()
    skipped_rows: int = 0
    # Rows of a large transaction that is being applied; they are not in `rows_total` yet.
    rows_uncommitted: int = 0
    reconnects: int = 0
    message: str = ""
    transfer: CopyProgress | None = None
    # The number of worker processes that died one after another before this one, and how the last one ended.
    deaths: int = 0
    death: str = ""
    # The last results of the health monitor: name, level and message of each check.
    findings: tuple[tuple[str, str, str], ...] = ()
    # Tables that were copied in the last minute.
    copied: tuple[CopiedTable, ...] = ()
    # The part that limits a stream whose lag is above its limit (`core.limiting.Part`), empty if none does.
    limiting_part: str = ""
    # What the worker has counted. Only for readers on this machine: the heartbeat leaves it out.
    metrics: StreamMetrics | None = None
