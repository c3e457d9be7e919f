"""One writer for each instance: a named lock on the secondary, held by the connection that writes.

The lock goes with its connection, so a killed process frees it at once; the fencing token in the position row stops a
process that was frozen and wakes up after another took over.
"""

from __future__ import annotations

import contextlib
import hashlib
from typing import TYPE_CHECKING

from replica_cli.core.errors import LockHeld
from replica_cli.mysql.errnos import ServerError
from replica_cli.sqlbuilder.identifiers import quote

if TYPE_CHECKING:
    from replica_cli.mysql.session import Session


class WriterLock:
    """The lock of one instance. `session` must be the one that writes."""

    def __init__(self, session: Session, state_schema: str, instance: str) -> None:
        self._session = session
        self._instance = instance
        self._status = f"{quote(state_schema)}.stream_status"
        # Lock names are limited to 64 characters and shared by the whole server.
        digest = hashlib.sha256(f"{state_schema}\0{instance}".encode()).hexdigest()[:32]
        self._name = f"replica:{digest}"

    def try_acquire(self, timeout: float = 0) -> bool:
        """Take the lock, waiting at most `timeout` seconds; return whether it is ours."""
        row = self._session.row("SELECT GET_LOCK(%s, %s)", self._name, timeout)
        return bool(row and row[0] == 1)

    def acquire(self, timeout: float, *, former: int | None = None) -> None:
        """Take the lock. Raises LockHeld with the holder's name.

        `former` is the connection on which this process held it before: cut on the way, it may live on at the server.
        """
        if former is not None and self.holder_id() == former:
            with contextlib.suppress(ServerError):
                self._session.execute(f"KILL {former}")
        if not self.try_acquire(timeout):
            raise LockHeld(
                f"{self._instance}: {self.holder() or 'another process'} writes to this instance",
                hint="stop it first; `replica stream --standby` takes over from one that is dead or frozen",
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
        self._session.row("SELECT RELEASE_LOCK(%s)", self._name)
