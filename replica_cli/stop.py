"""The token that carries requests to stop and to pause. Each wait of the package uses it."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING

from replica_cli.core.errors import Interrupted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class _SharedRequests:
    """The state that a token and its branches share.

    The lock can be taken twice by one thread, because a signal handler may run while its thread holds the lock.
    """

    def __init__(self) -> None:
        self.changed = threading.Condition(threading.RLock())
        self.is_requested = self.must_abort = False
        self.wakes: list[Callable[[], None]] = []

    def notify(self) -> None:
        with self.changed:
            self.changed.notify_all()
            wakes = tuple(self.wakes)
        for wake in wakes:
            wake()


def sleep_briefly(seconds: float, stop: StopToken | None = None) -> None:
    """Wait between two looks that are a second apart at most.

    Args:
        seconds: how long to wait.
        stop: ends the wait. None only in code that no stop reaches, and that ends by itself after a few seconds.

    Raises:
        Interrupted: `stop` was set.

    """
    if stop is None:
        time.sleep(seconds)  # noqa: TID251 - the one place that may
    elif stop.wait(seconds):
        raise Interrupted("a stop was requested during a wait for a server")


class StopToken:
    """Carries a request to stop, a second request to stop at once, and a request to pause. Safe between threads.

    No thread has to poll it: a wait on the token ends at once, and a thread that waits for something else is woken by
    the function that it passed to `waking`.
    """

    def __init__(self) -> None:
        self._state = _SharedRequests()
        self._is_pause_wanted = False

    def branch(self) -> StopToken:
        """Return a token with the same stop and a pause of its own, because each secondary is paused by itself."""
        token = StopToken()
        token._state = self._state
        return token

    def request(self) -> None:
        """Request a stop. A second request means to stop at once."""
        state = self._state
        with state.changed:
            state.must_abort = state.must_abort or state.is_requested
            state.is_requested = True
        state.notify()

    @property
    def is_set(self) -> bool:
        """Return True if a stop was requested."""
        return self._state.is_requested

    @property
    def must_abort(self) -> bool:
        """Return True if a stop was requested twice: roll back instead of draining."""
        return self._state.must_abort

    def wait(self, seconds: float) -> bool:
        """Wait for a stop, at most this many seconds. Return True if a stop was requested."""
        with self._state.changed:
            return self._state.changed.wait_for(lambda: self._state.is_requested, seconds)

    def pause(self, *, is_wanted: bool = True) -> None:
        """Request a pause, or its end."""
        with self._state.changed:
            is_new = is_wanted != self._is_pause_wanted
            self._is_pause_wanted = is_wanted
        if is_new:
            self._state.notify()

    @property
    def is_paused(self) -> bool:
        """Return True if a pause is requested, and no stop."""
        return self._is_pause_wanted and not self._state.is_requested

    def hold(self, seconds: float | None = None) -> None:
        """Wait while a pause lasts, at most `seconds` if given. A stop ends the wait."""
        with self._state.changed:
            self._state.changed.wait_for(lambda: not self.is_paused, seconds)

    def wake(self) -> None:
        """Wake the threads that wait for something else: what they have to do next may have changed."""
        self._state.notify()

    @contextlib.contextmanager
    def waking(self, wake: Callable[[], None]) -> Iterator[None]:
        """Call a function at each stop, pause or `wake` while the context lasts.

        It is called once at the start as well, for requests that came before.

        Args:
            wake: the function. It is called from any thread and from signal handlers, so it must not wait.

        """
        with self._state.changed:
            self._state.wakes.append(wake)
        try:
            wake()
            yield
        finally:
            with self._state.changed:
                self._state.wakes.remove(wake)
