"""The heartbeat thread: what the worker is doing and what is asked of it, on a session of its own.

It looks once a second while something changes, and every few seconds while nothing does; it writes when something has
changed, while a standby waits, and each ten seconds where neither is so.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Self

from replica_cli.checkpoint.beats import IDLE_BEAT_SECONDS, BeatStore, this_holder
from replica_cli.checkpoint.looks import IDLE_LOOK_SECONDS, Looks
from replica_cli.core.errors import ReplicaError
from replica_cli.core.status import Phase
from replica_cli.core.wording import duration
from replica_cli.logs import Tag, log
from replica_cli.mysql.errnos import ER_BAD_DB, ER_NO_SUCH_TABLE, ServerError
from replica_cli.mysql.session import connect, open_connection_ids, watching_connections
from replica_cli.runtime.lock_watch import LockWatch
from replica_cli.stop import StopToken

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from replica_cli.core.settings import Server, Settings
    from replica_cli.mysql.session import Session
    from replica_cli.runtime.status_publisher import StatusPublisher

logger = logging.getLogger(__name__)
_BEAT_SECONDS = 1.0
_DROPPED = frozenset({ER_NO_SUCH_TABLE, ER_BAD_DB})
# The first beat comes soon: `pause` and a standby look for it. So does one that names a new connection: what it locks a
# standby can only free by killing it.
_SOON_SECONDS = 0.2
# A standby that was there may be followed by another one, which has to take its lock first.
_STANDBY_SECONDS = 10.0
# Who wakes up a moment too soon for a beat does not wait for the next look.
_SLACK_SECONDS = 0.5
_BLOCKED_SECONDS = 3.0
_NAMED_TABLES = 3


class Heartbeat:
    """Beats while its context lasts, and passes a wish to pause on to the worker's token.

    `on_doubt` is called when the worker has to look at the state itself: tables wait for a copy, no connection holds
    the lock, or the server did not answer.
    A secondary that does not answer is no error here: the worker finds out itself. But where its connection is half
    open, so that nothing comes back and nothing breaks, `cut` is called: a statement may take an hour, a beat may not.
    """

    def __init__(
        self,
        settings: Settings,
        server: Server,
        board: StatusPublisher,
        stop: StopToken,
        *,
        cut: Callable[[], None] = lambda: None,
        on_doubt: Callable[[], None] = lambda: None,
    ) -> None:
        self._settings = settings
        self._server = server
        self._board = board
        self._stop = stop
        self._end = StopToken()
        self._nudge = threading.Event()
        self._has_beaten = self._has_told_block = self._is_failing = False
        self._had: set[int] = set()
        self._told: list[int] = []
        self._said: tuple[object, ...] = ()
        self._looked_at = self._beaten_at = self._standby_at = float("-inf")
        self._cut = cut
        self._on_doubt = on_doubt
        self._answered_at = time.monotonic()
        network = replace(settings.network, query_timeout=settings.network.read_timeout)
        self._locks = LockWatch(server, network, self._tell_block)
        self._context = contextlib.ExitStack()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def take(self, settings: Settings) -> None:
        """Go on with other settings."""
        self._settings = settings

    def __enter__(self) -> Self:
        self._board.listen(self._nudge.set)
        self._context.enter_context(watching_connections(self._nudge.set))
        self._context.enter_context(self._end.telling(self._nudge.set))
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.request()
        self._thread.join(timeout=5)
        self._context.close()
        self._locks.close()

    def _run(self) -> None:
        session: Session | None = None
        is_over = False
        while not is_over:
            is_over = self._wait()
            if not self._board.has_held_lock:
                continue
            if self._board.waiting_seconds:
                # The worker may wait for a lock: what a reader sees of it moves all the same.
                self._board.refresh()
            self._looked_at, self._told = time.monotonic(), open_connection_ids(self._server)
            try:
                if session is None:
                    network = self._settings.network
                    self._had.clear()  # a server that was restarted counts anew
                    session = connect(self._server, replace(network, query_timeout=network.read_timeout))
                    store = BeatStore(session, self._settings.state_schema, self._server.name)
                    looks = Looks(session, self._settings.state_schema, self._server.name)
                self._beat(store, looks, session, is_last=is_over)
                self._answered_at, self._is_failing = time.monotonic(), False
            except ReplicaError as error:
                logger.debug("no heartbeat: %s", error)
                if isinstance(error, ServerError) and not error.is_connection_lost:
                    self._answered_at = time.monotonic()  # the link is alive: it brought the error
                self._is_failing = True
                # An idle worker asks the secondary nothing, and would not find out before the next transaction.
                self._on_doubt()
                if isinstance(error, ServerError) and error.errno in _DROPPED:
                    # The wish to pause went with its table; the worker goes on, and says what has become of the state.
                    self._stop.pause(is_wanted=False)
                if session is not None:
                    session.close()
                session = None
                self._notice_silence()
        if session is not None:
            session.close()

    def _wait(self) -> bool:
        """Wait for the next look to be due; say whether it is the last one."""
        while not self._end.is_set:
            seconds = self._looked_at + self._interval() - time.monotonic() if self._board.has_held_lock else None
            if seconds is not None and seconds <= 0:
                return False
            self._nudge.wait(seconds)
            self._nudge.clear()
        return True

    def _interval(self) -> float:
        """Return the time from the last look to the next one, seconds."""
        if self._is_failing:
            return _BEAT_SECONDS
        if not self._has_beaten or open_connection_ids(self._server) != self._told:
            return _SOON_SECONDS
        is_lively = self._board.is_changed or self._board.waiting_seconds or self._has_standby
        return _BEAT_SECONDS if is_lively else IDLE_LOOK_SECONDS

    @property
    def _has_standby(self) -> bool:
        return time.monotonic() - self._standby_at < _STANDBY_SECONDS

    def _notice_silence(self) -> None:
        # One heartbeat may be lost with its connection; that a new one got no answer either is a dead link.
        if time.monotonic() - self._answered_at > 1.5 * self._settings.network.read_timeout:
            self._answered_at = time.monotonic()
            self._cut()

    def _beat(self, store: BeatStore, looks: Looks, session: Session, *, is_last: bool) -> None:
        """Look, and write the heartbeat unless another process is the writer: this one may have been frozen."""
        look, ours = looks.look(), open_connection_ids(self._server)
        self._had |= set(ours)
        # The server may take a moment to notice that the writer's connection was closed: that is still ours.
        if look.writer_id is not None and look.writer_id not in self._had:
            return
        if look.writer_id is None and self._has_beaten and look.holder not in {"", this_holder()}:
            return
        if look.has_standby:
            self._standby_at = time.monotonic()
        self._stop.pause(is_wanted=look.is_pause_wanted)
        if look.has_requests or look.writer_id is None:
            self._on_doubt()
        if self._stop.is_paused and self._board.status.phase is Phase.TRANSFERRING:
            # A stream says so itself, behind its batch; a copy has many threads, and stops between chunks.
            log(logger, logging.INFO, Tag.INFO, "paused: nothing is copied", instance=self._server.name)
            self._board.set(phase=Phase.PAUSED, rows_per_second=0.0)
        self._board.take_change()
        status = self._board.status
        said = (replace(status, seconds_since_event=None), ours)
        now = time.monotonic()
        is_due = self._has_standby or now - self._beaten_at >= IDLE_BEAT_SECONDS - _SLACK_SECONDS
        if said != self._said or is_due or is_last:
            # What is said of an idle stream need not be written again: the secondary may log every byte of it.
            is_same = said == self._said and status.phase is Phase.CAUGHT_UP
            if not (is_same and store.touch()):
                store.beat(status, connection_id=session.connection_id, connections=ours)
            self._said, self._beaten_at = said, now
        self._has_beaten = True
        self._look_at_locks(look.writer_id)

    def _look_at_locks(self, writer: int | None) -> None:
        if writer is None or self._board.waiting_seconds < _BLOCKED_SECONDS:
            self._has_told_block = False
            self._locks.rest()
        else:
            self._locks.ask(writer)

    def _tell_block(self, blocked: str) -> None:
        """Say what a batch waits for that does not get on: in the status, and once in the log."""
        seconds = self._board.waiting_seconds
        if seconds < _BLOCKED_SECONDS:
            return
        tables = self._board.batch_tables()
        more = f" and {len(tables) - _NAMED_TABLES} more" if len(tables) > _NAMED_TABLES else ""
        batch = f" with changes of {', '.join(tables[:_NAMED_TABLES])}{more}" if tables else ""
        self._board.set(message=f"has waited for {duration(seconds)}{batch} for {blocked}")
        if not self._has_told_block:
            log(logger, logging.WARNING, Tag.WARN, "waits%s for %s", batch, blocked, instance=self._server.name)
        self._has_told_block = True
