"""The connections of the server: bounded in number and in time, so that slow and hostile clients use little.

Uvicorn has no limit for a client that sends its request a byte at a time, or that does not read the answer, and TLS
handshakes are counted nowhere. So connections are accepted here. If all are taken, a new one replaces that which has
waited longest without a whole request: a client that asks at once is answered, whatever the others do.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import time
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

if TYPE_CHECKING:
    import socket

    from uvicorn import Config

    from replica_cli.api.listener import Listener

logger = logging.getLogger(__name__)

# How long a client may take for the head of a request, for its body, and for reading the answer.
_HEAD_SECONDS = 10.0
_BODY_SECONDS = 10.0
_ANSWER_SECONDS = 20.0
_HANDSHAKE_SECONDS = 5.0
_SWEEP_SECONDS = 1.0
_END_SECONDS = 1.0
_ACCEPT_PAUSE_SECONDS = 0.2


class BoundedProtocol(H11Protocol):
    """Uvicorn's protocol, which notes since when it waits for its client."""

    def __init__(self, **named: Any) -> None:
        super().__init__(**named)
        self.waiting_since = time.monotonic()
        self._blocked_since: float | None = None

    def handle_events(self) -> None:
        """Note the beginning of a request."""
        before = self.cycle
        super().handle_events()
        if self.cycle is not before:
            self.waiting_since = time.monotonic()

    def on_response_complete(self) -> None:
        """Note the end of a request."""
        self.waiting_since = time.monotonic()
        super().on_response_complete()

    @property
    def is_asked(self) -> bool:
        """Return True from the head of a request to the end of its answer."""
        return self.cycle is not None and not self.cycle.response_complete

    @property
    def waits_for_client(self) -> bool:
        """Return True if the client has to send something next, or to read."""
        is_blocked = self.transport is not None and self.transport.get_write_buffer_size() > 0
        return is_blocked or not self.is_asked or self.cycle.more_body

    def is_overdue(self, now: float) -> bool:
        """Return True if the client has taken too long."""
        if self.transport.get_write_buffer_size() > 0:
            self._blocked_since = self._blocked_since or now
            return now - self._blocked_since > _ANSWER_SECONDS
        self._blocked_since = None
        if self.is_asked:
            return self.cycle.more_body and now - self.waiting_since > _BODY_SECONDS
        return now - self.waiting_since > _HEAD_SECONDS

    def abort(self) -> None:
        """Close the connection at once."""
        self.transport.abort()


class _Connection:
    """An accepted connection: first in its TLS handshake, then with a protocol."""

    def __init__(self, accepted: socket.socket) -> None:
        self.socket = accepted
        self.since = time.monotonic()
        self.task: asyncio.Task[None] | None = None
        self.protocol: BoundedProtocol | None = None

    @property
    def waiting_since(self) -> float | None:
        """Return since when it waits for its client, None if the client waits for the server."""
        if self.protocol is None or self.protocol.transport is None:
            return self.since
        return self.protocol.waiting_since if self.protocol.waits_for_client else None

    def abort(self) -> None:
        if self.protocol is not None and self.protocol.transport is not None:
            self.protocol.abort()
        elif self.task is not None:
            self.task.cancel()


class Connections:
    """Accepts connections and ends them. All of it runs in the event loop."""

    def __init__(self, config: Config, listener: Listener, most: int) -> None:
        self._config, self._listener, self._most = config, listener, most
        self._state = ServerState()
        self._open: set[_Connection] = set()
        self._has_ended = asyncio.Event()  # set when the last one has ended

    async def serve(self, stopped: asyncio.Event, *others: asyncio.Task[None]) -> None:
        """Serve until `stopped` is set. Answers that are not complete then get a moment.

        Args:
            stopped: ends the server.
            others: tasks that run as long as the server. If one of them or of its own fails, its error is raised.

        """
        self._set_date()
        tasks = [asyncio.create_task(work) for work in (self._accept(), self._sweep())]
        stop = asyncio.create_task(stopped.wait())
        try:
            ended, _ = await asyncio.wait((stop, *tasks, *others), return_when=asyncio.FIRST_COMPLETED)
            for each in ended:
                each.result()
        finally:
            for task in (stop, *tasks):
                task.cancel()
            await asyncio.gather(stop, *tasks, return_exceptions=True)
            for connection in tuple(self._open):
                if connection.protocol is None or connection.protocol.transport is None:
                    connection.abort()
                else:
                    connection.protocol.shutdown()
            if self._open:
                self._has_ended.clear()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._has_ended.wait(), _END_SECONDS)
            for connection in tuple(self._open):
                connection.abort()

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                accepted, _ = await loop.sock_accept(self._listener.socket)
            except OSError as error:
                # No descriptors are left, or the client has gone already.
                logger.debug("no connection was accepted: %s", error)
                await asyncio.sleep(_ACCEPT_PAUSE_SECONDS)
                continue
            # A connection that waits is accepted without a turn of the loop: others need one.
            await asyncio.sleep(0)
            if len(self._open) >= self._most and not self._make_room():
                accepted.close()
                continue
            connection = _Connection(accepted)
            self._open.add(connection)
            connection.task = asyncio.create_task(self._connect(connection))
            connection.task.add_done_callback(functools.partial(self._close_if_unused, connection))

    def _make_room(self) -> bool:
        """End the connection that has waited longest for its client. Return False if the server works on all."""
        waiting = [(since, c) for c in self._open if (since := c.waiting_since) is not None]
        if not waiting:
            return False
        _, oldest = min(waiting, key=lambda each: each[0])
        self._open.discard(oldest)
        oldest.abort()
        return True

    async def _connect(self, connection: _Connection) -> None:
        def protocol() -> BoundedProtocol:
            made = _Noticed(
                lambda: self._forget(connection), config=self._config, server_state=self._state, app_state={}
            )
            connection.protocol = made
            return made

        loop = asyncio.get_running_loop()
        tls = self._listener.tls
        limits = {"ssl_handshake_timeout": _HANDSHAKE_SECONDS, "ssl_shutdown_timeout": 1.0} if tls else {}
        try:
            await loop.connect_accepted_socket(protocol, connection.socket, ssl=tls, **limits)
        except OSError as error:
            # A handshake that failed or took too long; an SSLError is an OSError.
            logger.debug("a connection ended early: %s", error)

    def _close_if_unused(self, connection: _Connection, _task: asyncio.Task[None]) -> None:
        """Close the socket of a connection that has no transport: its task may have ended before it began."""
        if connection.protocol is None or connection.protocol.transport is None:
            connection.socket.close()
            self._forget(connection)

    def _forget(self, connection: _Connection) -> None:
        self._open.discard(connection)
        if not self._open:
            self._has_ended.set()

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(_SWEEP_SECONDS)
            self._set_date()
            now = time.monotonic()
            for connection in tuple(self._open):
                protocol = connection.protocol
                if protocol is not None and protocol.transport is not None and protocol.is_overdue(now):
                    protocol.abort()

    def _set_date(self) -> None:
        self._state.default_headers = [(b"date", formatdate(usegmt=True).encode())]


class _Noticed(BoundedProtocol):
    """A protocol that reports its end."""

    def __init__(self, on_end: Any, **named: Any) -> None:
        super().__init__(**named)
        self._on_end = on_end

    def connection_lost(self, exc: Exception | None) -> None:
        """Report the end."""
        with contextlib.suppress(Exception):
            super().connection_lost(exc)
        self._on_end()
