"""Where in the log the reading stands: 64 bits, of which an event's header tells 32."""

from __future__ import annotations

from replica_cli.core.position import Position
from replica_cli.reader.codes import EventType

_HEARTBEATS = frozenset({EventType.HEARTBEAT, EventType.HEARTBEAT_V2})
_LOW = 0xFFFFFFFF


class LogCursor:
    """A file and an offset that moves with the events read."""

    def __init__(self, start: Position) -> None:
        self.file, self.pos = start.file, start.pos
        self._passed = 0

    @property
    def position(self) -> Position:
        """Return the place as a value, without GTIDs."""
        return Position(self.file, self.pos)

    def move(self, file: str, pos: int) -> None:
        """Go on elsewhere: a rotation."""
        self.file, self.pos, self._passed = file, pos, 0

    def pass_by(self, size: int) -> None:
        """Note an event inside a transaction whose own place nobody looks at; the next one counts on from the sum."""
        self._passed += size

    def advance(self, code: int, log_pos: int, size: int, *, is_inside: bool) -> None:
        """Move behind an event; `log_pos` is what its header says, `is_inside` a transaction or not."""
        pos = self.pos + self._passed
        self._passed = 0
        if code == EventType.FORMAT_DESCRIPTION:
            # Sent again at each connect: it counts only where reading began at the head of the file.
            pos = 4 + size if pos <= 4 else pos
        elif code not in _HEARTBEATS:
            if log_pos:
                full = (pos & ~_LOW) | log_pos
                if full < pos - 0x80000000:
                    full += _LOW + 1
                pos = max(pos, full)
            elif is_inside:
                # MariaDB 11.4 and later write 0 inside a group.
                pos += size
        self.pos = pos
