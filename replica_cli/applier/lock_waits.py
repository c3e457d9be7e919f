"""How long a data definition statement waits for locks that other connections of the secondary hold.

A pending statement keeps readers of its table waiting too, so an attempt is short at first. Later ones are longer: a
large ALTER TABLE needs its lock once more at its end, and begins again where it does not get it.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from replica_cli.checkpoint.intents import is_same_place
from replica_cli.retry import lock_wait_slice

if TYPE_CHECKING:
    from replica_cli.core.position import Position


class LockPatience:
    """Counts the attempts at one statement. A worker has one for all of its connections.

    `limit_seconds`: for all attempts together, 0 for ever; `longest_seconds`: for one.
    """

    def __init__(self, limit_seconds: float, longest_seconds: float) -> None:
        self.limit_seconds = limit_seconds
        self._longest = longest_seconds
        self._place: Position | None = None
        self._attempts = 0
        self._waited = 0.0
        self._began_at = 0.0
        self._rests_since: float | None = None
        self._allowed = 0

    @property
    def attempts(self) -> int:
        """Return the number of attempts at the statement in hand."""
        return self._attempts

    @property
    def waited_seconds(self) -> float:
        """Return how long the statement has waited, between two attempts too. What it worked does not count."""
        return self._waited + (0.0 if self._rests_since is None else time.monotonic() - self._rests_since)

    @property
    def is_over(self) -> bool:
        """Say whether the statement has waited as long as it may."""
        return 0 < self.limit_seconds <= self.waited_seconds

    def begin(self, place: Position) -> int:
        """Begin an attempt at the statement of a place; return the seconds that it may wait for a lock."""
        if not self._is_of(place):
            self.forget()
            self._place, self._waited = place, 0.0
        self._waited, self._rests_since = self.waited_seconds, None
        self._began_at = time.monotonic()
        self._allowed = lock_wait_slice(self._attempts, self._waited, self.limit_seconds, self._longest)
        return self._allowed

    def end(self) -> None:
        """Take in that the attempt ended at a lock that it did not get."""
        self.lose()
        self._rests_since = time.monotonic()

    def lose(self) -> None:
        """Take in that the attempt ended with its connection: it may have waited for a lock up to then.

        How long the server cannot be reached does not count.
        """
        self._attempts += 1
        self._waited += min(time.monotonic() - self._began_at, self._allowed)

    def is_spent_on(self, place: Position) -> bool:
        """Say whether attempts at the statement of a place have used up what it may wait."""
        return self._is_of(place) and self.is_over

    def forget(self) -> None:
        """Forget the statement: it has run, or failed for another reason."""
        self._place, self._attempts, self._rests_since = None, 0, None

    def _is_of(self, place: Position) -> bool:
        return self._place is not None and is_same_place(place, self._place)
