"""The heartbeat thread: what the worker is doing, once a second, on a session of its own."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Self

from replica_cli.checkpoint.beats import BeatStore, this_holder
from replica_cli.checkpoint.lock import WriterLock
from replica_cli.core.errors import ReplicaError
from replica_cli.core.status import Phase
from replica_cli.core.wording import duration
from replica_cli.logs import Tag, log
from replica_cli.mysql.errnos import ER_BAD_DB, ER_NO_SUCH_TABLE, ServerError
from replica_cli.mysql.session import connect, open_connection_ids
from replica_cli.service.lock_watch import LockWatch
from replica_cli.stop import StopToken

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from replica_cli.core.settings import Server, Settings
    from replica_cli.mysql.session import Session
    from replica_cli.service.board import StatusBoard

logger = logging.getLogger(__name__)
_SECONDS = 1.0
_DROPPED = frozenset({ER_NO_SUCH_TABLE, ER_BAD_DB})
_FIRST_SECONDS = _LOOK_SECONDS = 0.1
_BLOCKED_SECONDS = 3.0
_NAMED_TABLES = 3


class Heartbeat:
    """Beats while its context lasts, and passes a wish to pause on to the worker's token.

    A secondary that does not answer is no error here: the worker finds out itself. But where its connection is half
    open, so that nothing comes back and nothing breaks, `cut` is called: a statement may take an hour, a beat may not.
    """

    def __init__(
        self,
        settings: Settings,
        server: Server,
        board: StatusBoard,
        stop: StopToken,
        cut: Callable[[], None] = lambda: None,
    ) -> None:
        self._settings = settings
        self._server = server
        self._board = board
        self._stop = stop
        self._end = StopToken()
        self._has_beaten = self._has_told_block = False
        self._had: set[int] = set()
        self._told: list[int] = []
        self._cut = cut
        self._answered_at = time.monotonic()
        network = replace(settings.network, query_timeout=settings.network.read_timeout)
        self._locks = LockWatch(server, network, self._tell_block)
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def take(self, settings: Settings) -> None:
        """Go on with other settings."""
        self._settings = settings

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.request()
        self._thread.join(timeout=5)
        self._locks.close()

    def _run(self) -> None:
        session: Session | None = None
        is_over = False
        while not is_over:
            is_over = self._wait()
            if not self._board.has_held_lock:
                continue
            try:
                if session is None:
                    network = self._settings.network
                    self._had.clear()  # a server that was restarted counts anew
                    session = connect(self._server, replace(network, query_timeout=network.read_timeout))
                    store = BeatStore(session, self._settings.state_schema, self._server.name)
                    lock = WriterLock(session, self._settings.state_schema, self._server.name)
                self._beat(store, lock, session)
                self._answered_at = time.monotonic()
            except ReplicaError as error:
                logger.debug("no heartbeat: %s", error)
                if isinstance(error, ServerError) and not error.is_connection_lost:
                    self._answered_at = time.monotonic()  # the link is alive: it brought the error
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
        """Wait for the next beat to be due; say whether it is the last one."""
        # The first beat comes soon: `pause` and a standby look for it. So does one that names a new connection: what it
        # locks a standby can only free by killing it.
        due = time.monotonic() + (_SECONDS if self._has_beaten else _FIRST_SECONDS)
        while time.monotonic() < due and open_connection_ids(self._server) == self._told:
            if self._end.wait(_LOOK_SECONDS):
                return True
        # The worker may wait for a lock: what a reader sees of it moves all the same.
        self._board.refresh()
        self._told = open_connection_ids(self._server)
        return self._end.wait(_LOOK_SECONDS)

    def _notice_silence(self) -> None:
        # One heartbeat may be lost with its connection; that a new one got no answer either is a dead link.
        if time.monotonic() - self._answered_at > 1.5 * self._settings.network.read_timeout:
            self._answered_at = time.monotonic()
            self._cut()

    def _beat(self, store: BeatStore, lock: WriterLock, session: Session) -> None:
        """Speak for the instance only while nobody else does: a process that woke up too late keeps silent."""
        ours, writer = open_connection_ids(self._server), lock.holder_id()
        self._had |= set(ours)
        # The server may take a moment to notice that the writer's connection was closed: that is still ours.
        if writer is not None and writer not in self._had:
            return
        if writer is None and self._has_beaten:
            beat = store.load()
            if beat is not None and beat.holder != this_holder():
                return
        is_pause_wanted = store.beat(self._board.status, connection_id=session.connection_id, connections=ours)
        self._stop.pause(is_wanted=is_pause_wanted)
        if self._stop.is_paused and self._board.status.phase is Phase.TRANSFERRING:
            # A stream says so itself, behind its batch; a copy has many threads, and stops between chunks.
            log(logger, logging.INFO, Tag.INFO, "paused: nothing is copied", instance=self._server.name)
            self._board.set(phase=Phase.PAUSED, rows_per_second=0.0)
        self._has_beaten = True
        self._look_at_locks(writer)

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
