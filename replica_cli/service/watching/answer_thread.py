"""A thread that works on one question at a time, so that a server that hangs delays only its own answers."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class AnswerThread:
    """Runs functions that keep their results themselves, one after another.

    Attributes:
        error: the error that a function raised, which is a bug: a function handles the errors that are expected.
    """

    def __init__(self, name: str, changed: threading.Condition) -> None:
        """Start the thread.

        Args:
            name: the name of the thread.
            changed: is notified after each function. Several threads may share it.

        """
        self.error: BaseException | None = None
        self._changed = changed
        self._question: Callable[[], None] | None = None
        self._asked_at = 0.0
        self._is_over = False
        # A thread that waits for a server must not keep the process from ending.
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @property
    def is_idle(self) -> bool:
        """Return True if no function is running or waiting to run."""
        return self._question is None

    @property
    def busy_seconds(self) -> float:
        """Return for how long the function has been running, 0 if none is."""
        return 0.0 if self.is_idle else time.monotonic() - self._asked_at

    def ask(self, question: Callable[[], None]) -> None:
        """Run a function soon. Call it only while the thread is idle."""
        with self._changed:
            self._question, self._asked_at = question, time.monotonic()
            self._changed.notify_all()

    def end(self) -> None:
        """Let the thread end after the function that is running."""
        with self._changed:
            self._is_over = True
            self._changed.notify_all()

    def has_ended(self, until: float) -> bool:
        """Wait for the end until a monotonic time; return False if the function still runs then."""
        self._thread.join(max(0.0, until - time.monotonic()))
        return not self._thread.is_alive()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._is_over or self._question is not None)
                question = self._question
                if self._is_over or question is None:
                    return
            try:
                question()
            except BaseException as error:  # noqa: BLE001 - a thread cannot raise to its caller, which looks at it
                self.error = error
            with self._changed:
                self._question = None
                self._changed.notify_all()
