"""Query events: a statement, its default schema, and the session it was made in.

Layout: https://mariadb.com/kb/en/query_event/ and MySQL's statement_events.h (Query_event_status_vars).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from replica_cli.core.errors import CorruptEvent, UnsupportedEvent
from replica_cli.core.events import SessionContext, Statement

_FIXED = 13
START_ALTER, _COMMIT_ALTER, ROLLBACK_ALTER = 0x02, 0x04, 0x08


@dataclass(slots=True)
class _Variables:
    sql_mode: int | None = None
    flags2: int | None = None
    character_set_client: int | None = None
    collation_connection: int | None = None
    collation_server: int | None = None
    time_zone: str | None = None
    auto_increment: tuple[int, int] | None = None
    explicit_defaults_for_timestamp: bool | None = None
    default_collation_for_utf8mb4: int | None = None
    microseconds: int = 0
    alter_flags: int = 0


def parse_query(body: bytes, timestamp: int) -> Statement:
    """Read a query event's body (no checksum).

    Raises UnsupportedEvent where a status variable is unknown, CorruptEvent where one is cut.
    """
    try:
        return _parse(body, timestamp)
    except (struct.error, IndexError, ValueError) as error:
        raise CorruptEvent(f"a query event of {len(body)} bytes cannot be read: {error}") from error


def _parse(body: bytes, timestamp: int) -> Statement:
    _, _, schema_length, _, status_length = struct.unpack_from("<IIBHH", body)
    status_end = _FIXED + status_length
    schema_end = status_end + schema_length
    return Statement(
        text=body[schema_end + 1 :],
        schema=body[status_end:schema_end].decode("utf-8", "surrogateescape"),
        context=_parse_status(body[_FIXED:status_end]),
        timestamp=timestamp,
    )


def parse_execute_load(body: bytes, timestamp: int) -> Statement:
    """Read an EXECUTE_LOAD_QUERY event's body: a query with 13 more bytes in its fixed part."""
    return parse_query(body[:_FIXED] + body[_FIXED + 13 :], timestamp)


def query_text_offset(body: bytes) -> int:
    """Return where a query event's text begins, without reading anything else."""
    return _FIXED + (body[11] | body[12] << 8) + body[8] + 1


def _parse_status(status: bytes) -> SessionContext:
    found = _Variables()
    at = 0
    while at < len(status):
        at = _parse_variable(status, at, found)
    if at != len(status):
        raise CorruptEvent(f"a statement's session variables need {at} bytes and have {len(status)}")
    return SessionContext(
        found.sql_mode,
        found.flags2,
        found.character_set_client,
        found.collation_connection,
        found.collation_server,
        found.time_zone,
        found.auto_increment,
        found.explicit_defaults_for_timestamp,
        found.default_collation_for_utf8mb4,
        found.microseconds,
        found.alter_flags,
    )


# Variables of a fixed width that change nothing in how a statement is run here: names of days, table map for update,
# master data written, DDL-XID, default table encryption, SQL_REQUIRE_PRIMARY_KEY and the like.
_SKIPPED_WIDTHS = {7: 2, 8: 2, 9: 8, 10: 4, 17: 8, 19: 1, 20: 1, 21: 1, 129: 8}


def _parse_variable(status: bytes, at: int, found: _Variables) -> int:  # noqa: C901, PLR0911, PLR0912 - one case a code
    code = status[at]
    at += 1
    match code:
        case 0:
            found.flags2 = int.from_bytes(status[at : at + 4], "little")
            return at + 4
        case 1:
            found.sql_mode = int.from_bytes(status[at : at + 8], "little")
            return at + 8
        case 2:  # catalog with a trailing zero, MySQL 5.0
            return at + 2 + status[at]
        case 3:
            found.auto_increment = struct.unpack_from("<HH", status, at)
            return at + 4
        case 4:
            found.character_set_client, found.collation_connection, found.collation_server = struct.unpack_from(
                "<HHH", status, at
            )
            return at + 6
        case 5:
            length = status[at]
            found.time_zone = status[at + 1 : at + 1 + length].decode("ascii", "replace")
            return at + 1 + length
        case 6:  # catalog
            return at + 1 + status[at]
        case 11:  # invoker: user, host
            at += 1 + status[at]
            return at + 1 + status[at]
        case 12:  # updated schemas: a count (254: too many, none listed) and zero-terminated names
            count = status[at]
            at += 1
            for _ in range(0 if count >= 254 else count):
                at = status.index(b"\0", at) + 1
            return at
        case 16:
            found.explicit_defaults_for_timestamp = bool(status[at])
            return at + 1
        case 18:
            found.default_collation_for_utf8mb4 = int.from_bytes(status[at : at + 2], "little")
            return at + 2
        case 13 | 128:  # MySQL's and MariaDB's fraction of the time
            found.microseconds = int.from_bytes(status[at : at + 3], "little")
            return at + 3
        case 130:  # MariaDB two-phase ALTER: flags, and the START's sequence number with a COMMIT or ROLLBACK
            found.alter_flags = status[at]
            return at + (9 if status[at] & (_COMMIT_ALTER | ROLLBACK_ALTER) else 1)
        case 131:  # MariaDB's default collations: a count of pairs, two ids of two bytes each
            return at + 1 + 4 * status[at]
        case _ if code in _SKIPPED_WIDTHS:
            return at + _SKIPPED_WIDTHS[code]
    raise UnsupportedEvent(
        f"a statement carries the unknown session variable {code}", hint="this server is newer than replica"
    )
