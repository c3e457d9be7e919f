"""Limits repeated log records: one in a time, with the number of records that were suppressed.

logs/display.py uses it for the records above a live display.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

_MAX_KEYS = 1000


class RepeatLimit:
    """Remembers when each key was last admitted. Thread-safe; it remembers at most 1,000 keys."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._seen: dict[Hashable, tuple[float, int]] = {}

    def admit(self, seconds: float, key: Hashable) -> int | None:
        """Return how many repeats of the key were suppressed since it was last admitted, None if this one is too.

        Args:
            seconds: how long the key is suppressed after it was admitted.
            key: what repeats.
        """
        now = self._clock()
        with self._lock:
            last, suppressed = self._seen.get(key, (None, 0))
            if last is not None and now - last < seconds:
                self._seen[key] = (last, suppressed + 1)
                return None
            self._seen.pop(key, None)
            if len(self._seen) >= _MAX_KEYS:
                del self._seen[next(iter(self._seen))]  # the key that was admitted longest ago
            self._seen[key] = (now, 0)
            return suppressed
