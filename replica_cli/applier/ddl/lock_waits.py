"""Limit how long a DDL statement waits for locks that other connections of the secondary hold.

A waiting statement makes readers of its table wait too, so the first attempt is short. Later attempts are longer: a
large ALTER TABLE needs its lock once more at its end, and starts again from the beginning if it does not get it.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from replica_cli.retry import lock_wait_slice

if TYPE_CHECKING:
    from replica_cli.core.position import Position


class LockPatience:
    """Counts the attempts at one statement. A worker has one object for all of its connections.

    `limit_seconds`: how long all attempts may wait together, 0 for ever. `longest_seconds`: how long one may wait.
    """

    def __init__(self, limit_seconds: float, longest_seconds: float) -> None:
        self.limit_seconds = limit_seconds
        self._longest = longest_seconds
        self._position: Position | None = None
        self._attempts = 0
        self._waited = 0.0
        self._began_at = 0.0
        self._rests_since: float | None = None
        self._allowed = 0

    @property
    def attempts(self) -> int:
        """Return the number of attempts at the present statement."""
        return self._attempts

    @property
    def waited_seconds(self) -> float:
        """Return how long the statement has waited, with the time between attempts, without the time of its work."""
        return self._waited + (0.0 if self._rests_since is None else time.monotonic() - self._rests_since)

    @property
    def is_over(self) -> bool:
        """Return True if the statement has waited as long as it may."""
        return 0 < self.limit_seconds <= self.waited_seconds

    def begin(self, position: Position) -> int:
        """Begin an attempt at the statement at a position; return how many seconds it may wait for a lock."""
        if not self._is_of(position):
            self.forget()
            self._position, self._waited = position, 0.0
        self._waited, self._rests_since = self.waited_seconds, None
        self._began_at = time.monotonic()
        self._allowed = lock_wait_slice(self._attempts, self._waited, self.limit_seconds, self._longest)
        return self._allowed

    def end(self) -> None:
        """Note that the attempt ended because it did not get a lock."""
        self.lose()
        self._rests_since = time.monotonic()

    def lose(self) -> None:
        """Note that the attempt ended with its connection: it may have waited for a lock until then.

        The time for which the server cannot be reached does not count.
        """
        self._attempts += 1
        self._waited += min(time.monotonic() - self._began_at, self._allowed)

    def is_spent_on(self, position: Position) -> bool:
        """Return True if the attempts at the statement at a position have waited as long as they may."""
        return self._is_of(position) and self.is_over

    def forget(self) -> None:
        """Forget the statement, because it has run, or has failed for another reason."""
        self._position, self._attempts, self._rests_since = None, 0, None

    def _is_of(self, position: Position) -> bool:
        return self._position is not None and position.is_same_transaction(self._position)
