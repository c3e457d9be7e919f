"""The heartbeat thread: what the worker is doing, once a second, on a session of its own."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Self

from replica_cli.checkpoint.beats import BeatStore
from replica_cli.checkpoint.schema import create_state_schema
from replica_cli.core.errors import ReplicaError
from replica_cli.mysql.session import connect
from replica_cli.stop import StopToken

if TYPE_CHECKING:
    from types import TracebackType

    from replica_cli.core.settings import Server, Settings
    from replica_cli.mysql.session import Session
    from replica_cli.service.board import StatusBoard

logger = logging.getLogger(__name__)
_SECONDS = 1.0


class Heartbeat:
    """Beats while its context lasts; a secondary that does not answer is no error here: the worker finds out itself."""

    def __init__(self, settings: Settings, server: Server, board: StatusBoard) -> None:
        self._settings = settings
        self._server = server
        self._board = board
        self._end = StopToken()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.request()
        self._thread.join(timeout=5)

    def _run(self) -> None:
        session: Session | None = None
        is_over = False
        while not is_over:
            is_over = self._end.wait(_SECONDS)
            try:
                if session is None:
                    session = connect(self._server, self._settings.network)
                    create_state_schema(session, self._settings.state_schema)
                    store = BeatStore(session, self._settings.state_schema, self._server.name)
                store.beat(self._board.status, connection_id=session.connection_id)
            except ReplicaError as error:
                logger.debug("no heartbeat: %s", error)
                if session is not None:
                    session.close()
                session = None
        if session is not None:
            session.close()
