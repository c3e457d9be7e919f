"""What lets a thread go on that waits for pipes: a pipe that anybody may write to, signal handlers too."""

from __future__ import annotations

import contextlib
import multiprocessing.connection
import os
import signal
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Sequence
    from multiprocessing.connection import Connection
    from types import TracebackType

_CHUNK = 4096


class Wakeup:
    """Ends a wait for pipes, the one that is under way or else the next. Safe between threads."""

    def __init__(self) -> None:
        self._reading, self._writing = os.pipe()
        for end in (self._reading, self._writing):
            os.set_blocking(end, False)

    def wait(self, pipes: Sequence[Connection], seconds: float | None = None) -> list[Connection]:
        """Return the pipes that have something to read; [] after a `wake`, or after the time if one is given."""
        found = multiprocessing.connection.wait([self._reading, *pipes], seconds)
        with contextlib.suppress(BlockingIOError):
            while len(os.read(self._reading, _CHUNK)) == _CHUNK:
                pass
        return [pipe for pipe in pipes if pipe in found]

    def wake(self) -> None:
        """End the wait. A pipe that is full, or closed, is as good."""
        with contextlib.suppress(OSError):
            os.write(self._writing, b"\0")

    def wake_at_signals(self) -> None:
        """Wake at each signal that has a handler, until the process ends. In the main thread.

        The interpreter itself writes, before the handler runs: a main thread that waits elsewhere does not hold it up.
        """
        signal.set_wakeup_fd(self._writing, warn_on_full_buffer=False)

    def close(self) -> None:
        """Close both ends."""
        for end in (self._reading, self._writing):
            os.close(end)
        # Another file may get the numbers.
        self._reading = self._writing = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
