"""Decide whether an event that cannot be applied comes before or after the GTID set that reading starts from.

For a dump by GTID set, the primary sends a file of its log from the start and leaves out the transactions of the set.
It still sends the events between transactions, for example an INCIDENT, or an event type of a newer release. If the
primary leaves out a transaction after such an event, the event comes before the end of the set and does not matter. If
it leaves out none, the event comes after the set, and the reader must stop with its error.

This holds only for a set whose transactions have the same order in every log. Transactions of several domains or
sources may have another order in this primary's log. Then a left-out transaction after the event proves nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from replica_cli.core.position import FIRST_EVENT
from replica_cli.reader.parsers.event_types import ARTIFICIAL, BETWEEN_GROUPS, HEARTBEATS, LOW_32_BITS, EventType

if TYPE_CHECKING:
    from replica_cli.core.errors import UnsupportedEvent
    from replica_cli.core.position import Position


class DoubtfulEvent:
    """One event in doubt: its error, the position at its end, and the offset up to which nothing was left out since.

    The assembler has at most one, and gives it the header of each event that follows until the doubt is resolved.
    """

    def __init__(self, error: UnsupportedEvent, position: Position) -> None:
        self.error = error
        self.position = position
        self._end = position.pos & LOW_32_BITS

    def comes_after_set(self, code: int, log_pos: int, size: int, flags: int) -> bool | None:
        """Return True if the event in doubt comes after the GTID set, by the header of the next event.

        Returns:
            True if it comes after the set, False if it comes before the last transaction of the set, None if this
            header does not decide it.
        """
        if code in HEARTBEATS:
            # A heartbeat names the end of the log. If nothing was left out up to it, the event comes after the set.
            return log_pos == self._end
        if code == EventType.ROTATE and flags & ARTIFICIAL:
            self._end = FIRST_EVENT
            return None
        if flags & ARTIFICIAL or not log_pos:
            return None
        if (log_pos - size) & LOW_32_BITS != self._end:
            return False
        if code in BETWEEN_GROUPS or code in (EventType.ROTATE, EventType.INCIDENT):
            self._end = log_pos
            return None
        return True
