"""The token through which a stop is heard, and a pause: every wait goes through it."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class _Asked:
    """What a token and its branches have in common. A signal handler may come in while its thread holds the lock."""

    def __init__(self) -> None:
        self.changed = threading.Condition(threading.RLock())
        self.is_asked = self.must_abort = False
        self.wakes: list[Callable[[], None]] = []

    def tell(self) -> None:
        with self.changed:
            self.changed.notify_all()
            wakes = tuple(self.wakes)
        for wake in wakes:
            wake()


class StopToken:
    """Asked once to stop politely, asked twice to stop at once; and asked to pause. Safe between threads.

    Nobody has to look at it again and again: a wait on it ends at once, and who waits for something else is woken by
    what it gave to `telling`.
    """

    def __init__(self) -> None:
        self._state = _Asked()
        self._is_pause_wanted = False

    def branch(self) -> StopToken:
        """Return a token that hears the same stop, and is paused by itself: a pause is one secondary's."""
        token = StopToken()
        token._state = self._state
        return token

    def request(self) -> None:
        """Ask to stop; asking again means at once."""
        state = self._state
        with state.changed:
            state.must_abort = state.must_abort or state.is_asked
            state.is_asked = True
        state.tell()

    @property
    def is_set(self) -> bool:
        """Say whether a stop was asked for."""
        return self._state.is_asked

    @property
    def must_abort(self) -> bool:
        """Say whether the second request came: roll back, do not drain."""
        return self._state.must_abort

    def wait(self, seconds: float) -> bool:
        """Wait, at most so long; return whether a stop was asked for."""
        with self._state.changed:
            return self._state.changed.wait_for(lambda: self._state.is_asked, seconds)

    def pause(self, *, is_wanted: bool = True) -> None:
        """Ask to pause, or to go on."""
        with self._state.changed:
            is_new = is_wanted != self._is_pause_wanted
            self._is_pause_wanted = is_wanted
        if is_new:
            self._state.tell()

    @property
    def is_paused(self) -> bool:
        """Say whether a pause is asked for, and no stop."""
        return self._is_pause_wanted and not self._state.is_asked

    def hold(self, seconds: float | None = None) -> None:
        """Wait for as long as a pause lasts, at most so long if a limit is given; a stop ends it."""
        with self._state.changed:
            self._state.changed.wait_for(lambda: not self.is_paused, seconds)

    def wake(self) -> None:
        """Let those look who wait for something else: what they do next may have changed."""
        self._state.tell()

    @contextlib.contextmanager
    def telling(self, wake: Callable[[], None]) -> Iterator[None]:
        """Call `wake` at each stop, pause or `wake` while the context lasts, and once at its begin for what was before.

        It is called from any thread, and from signal handlers: it must not wait.
        """
        with self._state.changed:
            self._state.wakes.append(wake)
        try:
            wake()
            yield
        finally:
            with self._state.changed:
                self._state.wakes.remove(wake)
