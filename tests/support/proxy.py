"""A TCP proxy between replica and a server, which does what networks do: cut, stall, refuse, delay."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from typing import TYPE_CHECKING, TypeVar

import pytest

from replica_cli.sandbox.process import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

T = TypeVar("T")

_CHUNK = 64 * 1024
_SLOW_BYTES = 1024
_QUEUED_CHUNKS = 128  # about 8 MB a direction, then the sender feels it


class _Link:
    """One client's connection through the proxy."""

    def __init__(self, proxy: Proxy, client: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> None:
        self._proxy = proxy
        self._client = client
        self._server: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._queues: list[asyncio.Queue[tuple[float, bytes]]] = [asyncio.Queue(_QUEUED_CHUNKS) for _ in range(2)]
        self.is_stranded = False
        self._is_answered = True

    async def run(self) -> None:
        tasks: list[asyncio.Task[None]] = []
        try:
            self._server = await asyncio.open_connection("127.0.0.1", self._proxy.target_port)
            (from_client, to_client), (from_server, to_server) = self._client, self._server
            upward, downward = self._queues
            senders = [
                asyncio.create_task(self._send(to_server, upward, is_from_server=False)),
                asyncio.create_task(self._send(to_client, downward, is_from_server=True)),
            ]
            receivers = [
                asyncio.create_task(self._receive(from_client, upward)),
                asyncio.create_task(self._receive(from_server, downward)),
            ]
            tasks = senders + receivers
            # Either side's end is the end of both, as soon as what it said before has been passed on.
            await asyncio.wait(senders, return_when=asyncio.FIRST_COMPLETED)
        except OSError:
            pass  # no server listens at the target: the client sees its connection end
        finally:
            self.cut()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def cut(self) -> None:
        for _, writer in filter(None, (self._client, self._server)):
            writer.transport.abort()

    async def _receive(self, reader: asyncio.StreamReader, queue: asyncio.Queue[tuple[float, bytes]]) -> None:
        data = b"?"
        while data:
            data = b""
            with contextlib.suppress(OSError):
                data = await reader.read(_CHUNK)
            if data:
                self._count_turn(is_from_client=queue is self._queues[0])
            await queue.put((time.monotonic() + self._proxy.delay_seconds, data))

    def _count_turn(self, *, is_from_client: bool) -> None:
        if is_from_client and self._is_answered:
            self._proxy.turns += 1
        self._is_answered = not is_from_client

    async def _send(
        self, writer: asyncio.StreamWriter, queue: asyncio.Queue[tuple[float, bytes]], *, is_from_server: bool
    ) -> None:
        with contextlib.suppress(OSError):
            while True:
                due, data = await queue.get()
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                await self._proxy.flowing.wait()
                if self.is_stranded:
                    await asyncio.Event().wait()  # until the link is cut
                if not data:
                    return
                passed = self._proxy.allowed(data) if is_from_server else data
                await self._write(writer, passed, is_from_server=is_from_server)
                if len(passed) < len(data) or (is_from_server and self._proxy.has_used_up_its_bytes()):
                    # The last bytes are to arrive: a close, not a reset, which could overtake them.
                    writer.close()
                    await writer.wait_closed()
                    self._proxy.cut_links()
                    return

    async def _write(self, writer: asyncio.StreamWriter, data: bytes, *, is_from_server: bool) -> None:
        while data:
            rate = self._proxy.bytes_per_second if is_from_server else 0
            # In small parts, as a slow link has them: with long pauses between large ones, a client would see the end
            # of a transaction and then nothing, as if there was no more.
            part, data = (data[:_SLOW_BYTES], data[_SLOW_BYTES:]) if rate else (data, b"")
            writer.write(part)
            await writer.drain()
            if rate:
                await asyncio.sleep(len(part) / rate)


class Proxy:
    """Listens on `port` of the loopback interface and passes everything on to `target_port`. Safe from any thread."""

    def __init__(self, target_port: int) -> None:
        self.target_port = target_port
        self.port = free_port()
        self.delay_seconds = 0.0
        # How fast each connection is from the server to the client; 0 for no limit.
        self.bytes_per_second = 0.0
        # How often a client spoke after the server had: a wait of one round trip each time.
        self.turns = 0
        # How many clients were connected at the same time, at most.
        self.most_connections = 0
        self._remaining: int | None = None
        self._word, self._lies = b"", 0
        self._links: dict[_Link, asyncio.Task[None]] = {}
        self._listener: asyncio.Server | None = None
        self._loop = asyncio.new_event_loop()
        self.flowing = asyncio.Event()
        self.flowing.set()
        self._thread = threading.Thread(target=self._loop.run_forever, name=f"proxy {self.port}", daemon=True)
        self._thread.start()
        self.restore()

    @property
    def connections(self) -> int:
        """How many clients are connected."""
        return len(self._links)

    def cut(self) -> None:
        """Reset every connection; new ones are welcome."""
        self._call(self._cut())

    def freeze(self) -> None:
        """Pass nothing on: connections stay open and take data until buffers are full. New ones are accepted too."""
        self._call(self._set(is_flowing=False))

    def thaw(self) -> None:
        """Pass on what was held back, and go on."""
        self._call(self._set(is_flowing=True))

    def strand(self) -> None:
        """Leave what is open half open: neither a byte nor an end is passed on, until `cut_stranded`. New ones work."""
        self._call(self._strand())

    def cut_stranded(self) -> None:
        """Reset what was left half open."""
        self._call(self._cut_stranded())

    def refuse(self) -> None:
        """Refuse new connections; those that are open stay."""
        self._call(self._refuse())

    def restore(self) -> None:
        """Accept connections again on the same port."""
        self._call(self._listen())

    def delay(self, seconds: float) -> None:
        """Hold back everything for so long, each way, without limiting how much is under way."""
        self.delay_seconds = seconds

    def throttle(self, bytes_per_second: float) -> None:
        """Pass on what the server sends at this rate, each connection by itself; 0 for no limit."""
        self.bytes_per_second = bytes_per_second

    def cut_after(self, bytes_from_server: int) -> None:
        """Pass on exactly this number of the server's bytes, all connections counted, then cut once."""
        self._call(self._limit(bytes_from_server))

    def falsify(self, word: bytes, times: int) -> None:
        """Change one bit after a word that the server sends, a number of times."""
        self._word, self._lies = word, times

    def close(self) -> None:
        """End everything, the thread included."""
        self._call(self._refuse())
        self._call(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def allowed(self, data: bytes) -> bytes:
        if self._lies and self._word in data:
            self._lies -= 1
            last = data.index(self._word) + len(self._word) - 1
            data = data[:last] + bytes((data[last] ^ 1,)) + data[last + 1 :]
        if self._remaining is None:
            return data
        passed = data[: self._remaining]
        self._remaining -= len(passed)
        return passed

    def has_used_up_its_bytes(self) -> bool:
        return self._remaining == 0

    def cut_links(self) -> None:
        self._remaining = None
        for link in self._links:
            link.cut()

    def _call(self, work: Coroutine[None, None, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _cut(self) -> None:
        self.cut_links()
        for task in list(self._links.values()):
            task.cancel()

    async def _set(self, *, is_flowing: bool) -> None:
        self.flowing.set() if is_flowing else self.flowing.clear()

    async def _strand(self) -> None:
        for link in self._links:
            link.is_stranded = True

    async def _cut_stranded(self) -> None:
        for link, task in list(self._links.items()):
            if link.is_stranded:
                link.cut()
                task.cancel()

    async def _limit(self, count: int) -> None:
        self._remaining = count

    async def _refuse(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    async def _listen(self) -> None:
        if self._listener is None:
            self._listener = await asyncio.start_server(self._accept, "127.0.0.1", self.port)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = _Link(self, (reader, writer))
        task = asyncio.ensure_future(link.run())
        self._links[link] = task
        self.most_connections = max(self.most_connections, len(self._links))
        task.add_done_callback(lambda _: self._links.pop(link, None))

    async def _end(self) -> None:
        tasks = list(self._links.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@pytest.fixture
def proxy() -> Iterator[Callable[[int], Proxy]]:
    """Give a function that makes a proxy to a port; all of them end with the test."""
    made: list[Proxy] = []

    def make(target_port: int) -> Proxy:
        made.append(Proxy(target_port))
        return made[-1]

    yield make
    for each in made:
        each.close()
