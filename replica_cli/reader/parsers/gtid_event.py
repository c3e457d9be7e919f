"""Read GTID events: return the GTID of the transaction that begins, as its server writes it.

Layouts: https://mariadb.com/kb/en/gtid_event/ and MySQL's control_events.h (Gtid_event).
"""

from __future__ import annotations

import struct

from replica_cli.reader.parsers.event_types import (
    HEADER,
    MARIADB_COMPLETED_XA,
    MARIADB_PREPARED_XA,
    MARIADB_STANDALONE,
    EventType,
)
from replica_cli.reader.parsers.tagged_gtid_event import parse_tagged_gtid, uuid_text

# Offsets count from the start of the event, because the server id is in the header.
_MARIADB = struct.Struct("<5xI10xQIB")
_MYSQL = struct.Struct("<B16sQ")
_SPECIAL = MARIADB_STANDALONE | MARIADB_PREPARED_XA | MARIADB_COMPLETED_XA


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
        return f"{uuid_text(source)}:{number}"
    return parse_tagged_gtid(event[HEADER:]) if event[4] == EventType.GTID_TAGGED else ""


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
