"""GTID events: which transaction begins, in the words of its server.

Layouts: https://mariadb.com/kb/en/gtid_event/ and MySQL's control_events.h (Gtid_event).
"""

from __future__ import annotations

import struct

from replica_cli.reader.codes import HEADER, MARIADB_COMPLETED_XA, MARIADB_PREPARED_XA, MARIADB_STANDALONE, EventType
from replica_cli.reader.tagged import parse_tagged_gtid, uuid_text

# From the event's beginning: the server's id is in the header.
_MARIADB = struct.Struct("<5xI10xQIB")
_MYSQL = struct.Struct("<B16sQ")
_SPECIAL = MARIADB_STANDALONE | MARIADB_PREPARED_XA | MARIADB_COMPLETED_XA


def mariadb_gtid(event: bytes) -> tuple[str, int]:
    """Return the GTID of a MariaDB GTID event, and its flags. Raises struct.error."""
    server_id, sequence, domain, flags = _MARIADB.unpack_from(event)
    return f"{domain}-{server_id}-{sequence}", flags


def mysql_gtid(event: bytes) -> str:
    """Return the GTID of an event of MySQL's, empty where it is anonymous. Raises CorruptEvent, struct.error."""
    if event[4] == EventType.GTID:
        _, source, number = _MYSQL.unpack_from(event, HEADER)
        return f"{uuid_text(source)}:{number}"
    return parse_tagged_gtid(event[HEADER:]) if event[4] == EventType.GTID_TAGGED else ""


def plain_gtid(event: bytes) -> str:
    """Return the GTID of a group that nothing is special about, empty for all other events and such as are cut."""
    code, size = event[4], len(event)
    if code == EventType.MARIADB_GTID and size >= _MARIADB.size:
        gtid, flags = mariadb_gtid(event)
        return "" if flags & _SPECIAL else gtid
    return mysql_gtid(event) if code == EventType.GTID and size >= HEADER + _MYSQL.size else ""
