"""Open the connections of one copy worker when it needs them, and close all of them together when one fails."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

from replica_cli.mysql.errnos import ER_UNKNOWN_SYSTEM_VARIABLE, ServerError
from replica_cli.mysql.session import closing_on_error, connect
from replica_cli.mysql.session_settings import prepare_to_make_tables
from replica_cli.side_by_side import in_threads

if TYPE_CHECKING:
    from collections.abc import Callable

    from replica_cli.core.settings import Network, Server
    from replica_cli.mysql.session import Session

# While the secondary is slow, the copy reads nothing from the primary, which closes a connection after
# net_write_timeout.
_READING = (b"SET SESSION net_write_timeout = 3600", b"SET NAMES binary")
_WRITING = (b"SET SESSION foreign_key_checks = 0", b"SET NAMES binary")
# Row versions keep their times. The setting only affects statements that name the period columns. Some releases do not
# have it.
_MARIADB_WRITING = (
    b"SET SESSION check_constraint_checks = 0",
    b"SET SESSION system_versioning_insert_history = 1",
)
# Space in a packet for the text before the VALUES list (column names) and for the progress row.
_HEAD_ROOM = 256 * 1024
_WEEK_SECONDS = 7 * 86400.0
_USUAL_SESSIONS = ("secondary", "primary", "reader", "writer")
ALL_SESSIONS = (*_USUAL_SESSIONS, "altering")


@dataclass(frozen=True, slots=True)
class Endpoints:
    """The addresses and settings for connections to both servers.

    `packet_limit` is the length in bytes of the longest VALUES list that both servers accept. `guard` raises if this
    process must not write to the secondary any more: it is called with each new session that writes, and before
    critical statements. `ddl_lock_wait` is how many seconds a statement may wait for a table lock, 0 for no limit.
    """

    primary: Server
    secondary: Server
    network: Network
    packet_limit: int
    guard: Callable[[Session], None]
    ddl_lock_wait: float = 3600.0

    def open_reader(self) -> Session:
        """Open a session that reads chunks from the primary. Its answers are bytes."""
        session = connect(self.primary, self.network)
        session.execute_each(_READING)
        return session

    def open_writer(self) -> Session:
        """Open a session that writes chunks to the secondary, with checks off: the primary has checked the rows."""
        session = self._guarded(connect(self.secondary, self.network, may_load=True))
        if not session.is_mariadb:
            session.execute_each(_WRITING)
            return session
        try:
            session.execute_each((*_WRITING, *_MARIADB_WRITING))
        except ServerError as error:
            if error.errno != ER_UNKNOWN_SYSTEM_VARIABLE:
                raise
        return session

    def open_primary(self) -> Session:
        """Open a session for the primary's catalog and positions, in utf8mb4."""
        return connect(self.primary, self.network)

    def open_secondary(self) -> Session:
        """Open a session for definitions and state, in utf8mb4.

        Foreign keys are not checked, so a parent can be dropped before its children.
        """
        return self._defining(self.network)

    def open_altering(self) -> Session:
        """Open a session for a statement that may run for up to a week; a lost connection is still noticed."""
        # A server that refuses a CREATE TABLE without a primary key also refuses an ALTER TABLE of such a table, so
        # this session is prepared in the same way.
        return self._defining(replace(self.network, query_timeout=_WEEK_SECONDS))

    def open_unguarded(self) -> Session:
        """Open a session to the secondary that writes nothing."""
        return connect(self.secondary, self.network)

    def _defining(self, network: Network) -> Session:
        session = connect(self.secondary, network)
        session.post("SET SESSION foreign_key_checks = 0")
        self._guarded(session)
        prepare_to_make_tables(session)
        return session

    def _guarded(self, session: Session) -> Session:
        with closing_on_error(session):
            self.guard(session)
        return session


def allow_writing(session: Session) -> None:
    """Do nothing: the guard for callers that know that no other process writes."""


def packet_limit(*max_allowed_packets: int) -> int:
    """Return how long a VALUES list may be, in bytes, if these are the servers' `max_allowed_packet` values."""
    smallest = min(max_allowed_packets)
    return max(smallest // 2, smallest - _HEAD_ROOM)


class Connections:
    """The sessions of one copy worker, opened at first use.

    Only one thread may use them at a time. The exception is `reader`, which belongs to the prefetching thread while it
    runs.
    """

    def __init__(self, endpoints: Endpoints) -> None:
        self.endpoints = endpoints
        self._open: dict[str, Session] = {}

    @property
    def reader(self) -> Session:
        """Return the session that reads chunks."""
        return self._session("reader")

    @property
    def writer(self) -> Session:
        """Return the session that writes chunks and their progress."""
        return self._session("writer")

    @property
    def primary(self) -> Session:
        """Return the session for the primary's catalog and position."""
        return self._session("primary")

    @property
    def secondary(self) -> Session:
        """Return the session for the secondary's definitions and state."""
        return self._session("secondary")

    @property
    def altering(self) -> Session:
        """Return the session for statements that may run for a long time."""
        return self._session("altering")

    def open_all(self, *names: str) -> None:
        """Open the named sessions at the same time, or the usual ones; do nothing if any session is open.

        On a long link each session takes many round trips. Sessions that were opened stay open if another one fails.
        """
        if not self._open:
            names = names or _USUAL_SESSIONS
            with in_threads(self._opener(name) for name in names) as openings:
                pass
            for name, opening in zip(names, openings, strict=True):
                if opening.exception() is None:
                    self._open[name] = opening.result()
            for opening in openings:
                opening.result()

    def drop(self, name: str) -> None:
        """Close one session; the next use opens a new one."""
        session = self._open.pop(name, None)
        if session is not None:
            session.close()

    def close(self) -> None:
        """Close all sessions."""
        for name in tuple(self._open):
            self.drop(name)

    def _session(self, name: str) -> Session:
        if name not in self._open:
            self._open[name] = self._opener(name)()
        return self._open[name]

    def _opener(self, name: str) -> Callable[[], Session]:
        return {
            "reader": self.endpoints.open_reader,
            "writer": self.endpoints.open_writer,
            "primary": self.endpoints.open_primary,
            "secondary": self.endpoints.open_secondary,
            "altering": self.endpoints.open_altering,
        }[name]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
