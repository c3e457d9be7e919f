"""The token through which a stop is heard, and a pause: every wait goes through it."""

from __future__ import annotations

import threading

_LOOK_SECONDS = 0.2


class StopToken:
    """Asked once to stop politely, asked twice to stop at once; and asked to pause. Safe between threads."""

    def __init__(self) -> None:
        self._asked = threading.Event()
        self._abort = threading.Event()
        self._paused = threading.Event()

    def branch(self) -> StopToken:
        """Return a token that hears the same stop, and is paused by itself: a pause is one secondary's."""
        token = StopToken()
        token._asked, token._abort = self._asked, self._abort
        return token

    def request(self) -> None:
        """Ask to stop; asking again means at once."""
        if self._asked.is_set():
            self._abort.set()
        self._asked.set()

    @property
    def is_set(self) -> bool:
        """Say whether a stop was asked for."""
        return self._asked.is_set()

    @property
    def must_abort(self) -> bool:
        """Say whether the second request came: roll back, do not drain."""
        return self._abort.is_set()

    def wait(self, seconds: float) -> bool:
        """Wait, at most so long; return whether a stop was asked for."""
        return self._asked.wait(seconds)

    def pause(self, *, is_wanted: bool = True) -> None:
        """Ask to pause, or to go on."""
        if is_wanted:
            self._paused.set()
        else:
            self._paused.clear()

    @property
    def is_paused(self) -> bool:
        """Say whether a pause is asked for, and no stop."""
        return self._paused.is_set() and not self._asked.is_set()

    def hold(self) -> None:
        """Wait for as long as a pause lasts; a stop ends it."""
        while self.is_paused:
            self._asked.wait(_LOOK_SECONDS)
