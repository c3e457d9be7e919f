"""Read GTID events: return the GTID of the transaction that begins, as its server writes it.

Layouts: https://mariadb.com/kb/en/gtid_event/ and MySQL's control_events.h (Gtid_event).

MySQL writes a GTID with a tag as GTID_TAGGED_LOG_EVENT, in the form of its serialization library. A message has a
version, its size, the number of the last field that a reader must understand, and pairs of field number and value.
Numbers have a variable length: one byte more than the first byte has 1 bits at its low end. Source: MySQL's
libs/mysql/serialization/readme.md and Gtid_event::define_fields in control_events.h.
"""

from __future__ import annotations

import struct
from functools import lru_cache

from replica_cli.core.errors import CorruptEvent, UnsupportedEvent
from replica_cli.reader.parsers.event_types import (
    HEADER,
    MARIADB_COMPLETED_XA,
    MARIADB_PREPARED_XA,
    MARIADB_STANDALONE,
    EventType,
)

# Offsets count from the start of the event, because the server id is in the header.
_MARIADB = struct.Struct("<5xI10xQIB")
_MYSQL = struct.Struct("<B16sQ")
_SPECIAL = MARIADB_STANDALONE | MARIADB_PREPARED_XA | MARIADB_COMPLETED_XA
_TAGGED_VERSION = 1
# The fields of a tagged GTID up to the tag are read. The known fields after it say when and how it was committed.
_LAST_KNOWN = 11


def mariadb_gtid(event: bytes) -> tuple[str, int]:
    """Return the GTID of a MariaDB GTID event, and its flags. Raises struct.error if the event is too short."""
    server_id, sequence, domain, flags = _MARIADB.unpack_from(event)
    return f"{domain}-{server_id}-{sequence}", flags


def mysql_gtid(event: bytes) -> str:
    """Return the GTID of a MySQL event, empty if the event is anonymous or no GTID event.

    Raises:
        CorruptEvent: a tagged GTID cannot be read.
        UnsupportedEvent: a tagged GTID has a format version or field that is not known.
        struct.error: the event is too short.
    """
    if event[4] == EventType.GTID:
        _, source, number = _MYSQL.unpack_from(event, HEADER)
        return f"{_uuid_text(source)}:{number}"
    return _tagged_gtid(event[HEADER:]) if event[4] == EventType.GTID_TAGGED else ""


def plain_gtid(event: bytes) -> str:
    """Return the GTID of an event that begins an ordinary transaction, empty for all other events.

    Empty too for MariaDB's standalone and XA groups, for MySQL's tagged and anonymous GTIDs, and for an event that is
    too short.
    """
    code, size = event[4], len(event)
    if code == EventType.MARIADB_GTID and size >= _MARIADB.size:
        gtid, flags = mariadb_gtid(event)
        return "" if flags & _SPECIAL else gtid
    return mysql_gtid(event) if code == EventType.GTID and size >= HEADER + _MYSQL.size else ""


def _tagged_gtid(body: bytes) -> str:
    """Return the GTID of an event's body without checksum: uuid:tag:number, or uuid:number if there is no tag.

    Raises:
        CorruptEvent: the body cannot be read.
        UnsupportedEvent: the version is not known, or a field that is not known must be understood.
    """
    try:
        return _parse_tagged(body)
    except (IndexError, UnicodeDecodeError) as error:
        raise CorruptEvent(f"a tagged GTID event of {len(body)} bytes cannot be read: {error}") from error


def _parse_tagged(body: bytes) -> str:
    version, at = _number(body, 0)
    size, at = _number(body, at)
    last_needed, at = _number(body, at)
    if version != _TAGGED_VERSION or last_needed > _LAST_KNOWN:
        raise UnsupportedEvent(
            f"a tagged GTID event has the unknown version {version}",
            hint="the server is newer than this version of replica: upgrade replica",
        )
    if size != len(body):
        raise CorruptEvent(f"a tagged GTID event announces {size} bytes and has {len(body)}")
    uuid, number, tag = b"", 0, ""
    # Fields come in the order of their numbers; some may be missing.
    while at < len(body):
        field, at = _number(body, at)
        match field:
            case 0:  # flags
                _, at = _number(body, at)
            case 1:  # UUID
                uuid, at = _bytes(body, at)
            case 2:  # number
                number, at = _number(body, at)
                number >>= 1  # a signed number: its lowest bit is the sign
            case 3:  # tag
                length, at = _number(body, at)
                tag, at = body[at : at + length].decode("ascii"), at + length
            case _:
                break
    if len(uuid) != 16 or number <= 0:
        raise CorruptEvent("a tagged GTID event without a GTID")
    source = _uuid_text(uuid)
    return f"{source}:{tag}:{number}" if tag else f"{source}:{number}"


@lru_cache(maxsize=100)
def _uuid_text(source: bytes) -> str:
    """Return the text form of a server's UUID, from its 16 bytes."""
    digits = source.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def _bytes(body: bytes, at: int) -> tuple[bytes, int]:
    data = bytearray()
    for _ in range(16):
        value, at = _number(body, at)
        data.append(value & 0xFF)
    return bytes(data), at


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
