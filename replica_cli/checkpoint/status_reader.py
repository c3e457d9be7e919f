"""Read in one statement what a process needs from the state schema again and again, before a heartbeat or as a standby.

An idle stream reads seldom and writes even less often. A standby needs a sign of life each second. So it holds a named
lock of its own, by which the process that writes the heartbeat sees that a standby waits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from replica_cli.checkpoint.lock import lock_name, standby_lock_name
from replica_cli.core.status import TableState
from replica_cli.sqlbuilder.identifiers import quote

if TYPE_CHECKING:
    from replica_cli.mysql.session import Session

# How often a process looks if nothing changes. A request, such as a pause, is heard at most this late.
IDLE_POLL_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Notices:
    """What concerns an instance's process. `writer_id` is the connection that holds the lock, None if it is free.

    `has_requests`: tables wait for a copy, or rows for a repair. `holder` is the process that wrote the last heartbeat,
    "" if there is none.
    """

    writer_id: int | None
    has_standby: bool
    has_requests: bool
    is_pause_wanted: bool
    holder: str


@dataclass(frozen=True, slots=True)
class LifeSign:
    """What a standby sees of the process that it waits for. If two of them differ, the process is alive."""

    writer_id: int | None
    holder: str
    beat_at: str
    phase: str


class StatusReader:
    """Reads the state of one instance, on a session of its own."""

    def __init__(self, session: Session, state_schema: str, instance: str) -> None:
        self._session = session
        lock, standby = lock_name(state_schema, instance), standby_lock_name(state_schema, instance)
        name, schema = session.escape(instance), quote(state_schema)
        beat = f"FROM (SELECT 1) AS one LEFT JOIN {schema}.stream_status AS beat ON beat.instance = {name}"
        self._notices_query = (
            f"SELECT IS_USED_LOCK('{lock}'), IS_USED_LOCK('{standby}') IS NOT NULL, EXISTS (SELECT 1 FROM "
            f"{schema}.table_state WHERE instance = {name} AND state = '{TableState.PENDING}') OR EXISTS "
            f"(SELECT 1 FROM {schema}.repair_request WHERE instance = {name} AND is_wanted = 1), "
            f"beat.is_pause_wanted, beat.holder {beat}"
        )
        self._standby_query = (
            f"SELECT IF(IS_USED_LOCK('{standby}') <=> CONNECTION_ID(), 1, GET_LOCK('{standby}', 0)), "
            f"IS_USED_LOCK('{lock}'), beat.holder, beat.beat_at, beat.phase {beat}"
        )

    def read_notices(self) -> Notices:
        """Return what the process of the instance has to know. Raises ServerError."""
        ((writer, standby, requests, pause, holder),) = self._session.rows(self._notices_query)
        return Notices(
            None if writer is None else int(writer), bool(standby), bool(requests), bool(pause), str(holder or "")
        )

    def announce_standby(self) -> LifeSign:
        """Show that a standby waits, for as long as its session lasts, and return what it sees. Raises ServerError."""
        ((_, writer, holder, beat_at, phase),) = self._session.rows(self._standby_query)
        return LifeSign(
            None if writer is None else int(writer), str(holder or ""), str(beat_at or ""), str(phase or "")
        )
