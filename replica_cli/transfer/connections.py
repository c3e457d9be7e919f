"""The connections of one worker: opened when they are needed, thrown away together when one of them fails."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

from replica_cli.mysql.errnos import ER_UNKNOWN_SYSTEM_VARIABLE, ServerError
from replica_cli.mysql.session import connect
from replica_cli.mysql.session_settings import prepare_to_make_tables

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from replica_cli.core.settings import Network, Server
    from replica_cli.mysql.session import Session

# While the secondary is slow nothing is read from the primary, which hangs up after net_write_timeout.
_READING = (b"SET SESSION net_write_timeout = 3600", b"SET NAMES binary")
_WRITING = (b"SET SESSION foreign_key_checks = 0", b"SET NAMES binary")
# Versions of rows keep their times; only where a statement names them does it matter. Not each release has it.
_MARIADB_WRITING = (
    b"SET SESSION check_constraint_checks = 0",
    b"SET SESSION system_versioning_insert_history = 1",
)
# Space in a packet for what stands before the VALUES list: column names and the progress row.
_HEAD_ROOM = 256 * 1024
_WEEK_SECONDS = 7 * 86400.0
_NAMES = ("secondary", "primary", "reader", "writer")
EVERY = (*_NAMES, "altering")


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Both servers; `packet_limit` is the longest VALUES list, bytes, that the two take.

    `guard` raises where this process must not write to the secondary any more. `ddl_lock_wait`: the seconds that a
    statement may wait for the lock of a table, 0 for ever.
    """

    primary: Server
    secondary: Server
    network: Network
    packet_limit: int
    guard: Callable[[Session], None]
    ddl_lock_wait: float = 3600.0

    def open_reader(self) -> Session:
        """Open a session that formats chunks: its answers are bytes."""
        session = connect(self.primary, self.network)
        session.execute_each(_READING)
        return session

    def open_writer(self) -> Session:
        """Open a session that takes chunks as they are; checks were the primary's business."""
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
        """Open a session for catalogs and positions, in utf8mb4."""
        return connect(self.primary, self.network)

    def open_secondary(self) -> Session:
        """Open a session for definitions and state, in utf8mb4; a parent may go before its children."""
        return self._defining(self.network)

    def open_altering(self) -> Session:
        """Open a session for a statement that may take long; a peer that is gone is noticed all the same."""
        # An ALTER of a table without a primary key is refused as its CREATE is.
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
        try:
            self.guard(session)
        except BaseException:
            session.close()
            raise
        return session


def packet_limit(*max_allowed_packets: int) -> int:
    """Return how long a VALUES list may be so that it fits these servers' packets."""
    smallest = min(max_allowed_packets)
    return max(smallest // 2, smallest - _HEAD_ROOM)


class Connections:
    """One worker's sessions. One thread at a time, but for `reader`, which its prefetching thread has."""

    def __init__(self, ends: Endpoints) -> None:
        self.ends = ends
        self._open: dict[str, Session] = {}

    @property
    def reader(self) -> Session:
        """Return the session that formats chunks."""
        return self._kept("reader")

    @property
    def writer(self) -> Session:
        """Return the session that writes chunks and their progress."""
        return self._kept("writer")

    @property
    def primary(self) -> Session:
        """Return the session for the primary's catalog and position."""
        return self._kept("primary")

    @property
    def secondary(self) -> Session:
        """Return the session for the secondary's definitions and state."""
        return self._kept("secondary")

    @property
    def altering(self) -> Session:
        """Return the session for statements that may take long."""
        return self._kept("altering")

    def open_all(self, *names: str) -> None:
        """Open those that a table needs, or some of them, at the same time: on a long link each takes many round trips.

        Does nothing where one is open.
        """
        if not self._open:
            names = names or _NAMES
            with ThreadPoolExecutor(len(names)) as pool:
                sessions = [pool.submit(self._opening(name)) for name in names]
            for name, session in zip(names, sessions, strict=True):
                if session.exception() is None:
                    self._open[name] = session.result()
            for session in sessions:
                session.result()

    def drop(self, name: str) -> None:
        """Close one session; the next use opens another."""
        session = self._open.pop(name, None)
        if session is not None:
            session.close()

    def close(self) -> None:
        """Close all sessions."""
        for name in tuple(self._open):
            self.drop(name)

    def _kept(self, name: str) -> Session:
        if name not in self._open:
            self._open[name] = self._opening(name)()
        return self._open[name]

    def _opening(self, name: str) -> Callable[[], Session]:
        return {
            "reader": self.ends.open_reader,
            "writer": self.ends.open_writer,
            "primary": self.ends.open_primary,
            "secondary": self.ends.open_secondary,
            "altering": self.ends.open_altering,
        }[name]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
