"""A session for what a stream asks the primary now and then, such as the definitions of tables that are new to it."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from replica_cli.core.errors import ReplicaError
from replica_cli.mysql.errnos import ServerError
from replica_cli.mysql.session import connect

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from replica_cli.core.settings import Settings
    from replica_cli.core.table import TableDefinition, TableName
    from replica_cli.mysql.session import Row, Session, Value
    from replica_cli.runtime.lag import PrimaryClock

_Answer = TypeVar("_Answer")
_IDLE_SECONDS = 5.0
# The stream waits for the answer: on a half-open link it must not wait as long as a statement may take.
_ANSWER_SECONDS = 30.0


def read_clock(clock: PrimaryClock, session: Session) -> None:
    """Look at the primary's time. Raises ServerError."""
    asked_at = time.monotonic()
    row = session.row("SELECT UNIX_TIMESTAMP(NOW(6))")
    if row is not None:
        clock.read(float(row[0]), asked_at)


class PrimarySession:
    """Opens it when it is needed, and keeps it while questions come: the primary may end what is idle.

    `idle_seconds`: how long it is kept without a question.
    """

    def __init__(self, settings: Settings, *, idle_seconds: float = _IDLE_SECONDS) -> None:
        self._settings = settings
        self._idle_seconds = idle_seconds
        self._session: Session | None = None
        self._used_at = 0.0

    @property
    def session(self) -> Session:
        """Return the session, opened if it is not, or was not used for a while. Raises ServerError."""
        self.rest()
        self._used_at = time.monotonic()
        if self._session is None:
            network = self._settings.network
            network = replace(network, query_timeout=min(network.query_timeout, _ANSWER_SECONDS))
            self._session = connect(self._settings.primary, network)
        return self._session

    def read(self, names: Sequence[TableName]) -> dict[TableName, TableDefinition]:
        """Return the definitions of now of those tables that are there. Raises ServerError."""
        from replica_cli.mysql.catalog import read_tables  # noqa: PLC0415 - `health` seldom asks, a stream has it loaded

        return self.answer(lambda session: read_tables(session, names))

    def lacks(self, names: Sequence[TableName]) -> frozenset[TableName]:
        """Return which of these tables the primary has no longer; none if it cannot be asked: that is no proof."""
        try:
            return frozenset(names) - self.read(names).keys() if names else frozenset()
        except ReplicaError:
            return frozenset()

    def ask(self, sql: str, *args: Value) -> list[Row]:
        """Return the rows of a query. Raises ServerError."""
        return self.answer(lambda session: session.rows(sql, *args))

    def answer(self, question: Callable[[Session], _Answer]) -> _Answer:
        """Return what a question has for an answer; it is asked again if the session was lost meanwhile.

        Raises what the question raises.
        """
        was_open = self._session is not None
        try:
            return question(self.session)
        except ServerError as error:
            self.close()
            if not (was_open and error.is_connection_lost):
                raise
        return question(self.session)

    def rest(self) -> None:
        """Close the session where nothing was asked for a while."""
        if self._session is not None and time.monotonic() - self._used_at > self._idle_seconds:
            self.close()

    def close(self) -> None:
        """Close the session; the next question opens another."""
        session, self._session = self._session, None
        if session is not None:
            session.close()
