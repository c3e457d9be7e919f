"""Writes sizes, durations, rates and positions for people. The module `json` writes base units for machines."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

from replica_cli.core.status import ALMOST
from replica_cli.core.wording import duration, size

if TYPE_CHECKING:
    from datetime import datetime

    from replica_cli.core.position import Position

__all__ = ["brief_size", "cell_width", "count", "duration", "moment", "position_text", "share", "size"]


def count(number: float) -> str:
    """Return a number in at most five characters: `0`, `9.5`, `812`, `46.1k`, `12.3M`."""
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


def brief_size(count: int) -> str:
    """Return a number of bytes in at most five characters, in units of 1024: `0`, `812`, `7.8K`, `12.3M`."""
    if count < 1000:
        return str(count)
    value = float(count)
    for unit in ("K", "M", "G"):
        value /= 1024
        if value < 999.5:
            return f"{value:.1f}{unit}" if value < 99.95 else f"{value:.0f}{unit}"
    return f"{value / 1024:.1f}T"


def cell_width(text: str) -> int:
    """Return the width of a text in terminal columns: two for each wide character, none for a combining one."""
    if text.isascii():
        return len(text)
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 0 if unicodedata.combining(c) else 1 for c in text)


def moment(time: datetime | None) -> str:
    """Return a UTC time as RFC 3339 with whole seconds, `unknown` for None."""
    return time.isoformat(timespec="seconds").replace("+00:00", "Z") if time else "unknown"


def position_text(position: Position | None, width: int = 0) -> str:
    """Return a position as file and offset, `-` for None.

    If `width` is not 0 and the text is longer, the file's name is cut to its number; if that is still too long, the
    beginning of the text is cut.
    """
    if position is None:
        return "-"
    text = str(position)
    if not width or len(text) <= width:
        return text
    if position.file:
        text = f"{position.file.rpartition('.')[2]}:{position.pos}"
    return text if len(text) <= width else f"…{text[1 - width :]}"


def share(part: int, whole: int | None) -> float | None:
    """Return `part / whole`, at most ALMOST, because estimates of the whole are often too low; None without a whole."""
    return min(ALMOST, part / whole) if whole else None
