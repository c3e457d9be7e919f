"""Numbers for people: sizes, durations, rates, places. Machines get base units, in json.py."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from replica_cli.core.position import Position


def size(count: int | None) -> str:
    """Return bytes as `7.8 KiB`."""
    if count is None:
        return "unknown"
    value = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(value) < 1024:
            return f"{count} B" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TiB"


def duration(seconds: float | None) -> str:
    """Return seconds as `0.4s`, `12s`, `1m19s`, `2h05m`, `3d04h`."""
    if seconds is None:
        return "unknown"
    if seconds < 10:
        return f"{max(0.0, seconds):.1f}s"
    whole = round(seconds)
    for below, unit, big, small in ((3600, 60, "m", "s"), (86400, 3600, "h", "m"), (float("inf"), 86400, "d", "h")):
        if whole < 60:
            return f"{whole}s"
        if whole < below:
            part = (whole % unit) * {"s": 60, "m": 60, "h": 24}[small] // unit
            return f"{whole // unit}{big}{part:02d}{small}"
    raise AssertionError(whole)


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
    """Return a part of an estimated whole, from 0 to 1; estimates are often too low."""
    return min(1.0, part / whole) if whole else None
