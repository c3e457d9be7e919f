"""The heartbeat thread: it writes this process's status to the secondary and reads what is requested of the process.

The thread has a session of its own. It looks at the state once a second while something changes, and each five seconds
while nothing changes. It writes the heartbeat when something has changed, each second while a standby waits, and at
least each ten seconds.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Self

from replica_cli.checkpoint.beats import IDLE_BEAT_SECONDS, BeatStore, this_holder
from replica_cli.checkpoint.status_reader import IDLE_POLL_SECONDS, StatusReader
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

    from replica_cli.core.settings import Server, Settings
    from replica_cli.mysql.session import Session
    from replica_cli.runtime.status_publisher import StatusPublisher

logger = logging.getLogger(__name__)
_BEAT_SECONDS = 1.0
_TABLE_MISSING = frozenset({ER_NO_SUCH_TABLE, ER_BAD_DB})
# The first heartbeat comes soon, because `pause` and a standby look for it. So does one that names a new connection: a
# standby can free the locks of that connection only by killing it.
_SOON_SECONDS = 0.2
# A standby may be followed by another one, which has to take its own lock first.
_STANDBY_SECONDS = 10.0
# A thread that wakes up a moment too soon for a heartbeat does not wait for the next look.
_SLACK_SECONDS = 0.5
# After this time without a commit, the status and the log report what the batch waits for.
_REPORT_BLOCK_SECONDS = 3.0
_NAMED_TABLES = 3


class Heartbeat:
    """Writes the heartbeat while its context lasts, and passes a requested pause on to the worker's stop token.

    An error of the secondary is not reported, because the worker meets it as well.
    """

    def __init__(
        self,
        settings: Settings,
        server: Server,
        publisher: StatusPublisher,
        stop: StopToken,
        *,
        cut: Callable[[], None] = lambda: None,
        request_state_check: Callable[[], None] = lambda: None,
    ) -> None:
        """Create the heartbeat; its thread starts with the context.

        Args:
            settings: the settings of the process.
            server: the secondary.
            publisher: the status to write.
            stop: the stop token that a pause is passed on to.
            cut: called if the link to the secondary is half-open, so that nothing comes back and nothing breaks. A
                statement may take an hour, a heartbeat may not.
            request_state_check: called if the worker has to check the state itself: tables wait for a copy, no
                connection holds the lock, or the server did not answer.

        """
        self._settings = settings
        self._server = server
        self._publisher = publisher
        self._stop = stop
        self._end = StopToken()
        self._wakeup = threading.Event()
        self._has_written = self._has_logged_block = self._is_failing = False
        self._own_connections: set[int] = set()
        self._known_connections: list[int] = []
        self._written: tuple[object, ...] = ()
        self._looked_at = self._written_at = self._standby_at = float("-inf")
        self._cut = cut
        self._request_state_check = request_state_check
        self._answered_at = time.monotonic()
        network = replace(settings.network, query_timeout=settings.network.read_timeout)
        self._locks = LockWatch(server, network, self._report_block)
        self._context = contextlib.ExitStack()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def take(self, settings: Settings) -> None:
        """Use other settings for the next session. From any thread."""
        self._settings = settings

    def __enter__(self) -> Self:
        self._publisher.listen(self._wakeup.set)
        self._context.enter_context(watching_connections(self._wakeup.set))
        self._context.enter_context(self._end.waking(self._wakeup.set))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.request()
        self._thread.join(timeout=5)
        self._context.close()
        self._locks.close()

    def _run(self) -> None:
        session: Session | None = None
        is_over = False
        while not is_over:
            is_over = self._wait()
            if not self._publisher.has_held_lock:
                continue
            if self._publisher.waiting_seconds:
                # The worker may wait for a lock and publish nothing. The lag that the supervisor shows grows
                # nevertheless.
                self._publisher.refresh()
            self._looked_at, self._known_connections = time.monotonic(), open_connection_ids(self._server)
            try:
                if session is None:
                    network = self._settings.network
                    self._own_connections.clear()  # a restarted server counts connections from 1 again
                    session = connect(self._server, replace(network, query_timeout=network.read_timeout))
                    store = BeatStore(session, self._settings.state_schema, self._server.name)
                    status_reader = StatusReader(session, self._settings.state_schema, self._server.name)
                self._beat(store, status_reader, session, is_last=is_over)
                self._answered_at, self._is_failing = time.monotonic(), False
            except ReplicaError as error:
                logger.debug("no heartbeat: %s", error)
                if isinstance(error, ServerError) and not error.is_connection_lost:
                    self._answered_at = time.monotonic()  # the link works: the error came through it
                self._is_failing = True
                # An idle worker sends nothing to the secondary and would not notice the error before the next
                # transaction.
                self._request_state_check()
                if isinstance(error, ServerError) and error.errno in _TABLE_MISSING:
                    # The request to pause is lost with its table. The worker goes on, and reports what became of the
                    # state schema.
                    self._stop.pause(is_wanted=False)
                if session is not None:
                    session.close()
                session = None
                self._notice_silence()
        if session is not None:
            session.close()

    def _wait(self) -> bool:
        """Wait until the next look is due. Return True if it is the last one."""
        while not self._end.is_set:
            seconds = self._looked_at + self._interval() - time.monotonic() if self._publisher.has_held_lock else None
            if seconds is not None and seconds <= 0:
                return False
            self._wakeup.wait(seconds)
            self._wakeup.clear()
        return True

    def _interval(self) -> float:
        """Return the time between the last look and the next one, in seconds."""
        if self._is_failing:
            return _BEAT_SECONDS
        if not self._has_written or open_connection_ids(self._server) != self._known_connections:
            return _SOON_SECONDS
        is_lively = self._publisher.is_changed or self._publisher.waiting_seconds or self._has_standby
        return _BEAT_SECONDS if is_lively else IDLE_POLL_SECONDS

    @property
    def _has_standby(self) -> bool:
        return time.monotonic() - self._standby_at < _STANDBY_SECONDS

    def _notice_silence(self) -> None:
        # One heartbeat may be lost with its connection. If a new connection gets no answer either, the link is dead.
        if time.monotonic() - self._answered_at > 1.5 * self._settings.network.read_timeout:
            self._answered_at = time.monotonic()
            self._cut()

    def _beat(self, store: BeatStore, status_reader: StatusReader, session: Session, *, is_last: bool) -> None:
        """Look, and write the heartbeat unless another process is the writer, as this process may have been frozen."""
        notices, open_ids = status_reader.read_notices(), open_connection_ids(self._server)
        self._own_connections |= set(open_ids)
        # The server may need a moment to notice that the writer's connection was closed. That connection still belongs
        # to this process.
        if notices.writer_id is not None and notices.writer_id not in self._own_connections:
            return
        if notices.writer_id is None and self._has_written and notices.holder not in {"", this_holder()}:
            return
        if notices.has_standby:
            self._standby_at = time.monotonic()
        self._stop.pause(is_wanted=notices.is_pause_wanted)
        if notices.has_requests or notices.writer_id is None:
            self._request_state_check()
        if self._stop.is_paused and self._publisher.status.phase is Phase.TRANSFERRING:
            # A stream reports its pause itself, after its batch. A copy has many threads and stops between chunks.
            log(logger, logging.INFO, Tag.INFO, "paused: nothing is copied", instance=self._server.name)
            self._publisher.set(phase=Phase.PAUSED, rows_per_second=0.0)
        self._publisher.take_change()
        status = self._publisher.status
        content = (replace(status, seconds_since_event=None), open_ids)
        now = time.monotonic()
        is_due = self._has_standby or now - self._written_at >= IDLE_BEAT_SECONDS - _SLACK_SECONDS
        if content != self._written or is_due or is_last:
            # The status of an idle stream is not written again, because the secondary may log each byte of it.
            is_same = content == self._written and status.phase is Phase.CAUGHT_UP
            if not (is_same and store.touch()):
                store.beat(status, connection_id=session.connection_id, connections=open_ids)
            self._written, self._written_at = content, now
        self._has_written = True
        self._watch_locks(notices.writer_id)

    def _watch_locks(self, writer: int | None) -> None:
        if writer is None or self._publisher.waiting_seconds < _REPORT_BLOCK_SECONDS:
            self._has_logged_block = False
            self._locks.close_if_unused()
        else:
            self._locks.ask(writer)

    def _report_block(self, blocked: str) -> None:
        """Report what a batch without a commit waits for: in the status, and once in the log."""
        seconds = self._publisher.waiting_seconds
        if seconds < _REPORT_BLOCK_SECONDS:
            return
        tables = self._publisher.batch_tables()
        more = f" and {len(tables) - _NAMED_TABLES} more" if len(tables) > _NAMED_TABLES else ""
        batch = f" with changes of {', '.join(tables[:_NAMED_TABLES])}{more}" if tables else ""
        self._publisher.set(message=f"has waited for {duration(seconds)}{batch} for {blocked}")
        if not self._has_logged_block:
            log(logger, logging.WARNING, Tag.WARN, "waits%s for %s", batch, blocked, instance=self._server.name)
        self._has_logged_block = True
