"""Statements of a copy that need the lock of a table: with a limit, ended by a stop, and told while they wait."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from replica_cli.core.errors import Interrupted, LockWait, ReplicaError
from replica_cli.core.wording import duration
from replica_cli.logs import Tag, log
from replica_cli.mysql.blocking import what_blocks
from replica_cli.mysql.errnos import ER_LOCK_WAIT_TIMEOUT, ServerError
from replica_cli.mysql.session_settings import LOCK_WAITS
from replica_cli.retry import lock_wait_slice

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from replica_cli.core.table import TableName
    from replica_cli.mysql.session import Session
    from replica_cli.transfer.connections import Endpoints

logger = logging.getLogger(__name__)

_LOOK_SECONDS = 0.2
# A statement that waits for less is no news.
_TELL_SECONDS = 3.0


def _say_nothing(table: TableName, waits_for: str) -> None:
    """Ignore what a statement waits for."""


@dataclass(frozen=True, slots=True)
class LockWaits:
    """How statements wait. `is_over`: the result is needed no more. `tell` hears what a table waits for, "" at the end.

    An attempt is short at first, as a waiting statement makes new readers of the table wait too.
    """

    ends: Endpoints
    is_over: Callable[[], bool]
    tell: Callable[[TableName, str], None] = _say_nothing

    def run(self, session: Session, table: TableName, work: Callable[[], None]) -> None:
        """Do work on a session that may be done again after it stopped at a lock.

        Raises LockWait if a lock was waited for as long as REPLICA_DDL_LOCK_WAIT allows, Interrupted, ServerError.
        """
        attempts, waited, limit = 0, 0.0, self.ends.ddl_lock_wait
        while True:
            seconds = lock_wait_slice(attempts, waited, limit, self.ends.network.query_timeout / 2)
            session.post(f"SET SESSION lock_wait_timeout = {seconds}")
            began = time.monotonic()
            try:
                with self._watched(session, table):
                    work()
            except ServerError as error:
                if self.is_over():
                    raise Interrupted(f"{table}: stopped while a statement ran") from error
                if error.errno != ER_LOCK_WAIT_TIMEOUT:
                    raise
                attempts, waited = attempts + 1, waited + min(time.monotonic() - began, seconds)
                if limit and waited >= limit:
                    raise LockWait(
                        f"{table}: waited {duration(waited)} for a lock on the secondary: {error.message}",
                        hint="`SHOW PROCESSLIST` on the secondary tells who uses the table",
                        table=table,
                    ) from error
                log(
                    logger, logging.WARNING, Tag.WARN, "%s: attempt %d ended at a lock after %s", table, attempts,
                    duration(waited), instance=session.server.name,
                )  # fmt: skip
            else:
                session.post(f"SET SESSION lock_wait_timeout = {dict(LOCK_WAITS)['lock_wait_timeout']}")
                return

    @contextlib.contextmanager
    def _watched(self, session: Session, table: TableName) -> Iterator[None]:
        """End the session's statement as soon as its result is needed no more; say what it waits for."""
        has_ended = threading.Event()
        watcher = threading.Thread(
            target=self._watch, args=(session, table, has_ended), name="copy's statement", daemon=True
        )
        watcher.start()
        try:
            yield
        finally:
            has_ended.set()
            watcher.join()

    def _watch(self, session: Session, table: TableName, has_ended: threading.Event) -> None:
        due, told = time.monotonic() + _TELL_SECONDS, ""
        # Again and again: the first time the statement may not have begun.
        while not has_ended.wait(_LOOK_SECONDS):
            # The lock of the writer may be lost, so nothing asks for that: this ends what is ours alone.
            with contextlib.suppress(ReplicaError):
                if self.is_over():
                    with self.ends.open_unguarded() as other:
                        other.execute(f"KILL QUERY {session.connection_id}")
                elif time.monotonic() >= due:
                    with self.ends.open_unguarded() as other:
                        found = what_blocks(other, session.connection_id)
                    due = time.monotonic() + _TELL_SECONDS
                    if found and not told:
                        log(
                            logger, logging.WARNING, Tag.WARN, "%s: waits for %s", table, found,
                            instance=session.server.name,
                        )  # fmt: skip
                    if found != told:
                        self.tell(table, found)
                    told = found
        if told:
            self.tell(table, "")
