"""Frozen snapshots of what a worker is doing: the live table, log lines, JSON and health all read these."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
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
    STOPPED = "stopped"
    FAILED = "failed"


ENDED = frozenset({Phase.STOPPED, Phase.FAILED})


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


@dataclass(frozen=True, slots=True)
class TableProgress:
    """How far one table's copy is; `rows_estimated` is the primary's guess, None where it has none."""

    table: str
    rows_copied: int = 0
    rows_estimated: int | None = None
    bytes_copied: int = 0
    state: TableState = TableState.PENDING


@dataclass(frozen=True, slots=True)
class TransferProgress:
    """A whole copy to one secondary."""

    instance: str
    tables: tuple[TableProgress, ...] = ()
    elapsed_seconds: float = 0.0
    rows_per_second: float = 0.0
    errors: int = 0

    @property
    def rows_copied(self) -> int:
        """Return the rows copied so far, all tables."""
        return sum(t.rows_copied for t in self.tables)


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
    reconnects: int = 0
    message: str = ""
    transfer: TransferProgress | None = None
    counters: dict[str, int] = field(default_factory=dict)
    # Worker processes that died one after the other before this one, and how the last one ended.
    deaths: int = 0
    death: str = ""
    # What the health watch found last: name, level and message of each check.
    findings: tuple[tuple[str, str, str], ...] = ()
