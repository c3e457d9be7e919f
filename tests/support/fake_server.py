"""A server that says what a test tells it to say, for what no real server does."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from typing import TYPE_CHECKING, Self

from replica_cli.core.settings import Network, Secret, Server, Tls, TlsMode

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

PASSWORD = b"the-Secret-password-1"
SALT = b"12345678901234567890"
NETWORK = Network(connect_timeout=5.0, query_timeout=5.0, read_timeout=5.0)
SSL = 0x0800
CAPABILITIES = 0x00FFF7FF  # all of the old ones but SSL
OK = b"\0\0\0\x02\0\0\0"


def greeting(plugin: bytes = b"mysql_native_password", *, offers_tls: bool = False, version: bytes = b"9.7.4") -> bytes:
    flags = CAPABILITIES | (SSL if offers_tls else 0)
    low, high = struct.pack("<H", flags & 0xFFFF), struct.pack("<H", flags >> 16)
    return (
        b"\x0a" + version + b"\0" + struct.pack("<I", 7) + SALT[:8] + b"\0" + low + b"\xff\x02\0" + high + b"\x15"
        + bytes(10) + SALT[8:] + b"\0" + plugin + b"\0"
    )  # fmt: skip


def switch_to(plugin: bytes) -> bytes:
    return b"\xfe" + plugin + b"\0" + SALT + b"\0"


class FakeServer:
    """Speaks to each client that comes as `talk` says; `received` is all that clients sent, decrypted."""

    def __init__(self, talk: Callable[[FakeServer], None]) -> None:
        self.received = b""
        self._talk = talk
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._socket: socket.socket | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def send(self, payload: bytes, number: int) -> None:
        assert self._socket is not None
        self._socket.sendall(len(payload).to_bytes(3, "little") + bytes((number,)) + payload)

    def send_raw(self, data: bytes) -> None:
        assert self._socket is not None
        self._socket.sendall(data)

    def read(self) -> bytes:
        assert self._socket is not None
        head = self._exactly(4)
        return self._exactly(int.from_bytes(head[:3], "little"))

    def start_tls(self, context: ssl.SSLContext) -> None:
        assert self._socket is not None
        self._socket = context.wrap_socket(self._socket, server_side=True)

    def _exactly(self, size: int) -> bytes:
        assert self._socket is not None
        data = b""
        while len(data) < size:
            more = self._socket.recv(size - len(data))
            if not more:
                raise ConnectionError
            data += more
        self.received += data
        return data

    def _run(self) -> None:
        while True:
            try:
                self._socket, _ = self._listener.accept()
            except OSError:
                return
            with contextlib.suppress(OSError):
                self._talk(self)
                while True:
                    self.read()
            self._socket.close()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)

    def address(self, mode: TlsMode = TlsMode.PREFERRED, *, is_primary: bool = True) -> Server:
        secret = Secret(PASSWORD.decode())
        return Server("p", "127.0.0.1", self.port, "u", secret, tls=Tls(mode), is_primary=is_primary)
