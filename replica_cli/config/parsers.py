"""Parsers from text to values.

Each parser raises ValueError with what is wrong. The message contains no other value than the text itself.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

E = TypeVar("E", bound=StrEnum)

_SECONDS = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PART = r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)?\s*"
_DURATION = re.compile(f"(?:{_PART})+", re.ASCII | re.IGNORECASE)
_BYTES = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
_SIZE = re.compile(r"(\d+)\s*([KMG]?)(?:i?B)?", re.IGNORECASE)
_BOOLEANS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
_LEVELS = {n: n for n in ("DEBUG", "INFO", "WARNING", "ERROR")} | {"WARN": "WARNING"}


def duration(text: str) -> float:
    """Return the seconds of a text such as `5s`, `200ms` or `1m30s`; a bare number is seconds."""
    parts = re.findall(_PART, text, re.ASCII | re.IGNORECASE)
    if not _DURATION.fullmatch(text) or (len(parts) > 1 and not all(unit for _, unit in parts)):
        raise ValueError(f"{text!r} is not a duration, such as 5s, 200ms or 1m")
    return sum(float(number) * _SECONDS[unit.lower()] for number, unit in parts)


def positive_duration(text: str) -> float:
    """Return the seconds of a duration above zero."""
    seconds = duration(text)
    if seconds <= 0:
        raise ValueError(f"{text!r} must be above zero")
    return seconds


def size(text: str) -> int:
    """Return the bytes of a text such as `4MiB` or `512k`; a bare number is bytes. Zero is refused."""
    match = _SIZE.fullmatch(text)
    if match is None or int(match[1]) == 0:
        raise ValueError(f"{text!r} is not a size in bytes, such as 65536 or 4MiB")
    return int(match[1]) * _BYTES[match[2].upper()]


def _size_text(count: int) -> str:
    """Return bytes that are a multiple of 1 KiB as text, in the largest unit that divides them."""
    unit = next(unit for unit in "GMK" if count % _BYTES[unit] == 0)
    return f"{count // _BYTES[unit]}{unit}iB"


def size_between(low: int, high: int) -> Callable[[str], int]:
    """Return a parser of sizes from `low` to `high` bytes; both limits must be multiples of 1 KiB."""

    def parse(text: str) -> int:
        count = size(text)
        if not low <= count <= high:
            raise ValueError(f"{text!r} is not a size from {_size_text(low)} to {_size_text(high)}")
        return count

    return parse


def duration_up_to(limit: float) -> Callable[[str], float]:
    """Return a parser of durations up to `limit` seconds, which must be a whole number."""

    def parse(text: str) -> float:
        seconds = duration(text)
        if seconds > limit:
            raise ValueError(f"{text!r} is longer than {limit:.0f}s")
        return seconds

    return parse


def whole_number(low: int, high: int) -> Callable[[str], int]:
    """Return a parser of whole numbers from `low` to `high`."""

    def parse(text: str) -> int:
        if not text.isascii() or not text.isdigit() or not low <= int(text) <= high:
            raise ValueError(f"{text!r} is not a whole number from {low} to {high}")
        return int(text)

    return parse


def boolean(text: str) -> bool:
    """Return True for true, yes, on and 1, False for false, no, off and 0."""
    try:
        return _BOOLEANS[text.lower()]
    except KeyError:
        raise ValueError(f"{text!r} is neither true nor false") from None


def choice(kind: type[E]) -> Callable[[str], E]:
    """Return a parser of the values of an enumeration; it ignores case and accepts `_` for `-`."""

    def parse(text: str) -> E:
        try:
            return kind(text.lower().replace("_", "-"))
        except ValueError:
            raise ValueError(f"{text!r} is not one of {', '.join(kind)}") from None

    return parse


def level(text: str) -> str:
    """Return the name of a logging level; WARN means WARNING."""
    try:
        return _LEVELS[text.upper()]
    except KeyError:
        raise ValueError(f"{text!r} is not one of DEBUG, INFO, WARNING, ERROR") from None


def endpoint(text: str) -> tuple[str, int]:
    """Return host and port of `host:port` (`[::1]:12201` for IPv6)."""
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isdigit() or not 1 <= int(port) <= 65535:
        raise ValueError(f"{text!r} is not host:port")
    return host, int(port)


def one_of(*words: str) -> Callable[[str], str]:
    """Return a parser of one of some words in lower case; it ignores case."""

    def parse(text: str) -> str:
        if text.lower() not in words:
            raise ValueError(f"{text!r} is not one of {', '.join(words)}")
        return text.lower()

    return parse


def host(text: str) -> str:
    """Return the name or the address of a host."""
    # An IPv6 address has two or more colons. One colon means a port, which has a setting of its own.
    if text.count(":") == 1:
        raise ValueError(f"{text!r} contains a port: ports have their own setting")
    if not text or any(c.isspace() for c in text):
        raise ValueError(f"{text!r} is not a host")
    return text


def items(text: str) -> tuple[str, ...]:
    """Return the stripped parts of a comma-separated list, with the empty ones: the caller decides about those."""
    return tuple(part.strip() for part in text.split(","))


def all_full(parts: Sequence[str]) -> tuple[str, ...]:
    """Return the parts of a list, of which none may be empty."""
    for number, part in enumerate(parts, 1):
        if not part:
            raise ValueError(f"item {number} of {len(parts)} is empty")
    return tuple(parts)
