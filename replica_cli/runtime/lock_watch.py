"""Ask the secondary what a batch waits for, apart from the heartbeat: the answer may take longer than a lease."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from replica_cli.core.errors import ReplicaError
from replica_cli.mysql.lock_holders import what_blocks
from replica_cli.mysql.session import connect

if TYPE_CHECKING:
    from collections.abc import Callable

    from replica_cli.core.settings import Network, Server
    from replica_cli.mysql.session import Session

logger = logging.getLogger(__name__)
_LEAVE_SECONDS = 2.0


class LockWatch:
    """Asks one question at a time, in a thread and on a session of its own. Used by the heartbeat thread.

    `tell` is called with the answer, from the thread of the question.
    """

    def __init__(self, server: Server, network: Network, tell: Callable[[str], None]) -> None:
        self._server = server
        self._network = network
        self._tell = tell
        self._session: Session | None = None
        self._thread: threading.Thread | None = None

    def ask(self, connection_id: int) -> None:
        """Start to ask what a connection waits for. Does nothing while the last question has no answer."""
        if not self._is_asking:
            self._thread = threading.Thread(
                target=self._query_locks, args=(connection_id,), name="lock watch", daemon=True
            )
            self._thread.start()

    def close_if_unused(self) -> None:
        """Close the session if no answer is expected."""
        if not self._is_asking:
            self._close()

    def close(self) -> None:
        """Stop the question and close the session."""
        session = self._session
        if session is not None and self._is_asking:
            session.abort()
        if self._thread is not None:
            self._thread.join(_LEAVE_SECONDS)
        self._close()

    @property
    def _is_asking(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def _query_locks(self, connection_id: int) -> None:
        try:
            if self._session is None:
                self._session = connect(self._server, self._network)
            if blocked := what_blocks(self._session, connection_id):
                self._tell(blocked)
        except ReplicaError as error:
            logger.debug("the locks cannot be read: %s", error)
            self._close()

    def _close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.close()
