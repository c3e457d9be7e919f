"""The result of `replica position show`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from replica_cli.core.reports.failure import Unknown

if TYPE_CHECKING:
    from datetime import datetime

    from replica_cli.core.limiting import Part
    from replica_cli.core.position import Position
    from replica_cli.core.reports.failure import Failure
    from replica_cli.core.status import CopyStatus, Phase, TableProgress, TableState
    from replica_cli.core.table import TableName


@dataclass(frozen=True, slots=True)
class TableNote:
    """The state of one table, as the state schema records it.

    Attributes:
        position: for a quarantined table, the position at which it was quarantined.
        progress: how far the copy is, set while it is not finished.
    """

    table: TableName
    state: TableState
    reason: str = ""
    position: Position | None = None
    progress: TableProgress | None = None


@dataclass(frozen=True, slots=True)
class ProcessNote:
    """What the process of an instance wrote in its last heartbeat.

    Attributes:
        holder: the process, as `host:pid`.
        phase: None if another version wrote a phase that this one does not know.
        is_running: the heartbeat is fresh, and does not say that the process has ended.
        heartbeat_seconds: the age of the heartbeat; of a process that has ended, how long ago that was.
        message: what the process waits for, or why it ended, in its own words.
    """

    holder: str
    phase: Phase | None
    is_running: bool
    heartbeat_seconds: float
    message: str = ""


@dataclass(frozen=True, slots=True)
class PositionReport:
    """The saved position of one secondary, and the end of the primary's log. Times are aware and in UTC; None: unknown.

    `distance_bytes` and `distance_seconds` are None if the saved position is not valid on the primary (`lost` says
    why), if the primary could not be asked, and before the first copy is done (`is_copied` is False).

    Attributes:
        saved: None if no position is saved; Unknown if the secondary could not be asked, and then the fields about the
            secondary say nothing.
        primary: the end of the primary's log; Unknown if the primary could not be asked.
        distance_bytes: bytes of binary log between `saved` and `primary`.
        distance_seconds: the age of the oldest change that is not applied yet.
        copy: the progress of a first copy or a re-sync that is not finished.
        rows_uncommitted: rows that a live stream has applied of a transaction that is not committed yet.
        message: what a live process waits for, in its own words.
        process: the process that wrote the last heartbeat, None if no process ever wrote one.
        rows_per_second: the rate that a live process reports with a heartbeat that is a few seconds old at most.
        transactions_per_second: the same for transactions; None also while rows are copied.
        limiting_part: the part that limits a live stream whose lag is above its limit, None if none does.
    """

    instance: str
    saved: Position | Unknown | None = None
    saved_at: datetime | None = None
    source_time: datetime | None = None
    primary: Position | Unknown | None = None
    distance_bytes: int | None = None
    distance_seconds: float | None = None
    tables: tuple[TableNote, ...] = ()
    phase: Phase | None = None
    is_paused: bool = False
    lost: Failure | None = None
    is_copied: bool = True
    copy: CopyStatus | None = None
    rows_uncommitted: int = 0
    message: str = ""
    process: ProcessNote | None = None
    rows_per_second: float | None = None
    transactions_per_second: float | None = None
    limiting_part: Part | None = None

    @property
    def failure(self) -> Failure | None:
        """Return why the secondary could not be asked, None if it answered."""
        return self.saved.failure if isinstance(self.saved, Unknown) else None

    @property
    def primary_failure(self) -> Failure | None:
        """Return why the primary's position is not known, None if it is."""
        return self.primary.failure if isinstance(self.primary, Unknown) else None
