"""Read what the state schema of one secondary says. All ages are by the secondary's own clock."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from replica_cli.checkpoint.beats import FRESH_SECONDS, Beat, BeatStore
from replica_cli.checkpoint.layout import instances_of
from replica_cli.checkpoint.migration_3 import load_records
from replica_cli.checkpoint.positions import PositionStore, SavedPosition
from replica_cli.checkpoint.progress import ProgressStore
from replica_cli.checkpoint.proofs import PROOF_TABLES, ProofStore
from replica_cli.checkpoint.schema import existing_state_tables
from replica_cli.core.status import ENDED, NOT_STREAMED, STREAMING_PHASES, TableState
from replica_cli.health.copy_status import copy_status, read_progress
from replica_cli.mysql.errnos import ER_BAD_DB, ER_NO_SUCH_TABLE, ServerError

if TYPE_CHECKING:
    from replica_cli.checkpoint.proofs import ProofSummary
    from replica_cli.checkpoint.table_records import TableRecord
    from replica_cli.core.limiting import Part
    from replica_cli.core.status import CopyStatus, TableProgress
    from replica_cli.mysql.session import Session

# A process that has changes to apply sends a heartbeat each second. The lag and the rates in an older heartbeat say
# nothing about later changes.
_LAG_VALID_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class InstanceState:
    """The state rows of one instance.

    `saved_at` is a UTC time with time zone, and `saved_age_seconds` is how long ago that was. `progress` has the tables
    of an unfinished copy; it is empty if there is none. `others` are other instances that have a position; it is only
    read if this one has none. `proofs` is None if the state schema has no tables for them.
    """

    saved: SavedPosition | None = None
    saved_at: datetime | None = None
    saved_age_seconds: float | None = None
    beat: Beat | None = None
    tables: tuple[TableRecord, ...] = ()
    progress: tuple[TableProgress, ...] = ()
    others: tuple[str, ...] = ()
    proofs: ProofSummary | None = None

    @property
    def is_alive(self) -> bool:
        """Return True if the last heartbeat is fresh and does not say that its stream has ended."""
        return self.beat is not None and self.beat.age_seconds < FRESH_SECONDS and self.beat.phase not in ENDED

    @property
    def copy(self) -> CopyStatus | None:
        """Return the sums of the unfinished copy, None if there is none."""
        return copy_status(self.progress, self.beat, is_alive=self.is_alive)

    @property
    def reported_lag(self) -> float | None:
        """Return the lag that a running stream reported, in seconds at the time of reading.

        It is None if no stream is running, if it is not streaming, or if its last heartbeat is too old.
        """
        if (
            self.beat is None
            or not self.is_alive
            or self.beat.age_seconds >= _LAG_VALID_SECONDS
            or self.beat.phase not in STREAMING_PHASES
        ):
            return None
        lag = self.beat.snapshot.get("lag_seconds")
        return float(lag) + self.beat.age_seconds if isinstance(lag, (int, float)) else None

    @property
    def reported_rates(self) -> tuple[float | None, float | None]:
        """Return the rows and transactions per second that a running process reported; None for what is not known."""
        if self.beat is None or not self.is_alive or self.beat.age_seconds >= _LAG_VALID_SECONDS:
            return None, None
        return self.beat.rates

    @property
    def rows_uncommitted(self) -> int:
        """Return the number of rows that a running process has applied of a transaction that is not committed yet."""
        return self.beat.rows_uncommitted if self.beat is not None and self.is_alive else 0

    @property
    def limiting_part(self) -> Part | None:
        """Return what limits a running stream whose lag is above its own limit, None if nothing does."""
        return self.beat.limiting_part if self.beat is not None and self.is_alive else None

    @property
    def is_first_copy(self) -> bool:
        """Return True while the first copy is not finished: the saved position is then only the start of that copy."""
        return self.saved is not None and not self.saved.transaction_count and bool(self.unfinished)

    @property
    def quarantined(self) -> tuple[TableRecord, ...]:
        """Return the tables that are quarantined."""
        return tuple(t for t in self.tables if t.state is TableState.QUARANTINED)

    @property
    def unfinished(self) -> tuple[TableRecord, ...]:
        """Return the tables whose copy is planned or running, or that the stream has not taken over yet."""
        return tuple(t for t in self.tables if t.state in NOT_STREAMED)


def read_state(
    session: Session, state_schema: str, instance: str, *, existing: frozenset[str] | None = None
) -> InstanceState:
    """Read all state rows of an instance; if the state schema does not exist yet, the state is empty.

    `existing` are the state tables that exist, None to look for them.

    Raises:
        ServerError: a server error, also if our user lacks the privilege: servers hide a table from such a user, so
            only a query shows it.
        StateBroken: the state rows are not as this version writes them.
    """
    try:
        existing = existing_state_tables(session, state_schema) if existing is None else existing
        saved = PositionStore(session, state_schema, instance).load()
    except ServerError as error:
        if error.errno not in (ER_NO_SUCH_TABLE, ER_BAD_DB):
            raise
        return InstanceState()
    beat = BeatStore(session, state_schema, instance).load() if "stream_status" in existing else None
    records = load_records(session, state_schema, instance, existing)
    others = () if saved is not None else tuple(instances_of(session, state_schema, existing))
    proofs = ProofStore(session, state_schema, instance).summary() if existing >= PROOF_TABLES else None
    state = InstanceState(beat=beat, tables=tuple(records.values()), others=others, proofs=proofs)
    if state.unfinished:
        counts = ProgressStore(session, state_schema, instance).counts()
        state = replace(state, progress=read_progress(state.tables, counts, beat, is_alive=state.is_alive))
    if saved is None:
        return state
    return replace(state, saved=saved, saved_at=_utc(saved.updated_at), saved_age_seconds=saved.age_seconds)


def _utc(value: object) -> datetime:
    return datetime.fromisoformat(str(value)).replace(tzinfo=UTC)
