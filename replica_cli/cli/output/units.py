"""Numbers for people: sizes, durations, rates, places. Machines get base units, in json.py."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

from replica_cli.core.status import ALMOST
from replica_cli.core.wording import duration, size

if TYPE_CHECKING:
    from datetime import datetime

    from replica_cli.core.position import Position

__all__ = ["cell_width", "count", "duration", "moment", "place", "share", "size"]


def count(number: float) -> str:
    """Return a number in five characters at most: `0`, `9.5`, `812`, `46.1k`, `12.3M`."""
    if 0 < number < 9.95:
        return f"{number:.1f}".removesuffix(".0")
    if number < 9999.5:
        return f"{number:.0f}"
    for unit in ("k", "M", "G"):
        number /= 1000
        if number < 99.95:
            return f"{number:.1f}{unit}"
        if number < 999.5:
            return f"{number:.0f}{unit}"
    return f"{number / 1000:.1f}T"


def cell_width(text: str) -> int:
    """Return the columns that a text takes on a terminal: two for each wide character, none for a combining one."""
    if text.isascii():
        return len(text)
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 0 if unicodedata.combining(c) else 1 for c in text)


def moment(time: datetime | None) -> str:
    """Return a time as RFC 3339 in UTC, to the second."""
    return time.isoformat(timespec="seconds").replace("+00:00", "Z") if time else "unknown"


def place(position: Position | None, width: int = 0) -> str:
    """Return file and offset; in `width` characters by leaving out the file's name but for its number."""
    if position is None:
        return "-"
    text = str(position)
    if not width or len(text) <= width:
        return text
    if position.file:
        text = f"{position.file.rpartition('.')[2]}:{position.pos}"
    return text if len(text) <= width else f"…{text[1 - width :]}"


def share(part: int, whole: int | None) -> float | None:
    """Return a part of an estimated whole that is not reached yet, below 1; estimates are often too low."""
    return min(ALMOST, part / whole) if whole else None
