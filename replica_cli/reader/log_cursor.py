"""Track the offset in the log as events are read: 64 bits, of which the header of an event gives the lower 32."""

from __future__ import annotations

from replica_cli.core.position import FIRST_EVENT, Position
from replica_cli.reader.parsers.event_types import HEARTBEATS, LOW_32_BITS, EventType


class LogCursor:
    """The file and the offset of the end of the last event. The reader of a log moves it with each event."""

    def __init__(self, start: Position) -> None:
        self.file, self.pos = start.file, start.pos
        self._deferred_bytes = 0

    @property
    def position(self) -> Position:
        """Return file and offset as a value, without a GTID set."""
        return Position(self.file, self.pos)

    def move(self, file: str, pos: int) -> None:
        """Continue in another file, after a rotation."""
        self.file, self.pos, self._deferred_bytes = file, pos, 0

    def defer(self, size: int) -> None:
        """Add the size of events in a transaction whose own offsets are not needed; the next `advance` includes it."""
        self._deferred_bytes += size

    def advance(self, code: int, log_pos: int, size: int, *, is_inside: bool) -> None:
        """Move to the end of an event.

        Args:
            code: the event's type.
            log_pos: the end offset that the header gives: the lower 32 bits, or 0 if the header gives none.
            size: the event's size in bytes.
            is_inside: True if the event is inside a transaction.
        """
        pos = self.pos + self._deferred_bytes
        self._deferred_bytes = 0
        if code == EventType.FORMAT_DESCRIPTION:
            # The primary sends it again at each connect. It counts only if reading began at the start of the file.
            pos = FIRST_EVENT + size if pos <= FIRST_EVENT else pos
        elif code not in HEARTBEATS:
            if log_pos:
                full = (pos & ~LOW_32_BITS) | log_pos
                # Far below the last offset: the 32 bits of the header have wrapped around.
                if full < pos - 0x80000000:
                    full += LOW_32_BITS + 1
                pos = max(pos, full)
            elif is_inside:
                # MariaDB 11.4 and later write 0 inside a transaction.
                pos += size
        self.pos = pos
