"""Frozen snapshots of what a worker is doing: the live table, log lines, JSON and health all read these."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Sequence

    from replica_cli.core.position import Position


class Phase(StrEnum):
    """What a worker is busy with."""

    STARTING = "starting"
    TRANSFERRING = "transferring"
    STREAMING = "streaming"
    CAUGHT_UP = "caught_up"
    RECONNECTING = "reconnecting"
    PAUSED = "paused"
    STANDBY = "standby"
    STOPPING = "stopping"
    STOPPED = "stopped"  # as somebody asked, before its work was done
    FINISHED = "finished"  # a copy that is complete, or a stream that had to catch up
    FAILED = "failed"


ENDED = frozenset({Phase.STOPPED, Phase.FINISHED, Phase.FAILED})


class TableState(StrEnum):
    """Where a table stands on a secondary."""

    PENDING = "pending"
    COPYING = "copying"
    JOINING = "joining"  # copied beside the stream, and being brought up to where the stream is
    COPIED = "copied"
    QUARANTINED = "quarantined"


# Tables whose copy is not part of the stream yet.
UNFINISHED = frozenset({TableState.PENDING, TableState.COPYING})
BESIDE = UNFINISHED | {TableState.JOINING}


class CopyStep(StrEnum):
    """What the copy of a table is busy with; its count of rows moves in ROWS alone."""

    PREPARING = "preparing"  # the table is made, and cut into ranges
    ROWS = "rows"
    CHECKING = "checking"  # whether the definition is still the one that the copy began with
    INDEXES = "indexes"
    FOREIGN_KEYS = "foreign_keys"


# How far a copy is at the most that is not done: estimates are often too low.
ALMOST = 0.99


@dataclass(frozen=True, slots=True)
class TableProgress:
    """How far one table's copy is; `rows_estimated` is the primary's guess, None where it has none.

    `step_seconds` is the time since `step` began; `waits_for` the lock that its statement waits for, and its holder.
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
        """Return True while nothing but its rows is being worked on."""
        return self.state is not TableState.COPYING or self.step is CopyStep.ROWS


@dataclass(frozen=True, slots=True)
class CopiedTable:
    """A table whose copy has just ended, for the command that asked for it; `at` tells one copy from the next."""

    table: str
    rows: int
    at: str


# A snapshot of a copy lists all of its tables up to this number. Of a larger copy it lists only tables that are being
# worked on, and the sums: a snapshot is made ten times a second, and must not grow with the number of tables.
TOLD_TABLES = 100


@dataclass(frozen=True, slots=True)
class TransferProgress:
    """A copy to one secondary. `position` is the saved one, from which a stream will go on.

    `tables` are all of them, or those that are being worked on (TOLD_TABLES); `totals` is always of all, None where it
    is to be added up from `tables`. `ended` are the tables whose copies ended last.
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
        """Return the rows copied so far, all tables."""
        return self.status.rows_copied

    @property
    def status(self) -> CopyStatus:
        """Return the whole in a few numbers."""
        return self.totals or CopyStatus.of(self.tables, self.rows_per_second)


@dataclass(frozen=True, slots=True)
class CopyStatus:
    """A whole copy in a few numbers. `rows_per_second` is None while no process copies.

    `steps` are the tables that are being worked on without a count that moves.
    """

    tables: int
    tables_done: int
    rows_copied: int
    rows_estimated: int | None = None
    rows_per_second: float | None = None
    steps: tuple[TableProgress, ...] = ()

    @classmethod
    def of(cls, tables: Sequence[TableProgress], rows_per_second: float | None) -> Self:
        """Add up tables. An estimate that was passed counts as what is there."""
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
        """Return the sums after one table has changed; its steps are left as they are."""
        estimated = self.rows_estimated
        return replace(
            self,
            tables_done=self.tables_done + (after.state is TableState.COPIED) - (before.state is TableState.COPIED),
            rows_copied=self.rows_copied + after.rows_copied - before.rows_copied,
            rows_estimated=None if estimated is None else estimated + _whole(after) - _whole(before),
        )

    @property
    def share(self) -> float | None:
        """Return how much of the rows is copied, from 0 to 1, below 1 before all tables are done; None if unknown."""
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
        """Return the seconds until all rows are copied at the rate of now, None if that is unknown."""
        if self.rows_estimated is None or not self.rows_per_second or self.rows_copied >= self.rows_estimated:
            return None
        return (self.rows_estimated - self.rows_copied) / self.rows_per_second


def _whole(table: TableProgress) -> int:
    if table.state is TableState.COPIED:
        return table.rows_copied
    return max(table.rows_estimated or 0, table.rows_copied)


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """One secondary's state at one moment. Lag is None until it is known; times are seconds since the epoch."""

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
    # Of a large transaction that is being applied: rows that are not in `rows_total` yet.
    rows_uncommitted: int = 0
    reconnects: int = 0
    message: str = ""
    transfer: TransferProgress | None = None
    counters: dict[str, int] = field(default_factory=dict)
    # Worker processes that died one after the other before this one, and how the last one ended.
    deaths: int = 0
    death: str = ""
    # What the health watch found last: name, level and message of each check.
    findings: tuple[tuple[str, str, str], ...] = ()
    # Tables that were copied in the last minute.
    copied: tuple[CopiedTable, ...] = ()
