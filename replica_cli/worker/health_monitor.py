"""The health watch inside a stream: every half minute both servers are asked, and what is found is logged and kept."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Self

from replica_cli.checkpoint.schema import state_tables
from replica_cli.core.errors import ReplicaError
from replica_cli.core.reports.health import HealthCheck, HealthLevel
from replica_cli.core.status import Phase
from replica_cli.core.wording import copy_text, duration, phase_text
from replica_cli.logs import Tag, log
from replica_cli.mysql.session import connect
from replica_cli.stop import StopToken
from replica_cli.worker.messages import QUIET_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

    from replica_cli.core.position import Position
    from replica_cli.core.settings import Server, Settings
    from replica_cli.core.status import WorkerStatus
    from replica_cli.health.columns import ColumnWatch
    from replica_cli.health.primary import PrimaryView
    from replica_cli.health.secondary import InstanceState
    from replica_cli.mysql.session import Session
    from replica_cli.runtime.judgement import Judgement
    from replica_cli.runtime.primary_session import PrimarySession
    from replica_cli.runtime.status_publisher import StatusPublisher

logger = logging.getLogger(__name__)

_WATCH_SECONDS = 30.0
_AGAIN_SECONDS = 2.0
_CONNECTIONS = frozenset({"primary-connection", "secondary-connection"})
_ANSWER_SECONDS = 30.0
_LEAVE_SECONDS = 0.5
_MOVING = frozenset({Phase.STREAMING, Phase.CAUGHT_UP})
# A pause, a standby and a stop stand still on purpose.
_MUST = frozenset({Phase.STARTING, Phase.STREAMING, Phase.RECONNECTING})


class HealthMonitor:
    """Looks every half minute while its context lasts.

    What it finds goes with the heartbeat into `stream_status`: there `replica health` reads it, from another machine
    and after this process is gone. A server that hangs holds up this thread alone.

    `doubt` is called when the saved position is not true on the primary any more: the connection to a log that was
    reset stays open and silent, so the stream has to be told to check its position again.
    """

    def __init__(
        self, settings: Settings, server: Server, board: StatusPublisher, doubt: Callable[[], None] = lambda: None
    ) -> None:
        self._settings = settings
        self._server = server
        self._board = board
        self._doubt = doubt
        self._seen: Position | None = None
        self._end = StopToken()
        self._last: tuple[object, ...] = ()
        self._columns: ColumnWatch | None = None
        self._secondary: Session | None = None
        self._primary: PrimarySession | None = None
        self._has_new_settings = False
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def take(self, settings: Settings) -> None:
        """Go on with other settings. From any thread."""
        self._settings, self._columns = settings, None
        self._has_new_settings = True

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.request()
        self._thread.join(timeout=_LEAVE_SECONDS)

    def _run(self) -> None:
        try:
            self._watch()
        finally:
            self._drop()

    def _watch(self) -> None:
        started_at = time.monotonic()
        said_at, seconds = started_at, _WATCH_SECONDS
        while not self._end.wait(seconds):
            if time.monotonic() - started_at > QUIET_SECONDS:
                self._board.set(deaths=0, death="")
            found = [check for check in self._look() if check is not None]
            self._board.set(findings=tuple((c.name, c.level.name, c.message) for c in found))
            # `health` repeats what is found: that a server is away must not be said for long after it is back.
            is_away = any(c.name in _CONNECTIONS and c.level is not HealthLevel.OK for c in found)
            seconds = _AGAIN_SECONDS if is_away else _WATCH_SECONDS
            if time.monotonic() - said_at >= _WATCH_SECONDS or not is_away:
                said_at = time.monotonic()
                self._say(found)

    def _look(self) -> Iterator[HealthCheck | None]:
        # Half a minute after the start: that is spared these imports.
        from replica_cli.health.checks import check_position, check_quarantine, check_retention  # noqa: PLC0415

        instance = self._server.name
        try:
            found = self._judged()
        except ReplicaError as error:
            yield HealthCheck("secondary-connection", HealthLevel.CRITICAL, error.message, instance=instance)
            return
        state, view = found.state, found.primary
        self._seen = state.saved.position if state.saved else None
        if view.facts is None:
            yield HealthCheck("primary-connection", HealthLevel.CRITICAL, str(view.error), instance=instance)
        if state.saved is not None:
            yield check_position(view, state, instance, error=found.error)
            yield check_retention(view, state, instance)
        yield check_quarantine(state, instance)
        if found.is_lost:
            self._doubt()
        if view.facts is not None:
            yield self._look_at_columns(state)

    def _judged(self) -> Judgement:
        """Ask both servers, on the sessions of the look before; one that was lost since is opened again."""
        if self._has_new_settings:
            self._has_new_settings = False
            self._drop()
        if self._secondary is not None:
            with contextlib.suppress(ReplicaError):
                return self._judge()
            self._drop()
        try:
            return self._judge()
        except ReplicaError:
            self._drop()
            raise

    def _judge(self) -> Judgement:
        from replica_cli.health.secondary import read_state  # noqa: PLC0415 - as above
        from replica_cli.runtime.judgement import judge  # noqa: PLC0415 - as above
        from replica_cli.runtime.primary_session import PrimarySession, read_clock  # noqa: PLC0415 - as above

        seconds = min(self._settings.network.query_timeout, _ANSWER_SECONDS)
        network = replace(self._settings.network, query_timeout=seconds)
        # They stay open from look to look: a fleet of streams would make connections all day.
        is_known = self._secondary is not None
        secondary = self._secondary = self._secondary or connect(self._server, network)
        if self._primary is None:
            self._primary = PrimarySession(replace(self._settings, network=network), idle_seconds=float("inf"))
        read = partial(
            read_state, secondary, self._settings.state_schema, self._server.name,
            existing=state_tables() if is_known else None,
        )  # fmt: skip
        found = judge(read, self._primary, network, is_thorough=self._is_doubtful)
        if found.primary.facts is not None:
            # Again and again: two clocks do not run equally fast.
            self._primary.answer(partial(read_clock, self._board.clock))
        return found

    def _drop(self) -> None:
        for session in (self._secondary, self._primary):
            if session is not None:
                session.close()
        self._secondary = self._primary = None

    def _is_doubtful(self, state: InstanceState, primary: PrimaryView) -> bool:
        """Return True if a stream has not moved since the last look although the primary's GTID set is another one.

        A stream that moves reads a log that is open. Only where it does not, the primary has to read its log for us.
        """
        if state.saved is None or primary.position is None or self._board.status.phase not in _MOVING:
            return False
        saved = state.saved.position
        return saved == self._seen and saved.gtid != primary.position.gtid

    def _look_at_columns(self, state: InstanceState) -> HealthCheck | None:
        from replica_cli.health.columns import ColumnWatch  # noqa: PLC0415 - as above

        settings = self._settings
        if self._columns is None:
            self._columns = ColumnWatch(settings.selection, self._server.name, settings.accepted_drift)
        if not self._columns.is_due():
            return None
        left_out = {table.name for table in state.tables}
        if self._primary is None or self._secondary is None:
            return None
        try:
            place = self._board.status.position
            return self._columns.look(self._primary.session, self._secondary, place, left_out=left_out)
        except ReplicaError:
            self._drop()
            return None  # that a side is away is told where it is asked for that

    def _say(self, found: list[HealthCheck]) -> None:
        """Say how it goes in one line; nothing applied while the lag grows is worth a warning."""
        status = self._board.status
        copy = status.transfer.status if status.transfer is not None else None
        rows = (status.rows_total, status.rows_uncommitted)
        moved = (status.position, rows, copy and (copy.rows_copied, copy.tables_done))
        lag = status.lag_seconds
        is_late = lag is not None and lag > self._settings.max_lag_seconds
        # While indexes are built, or the copy is planned, no count moves: that is told, and it is no fault.
        must_move = copy is not None and not copy.steps if status.phase is Phase.TRANSFERRING else status.phase in _MUST
        is_stuck = must_move and moved == self._last
        self._last = moved
        worth_saying = [c for c in found if c.level is not HealthLevel.OK or c.name == "retention-left"]
        is_bad = is_late or is_stuck or any(c.level is not HealthLevel.OK for c in worth_saying)
        # The numbers in the sentences change from look to look: what is wrong is what they have in common.
        subject = [f"late {is_late}", f"stuck {is_stuck}", *(f"{c.name} {c.level.name}" for c in worth_saying)]
        log(
            logger, logging.WARNING if is_bad else logging.INFO, Tag.HEALTH,
            "%s%s%s", _told(status), ", nothing moves" if is_stuck else "",
            "".join(f"; {c.name}: {c.message}" for c in worth_saying),
            instance=self._server.name, position=status.position,
            subject=", ".join(subject),
        )  # fmt: skip


def _told(status: WorkerStatus) -> str:
    """Return what a stream or a copy is doing; what is not known, or means nothing in its phase, is left out."""
    parts = [phase_text(status.phase)]
    if status.phase is Phase.TRANSFERRING and status.transfer is None:
        return "planning the copy"
    if status.phase is not Phase.TRANSFERRING:
        if status.lag_seconds is not None:
            parts.append(f"lag {duration(status.lag_seconds)}")
        if status.seconds_since_event is not None:
            parts.append(f"last heard {duration(status.seconds_since_event)} ago")
    if status.transfer is not None:
        parts.append(f"copied: {copy_text(status.transfer.status)}")
    return ", ".join(parts)
