"""Sends single records to Graylog over UDP or TCP. Used by the thread of `logs/graylog.py`.

GELF: https://go2docs.graylog.org/current/getting_in_log_data/gelf.html
"""

from __future__ import annotations

import select
import socket
import time
from typing import TYPE_CHECKING, Any, Protocol

from graypy import GELFTCPHandler, GELFUDPHandler
from graypy.handler import GELF_MAX_CHUNK_NUMBER, BaseGELFChunker

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Iterator

    from replica_cli.core.settings import Graylog

# A name may get another address while the stream runs.
_RESOLVE_SECONDS = 60.0
_LONGEST_RETRY_SECONDS = 10.0


class Sender(Protocol):
    """The part of a sender that is used. For a record that cannot be sent it calls `on_lost`; it raises no error."""

    def connect(self) -> bool:
        """Return True if there is a socket. An attempt to make one waits longer after each failure, at most 10 s."""

    def emit(self, record: logging.LogRecord) -> None:
        """Send one record."""

    def close(self) -> None:
        """Close the socket."""


def sender_to(graylog: Graylog, on_lost: Callable[[], None]) -> Sender:
    """Return the sender to a Graylog; `on_lost` is called for each record that could not be sent."""
    options = {"localname": graylog.source, "debugging_fields": False, "extra_fields": True}
    kind: Any = _TcpSender if graylog.protocol == "tcp" else _UdpSender
    sender: Any = kind(graylog.host, graylog.port, **options)
    sender.timeout_seconds, sender.on_lost = graylog.timeout_seconds, on_lost
    sender.retryMax = _LONGEST_RETRY_SECONDS
    made: Sender = sender
    return made


# graypy has no types, so its classes are Any to the type checker; only this module uses them.
class _Chunker(BaseGELFChunker):  # type: ignore[misc]
    """Splits a message. graypy's own chunkers make a Python warning of one that is too large, which is a record too."""

    def chunk_message(self, message: bytes) -> Iterator[bytes]:
        if self._message_chunk_number(message) > GELF_MAX_CHUNK_NUMBER:
            raise ValueError("the message has more chunks than GELF allows")
        yield from self._gen_gelf_chunks(message)


class _UdpSender(GELFUDPHandler):  # type: ignore[misc]
    sock: Any
    address: Any
    on_lost: Callable[[], None]
    timeout_seconds: float
    _resolved_at = 0.0

    def __init__(self, host: str, port: int, **options: object) -> None:
        super().__init__(host, port, gelf_chunker=_Chunker(), **options)

    def connect(self) -> bool:
        if self.sock is not None and time.monotonic() - self._resolved_at > _RESOLVE_SECONDS:
            self.sock.close()
            self.sock = None
        if self.sock is None:
            self.createSocket()
        return self.sock is not None

    def makeSocket(self) -> socket.socket:  # noqa: N802 - logging's own name
        self._resolved_at = time.monotonic()
        addresses = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_DGRAM)
        # Without answers a wrong choice would not be noticed. By default Graylog listens to IPv4.
        family, kind, protocol, _, self.address = min(addresses, key=lambda each: each[0] != socket.AF_INET)
        made = socket.socket(family, kind, protocol)
        made.settimeout(self.timeout_seconds)
        return made

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: ARG002, N802 - logging's own name
        self.on_lost()


class _TcpSender(GELFTCPHandler):  # type: ignore[misc]
    sock: Any
    address: Any
    on_lost: Callable[[], None]
    timeout_seconds: float

    def connect(self) -> bool:
        if self.sock is not None and _is_closed_by_peer(self.sock):
            self.sock.close()
            self.sock = None
        if self.sock is None:
            self.createSocket()
        return self.sock is not None

    def makeSocket(self, timeout: float = 1.0) -> socket.socket:  # noqa: ARG002, N802 - logging's own name
        connected: socket.socket = super().makeSocket(self.timeout_seconds)
        # Otherwise the kernel would take records for a quarter of an hour after Graylog's machine is gone.
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(self.timeout_seconds * 1000))
        return connected

    def send(self, data: bytes) -> None:
        # If the connection breaks, a part of the record may be sent. Graylog ignores it, because its end is missing.
        for _ in range(2):
            super().send(data)
            if self.sock is not None:  # SocketHandler hides a failed connect or send, and waits longer each time
                return
        self.on_lost()

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: ARG002, N802 - logging's own name
        self.on_lost()


def _is_closed_by_peer(connected: socket.socket) -> bool:
    """Return True if the other side has ended the connection: what is sent into it is lost without an error."""
    poll = select.poll()
    poll.register(connected, select.POLLIN)
    try:
        return bool(poll.poll(0)) and not connected.recv(4096)
    except OSError:
        return True
