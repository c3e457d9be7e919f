"""Check both servers each half minute from the worker: log the results and publish them with the status."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Self

from replica_cli.checkpoint.schema import state_tables
from replica_cli.core.attempts import QUIET_SECONDS
from replica_cli.core.errors import ReplicaError
from replica_cli.core.limiting import known_part, limit_text
from replica_cli.core.reports.health import HealthCheck, HealthLevel
from replica_cli.core.status import STREAMING_PHASES, Phase
from replica_cli.core.wording import copy_text, duration, phase_text
from replica_cli.logs import Tag, log
from replica_cli.mysql.session import connect
from replica_cli.stop import StopToken

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from replica_cli.core.position import Position
    from replica_cli.core.settings import Server, Settings
    from replica_cli.core.status import WorkerStatus
    from replica_cli.health.column_watch import ColumnWatch
    from replica_cli.health.primary import PrimaryView
    from replica_cli.health.secondary import InstanceState
    from replica_cli.mysql.session import Session
    from replica_cli.runtime.instance_view import InstanceView
    from replica_cli.runtime.primary_session import PrimarySession
    from replica_cli.runtime.status_publisher import StatusPublisher

logger = logging.getLogger(__name__)

# How long to wait between two checks, and how long while a server cannot be reached.
_WATCH_SECONDS = 30.0
_UNREACHABLE_WATCH_SECONDS = 2.0
# How often results are logged at INFO while none of them changes.
_STEADY_SECONDS = 600.0
_CONNECTIONS = frozenset({"primary-connection", "secondary-connection"})
_ANSWER_SECONDS = 30.0
_LEAVE_SECONDS = 0.5
# In these phases something must move. During a pause, on standby and after a stop nothing is expected to move.
_MUST_MOVE = frozenset({Phase.STARTING, Phase.STREAMING, Phase.RECONNECTING})


class HealthMonitor:
    """Checks both servers each half minute, in a thread of its own, while its context lasts.

    The heartbeat writes the results to `stream_status`. `replica health` reads them there, also from another machine
    and after this process has ended. The monitor has sessions of its own, so a server that hangs delays only this
    thread.
    """

    def __init__(
        self,
        settings: Settings,
        server: Server,
        publisher: StatusPublisher,
        request_position_check: Callable[[], None] = lambda: None,
    ) -> None:
        """Create the monitor; its thread starts with the context.

        Args:
            settings: the settings of the worker.
            server: the secondary.
            publisher: takes the results.
            request_position_check: called if the saved position is no longer true on the primary. The dump connection
                to a log that was reset stays open and silent, so the stream has to check its position again.

        """
        self._settings = settings
        self._server = server
        self._publisher = publisher
        self._request_position_check = request_position_check
        self._seen: Position | None = None
        self._end = StopToken()
        self._last: tuple[object, ...] = ()
        self._told: list[str] = []
        self._told_at = 0.0
        self._columns: ColumnWatch | None = None
        self._secondary: Session | None = None
        self._primary: PrimarySession | None = None
        self._has_new_settings = False
        self._thread = threading.Thread(target=self._run, name="health monitor", daemon=True)

    def take(self, settings: Settings) -> None:
        """Use other settings from the next check on. From any thread."""
        self._settings, self._columns = settings, None
        self._has_new_settings = True

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.request()
        self._thread.join(timeout=_LEAVE_SECONDS)

    def _run(self) -> None:
        try:
            self._watch()
        finally:
            self._close_sessions()

    def _watch(self) -> None:
        started_at = time.monotonic()
        logged_at, seconds = started_at, _WATCH_SECONDS
        while not self._end.wait(seconds):
            if time.monotonic() - started_at > QUIET_SECONDS:
                self._publisher.set(deaths=0, death="")
            checks = [check for check in self._run_checks() if check is not None]
            self._publisher.set(findings=tuple((c.name, c.level.name, c.message) for c in checks))
            # `replica health` repeats these results. It must stop reporting an unreachable server soon after the server
            # is back.
            is_away = any(c.name in _CONNECTIONS and c.level is not HealthLevel.OK for c in checks)
            seconds = _UNREACHABLE_WATCH_SECONDS if is_away else _WATCH_SECONDS
            if time.monotonic() - logged_at >= _WATCH_SECONDS or not is_away:
                logged_at = time.monotonic()
                self._log_checks(checks)

    def _run_checks(self) -> Iterator[HealthCheck | None]:
        # Imported at the first check, half a minute after the start: a stream that ends before does not load these
        # modules.
        from replica_cli.health.checks import check_position, check_quarantine, check_retention, check_rows  # noqa: PLC0415
        from replica_cli.health.distance import measure  # noqa: PLC0415
        from replica_cli.health.retention import retention_seconds  # noqa: PLC0415

        instance = self._server.name
        try:
            view = self._read_on_open_sessions()
        except ReplicaError as error:
            self._publisher.measures.forget_distance()
            yield HealthCheck("secondary-connection", HealthLevel.CRITICAL, error.message, instance=instance)
            return
        state, primary = view.state, view.primary
        self._seen = state.saved.position if state.saved else None
        if primary.position is None:
            self._publisher.measures.forget_distance()
        else:
            distance = measure(primary, state, is_lost=view.is_lost)
            self._publisher.measures.note_primary(distance.size_bytes, retention_seconds(primary, state))
        if primary.facts is None:
            yield HealthCheck("primary-connection", HealthLevel.CRITICAL, str(primary.error), instance=instance)
        if state.saved is not None:
            yield check_position(primary, state, instance, error=view.error)
            yield check_retention(primary, state, instance)
        yield check_quarantine(state, instance)
        if state.proofs is not None:
            self._publisher.measures.note_proofs(state.proofs.differences, state.proofs.oldest_age_seconds)
        yield check_rows(state, instance, self._settings.verify.max_age_seconds)
        if view.is_lost:
            self._request_position_check()
        if primary.facts is not None:
            yield self._look_at_columns(state)

    def _read_on_open_sessions(self) -> InstanceView:
        """Judge the instance on the sessions of the last check, or on new ones if one of them was lost since then."""
        if self._has_new_settings:
            self._has_new_settings = False
            self._close_sessions()
        if self._secondary is not None:
            with contextlib.suppress(ReplicaError):
                return self._read_view()
            self._close_sessions()
        try:
            return self._read_view()
        except ReplicaError:
            self._close_sessions()
            raise

    def _read_view(self) -> InstanceView:
        from replica_cli.health.secondary import read_state  # noqa: PLC0415 - as above
        from replica_cli.runtime.instance_view import read_instance  # noqa: PLC0415 - as above
        from replica_cli.runtime.primary_session import PrimarySession, read_clock  # noqa: PLC0415 - as above

        seconds = min(self._settings.network.query_timeout, _ANSWER_SECONDS)
        network = replace(self._settings.network, query_timeout=seconds)
        # The sessions stay open from check to check: otherwise many streams would open connections all day.
        is_known = self._secondary is not None
        secondary = self._secondary = self._secondary or connect(self._server, network)
        if self._primary is None:
            self._primary = PrimarySession(replace(self._settings, network=network), idle_seconds=float("inf"))
        read = partial(
            read_state, secondary, self._settings.state_schema, self._server.name,
            existing=state_tables() if is_known else None,
        )  # fmt: skip
        view = read_instance(read, self._primary, network, is_thorough=self._is_doubtful)
        if view.primary.facts is not None:
            # The clock is read at each check: two clocks do not run equally fast.
            self._primary.answer(partial(read_clock, self._publisher.clock))
        return view

    def _close_sessions(self) -> None:
        for session in (self._secondary, self._primary):
            if session is not None:
                session.close()
        self._secondary = self._primary = None

    def _is_doubtful(self, state: InstanceState, primary: PrimaryView) -> bool:
        """Return True if a stream has not moved since the last check although the primary's GTID set is another one.

        A stream that moves reads a log that is open. Only for a stream that does not move, the primary has to read its
        log for this check.
        """
        if state.saved is None or primary.position is None or self._publisher.status.phase not in STREAMING_PHASES:
            return False
        saved = state.saved.position
        return saved == self._seen and saved.gtid != primary.position.gtid

    def _look_at_columns(self, state: InstanceState) -> HealthCheck | None:
        from replica_cli.health.column_watch import ColumnWatch  # noqa: PLC0415 - as above

        settings = self._settings
        if self._columns is None:
            self._columns = ColumnWatch(settings.selection, self._server.name, settings.accepted_drift)
        if not self._columns.is_due():
            return None
        left_out = {table.name for table in state.tables}
        if self._primary is None or self._secondary is None:
            return None
        try:
            position = self._publisher.status.position
            return self._columns.check(self._primary.session, self._secondary, position, left_out=left_out)
        except ReplicaError:
            self._close_sessions()
            return None  # another check reports a server that cannot be reached

    def _log_checks(self, checks: list[HealthCheck]) -> None:
        """Log status and checks in one line: a warning if a check failed, the lag is too large or nothing moves.

        If all is well, a line at INFO comes when a check has changed, and each ten minutes; the others are at DEBUG.
        """
        status = self._publisher.status
        copy = status.transfer.status if status.transfer is not None else None
        rows = (status.rows_total, status.rows_uncommitted)
        moved = (status.position, rows, copy and (copy.rows_copied, copy.tables_done))
        lag = status.lag_seconds
        is_late = lag is not None and lag > self._settings.max_lag_seconds
        # While a copy builds indexes or is planned, no count moves. The status shows that step, and it is no fault.
        must_move = (
            copy is not None and not copy.steps if status.phase is Phase.TRANSFERRING else status.phase in _MUST_MOVE
        )
        is_stuck = must_move and moved == self._last
        self._last = moved
        worth_saying = [c for c in checks if c.level is not HealthLevel.OK or c.name == "retention-left"]
        is_bad = is_late or is_stuck or any(c.level is not HealthLevel.OK for c in worth_saying)
        # The numbers in the messages change from check to check. The subject is the part that repeated warnings have in
        # common.
        subject = [f"late {is_late}", f"stuck {is_stuck}", *(f"{c.name} {c.level.name}" for c in worth_saying)]
        now = time.monotonic()
        is_news = is_bad or subject != self._told or now - self._told_at >= _STEADY_SECONDS
        if is_news:
            self._told, self._told_at = subject, now
        log(
            logger, logging.WARNING if is_bad else logging.INFO if is_news else logging.DEBUG, Tag.HEALTH,
            "%s%s%s", _status_text(status), ", nothing moves" if is_stuck else "",
            "".join(f"; {c.name}: {c.message}" for c in worth_saying),
            instance=self._server.name, position=status.position,
            subject=", ".join(subject),
        )  # fmt: skip


def _status_text(status: WorkerStatus) -> str:
    """Return what a stream or a copy does. Values that are unknown, or that mean nothing in the phase, are left out."""
    parts = [phase_text(status.phase)]
    if status.phase is Phase.TRANSFERRING and status.transfer is None:
        return "planning the copy"
    if status.phase is not Phase.TRANSFERRING:
        if status.lag_seconds is not None:
            parts.append(f"lag {duration(status.lag_seconds)}")
        if status.seconds_since_event is not None:
            parts.append(f"last event {duration(status.seconds_since_event)} ago")
        if part := known_part(status.limiting_part):
            parts.append(limit_text(part))
    if status.transfer is not None:
        parts.append(f"copied: {copy_text(status.transfer.status)}")
    return ", ".join(parts)
