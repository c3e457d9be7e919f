"""Many clients that mean no good to an HTTP server: `python -m tests.support.hostile_clients PORT COUNT`.

A third sends nothing, a third sends the head of a request a byte at a time, and a third asks for long answers and does
not read them. One that is cut off comes again. It writes a line when all have connected once, and ends with its stdin.
"""

from __future__ import annotations

import asyncio
import contextlib
import resource
import socket
import sys
import threading

_AGAIN_SECONDS = 1.0
_BYTE_SECONDS = 1.0
_ASK = b"GET /api/v1/openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * 20
_HEAD = b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: "


class _Clients:
    def __init__(self, port: int, count: int) -> None:
        self._port, self._count = port, count
        self._connected: set[int] = set()

    async def run(self) -> None:
        loop, over = asyncio.get_running_loop(), asyncio.Event()

        def wait_for_end() -> None:
            sys.stdin.read()
            loop.call_soon_threadsafe(over.set)

        threading.Thread(target=wait_for_end, daemon=True).start()
        clients = [asyncio.create_task(self._live(number)) for number in range(self._count)]
        await over.wait()
        for client in clients:
            client.cancel()
        await asyncio.gather(*clients, return_exceptions=True)

    async def _live(self, number: int) -> None:
        while True:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                await self._connect(number)
            await asyncio.sleep(_AGAIN_SECONDS)

    async def _connect(self, number: int) -> None:
        made = socket.socket()
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        made.setblocking(False)
        with made:
            loop = asyncio.get_running_loop()
            await loop.sock_connect(made, ("127.0.0.1", self._port))
            self._note(number)
            if number % 3 == 0:
                await loop.sock_recv(made, 1)  # until it is cut off
            elif number % 3 == 1:
                await loop.sock_sendall(made, _HEAD)
                while True:
                    await asyncio.sleep(_BYTE_SECONDS)
                    await loop.sock_sendall(made, b"x")
            else:
                await loop.sock_sendall(made, _ASK)
                while True:
                    # A write fails when the server has closed the connection; nothing is ever read.
                    await asyncio.sleep(_BYTE_SECONDS)
                    await loop.sock_sendall(made, b"\r\n")

    def _note(self, number: int) -> None:
        before = len(self._connected)
        self._connected.add(number)
        if before < self._count == len(self._connected):
            print(f"{self._count} clients have connected", flush=True)


def main() -> None:
    """Run until stdin is closed."""
    port, count = map(int, sys.argv[1:])
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    asyncio.run(_Clients(port, count).run())


if __name__ == "__main__":
    main()
