"""Translates the time zone of a logged statement into one that means the same moments on the secondary."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from replica_cli.mysql.session import Row, Value

# Offsets that every version of both flavours accepts.
_OFFSET = re.compile(r"[+-](0\d|1[012]):[0-5]\d")
_NAME = re.compile(r"[A-Za-z0-9+\-:/_]+")
# Four moments a day over the whole range of a 32-bit TIMESTAMP: no summer time is shorter than the step.
_STEP_HOURS, _STEPS = 6, 99_000
_DIGITS = "(" + " UNION ALL ".join(["SELECT 0 d", *(f"SELECT {n}" for n in range(1, 10))]) + ")"
_NUMBERS = f"""SELECT a.d + 10 * b.d + 100 * c.d + 1000 * d.d + 10000 * e.d n
 FROM {_DIGITS} a, {_DIGITS} b, {_DIGITS} c, {_DIGITS} d, {_DIGITS} e"""


class Ask(Protocol):
    """Runs a query with `%s` parameters on a server and returns its rows. Raises ServerError."""

    def __call__(self, sql: str, *args: Value) -> Sequence[Row]:  # noqa: D102 - described in the class docstring
        ...


class TimeZones:
    """Compares the offsets of time zones on both servers, once for each zone.

    They may differ: SYSTEM is each server's own zone, one server may not know a name, and the rules of the servers may
    be of different years.
    """

    def __init__(self, ask_primary: Ask, ask_secondary: Ask) -> None:
        self._ask_primary = ask_primary
        self._ask_secondary = ask_secondary
        self._zones: dict[str, str | None] = {}

    def secondary_zone(self, zone: str) -> str | None:
        """Return the time_zone for the secondary's session, None if the secondary has no equal zone.

        Args:
            zone: the time_zone of the primary's session.

        Raises:
            ServerError: if a server does not answer.

        """
        if _OFFSET.fullmatch(zone):
            return zone
        if zone not in self._zones:
            self._zones[zone] = self._compare(zone) if _NAME.fullmatch(zone) else None
        return self._zones[zone]

    def _compare(self, zone: str) -> str | None:
        ((count, least, most, total),) = self._ask_primary(_offsets(zone))
        if not count:
            return None
        if least == most and int(least) % 60 == 0:
            # A zone with one offset at all times is set as an offset: the secondary needs no table of zones for it.
            fixed = _offset_text(int(least))
            ((moment,),) = self._ask_secondary(f"SELECT CONVERT_TZ('2000-01-01', '+00:00', '{fixed}')")
            return fixed if moment is not None else None
        ((*offsets,),) = self._ask_secondary(_offsets(zone))
        return zone if [str(v) for v in offsets] == [str(v) for v in (count, least, most, total)] else None


def _offsets(zone: str) -> str:
    """Return a query for a zone's offsets in seconds: their number, the least, the greatest, and a checksum of all."""
    moments = f"SELECT n, TIMESTAMP'1970-01-02 00:00:00' + INTERVAL n * {_STEP_HOURS} HOUR moment FROM ({_NUMBERS}) x"
    offsets = f"SELECT n, TIMESTAMPDIFF(SECOND, moment, CONVERT_TZ(moment, '+00:00', '{zone}')) o FROM ({moments}) y"
    return f"SELECT COUNT(o), MIN(o), MAX(o), SUM(o * (n MOD 9973)) FROM ({offsets} WHERE n < {_STEPS}) z"


def _offset_text(seconds: int) -> str:
    minutes = abs(seconds) // 60
    return f"{'-' if seconds < 0 else '+'}{minutes // 60:02d}:{minutes % 60:02d}"
