"""Runs what waits for servers in threads, so that the event loop answers others meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from concurrent.futures import Future
from typing import TYPE_CHECKING, Generic, TypeVar

from replica_cli.api.errors import ClientGone, TooMany
from replica_cli.side_by_side import run_into

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

T = TypeVar("T")

_SLOT_SECONDS = 5.0
_MOST_WAITING = 20


class Threads:
    """Runs functions in threads, a few at the same time. The threads do not keep the process from ending.

    Args:
        most: how many functions run at the same time.

    """

    def __init__(self, most: int) -> None:
        self._free = asyncio.Semaphore(most)

    async def run(self, function: Callable[[], T], client: Request | None = None) -> T:
        """Return what a function returns, or raise what it raises.

        Args:
            function: what to run.
            client: the request for which it runs; None if it is not only for one request.

        Raises:
            TooMany: no thread was free for a few seconds. The function was not called.
            ClientGone: the client closed its connection before a thread was free. The function was not called.

        """
        try:
            await asyncio.wait_for(self._free.acquire(), _SLOT_SECONDS)
        except TimeoutError:
            raise TooMany("too many requests wait for servers that are slow", hint="try again later") from None
        result: Future[T] = Future()
        loop = asyncio.get_running_loop()

        def release(_: Future[T]) -> None:
            with contextlib.suppress(RuntimeError):  # the event loop has ended
                loop.call_soon_threadsafe(self._free.release)

        # A slot is taken until the function has ended, also if no request waits for it any more.
        result.add_done_callback(release)
        try:
            if client is not None:
                await _check_present(client)
            threading.Thread(target=run_into, args=(result, function), name="http question", daemon=True).start()
        except BaseException:
            result.cancel()
            raise
        return await asyncio.wrap_future(result)


async def _check_present(client: Request) -> None:
    await client.body()  # the end of a connection is reported after the body
    if await client.is_disconnected():
        raise ClientGone("the client has closed its connection")


class Remembered(Generic[T]):
    """An answer that is asked for once in a while: all who ask meanwhile get the same one, and not too many wait."""

    def __init__(self, threads: Threads, ask: Callable[[], T], seconds: float) -> None:
        self._threads, self._ask, self._seconds = threads, ask, seconds
        self._asking: asyncio.Task[T] | None = None
        self._answer: tuple[float, T] | None = None
        self._waiting = 0

    async def get(self) -> T:
        """Return the answer, asked for again if it is too old. All who wait get the same answer, or the same error.

        While a database server does not answer, each request here takes a connection that no other client can have.

        Raises:
            TooMany: too many wait already.

        """
        if self._answer is not None and time.monotonic() - self._answer[0] <= self._seconds:
            return self._answer[1]
        if self._waiting >= _MOST_WAITING:
            raise TooMany("too many clients wait for the answer of a server", hint="try again later")
        self._waiting += 1
        try:
            if self._asking is None:
                self._asking = asyncio.create_task(self._ask_again())
            # A client that goes does not end the question of the others.
            return await asyncio.shield(self._asking)
        finally:
            self._waiting -= 1

    async def _ask_again(self) -> T:
        try:
            answer = await self._threads.run(self._ask)
            self._answer = (time.monotonic(), answer)
            return answer
        finally:
            self._asking = None
