"""A receiver of GELF over UDP and TCP: it decodes what it gets as Graylog does, and keeps it."""

from __future__ import annotations

import contextlib
import gzip
import json
import socket
import threading
import zlib
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Iterator

_POLL_SECONDS = 0.1
_CHUNK_MAGIC, _GZIP_MAGIC = b"\x1e\x0f", b"\x1f\x8b"
_CHUNK_HEAD = 12
_MOST_CHUNKS = 128


def unpacked(data: bytes) -> dict[str, Any]:
    """Return the document of a message: gzip, zlib, or plain JSON."""
    if data.startswith(_GZIP_MAGIC):
        data = gzip.decompress(data)
    elif data[:1] == b"\x78" and int.from_bytes(data[:2], "big") % 31 == 0:
        data = zlib.decompress(data)
    document: dict[str, Any] = json.loads(data)
    return document


class Chunks:
    """Puts the chunks of messages together, in whatever order they come."""

    def __init__(self) -> None:
        self._parts: dict[bytes, dict[int, bytes]] = {}

    def take(self, datagram: bytes) -> bytes | None:
        """Return a whole message, None until all of its chunks are there."""
        if not datagram.startswith(_CHUNK_MAGIC):
            return datagram
        message, number, count = datagram[2:10], datagram[10], datagram[11]
        assert 0 <= number < count <= _MOST_CHUNKS, "Graylog drops a message of more chunks"
        parts = self._parts.setdefault(message, {})
        parts[number] = datagram[_CHUNK_HEAD:]
        if len(parts) < count:
            return None
        del self._parts[message]
        return b"".join(parts[each] for each in range(count))


class GelfReceiver:
    """Listens while its context lasts. `documents` are the messages in the order in which they were complete."""

    def __init__(self, protocol: str, *, port: int = 0, family: socket.AddressFamily = socket.AF_INET) -> None:
        self.documents: list[dict[str, Any]] = []
        self.datagrams = self.connections = 0
        host = "::1" if family is socket.AF_INET6 else "127.0.0.1"
        self._is_tcp = protocol == "tcp"
        self._socket = socket.socket(family, socket.SOCK_STREAM if self._is_tcp else socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if not self._is_tcp:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self._socket.bind((host, port))
        self.port = int(self._socket.getsockname()[1])
        self._socket.settimeout(_POLL_SECONDS)
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._receive, daemon=True)

    def __enter__(self) -> Self:
        if self._is_tcp:
            self._socket.listen()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End, with all connections."""
        self._is_over.set()
        self._thread.join(10)
        self._socket.close()

    def messages(self) -> list[str]:
        """Return the short messages."""
        return [document["short_message"] for document in self.documents]

    def _receive(self) -> None:
        if self._is_tcp:
            self._accept()
            return
        chunks = Chunks()
        for datagram in self._data(self._socket):
            self.datagrams += 1
            message = chunks.take(datagram)
            if message is not None:
                self.documents.append(unpacked(message))

    def _accept(self) -> None:
        readers = []
        while not self._is_over.is_set():
            with contextlib.suppress(TimeoutError):
                connection, _ = self._socket.accept()
                self.connections += 1
                readers.append(threading.Thread(target=self._read, args=(connection,), daemon=True))
                readers[-1].start()
        for reader in readers:
            reader.join(10)

    def _read(self, connection: socket.socket) -> None:
        connection.settimeout(_POLL_SECONDS)
        rest = b""
        with connection:
            for data in self._data(connection):
                *frames, rest = (rest + data).split(b"\0")
                self.documents += [unpacked(frame) for frame in frames]

    def _data(self, source: socket.socket) -> Iterator[bytes]:
        while not self._is_over.is_set():
            with contextlib.suppress(TimeoutError, ConnectionResetError):
                data = source.recv(65536)
                if not data:
                    return
                yield data
