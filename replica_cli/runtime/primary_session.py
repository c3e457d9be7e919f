"""Sessions for the questions that a process asks a server now and then, such as the definitions of new tables."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from replica_cli.core.errors import ReplicaError
from replica_cli.mysql.errnos import ServerError
from replica_cli.mysql.session import connect

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from replica_cli.core.settings import Network, Server, Settings
    from replica_cli.core.table import TableDefinition, TableName
    from replica_cli.mysql.session import Row, Session, Value
    from replica_cli.runtime.lag import PrimaryClock

_Answer = TypeVar("_Answer")
_IDLE_SECONDS = 5.0
# The stream waits for the answer. On a half-open link it must not wait as long as a statement may take.
_ANSWER_SECONDS = 30.0


def read_clock(clock: PrimaryClock, session: Session) -> None:
    """Read the primary's time into a clock. Raises ServerError."""
    asked_at = time.monotonic()
    row = session.row("SELECT UNIX_TIMESTAMP(NOW(6))")
    if row is not None:
        clock.read(float(row[0]), asked_at)


class QuestionSession:
    """Opens a session when a question comes and closes it when it was idle: the server may end an idle session.

    One thread at a time uses it, except for `abort`.
    """

    def __init__(self, server: Server, network: Network, *, idle_seconds: float = _IDLE_SECONDS) -> None:
        """Take the address; nothing is connected.

        Args:
            server: the server to ask.
            network: the time limits; an answer may take 30 s at most.
            idle_seconds: how long the session stays open without a question.

        """
        self._server = server
        self._network = replace(network, query_timeout=min(network.query_timeout, _ANSWER_SECONDS))
        self._idle_seconds = idle_seconds
        self._session: Session | None = None
        self._used_at = 0.0
        self._is_aborted = False

    @property
    def session(self) -> Session:
        """Return the session. Opens a new one if there is none or if it was idle for too long. Raises ServerError."""
        self.close_if_idle()
        self._used_at = time.monotonic()
        if self._session is None:
            self._session = connect(self._server, self._network)
        return self._session

    def ask(self, sql: str, *args: Value) -> list[Row]:
        """Return the rows of a query. Raises ServerError."""
        return self.answer(lambda session: session.rows(sql, *args))

    def answer(self, question: Callable[[Session], _Answer]) -> _Answer:
        """Return the answer to a question. Ask once more if an open session turns out to be lost.

        Raises what the question raises.
        """
        was_open = self._session is not None
        try:
            return question(self.session)
        except ServerError as error:
            self.close()
            if self._is_aborted or not (was_open and error.is_connection_lost):
                raise
        return question(self.session)

    def close_if_idle(self) -> None:
        """Close the session if it was idle for too long."""
        if self._session is not None and time.monotonic() - self._used_at > self._idle_seconds:
            self.close()

    def close(self) -> None:
        """Close the session. The next question opens another one."""
        session, self._session = self._session, None
        if session is not None:
            session.close()

    def abort(self) -> None:
        """Cut the connection, from any thread: a question that waits on it ends at once, and is not asked again."""
        self._is_aborted = True
        session = self._session
        if session is not None:
            session.abort()


class PrimarySession(QuestionSession):
    """The session for questions to the primary of the settings."""

    def __init__(self, settings: Settings, *, idle_seconds: float = _IDLE_SECONDS) -> None:
        super().__init__(settings.primary, settings.network, idle_seconds=idle_seconds)

    def read(self, names: Sequence[TableName]) -> dict[TableName, TableDefinition]:
        """Return the current definitions of those of the tables that exist. Raises ServerError."""
        from replica_cli.mysql.catalog.table_definitions import read_tables  # noqa: PLC0415 - `health` seldom asks, a stream has it loaded

        return self.answer(lambda session: read_tables(session, names))

    def lacks(self, names: Sequence[TableName]) -> frozenset[TableName]:
        """Return the tables that the primary no longer has; none if it cannot be asked, as that is no proof."""
        try:
            return frozenset(names) - self.read(names).keys() if names else frozenset()
        except ReplicaError:
            return frozenset()
