"""The hand-over of re-copied tables from their catch-up to the stream: one handshake between two threads.

1. The catch-up announces that it is close to the stream (`announce_close`).
2. The stream, between two batches, offers its position and waits there (`offer`).
3. The catch-up applies up to exactly that position and says so (`reach`).
4. The stream takes the tables over. If the catch-up does not come in time, the stream withdraws its offer and goes on,
   and the catch-up has to announce itself again.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from replica_cli.core.position import Position
    from replica_cli.stop import StopToken

_POLL_SECONDS = 0.05


class Handoff:
    """The state of one hand-over. Safe between the stream's thread and the thread of the catch-up."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._is_close = False
        self._offered: Position | None = None
        self._reached: Position | None = None
        self._published: Position | None = None

    @property
    def published(self) -> Position | None:
        """Return the last position that the stream published, None before the first."""
        with self._changed:
            return self._published

    @property
    def offered(self) -> Position | None:
        """Return the position at which the stream waits, None while it goes on."""
        with self._changed:
            return self._offered

    @property
    def is_close(self) -> bool:
        """Return True if the catch-up has announced that the stream need not wait long."""
        with self._changed:
            return self._is_close

    def publish_position(self, position: Position) -> None:
        """Tell the catch-up where the stream is. Called by the stream."""
        with self._changed:
            self._published = position

    def offer(self, position: Position, seconds: float, stop: StopToken) -> bool:
        """Wait at a position until the catch-up has reached it. Called by the stream.

        Args:
            position: the stream's position, a transaction boundary.
            seconds: how long to wait.
            stop: ends the wait at once.

        Returns:
            True if the catch-up reached the position and waits there: the stream takes the tables over now. False if it
            did not come in time: the offer is withdrawn.

        """
        with self._changed:
            self._offered, self._reached = position, None
            self._changed.notify_all()
            while not self._is_reached() and self._is_close and seconds > 0 and not stop.is_set:
                self._changed.wait(_POLL_SECONDS)
                seconds -= _POLL_SECONDS
            is_reached = self._is_reached()
            if not is_reached:
                self._offered, self._is_close = None, False
                self._changed.notify_all()
            return is_reached

    def announce_close(self) -> None:
        """Tell the stream that it can wait for the catch-up. Called by the catch-up."""
        with self._changed:
            self._is_close = True

    def withdraw(self) -> None:
        """Tell the stream that it need not wait. Called by the catch-up."""
        with self._changed:
            self._is_close = False
            self._changed.notify_all()

    def reach(self, position: Position, end: StopToken) -> None:
        """Wait at the offered position until the stream has taken over or has withdrawn the offer.

        Called by the catch-up. Returns at once if the offer is another one by now.

        Args:
            position: the offered position, up to which everything is applied and saved.
            end: set by the stream when it has taken over.

        """
        with self._changed:
            if self._offered != position:
                return
            self._reached = position
            self._changed.notify_all()
            while self._offered == position and self._is_reached() and not end.is_set:
                self._changed.wait(_POLL_SECONDS)

    def _is_reached(self) -> bool:
        return self._reached is not None
