"""An event that would end the reading, and of which is not known yet whether it lies before the place to read from.

Asked by a GTID set, the primary sends a file of its log from the head and leaves out the transactions of the set. What
it has written between transactions it sends all the same: an INCIDENT, or a type of a newer release. If it leaves out a
transaction after the event, the set reaches past it, and it does not matter. If not, the event comes after the set.

That holds for a set whose transactions are in one order in every log. Those of several domains, or sources, may be in
another order in the log of the server that is the primary now: what is left out after the event tells nothing then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from replica_cli.reader.codes import ARTIFICIAL, BETWEEN_GROUPS, EventType

if TYPE_CHECKING:
    from replica_cli.core.errors import UnsupportedEvent
    from replica_cli.core.position import Position

_HEARTBEATS = frozenset({EventType.HEARTBEAT, EventType.HEARTBEAT_V2})
_FIRST_EVENT = 4
_LOW = 0xFFFFFFFF


class DoubtfulEvent:
    """The error of such an event, its place, and the place up to which nothing was left out since."""

    def __init__(self, error: UnsupportedEvent, place: Position) -> None:
        self.error = error
        self.place = place
        self._end = place.pos & _LOW

    def is_ours(self, code: int, log_pos: int, size: int, flags: int) -> bool | None:
        """Judge by the header of the next event: return None as long as that does not tell.

        True if the event in doubt comes after the GTID set, False if it comes before the last transaction of the set.
        """
        if code in _HEARTBEATS:
            # It names the end of the log.
            return log_pos == self._end
        if code == EventType.ROTATE and flags & ARTIFICIAL:
            self._end = _FIRST_EVENT
            return None
        if flags & ARTIFICIAL or not log_pos:
            return None
        if (log_pos - size) & _LOW != self._end:
            return False
        if code in BETWEEN_GROUPS or code in (EventType.ROTATE, EventType.INCIDENT):
            self._end = log_pos
            return None
        return True
