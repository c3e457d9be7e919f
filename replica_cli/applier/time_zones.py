"""The time zone of a logged statement, in words that mean the same moments on the secondary."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from replica_cli.mysql.session import Row, Value

# Offsets that every version of both flavours takes.
_OFFSET = re.compile(r"[+-](0\d|1[012]):[0-5]\d")
_NAME = re.compile(r"[A-Za-z0-9+\-:/_]+")
# Four moments a day over all that a TIMESTAMP of 32 bits holds: no rule for summer time is shorter.
_STEP_HOURS, _STEPS = 6, 99_000
_DIGITS = "(" + " UNION ALL ".join(["SELECT 0 d", *(f"SELECT {n}" for n in range(1, 10))]) + ")"
_NUMBERS = f"""SELECT a.d + 10 * b.d + 100 * c.d + 1000 * d.d + 10000 * e.d n
 FROM {_DIGITS} a, {_DIGITS} b, {_DIGITS} c, {_DIGITS} d, {_DIGITS} e"""


class Ask(Protocol):
    """Ask a server: return the rows of a query with its `%s` parameters. Raises ServerError."""

    def __call__(self, sql: str, *args: Value) -> Sequence[Row]:  # noqa: D102 - the class says it
        ...


class TimeZones:
    """Asks both servers what a zone's offsets are, once a zone.

    SYSTEM is each server's own zone, a name may be unknown to one of them, and their rules may be of different years.
    """

    def __init__(self, ask_primary: Ask, ask_secondary: Ask) -> None:
        self._ask_primary = ask_primary
        self._ask_secondary = ask_secondary
        self._found: dict[str, str | None] = {}

    def here(self, zone: str) -> str | None:
        """Return what the secondary's session has to be set to, None where it has no such zone. Raises ServerError."""
        if _OFFSET.fullmatch(zone):
            return zone
        if zone not in self._found:
            self._found[zone] = self._find(zone) if _NAME.fullmatch(zone) else None
        return self._found[zone]

    def _find(self, zone: str) -> str | None:
        ((count, least, most, total),) = self._ask_primary(_offsets(zone))
        if not count:
            return None
        if least == most and int(least) % 60 == 0:
            # One offset at all times needs no tables of zones.
            fixed = _written(int(least))
            ((moment,),) = self._ask_secondary(f"SELECT CONVERT_TZ('2000-01-01', '+00:00', '{fixed}')")
            return fixed if moment is not None else None
        ((*ours,),) = self._ask_secondary(_offsets(zone))
        return zone if [str(v) for v in ours] == [str(v) for v in (count, least, most, total)] else None


def _offsets(zone: str) -> str:
    """Return a query for a zone's offsets in seconds: how many are known, the least, the most, and a sum over all."""
    moments = f"SELECT n, TIMESTAMP'1970-01-02 00:00:00' + INTERVAL n * {_STEP_HOURS} HOUR moment FROM ({_NUMBERS}) x"
    offsets = f"SELECT n, TIMESTAMPDIFF(SECOND, moment, CONVERT_TZ(moment, '+00:00', '{zone}')) o FROM ({moments}) y"
    return f"SELECT COUNT(o), MIN(o), MAX(o), SUM(o * (n MOD 9973)) FROM ({offsets} WHERE n < {_STEPS}) z"


def _written(seconds: int) -> str:
    minutes = abs(seconds) // 60
    return f"{'-' if seconds < 0 else '+'}{minutes // 60:02d}:{minutes % 60:02d}"
