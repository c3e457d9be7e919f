"""MySQL's GTID_TAGGED_LOG_EVENT: a GTID with a tag, written by the server's serialization library.

A message is a version, its size, the last field that must be understood, and pairs of field number and value. Numbers
are of variable length: as many bytes as the first has ones at its low end, and one. Source: MySQL's
libs/mysql/serialization/readme.md and Gtid_event::define_fields in control_events.h.
"""

from __future__ import annotations

from functools import lru_cache

from replica_cli.core.errors import CorruptEvent, UnsupportedEvent

_VERSION = 1
_FLAGS, _UUID, _NUMBER, _TAG = range(4)
# What we read; the fields behind the tag say when and how the transaction was committed.
_LAST_KNOWN = 11


def parse_tagged_gtid(body: bytes) -> str:
    """Return the GTID (uuid:tag:number) of an event's body without checksum.

    Raises CorruptEvent where it cannot be read, UnsupportedEvent where a field must be understood that is not known.
    """
    try:
        return _parse(body)
    except (IndexError, UnicodeDecodeError) as error:
        raise CorruptEvent(f"a tagged GTID event of {len(body)} bytes cannot be read: {error}") from error


def _parse(body: bytes) -> str:
    version, at = _number(body, 0)
    size, at = _number(body, at)
    last_needed, at = _number(body, at)
    if version != _VERSION or last_needed > _LAST_KNOWN:
        raise UnsupportedEvent(
            f"a tagged GTID in version {version} of its form", hint="this server is newer than replica"
        )
    if size != len(body):
        raise CorruptEvent(f"a tagged GTID event says {size} bytes and has {len(body)}")
    uuid, number, tag = b"", 0, ""
    # Fields come in the order of their numbers, and some may be left out.
    while at < len(body):
        field, at = _number(body, at)
        match field:
            case 0:
                _, at = _number(body, at)
            case 1:
                uuid, at = _bytes(body, at)
            case 2:
                number, at = _number(body, at)
                number >>= 1  # signed: the lowest bit is the sign
            case 3:
                length, at = _number(body, at)
                tag, at = body[at : at + length].decode("ascii"), at + length
            case _:
                break
    if len(uuid) != 16 or number <= 0:
        raise CorruptEvent("a tagged GTID event without a GTID")
    source = uuid_text(uuid)
    return f"{source}:{tag}:{number}" if tag else f"{source}:{number}"


@lru_cache(maxsize=100)
def uuid_text(source: bytes) -> str:
    """Return a server's UUID as it is written."""
    digits = source.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def _bytes(body: bytes, at: int) -> tuple[bytes, int]:
    found = bytearray()
    for _ in range(16):
        value, at = _number(body, at)
        found.append(value & 0xFF)
    return bytes(found), at


def _number(body: bytes, at: int) -> tuple[int, int]:
    first = body[at]
    width = 1
    while first & 1:
        width += 1
        first >>= 1
    if at + width > len(body):
        raise IndexError("a number is cut")
    if width == 9:
        return int.from_bytes(body[at + 1 : at + 9], "little"), at + 9
    return int.from_bytes(body[at : at + width], "little") >> width, at + width
