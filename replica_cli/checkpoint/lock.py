"""Allow one writer for each instance: a named lock on the secondary, which the connection that writes holds.

The lock ends with its connection. If a process is killed, the server frees the lock when it notices the end of the
connection: after the statement that it runs, and after the rollback. The fencing token in the position row stops a
process that was frozen and continues after another process took over.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from replica_cli.checkpoint.beats import FRESH_SECONDS
from replica_cli.core.attempts import LOCK_FREE_ATTEMPTS, REPAIR_STEP_SECONDS
from replica_cli.core.errors import Interrupted, LockHeld, LockLost, NamedTwice, SecondaryError
from replica_cli.core.wording import duration, holder_text
from replica_cli.logs import Tag, log
from replica_cli.mysql.errnos import ServerError
from replica_cli.sqlbuilder.identifiers import quote

if TYPE_CHECKING:
    from replica_cli.core.selection import Selection
    from replica_cli.core.settings import Server
    from replica_cli.mysql.session import Session
    from replica_cli.stop import StopToken

logger = logging.getLogger(__name__)

_POLL_SECONDS = 1.0
_LOG_SECONDS = 30.0
# MariaDB shows a rollback in both tables, MySQL only in that of the engine.
_ROLLING_BACK = (
    "SELECT 1 FROM information_schema.processlist WHERE id = %s AND command = 'Killed'",
    "SELECT 1 FROM information_schema.innodb_trx WHERE trx_mysql_thread_id = %s AND trx_state = 'ROLLING BACK'",
)


@dataclass(frozen=True, slots=True)
class FormerWriter:
    """The connection on which this process held the lock before. `since`: when it was in use (monotonic seconds)."""

    connection_id: int
    since: float

    @classmethod
    def of(cls, session: Session) -> Self:
        """Return the connection that a session has at this moment."""
        return cls(session.connection_id, time.monotonic())


class WriterLock:
    """The writer's lock of one instance. `session` must be the one that writes.

    `work` describes what the holder writes into the server (`work_of`), with the same text for each process that writes
    the same. It is locked as well, and this lock also ends with the connection: if a server had two names, rows would
    be lost, because each name has its own lock and position. A caller that only looks at the instance's lock gives no
    `work`.
    """

    def __init__(self, session: Session, state_schema: str, instance: str, *, work: str = "") -> None:
        self._session = session
        self._state_schema = state_schema
        self._work = _work_name(state_schema, work) if work else ""
        self._instance = instance
        self._status = f"{quote(state_schema)}.stream_status"
        self._name = lock_name(state_schema, instance)

    def try_acquire(self, timeout: float = 0) -> bool:
        """Take the lock, waiting at most `timeout` seconds; return True if this session has it.

        Raises:
            NamedTwice: the writer of another instance does the same work on this server.
        """
        if not self._take(self._name, timeout):
            return False
        # When a connection ends, the server frees its two locks one after another, with a moment between them.
        if self._work and not self._take(self._work, _POLL_SECONDS):
            self.release()
            raise self._named_twice()
        return True

    def change_work(self, work: str) -> None:
        """Lock another work in place of the one before, as after a change of the filters; the caller holds the lock.

        Raises:
            NamedTwice: the writer of another instance does this work on this server.
        """
        former, name = self._work, _work_name(self._state_schema, work)
        if name == former:
            return
        if not self._take(name, _POLL_SECONDS):
            raise self._named_twice()
        self._work = name
        self._session.row("SELECT RELEASE_LOCK(%s)", former)

    def _named_twice(self) -> NamedTwice:
        return NamedTwice(
            f"{self._instance}: another process writes the same tables on this server, as another instance",
            hint="two of MARIA_SECONDARY_HOSTS lead to one server, or MARIA_SECONDARY_NAMES was changed while a "
            "process runs with the former name: end that one, and give the server one name",
        )

    def _take(self, name: str, timeout: float) -> bool:
        row = self._session.row("SELECT GET_LOCK(%s, %s)", name, timeout)
        return bool(row and row[0] == 1)

    def acquire(self, timeout: float, *, former: FormerWriter | None = None, stop: StopToken | None = None) -> None:
        """Take the lock, waiting at most `timeout` seconds if the connection that holds it works.

        A connection that is gone keeps the lock until the server has rolled back its open transaction. The wait for
        that has no limit except `stop`. A repair frees the lock after the rows that it has begun with, so a caller that
        waits at all waits for that. `former` is the connection on which this process held the lock before: the network
        may have cut it while the server still has it, so it is killed.

        Raises:
            LockHeld: another process holds the lock; the error names it.
            NamedTwice: the writer of another instance does the same work on this server.
            SecondaryError: the server does not give the lock, although it is free.
            Interrupted: `stop` was set.
        """
        former_id = self._kill(former) if former is not None else None
        gives_way_until = time.monotonic() + timeout + REPAIR_STEP_SECONDS if timeout else 0.0
        logged_at, times_free = None, 0
        while not self.try_acquire(timeout):
            if stop is not None and stop.is_set:
                raise Interrupted(f"{self._instance}: asked to stop while waiting for the writer's lock")
            timeout = _POLL_SECONDS
            holder = self.holder_id()
            if holder is None:
                # The lock was freed a moment ago, or the server answers NULL, as it does for an error.
                times_free += 1
                if times_free >= LOCK_FREE_ATTEMPTS:
                    raise SecondaryError(f"{self._instance}: the server does not give the writer's lock, which is free")
                continue
            is_patient = time.monotonic() < gives_way_until
            reason = self._reason_to_wait(holder, is_ours=holder == former_id, is_patient=is_patient)
            if not reason:
                raise self.refusal()
            if logged_at is None or time.monotonic() - logged_at > _LOG_SECONDS:
                logged_at = time.monotonic()
                text = f"waits for the writer's lock: {reason} (connection {holder})"
                log(logger, logging.WARNING, Tag.RETRY, "%s", text, instance=self._instance)

    def _reason_to_wait(self, holder: int, *, is_ours: bool, is_patient: bool) -> str:
        """Return why the connection that holds the lock will free it, empty if that is not known."""
        if is_patient and self._is_repair(holder):
            return "a command repairs rows, and frees it after each step"
        if self._is_rolling_back(holder):
            whose = "this worker's former connection" if is_ours else "the connection that holds it"
            return f"the server still rolls back a transaction of {whose}"
        return ""

    def _kill(self, former: FormerWriter) -> int | None:
        """Kill the connection on which this process held the lock, if it still holds it; return its id, None if not.

        A server that was restarted gives the same ids to other connections, which may belong to another process.
        """
        if self.holder_id() != former.connection_id:
            return None
        uptime = self._session.row("SHOW GLOBAL STATUS LIKE 'Uptime'")
        if uptime is None or int(uptime[1]) + 1 < time.monotonic() - former.since:
            return None
        with contextlib.suppress(ServerError):
            self._session.execute(f"KILL {former.connection_id}")
        return former.connection_id

    def _is_rolling_back(self, holder: int) -> bool:
        """Return True if the server is rolling back a transaction of a connection, which itself may be gone."""
        for question in _ROLLING_BACK:
            # The engine's table needs the privilege PROCESS. In the process list an account sees its own connections
            # without it.
            with contextlib.suppress(ServerError):
                if self._session.row(question, holder) is not None:
                    return True
        return False

    def _is_repair(self, holder: int) -> bool:
        """Return True if a connection is that of a command that repairs rows."""
        return lock_holder(self._session, repair_lock_name(self._state_schema, self._instance)) == holder

    def refusal(self) -> LockHeld:
        """Return the error that names the holder of the lock, and for how long the holder has been silent."""
        holder = self.holder_id()
        if holder is not None and self._is_repair(holder):
            return LockHeld(
                f"{self._instance}: a command repairs its rows (connection {holder} of the secondary)",
                hint="wait until `replica verify repair` has ended, or end it: it can go on later",
            )
        status = self._session.row(
            f"SELECT holder, TIMESTAMPDIFF(SECOND, beat_at, UTC_TIMESTAMP(6)) FROM {self._status} WHERE instance = %s",
            self._instance,
        )
        name = self.holder() or "another process"
        silent = int(status[1]) if status and str(status[0]) == name else 0
        if silent < FRESH_SECONDS:
            return LockHeld(
                f"{self._instance}: {holder_text(name)} writes to this instance",
                hint="stop it first; `replica stream --standby` takes over from one that is dead or frozen",
            )
        return LockHeld(
            f"{self._instance}: {holder_text(name)} holds this instance and has been silent for {duration(silent)}: "
            "it is dead, frozen or cut off",
            hint="`replica stream --standby` takes over from it",
        )

    def holder(self) -> str:
        """Return the holder of the lock, by the name in the heartbeat; "" if the lock is free."""
        holder = self.holder_id()
        if holder is None:
            return ""
        status = self._session.row(f"SELECT holder FROM {self._status} WHERE instance = %s", self._instance)
        return f"{status[0]}" if status else f"connection {holder}"

    def holder_id(self) -> int | None:
        """Return the id of the connection that holds the lock, None if the lock is free."""
        return lock_holder(self._session, self._name)

    def is_ours(self) -> bool:
        """Return True if this session still holds the lock."""
        row = self._session.row("SELECT IS_USED_LOCK(%s) = CONNECTION_ID()", self._name)
        return bool(row and row[0])

    def release(self) -> None:
        """Release the lock, and that of the work."""
        for name in (self._work, self._name) if self._work else (self._name,):
            self._session.row("SELECT RELEASE_LOCK(%s)", name)


@dataclass(frozen=True, slots=True)
class LockGuard:
    """The check that other connections than the lock's make before they write: the process is still the writer.

    A process that was frozen finds its connections killed when it continues. It must not go on with new ones.
    """

    state_schema: str
    instance: str
    writer_id: int

    def check(self, session: Session) -> None:
        """Raise LockLost unless the writer's connection holds the lock."""
        if lock_holder(session, lock_name(self.state_schema, self.instance)) != self.writer_id:
            raise LockLost(
                f"{self.instance}: the writer's lock was lost while this process was frozen or cut off",
                hint="`replica transfer --resume` goes on if no other process does",
            )


def lock_holder(session: Session, name: str) -> int | None:
    """Return the id of the connection that holds a named lock of the server, None if it is free."""
    row = session.row("SELECT IS_USED_LOCK(%s)", name)
    return None if row is None or row[0] is None else int(row[0])


def work_of(primary: Server, selection: Selection) -> str:
    """Return the work of a process as a text: primary and selection. It is the same for two names of a secondary."""
    return f"{primary.host}:{primary.port}\0{selection.fingerprint}"


def _work_name(state_schema: str, work: str) -> str:
    return _hashed(f"{state_schema}\0work\0{work}")


def lock_name(state_schema: str, instance: str) -> str:
    """Return the name of an instance's writer's lock on the server."""
    return _hashed(f"{state_schema}\0{instance}")


def standby_lock_name(state_schema: str, instance: str) -> str:
    """Return the name of the lock that a standby of an instance holds while it waits."""
    return _hashed(f"{state_schema}\0standby\0{instance}")


def verify_lock_name(state_schema: str, instance: str) -> str:
    """Return the name of the lock that a process holds while it compares the rows of an instance."""
    return _hashed(f"{state_schema}\0verify\0{instance}")


def repair_lock_name(state_schema: str, instance: str) -> str:
    """Return the name of the lock that a command holds while it repairs rows of an instance."""
    return _hashed(f"{state_schema}\0repair\0{instance}")


def migration_lock_name(state_schema: str) -> str:
    """Return the name of the lock that a process holds while it migrates the state schema."""
    return _hashed(f"{state_schema}\0migration")


def _hashed(text: str) -> str:
    # Lock names have 64 characters at most, and are shared by the whole server.
    return "replica:" + hashlib.sha256(text.encode()).hexdigest()[:32]
