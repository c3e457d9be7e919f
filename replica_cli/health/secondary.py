"""What the state schema of one secondary says; all ages are by the secondary's own clock."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from replica_cli.checkpoint.beats import FRESH_SECONDS, Beat, BeatStore
from replica_cli.checkpoint.layout import instances_of
from replica_cli.checkpoint.positions import PositionStore, SavedPosition
from replica_cli.checkpoint.progress import ProgressStore
from replica_cli.checkpoint.schema import existing_state_tables
from replica_cli.checkpoint.tables import TableRecord, TableStore
from replica_cli.core.status import BESIDE, ENDED, Phase, TableState
from replica_cli.health.copying import copy_status, read_progress
from replica_cli.mysql.errnos import ER_BAD_DB, ER_NO_SUCH_TABLE, ServerError

if TYPE_CHECKING:
    from replica_cli.core.status import CopyStatus, TableProgress
    from replica_cli.mysql.session import Session

# While there is something to apply a process beats once a second: an older beat tells nothing of what came since.
_TOLD_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class InstanceState:
    """One instance's state rows. `saved_at` is aware, UTC; `saved_age_seconds` is how long ago that was.

    `progress` is of the tables of a copy that is not finished, empty if there is none. `others` are the instances that
    have a position where this one has none.
    """

    saved: SavedPosition | None = None
    saved_at: datetime | None = None
    saved_age_seconds: float | None = None
    beat: Beat | None = None
    tables: tuple[TableRecord, ...] = ()
    progress: tuple[TableProgress, ...] = ()
    others: tuple[str, ...] = ()

    @property
    def is_alive(self) -> bool:
        """Say whether a process has beaten just now, and does not say that its stream has ended."""
        return self.beat is not None and self.beat.age_seconds < FRESH_SECONDS and self.beat.phase not in ENDED

    @property
    def copy(self) -> CopyStatus | None:
        """Return the copy that is not finished in a few numbers, None if there is none."""
        return copy_status(self.progress, self.beat, is_alive=self.is_alive)

    @property
    def told_lag(self) -> float | None:
        """Return the lag that a live stream tells, seconds; None if it does not stream, or has not told it just now."""
        if (
            self.beat is None
            or not self.is_alive
            or self.beat.age_seconds >= _TOLD_SECONDS
            or self.beat.phase not in (Phase.STREAMING, Phase.CAUGHT_UP)
        ):
            return None
        told = self.beat.snapshot.get("lag_seconds")
        return float(told) + self.beat.age_seconds if isinstance(told, (int, float)) else None

    @property
    def rows_uncommitted(self) -> int:
        """Return the rows that a live process applied of a transaction that is not committed yet."""
        return self.beat.rows_uncommitted if self.beat is not None and self.is_alive else 0

    @property
    def is_first_copy(self) -> bool:
        """Return True while the first copy is not finished: the saved position is where that began, nothing more."""
        return self.saved is not None and not self.saved.transaction_count and bool(self.unfinished)

    @property
    def quarantined(self) -> tuple[TableRecord, ...]:
        """Return the tables that are set aside."""
        return tuple(t for t in self.tables if t.state is TableState.QUARANTINED)

    @property
    def unfinished(self) -> tuple[TableRecord, ...]:
        """Return the tables whose copy was begun, or is to begin, and has not ended."""
        return tuple(t for t in self.tables if t.state in BESIDE)


def read_state(
    session: Session, state_schema: str, instance: str, *, existing: frozenset[str] | None = None
) -> InstanceState:
    """Read all state rows of an instance; a schema that is not there yet is an empty state.

    `existing` are the state tables that are there, for a caller that knows.
    Raises ServerError, also where our user may not look: servers hide a table from those, so asking is the only way.
    Raises StateBroken if what is there is not as this version writes it.
    """
    try:
        existing = existing_state_tables(session, state_schema) if existing is None else existing
        saved = PositionStore(session, state_schema, instance).load()
    except ServerError as error:
        if error.errno not in (ER_NO_SUCH_TABLE, ER_BAD_DB):
            raise
        return InstanceState()
    beat = BeatStore(session, state_schema, instance).load() if "stream_status" in existing else None
    records = TableStore(session, state_schema, instance).load() if "table_status" in existing else {}
    others = () if saved is not None else tuple(instances_of(session, state_schema, existing))
    found = InstanceState(beat=beat, tables=tuple(records.values()), others=others)
    if found.unfinished:
        counts = ProgressStore(session, state_schema, instance).counts()
        found = replace(found, progress=read_progress(found.tables, counts, beat, is_alive=found.is_alive))
    if saved is None:
        return found
    return replace(found, saved=saved, saved_at=_utc(saved.updated_at), saved_age_seconds=saved.age_seconds)


def _utc(value: object) -> datetime:
    return datetime.fromisoformat(str(value)).replace(tzinfo=UTC)
