"""The servers of a watch: each has a session that stays open, and a thread that asks on it."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

from replica_cli.checkpoint.schema import existing_state_tables, state_tables
from replica_cli.core.errors import PrimaryError, ReplicaError, SecondaryError
from replica_cli.core.reports.watch import NO_ANSWER
from replica_cli.core.wording import duration
from replica_cli.health.primary import PrimaryView
from replica_cli.health.secondary import read_state
from replica_cli.mysql.errnos import ServerError
from replica_cli.mysql.facts import known_facts
from replica_cli.runtime.instance_view import InstanceView, try_read_primary
from replica_cli.runtime.primary_session import QuestionSession
from replica_cli.service.position import report_of, report_of_failure
from replica_cli.service.watching.answer_thread import AnswerThread
from replica_cli.service.watching.position_checks import PositionChecks

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Sequence

    from replica_cli.core.reports.position import PositionReport
    from replica_cli.core.settings import Network, Server, Settings
    from replica_cli.health.secondary import InstanceState
    from replica_cli.mysql.session import Session

# Older answers are not shown: a server that has not answered for this long hangs, or is cut off.
SILENT_SECONDS = 5.0
# After a failure the server is not asked at once: a login that is refused again and again fills its log.
_RETRY_SECONDS = 5.0
# With longer intervals an open session would only take a connection of the server.
_OPEN_SECONDS = 60.0


class _SecondaryIsSilent(SecondaryError):
    code = NO_ANSWER


class _PrimaryIsSilent(PrimaryError):
    code = NO_ANSWER


class WatchedServer:
    """What the primary and the secondaries have in common."""

    def __init__(self, server: Server, network: Network, changed: threading.Condition, interval_seconds: float) -> None:
        self.session = QuestionSession(server, network, idle_seconds=float("inf"))
        self._closes = interval_seconds >= _OPEN_SECONDS
        self._has_answered = self._has_failed = False
        self._next_at = 0.0
        self._thread = AnswerThread(f"watch {server.name}", changed)

    @property
    def is_idle(self) -> bool:
        """Return True if the last question is answered."""
        return self._thread.is_idle

    @property
    def bug(self) -> BaseException | None:
        """Return the error that a question raised although it should not, None if there is none."""
        return self._thread.error

    def ask(self) -> None:
        """Read the server soon, unless it has not answered the last question, or has just failed."""
        if self._thread.is_idle and time.monotonic() >= self._next_at:
            self._thread.ask(self._work)

    def end(self) -> None:
        """Let the thread end, and cut the connection if it waits for an answer."""
        self._thread.end()
        if not self._thread.is_idle:
            self.session.abort()

    def close(self, until: float) -> None:
        """Close the session, if the thread ends until a monotonic time; a connection that is being opened is left."""
        if self._thread.has_ended(until):
            self.session.close()

    @property
    def _silence(self) -> str:
        """Return what to say of a server that has not answered, empty while its last answer may be shown."""
        seconds = self._thread.busy_seconds
        # After a failure, the reason of the failure is shown while it is asked again.
        if self._has_answered and (self._has_failed or seconds < SILENT_SECONDS):
            return ""
        return f"no answer for {duration(seconds)}" if seconds >= 1 else "no answer yet"

    def _work(self) -> None:
        self._has_failed = not self._read()
        self._has_answered = True
        if self._has_failed:
            self._next_at = time.monotonic() + _RETRY_SECONDS
        if self._closes:
            self.session.close()

    def _read(self) -> bool:
        """Ask the server, keep the answer, and return True if there is one. Raises no ReplicaError."""
        raise NotImplementedError


class WatchedPrimary(WatchedServer):
    """The primary, and the checks of saved positions in its log."""

    def __init__(self, settings: Settings, changed: threading.Condition, interval_seconds: float) -> None:
        super().__init__(settings.primary, settings.network, changed, interval_seconds)
        self._view = PrimaryView()
        self._checks = PositionChecks(self.session, settings.network)

    @property
    def view(self) -> PrimaryView:
        """Return the last reading, or the error that says why there is none."""
        silence = self._silence
        return PrimaryView(error=_PrimaryIsSilent(silence)) if silence else self._view

    def check_positions(self, secondaries: Sequence[WatchedSecondary]) -> bool:
        """Check the positions for which that is due, soon; return False if none is due or the thread is not idle."""
        primary = self.view
        states = {s.name: s.state for s in secondaries if s.state is not None}
        due = [name for name, state in states.items() if self._checks.is_due(name, state, primary)]
        if not due or not self._thread.is_idle:
            return False

        def check() -> None:
            for name in due:
                self._checks.check(name, states[name], primary)

        self._thread.ask(check)
        return True

    def view_of(self, instance: str, state: InstanceState) -> InstanceView:
        """Return both sides of an instance, with the last check of its position."""
        return self._checks.view_of(instance, state, self.view)

    def _read(self) -> bool:
        self._view = try_read_primary(self.session, known_facts)
        return self._view.error is None


class WatchedSecondary(WatchedServer):
    """A secondary, with the last state that was read.

    Attributes:
        state: None if it could not be read.
        read_at: the monotonic time of the reading.
    """

    def __init__(
        self, settings: Settings, server: Server, changed: threading.Condition, interval_seconds: float
    ) -> None:
        super().__init__(server, settings.network, changed, interval_seconds)
        self.name = server.name
        self.state: InstanceState | None = None
        self.read_at = 0.0
        self._state_schema = settings.state_schema
        self._existing: frozenset[str] | None = None
        self._error: ReplicaError | None = None
        self._is_reachable = False

    def report(self, primary: WatchedPrimary) -> PositionReport:
        """Return what is known of the secondary and the primary."""
        silence, state = self._silence, self.state
        if silence:
            return report_of_failure(self.name, _SecondaryIsSilent(silence), primary.view)
        if state is None:
            error = self._error or _SecondaryIsSilent("no answer yet")
            return report_of_failure(self.name, error, primary.view, is_reachable=self._is_reachable)
        return report_of(self.name, primary.view_of(self.name, state))

    def _read(self) -> bool:
        self._is_reachable = False
        try:
            state = self.session.answer(self._question)
        except ReplicaError as error:
            self.session.close()
            is_lost = isinstance(error, ServerError) and error.is_connection_lost
            self._is_reachable = self._is_reachable and not is_lost
            self.state, self._error, self._existing = None, error, None
            return False
        self.state, self._error, self.read_at = state, None, time.monotonic()
        return True

    def _question(self, session: Session) -> InstanceState:
        self._is_reachable = True
        existing = self._existing
        if existing is None:
            # Errors about tables that are missing, or hidden from our user, are those of `read_state`.
            with contextlib.suppress(ServerError):
                existing = existing_state_tables(session, self._state_schema)
        state = read_state(session, self._state_schema, self.name, existing=existing)
        # Tables may still be made by a first start, or by an upgrade.
        self._existing = existing if existing is not None and existing >= state_tables() else None
        return state


def each_idle(servers: Sequence[WatchedServer]) -> Callable[[], bool]:
    """Return a function that returns True if every server has answered."""
    return lambda: all(server.is_idle for server in servers)
