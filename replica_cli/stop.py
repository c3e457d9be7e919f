"""The token through which a stop is heard: every wait goes through it."""

from __future__ import annotations

import threading


class StopToken:
    """Asked once to stop politely, asked twice to stop at once. Safe between threads."""

    def __init__(self) -> None:
        self._asked = threading.Event()
        self._abort = threading.Event()

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
