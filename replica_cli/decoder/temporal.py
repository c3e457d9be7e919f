"""Turn dates and times into quoted text. Zero, partial and invalid ones are returned as they are stored.

Texts are joined from tables of their parts. Days are too many for a table: they are cached when they occur.
Layouts: https://dev.mysql.com/doc/dev/mysql-server/latest/field__types_8h.html; for the old ones MariaDB sql/field.cc.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

_Raw = TypeVar("_Raw", int, bytes)

_MAX_TEXTS = 16384
_EPOCH = date(1970, 1, 1)
_TIME_ZERO_SECONDS = 838 * 3600 + 59 * 60 + 59 + 1
OLD_TIME_SIZES = (3, 4, 4, 5, 5, 5, 6)
OLD_DATETIME_SIZES = (8, 6, 6, 7, 7, 7, 8)
OLD_FRACTION_SIZES = (0, 1, 1, 2, 2, 3, 3)


class Texts(dict[_Raw, bytes]):
    """A cache of texts. `make` computes a missing text from its stored form. A full cache (16,384 texts) is emptied."""

    def __init__(self, make: Callable[[_Raw], bytes]) -> None:
        super().__init__()
        self._make: Callable[[_Raw], bytes] = make

    def __missing__(self, raw: _Raw) -> bytes:
        text = self._make(raw)
        if len(self) >= _MAX_TEXTS:
            self.clear()
        self[raw] = text
        return text


def date_text(year: int, month: int, day: int) -> bytes:
    """Return `YYYY-MM-DD`. Raises ValueError for values that no server stores."""
    if not (0 <= year <= 9999 and 0 <= month <= 12 and 0 <= day <= 31):
        raise ValueError(f"{year}-{month}-{day} is not a date")
    return b"%04d-%02d-%02d" % (year, month, day)


def clock_text(hour: int, minute: int, second: int) -> bytes:
    """Return `hh:mm:ss`, with hours up to 838. Raises ValueError for values that no server stores."""
    if not (0 <= hour <= 838 and 0 <= minute <= 59 and 0 <= second <= 59):
        raise ValueError(f"{hour}:{minute}:{second} is not a time")
    return b"%02d:%02d:%02d" % (hour, minute, second)


def fraction_text(microseconds: int, digits: int) -> bytes:
    """Return `.` and the digits, or nothing if `digits` is 0. Raises ValueError if a digit would be cut."""
    shown, cut = divmod(microseconds, 10 ** (6 - digits))
    if cut or not 0 <= microseconds < 1_000_000:
        raise ValueError(f"{microseconds} microseconds do not fit in {digits} digits")
    return b".%0*d" % (digits, shown) if digits else b""


def _day(raw: int) -> bytes:
    return b"'" + date_text(raw >> 9, raw >> 5 & 15, raw & 31) + b"'"


def _day_of_datetime(raw: int) -> bytes:
    return b"'" + date_text((raw >> 5) // 13, (raw >> 5) % 13, raw & 31) + b" "


def _day_of_raw(raw: int) -> bytes:
    number = int.from_bytes(raw.to_bytes(3, "little"), "big") >> 1
    if number < 1 << 22:
        raise ValueError("a DATETIME is negative")
    return _day_of_datetime(number - (1 << 22))


def _day_of_timestamp(days: int) -> bytes:
    return b"'" + (_EPOCH + timedelta(days=days)).isoformat().encode() + b" "


# Texts of days, by the number in a DATE's three bytes, by the date bits of a DATETIME, and by the days since 1970.
DAYS: Texts[int] = Texts(_day)
DATETIME_DAYS: Texts[int] = Texts(_day_of_datetime)
TIMESTAMP_DAYS: Texts[int] = Texts(_day_of_timestamp)
# Texts of the clock. DATETIME_MINUTES: by a DATETIME's hour and minute bits.
DATETIME_MINUTES = {hour << 6 | minute: b"%02d:%02d:" % (hour, minute) for hour in range(24) for minute in range(60)}
# For a DATETIME without a fraction, whose bytes are used as they are. RAW_DAYS: by the first three bytes as a number,
# low byte first, without the hour's highest bit. RAW_MINUTES: by that bit, the fourth byte (in bits 8 to 15), and the
# upper two bits of the fifth byte.
RAW_DAYS: Texts[int] = Texts(_day_of_raw)
RAW_MINUTES = {raw >> 10 & 1 | raw >> 2 << 8 & 0xFF00 | raw << 6 & 0xC0: text for raw, text in DATETIME_MINUTES.items()}
# DAY_MINUTES: by minutes since midnight. LAST_SECONDS and SECONDS: by second, with the quote or point that follows.
DAY_MINUTES = tuple(b"%02d:%02d:" % divmod(minute, 60) for minute in range(1440))
LAST_SECONDS = {second: b"%02d'" % second for second in range(60)}
SECONDS = {second: b"%02d." % second for second in range(60)}


def zero_timestamp(digits: int) -> bytes:
    """Return the zero timestamp, which is not a time."""
    return b"'0000-00-00 00:00:00%b'" % fraction_text(0, digits)


def time_text(raw: bytes, digits: int) -> bytes:
    """Return a TIME2. It is stored as one signed number, with half of the range added to it.

    `raw` has the high byte first; `digits` is the number of digits of the fraction.
    """
    fraction_bits = (len(raw) - 3) * 8
    number = int.from_bytes(raw, "big") - (0x800000 << fraction_bits)
    sign, number = (b"-", -number) if number < 0 else (b"", number)
    clock = number >> fraction_bits
    # Each byte of the fraction has two digits, also if the column shows one of them.
    microseconds = (number & (1 << fraction_bits) - 1) * 10 ** (6 - fraction_bits // 4)
    text = clock_text(clock >> 12, clock >> 6 & 63, clock & 63)
    return b"'%b%b%b'" % (sign, text, fraction_text(microseconds, digits))


def old_timestamp_text(raw: bytes, digits: int) -> bytes:
    """Return a TIMESTAMP with a fraction in MariaDB's own format: seconds and fraction, both high byte first."""
    seconds, fraction = int.from_bytes(raw[:4], "big"), int.from_bytes(raw[4:], "big")
    if not seconds and not fraction:
        return zero_timestamp(digits)
    text = DAY_MINUTES[seconds % 86400 // 60] + b"%02d" % (seconds % 60)
    return TIMESTAMP_DAYS[seconds // 86400] + text + fraction_text(fraction * 10 ** (6 - digits), digits) + b"'"


def old_datetime_text(raw: bytes, digits: int) -> bytes:
    """Return a DATETIME in the format before MySQL 5.6 (decimal YYYYMMDDhhmmss), or in MariaDB's with a fraction."""
    if not digits:
        day, clock = divmod(int.from_bytes(raw, "little"), 1_000_000)
        date_part = date_text(day // 10000, day // 100 % 100, day % 100)
        return b"'%b %b'" % (date_part, clock_text(clock // 10000, clock // 100 % 100, clock % 100))
    rest, fraction = divmod(int.from_bytes(raw, "big"), 10**digits)
    rest, second = divmod(rest, 60)
    rest, minute = divmod(rest, 60)
    rest, hour = divmod(rest, 24)
    rest, day = divmod(rest, 32)
    text = date_text(rest // 13, rest % 13, day), clock_text(hour, minute, second)
    return b"'%b %b%b'" % (*text, fraction_text(fraction * 10 ** (6 - digits), digits))


def old_time_text(raw: bytes, digits: int) -> bytes:
    """Return a TIME in the format before MySQL 5.6 (decimal hhmmss with a sign), or in MariaDB's with a fraction."""
    if not digits:
        number = int.from_bytes(raw, "little", signed=True)
        sign, number = (b"-", -number) if number < 0 else (b"", number)
        return b"'%b%b'" % (sign, clock_text(number // 10000, number // 100 % 100, number % 100))
    number = int.from_bytes(raw, "big") - _TIME_ZERO_SECONDS * 10**digits
    sign, number = (b"-", -number) if number < 0 else (b"", number)
    seconds, fraction = divmod(number, 10**digits)
    text = clock_text(seconds // 3600, seconds // 60 % 60, seconds % 60)
    return b"'%b%b%b'" % (sign, text, fraction_text(fraction * 10 ** (6 - digits), digits))
