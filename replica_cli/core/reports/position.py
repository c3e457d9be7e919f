"""Where a secondary stands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from replica_cli.core.reports.failure import Unknown

if TYPE_CHECKING:
    from datetime import datetime

    from replica_cli.core.position import Position
    from replica_cli.core.reports.failure import Failure
    from replica_cli.core.status import CopyStatus, Phase, TableProgress, TableState
    from replica_cli.core.table import TableName


@dataclass(frozen=True, slots=True)
class TableNote:
    """A table that is not simply live; `position` is where it stopped, for a quarantined one.

    `progress` is set while its copy is not finished.
    """

    table: TableName
    state: TableState
    reason: str = ""
    position: Position | None = None
    progress: TableProgress | None = None


@dataclass(frozen=True, slots=True)
class PositionReport:
    """The position of one secondary and the primary's. Times are aware and in UTC; None is unknown.

    `saved` is None if no position is saved, and Unknown if the secondary could not be asked: then nothing else is known
    of it. `distance_bytes` counts binary log between `saved` and `primary`; `distance_seconds` is the age of the oldest
    change not yet applied. Both are None when the saved position is not true on the primary (`lost` says why), when the
    primary could not be asked, and before the first copy is done (`is_copied` is False). `copy` is of a first copy, or
    one beside the stream, that is not finished. `rows_uncommitted` were applied by a live stream, of a transaction
    that is not committed yet. `message` is what a live process says that it waits for.
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

    @property
    def failure(self) -> Failure | None:
        """Return why the secondary could not be asked, None if it answered."""
        return self.saved.failure if isinstance(self.saved, Unknown) else None

    @property
    def primary_failure(self) -> Failure | None:
        """Return why the primary's position is not known, None if it is."""
        return self.primary.failure if isinstance(self.primary, Unknown) else None
