"""Wake up a thread that waits for pipes, from any thread or from a signal handler."""

from __future__ import annotations

import contextlib
import multiprocessing.connection
import os
import signal
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Sequence
    from multiprocessing.connection import Connection

_CHUNK = 4096


class Wakeup:
    """A pipe that ends a wait for other pipes: the current wait, or else the next one. Safe between threads.

    The supervisor's main thread and the worker's messages thread wait on one.
    """

    def __init__(self) -> None:
        self._reading, self._writing = os.pipe()
        for end in (self._reading, self._writing):
            os.set_blocking(end, False)

    def wait(self, pipes: Sequence[Connection], seconds: float | None = None) -> list[Connection]:
        """Return the pipes that have something to read.

        Args:
            pipes: the pipes to wait for.
            seconds: how long to wait, None without a limit.

        Returns:
            The pipes that are ready; empty after a `wake` or at the end of the time.

        """
        ready = multiprocessing.connection.wait([self._reading, *pipes], seconds)
        with contextlib.suppress(BlockingIOError):
            while len(os.read(self._reading, _CHUNK)) == _CHUNK:
                pass
        return [pipe for pipe in pipes if pipe in ready]

    def wake(self) -> None:
        """End the wait. A full pipe wakes the thread as well, and a closed one has no thread to wake."""
        with contextlib.suppress(OSError):
            os.write(self._writing, b"\0")

    def wake_at_signals(self) -> None:
        """Wake at each signal that has a handler, until the process ends. Call it in the main thread.

        The interpreter writes to the pipe before the handler runs, so a main thread that waits for something else
        causes no delay.
        """
        signal.set_wakeup_fd(self._writing, warn_on_full_buffer=False)

    def close(self) -> None:
        """Close both ends of the pipe."""
        for end in (self._reading, self._writing):
            os.close(end)
        # Another file may get these descriptor numbers.
        self._reading = self._writing = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
