"""Runs what waits for servers in threads, so that the event loop answers others meanwhile."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import Future
from typing import TYPE_CHECKING, Generic, TypeVar

from replica_cli.api.errors import TooMany

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

_MOST_THREADS = 4
_MOST_WAITING = 20


class Threads:
    """Runs functions in threads, a few at the same time. The threads do not keep the process from ending."""

    def __init__(self) -> None:
        self._free = asyncio.Semaphore(_MOST_THREADS)

    async def run(self, function: Callable[[], T]) -> T:
        """Return what a function returns, or raise what it raises."""
        async with self._free:
            result: Future[T] = Future()

            def work() -> None:
                try:
                    result.set_result(function())
                except BaseException as error:  # noqa: BLE001 - a thread cannot raise: the coroutine does
                    result.set_exception(error)

            threading.Thread(target=work, name="http question", daemon=True).start()
            return await asyncio.wrap_future(result)


class Remembered(Generic[T]):
    """An answer that is asked for once in a while: all who ask meanwhile get the same one, and not too many wait."""

    def __init__(self, threads: Threads, ask: Callable[[], T], seconds: float) -> None:
        self._threads, self._ask, self._seconds = threads, ask, seconds
        self._one = asyncio.Lock()
        self._answer: tuple[float, T] | None = None
        self._waiting = 0

    async def get(self) -> T:
        """Return the answer, asked for again if it is too old. Raises TooMany.

        While a database server does not answer, each request here takes a connection that no other client can have.
        """
        if self._waiting >= _MOST_WAITING:
            raise TooMany("too many clients wait for the answer of a server", hint="try again later")
        self._waiting += 1
        try:
            async with self._one:
                if self._answer is None or time.monotonic() - self._answer[0] > self._seconds:
                    answer = await self._threads.run(self._ask)
                    self._answer = (time.monotonic(), answer)
                return self._answer[1]
        finally:
            self._waiting -= 1
