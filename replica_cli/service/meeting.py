"""Where a stream and tables that catch up with it come to the same place: one handshake between two threads.

The one that catches up says that it is near. The stream, between two batches, names its place and stands still. The
other one goes up to exactly there and says so; or the stream loses patience, withdraws the place and goes on.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from replica_cli.core.position import Position
    from replica_cli.stop import StopToken

_LOOK_SECONDS = 0.05


class Meeting:
    """The places of both sides. Safe between the two threads."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._is_near = False
        self._goal: Position | None = None
        self._reached: Position | None = None
        self._here: Position | None = None

    @property
    def here(self) -> Position | None:
        """Return where the stream was last seen."""
        with self._changed:
            return self._here

    @property
    def goal(self) -> Position | None:
        """Return the place at which the stream stands still, None while it goes on."""
        with self._changed:
            return self._goal

    @property
    def is_near(self) -> bool:
        """Say whether the stream need not wait long."""
        with self._changed:
            return self._is_near

    def pass_by(self, place: Position) -> None:
        """Stream: say where it is."""
        with self._changed:
            self._here = place

    def wait_at(self, place: Position, seconds: float, stop: StopToken) -> bool:
        """Stream: stand still at a place until the other one is there; say whether it came.

        Where it did not, in time or before a stop, it has to come near anew: the stream moves.
        """
        with self._changed:
            self._goal, self._reached = place, None
            self._changed.notify_all()
            while not self._has_met() and self._is_near and seconds > 0 and not stop.is_set:
                self._changed.wait(_LOOK_SECONDS)
                seconds -= _LOOK_SECONDS
            has_met = self._has_met()
            if not has_met:
                self._goal, self._is_near = None, False
                self._changed.notify_all()
            return has_met

    def come_near(self) -> None:
        """Other: say that the stream can wait for it."""
        with self._changed:
            self._is_near = True

    def leave(self) -> None:
        """Other: say that the stream need not wait."""
        with self._changed:
            self._is_near = False
            self._changed.notify_all()

    def arrive(self, goal: Position, end: StopToken) -> None:
        """Other: be at the goal, until the stream has taken over, which is the end, or has withdrawn the goal."""
        with self._changed:
            if self._goal != goal:
                return
            self._reached = goal
            self._changed.notify_all()
            while self._goal == goal and self._has_met() and not end.is_set:
                self._changed.wait(_LOOK_SECONDS)

    def _has_met(self) -> bool:
        return self._reached is not None
