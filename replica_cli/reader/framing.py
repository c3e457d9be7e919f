"""Cut the bytes of a dump connection into binary log events.

A packet has 3 bytes of length, 1 byte of sequence number, and a payload. The payload begins with 0x00 (an event), 0xFE
(the end) or 0xFF (an error). After a payload of 0xFFFFFF bytes the event continues in the next packet.
Source: https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_packets.html
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from replica_cli.core.errors import CorruptEvent
from replica_cli.mysql.errnos import CR_SERVER_LOST, Remedy, ServerError, remedy_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from replica_cli.reader.dump import DumpStream

_MAX_PAYLOAD = 0xFFFFFF
_SKIMMED_BYTES = 16 * 1024


class DumpEnded(ServerError):
    """The primary ended the dump. A dump that does not wait ends at the end of the log."""


class Framer:
    """Cuts the bytes of a dump stream into events. An event includes its header, but not the 0x00 byte before it.

    One thread reads. Other threads may look at `is_inside`.

    Attributes:
        last_size: the number of bytes that the last `read` first got from the stream.
        is_inside: True if an event has begun to arrive and is not complete, and while `read` is at work.
        waited_seconds: how long all reads together have waited for bytes, without the present wait.
        waits_since: when the present wait began, a monotonic time; None if there is none.
    """

    def __init__(self, stream: DumpStream, server_name: str) -> None:
        self._stream = stream
        self._server_name = server_name
        self._rest = b""
        self._parts: list[bytes] = []
        self.last_size = 0
        self.is_inside = False
        self.waited_seconds = 0.0
        self.waits_since: float | None = None

    def read(self) -> Iterator[bytes]:
        """Wait for bytes and yield the events that are complete with them, in order.

        Raises:
            ServerError: the primary ends the dump (DumpEnded), sends an error, or closes the connection.
            CorruptEvent: an event is longer than its header announces.
        """
        data = self._receive()
        self.last_size = len(data)
        self.is_inside = True
        rest = self._rest
        if rest:
            data = rest + data
        # A large event arrives in many reads. Collect them first, so that its bytes are not copied again at each read.
        if len(data) >= 4:
            missing = 4 + int.from_bytes(data[:3], "little") - len(data)
            if missing > 0:
                data = self._read_on(data, missing)
        yield from self._cut(data)

    def _receive(self, where: str = "") -> bytes:
        began_at = self.waits_since = time.monotonic()
        try:
            return _received(self._stream, self._server_name, where=where)
        finally:
            # In this order, another thread counts a wait twice for a moment rather than not at all.
            self.waited_seconds += time.monotonic() - began_at
            self.waits_since = None

    def _read_on(self, data: bytes, missing: int) -> bytes:
        pieces = [data]
        while missing > 0:
            more = self._receive(where=" inside an event")
            pieces.append(more)
            missing -= len(more)
        return b"".join(pieces)

    def _cut(self, data: bytes) -> Iterator[bytes]:
        at, end = 0, len(data)
        while end - at >= 4:
            length = data[at] | data[at + 1] << 8 | data[at + 2] << 16
            stop = at + 4 + length
            if stop > end:
                break
            if self._parts:
                self._parts.append(data[at + 4 : stop])
                self._check_size()
                if length < _MAX_PAYLOAD:
                    whole = b"".join(self._parts)
                    self._parts = []
                    yield whole
            elif length == _MAX_PAYLOAD:
                _check_status(data[at + 4 : stop], self._server_name)
                self._parts.append(data[at + 5 : stop])
            else:
                if not length or data[at + 4]:
                    _check_status(data[at + 4 : stop], self._server_name)
                yield data[at + 5 : stop]
            at = stop
        self._rest = data[at:]
        self.is_inside = bool(self._rest or self._parts)

    def _check_size(self) -> None:
        """Raise CorruptEvent if an event of several packets is larger than its header announces."""
        announced = int.from_bytes(self._parts[0][9:13], "little")
        received = sum(map(len, self._parts))
        if received > announced:
            raise CorruptEvent(f"{self._server_name} sends {received} bytes of an event of {announced} bytes")


class Skimmer:
    """Cuts the bytes of a dump stream into the beginnings of events: at most 16 KiB of each. It discards the rest.

    For callers that need only headers and short events. The header of an event gives its full size.
    """

    def __init__(self, stream: DumpStream, server_name: str) -> None:
        self._stream = stream
        self._server_name = server_name
        self._rest = b""
        self._to_skip = 0
        self._is_continued = False

    def read(self) -> Iterator[bytes]:
        """Wait for bytes once and yield the beginnings of the events that have arrived, in order.

        Raises:
            ServerError: the primary ends the dump (DumpEnded), sends an error, or closes the connection.
        """
        data = self._rest + _received(self._stream, self._server_name)
        end = len(data)
        at = min(self._to_skip, end)
        self._to_skip -= at
        while end - at >= 4:
            length = data[at] | data[at + 1] << 8 | data[at + 2] << 16
            # Nothing is kept of the packets in which a large event continues.
            kept_size = 0 if self._is_continued else min(length, 1 + _SKIMMED_BYTES)
            payload = at + 4
            if end - payload < kept_size:
                break
            if not self._is_continued:
                if not length or data[payload]:
                    _check_status(data[payload : payload + kept_size], self._server_name)
                yield data[payload + 1 : payload + kept_size]
            self._is_continued = length == _MAX_PAYLOAD
            at = payload + length
            if at > end:
                self._to_skip, at = at - end, end
        self._rest = data[at:]


def _received(stream: DumpStream, server_name: str, *, where: str = "") -> bytes:
    """Wait for bytes and return them. Raises ServerError if the primary closed the connection."""
    data = stream.read()
    if not data:
        text = f"the primary closed the dump connection{where}"
        raise ServerError(CR_SERVER_LOST, text, server_name, remedy=Remedy.RECONNECT)
    return data


def _check_status(payload: bytes, server_name: str) -> None:
    """Raise ServerError or DumpEnded if a packet holds an error or the end of the dump instead of an event."""
    status = payload[0] if payload else 0xFE
    if status == 0xFF:
        errno = int.from_bytes(payload[1:3], "little")
        text = payload[9:] if payload[3:4] == b"#" else payload[3:]
        raise ServerError(errno, text.decode("utf-8", "replace"), server_name, remedy=remedy_of(errno))
    if status != 0:
        raise DumpEnded(CR_SERVER_LOST, "the primary ended the dump", server_name, remedy=Remedy.RECONNECT)
