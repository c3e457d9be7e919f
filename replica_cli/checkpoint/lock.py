"""One writer for each instance: a named lock on the secondary, held by the connection that writes.

The lock goes with its connection, so a killed process frees it at once; the fencing token in the position row stops a
process that was frozen and wakes up after another took over.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from replica_cli.checkpoint.beats import FRESH_SECONDS
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

_LOOK_SECONDS = 1.0
_SAY_SECONDS = 30.0
# MariaDB tells it in both, MySQL in the engine's table.
_ROLLING_BACK = (
    "SELECT 1 FROM information_schema.processlist WHERE id = %s AND command = 'Killed'",
    "SELECT 1 FROM information_schema.innodb_trx WHERE trx_mysql_thread_id = %s AND trx_state = 'ROLLING BACK'",
)
# How often the server may answer that the lock is free, and not give it.
_FREE_LIMIT = 10


@dataclass(frozen=True, slots=True)
class FormerWriter:
    """The connection on which this process held the lock before; `since` is when it was known (monotonic seconds)."""

    connection_id: int
    since: float

    @classmethod
    def of(cls, session: Session) -> Self:
        """Take in the connection that a session has now."""
        return cls(session.connection_id, time.monotonic())


class WriterLock:
    """The lock of one instance. `session` must be the one that writes.

    `work` is what the holder writes into the server, the same text for each process that writes the same (`work_of`):
    a server that is named twice would lose rows, as each name has a lock and a position of its own. It is locked as
    well, and goes with the connection too. Who only looks at the instance's lock gives none.
    """

    def __init__(self, session: Session, state_schema: str, instance: str, *, work: str = "") -> None:
        self._session = session
        self._work = _hashed(f"{state_schema}\0work\0{work}") if work else ""
        self._instance = instance
        self._status = f"{quote(state_schema)}.stream_status"
        self._name = lock_name(state_schema, instance)

    def try_acquire(self, timeout: float = 0) -> bool:
        """Take the lock, waiting at most `timeout` seconds; return whether it is ours.

        Raises NamedTwice where another instance's writer does the same work on this server.
        """
        if not self._take(self._name, timeout):
            return False
        # A connection that ends frees one lock a moment before the other.
        if self._work and not self._take(self._work, _LOOK_SECONDS):
            self.release()
            raise NamedTwice(
                f"{self._instance}: another process writes the same tables into this server, under another name",
                hint="two of MARIA_SECONDARY_HOSTS lead to one server, or MARIA_SECONDARY_NAMES was changed while a "
                "process runs with the former name: end that one, and give the server one name",
            )
        return True

    def _take(self, name: str, timeout: float) -> bool:
        row = self._session.row("SELECT GET_LOCK(%s, %s)", name, timeout)
        return bool(row and row[0] == 1)

    def acquire(self, timeout: float, *, former: FormerWriter | None = None, stop: StopToken | None = None) -> None:
        """Take the lock, waiting at most `timeout` seconds for a connection that works.

        A connection that is gone keeps the lock until the server has rolled back what it had begun: that is waited for
        however long it takes, until a stop. `former`: cut on the way, it may live on at the server, and is ended.

        Raises LockHeld with the holder's name, SecondaryError if the server does not give a free lock, Interrupted.
        """
        former_id = self._kill(former) if former is not None else None
        said_at, times_free = None, 0
        while not self.try_acquire(timeout):
            if stop is not None and stop.is_set:
                raise Interrupted(f"{self._instance}: asked to stop while waiting for the writer's lock")
            timeout = _LOOK_SECONDS
            holder = self.holder_id()
            if holder is None:
                # Given back a moment ago, or the server answers NULL, as it does for an error.
                times_free += 1
                if times_free >= _FREE_LIMIT:
                    raise SecondaryError(f"{self._instance}: the server does not give the writer's lock, which is free")
                continue
            if not self._is_rolling_back(holder):
                raise self.refusal()
            if said_at is None or time.monotonic() - said_at > _SAY_SECONDS:
                said_at = time.monotonic()
                log(
                    logger, logging.WARNING, Tag.RETRY, "waits for the writer's lock: the server still rolls back a "
                    "transaction of %s (connection %d)",
                    "this worker's former connection" if holder == former_id else "the connection that holds it",
                    holder, instance=self._instance,
                )  # fmt: skip

    def _kill(self, former: FormerWriter) -> int | None:
        """End the connection on which this process held the lock, if it still has it; return its id, None if not.

        A server that was started again gives the same ids to other connections, which may be another process's.
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
        """Say whether the server is busy with the rollback of a transaction of a connection, which may be gone."""
        for question in _ROLLING_BACK:
            # The engine's table wants the right PROCESS; an account sees its own connections without it.
            with contextlib.suppress(ServerError):
                if self._session.row(question, holder) is not None:
                    return True
        return False

    def refusal(self) -> LockHeld:
        """Return the error that names who holds the lock, and for how long it has been silent."""
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
        """Return who holds the lock, as it introduced itself; empty where nobody does."""
        holder = self.holder_id()
        if holder is None:
            return ""
        status = self._session.row(f"SELECT holder FROM {self._status} WHERE instance = %s", self._instance)
        return f"{status[0]}" if status else f"connection {holder}"

    def holder_id(self) -> int | None:
        """Return the id of the connection that holds the lock, None where nobody does."""
        row = self._session.row("SELECT IS_USED_LOCK(%s)", self._name)
        return None if row is None or row[0] is None else int(row[0])

    def is_ours(self) -> bool:
        """Say whether this session still holds the lock."""
        row = self._session.row("SELECT IS_USED_LOCK(%s) = CONNECTION_ID()", self._name)
        return bool(row and row[0])

    def release(self) -> None:
        """Give the lock back."""
        for name in (self._work, self._name) if self._work else (self._name,):
            self._session.row("SELECT RELEASE_LOCK(%s)", name)


@dataclass(frozen=True, slots=True)
class LockGuard:
    """What a connection other than the lock's checks before it writes: that the process still is the writer.

    A process that was frozen finds its connections killed when it wakes up: with new ones it must not go on.
    """

    state_schema: str
    instance: str
    writer_id: int

    def check(self, session: Session) -> None:
        """Raise LockLost unless the lock is held by the writer's connection."""
        row = session.row(f"SELECT IS_USED_LOCK('{lock_name(self.state_schema, self.instance)}')")
        if row is None or row[0] is None or int(row[0]) != self.writer_id:
            raise LockLost(
                f"{self.instance}: the writer's lock was lost while this process stood still, or was cut off",
                hint="`replica transfer --resume` goes on if no other process does",
            )


def work_of(primary: Server, selection: Selection) -> str:
    """Return what a process that applies a primary's changes writes: the same for two names of one secondary."""
    return f"{primary.host}:{primary.port}\0{selection.fingerprint}"


def lock_name(state_schema: str, instance: str) -> str:
    """Return the name of an instance's lock on its server."""
    return _hashed(f"{state_schema}\0{instance}")


def standby_lock_name(state_schema: str, instance: str) -> str:
    """Return the name of the lock that says that a standby waits for an instance."""
    return _hashed(f"{state_schema}\0standby\0{instance}")


def _hashed(text: str) -> str:
    # Lock names are limited to 64 characters and shared by the whole server.
    return "replica:" + hashlib.sha256(text.encode()).hexdigest()[:32]
