"""Run statements that need a table lock: with a limit for the wait, with reports, and so that a stop ends them."""

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
from replica_cli.mysql.errnos import ER_LOCK_WAIT_TIMEOUT, ServerError
from replica_cli.mysql.lock_holders import what_blocks
from replica_cli.mysql.session_settings import LOCK_WAITS
from replica_cli.retry import lock_wait_slice, repeating

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from replica_cli.core.table import TableName
    from replica_cli.mysql.session import Session
    from replica_cli.transfer.connections import Endpoints

logger = logging.getLogger(__name__)

_POLL_SECONDS = 0.2
# A shorter wait is not reported.
_REPORT_SECONDS = 3.0


def _report_nothing(table: TableName, waits_for: str) -> None:
    """Do nothing: the `report` of a caller that does not report waits."""


@dataclass(frozen=True, slots=True)
class LockWaits:
    """How statements wait for table locks.

    The first attempts are short, because a waiting statement makes new readers of the table wait too.

    Attributes:
        is_over: returns True when the result is not needed any more.
        report: is called with the table and what it waits for, "" when the wait has ended.
    """

    endpoints: Endpoints
    is_over: Callable[[], bool]
    report: Callable[[TableName, str], None] = _report_nothing

    def run(self, session: Session, table: TableName, work: Callable[[], None]) -> None:
        """Run `work` on the session, and run it again after it stopped at a lock.

        Raises:
            LockWait: the waits for locks took as long as REPLICA_DDL_LOCK_WAIT allows.
            Interrupted: the result is not needed any more.
            ServerError: any other error of the work.
        """
        attempts, waited, seconds, began = 0, 0.0, 0, 0.0
        limit, longest = self.endpoints.ddl_lock_wait, self.endpoints.network.query_timeout / 2

        def attempt() -> None:
            nonlocal seconds, began
            seconds = lock_wait_slice(attempts, waited, limit, longest)
            session.post(f"SET SESSION lock_wait_timeout = {seconds}")
            began = time.monotonic()
            with self._watched(session, table):
                work()

        def on_error(error: Exception) -> float:
            nonlocal attempts, waited
            if not isinstance(error, ServerError):
                raise error
            if self.is_over():
                raise Interrupted(f"{table}: stopped while a statement ran") from error
            if error.errno != ER_LOCK_WAIT_TIMEOUT:
                raise error
            attempts, waited = attempts + 1, waited + min(time.monotonic() - began, seconds)
            if limit and waited >= limit:
                raise LockWait(
                    f"{table}: waited {duration(waited)} for a lock on the secondary: {error.message}",
                    hint="`SHOW PROCESSLIST` on the secondary shows who uses the table",
                    table=table,
                ) from error
            log(
                logger, logging.WARNING, Tag.WARN, "%s: attempt %d got no lock after %s", table, attempts,
                duration(waited), instance=session.server.name,
            )  # fmt: skip
            return 0.0

        # Each attempt waits in the server, so there is no wait between two attempts.
        repeating(on_error, lambda _: False)(attempt)
        session.post(f"SET SESSION lock_wait_timeout = {dict(LOCK_WAITS)['lock_wait_timeout']}")

    @contextlib.contextmanager
    def _watched(self, session: Session, table: TableName) -> Iterator[None]:
        """End the session's statement as soon as its result is not needed any more; report what it waits for."""
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
        due, reported = time.monotonic() + _REPORT_SECONDS, ""
        # KILL is repeated, because the statement may not have begun the first time.
        while not has_ended.wait(_POLL_SECONDS):
            # This session is opened without the guard, which would refuse it if the writer's lock is lost. It only ends
            # a statement of this process.
            with contextlib.suppress(ReplicaError):
                if self.is_over():
                    with self.endpoints.open_unguarded() as observer:
                        observer.execute(f"KILL QUERY {session.connection_id}")
                elif time.monotonic() >= due:
                    with self.endpoints.open_unguarded() as observer:
                        blocker = what_blocks(observer, session.connection_id)
                    due = time.monotonic() + _REPORT_SECONDS
                    if blocker and not reported:
                        log(
                            logger, logging.WARNING, Tag.WARN, "%s: waits for %s", table, blocker,
                            instance=session.server.name,
                        )  # fmt: skip
                    if blocker != reported:
                        self.report(table, blocker)
                    reported = blocker
        if reported:
            self.report(table, "")
