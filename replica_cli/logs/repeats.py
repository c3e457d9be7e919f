"""What repeats is said once in a while, with how often it was held back."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

_MAX_KEYS = 1000


class RepeatLimit:
    """Remembers when each key was last let through. Safe between threads; memory is bounded."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._seen: dict[Hashable, tuple[float, int]] = {}

    def admit(self, seconds: float, key: Hashable) -> int | None:
        """Return how many were held back since the last one let through; None where this one is held back too."""
        now = self._clock()
        with self._lock:
            last, held = self._seen.get(key, (None, 0))
            if last is not None and now - last < seconds:
                self._seen[key] = (last, held + 1)
                return None
            self._seen.pop(key, None)
            if len(self._seen) >= _MAX_KEYS:
                del self._seen[next(iter(self._seen))]  # the one let through longest ago
            self._seen[key] = (now, 0)
            return held


_limit = RepeatLimit()


def once_per(seconds: float, key: Hashable) -> int | None:
    """Say whether to log something that repeats: None is no, else the number held back since the last time.

    `if (held := once_per(30, ("reconnect", instance))) is not None: log(..., "… (%d more)", held)`
    """
    return _limit.admit(seconds, key)
