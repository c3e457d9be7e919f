"""Read query events: the statement, its default schema, and the session in which it ran.

Layout: https://mariadb.com/kb/en/query_event/ and MySQL's statement_events.h (Query_event_status_vars).
"""

from __future__ import annotations

import struct
from dataclasses import replace

from replica_cli.core.errors import CorruptEvent, UnsupportedEvent
from replica_cli.core.events import SessionContext, Statement
from replica_cli.reader.parsers.event_types import THREAD_SPECIFIC

_FIXED = 13
START_ALTER, _COMMIT_ALTER, ROLLBACK_ALTER = 0x02, 0x04, 0x08


def parse_query(body: bytes, timestamp: int, flags: int = 0) -> Statement:
    """Read the body of a query event, without checksum; `flags` are those of its header.

    Raises:
        UnsupportedEvent: a status variable is not known.
        CorruptEvent: the event is cut or cannot be read.
    """
    try:
        return _parse(body, timestamp, flags)
    except (struct.error, IndexError, ValueError) as error:
        raise CorruptEvent(f"a query event of {len(body)} bytes cannot be read: {error}") from error


def _parse(body: bytes, timestamp: int, flags: int) -> Statement:
    _, _, schema_length, error_code, status_length = struct.unpack_from("<IIBHH", body)
    status_end = _FIXED + status_length
    schema_end = status_end + schema_length
    return Statement(
        text=body[schema_end + 1 :],
        schema=body[status_end:schema_end].decode("utf-8", "surrogateescape"),
        context=_parse_status(body[_FIXED:status_end]),
        timestamp=timestamp,
        is_thread_specific=bool(flags & THREAD_SPECIFIC),
        error_code=error_code,
    )


def parse_execute_load(body: bytes, timestamp: int) -> Statement:
    """Read the body of an EXECUTE_LOAD_QUERY event: a query event with 13 more bytes in its fixed part."""
    return parse_query(body[:_FIXED] + body[_FIXED + 13 :], timestamp)


def query_text_offset(body: bytes) -> int:
    """Return the offset of the statement's text in the body of a query event. Nothing else is read."""
    return _FIXED + (body[11] | body[12] << 8) + body[8] + 1


def is_begin(event: bytes, end: int | None) -> bool:
    """Return True if a query event (with header) is a BEGIN; its text ends at the offset `end`."""
    body = event[19:end]
    return len(body) > _FIXED and body[query_text_offset(body) :] == b"BEGIN"


def _parse_status(status: bytes) -> SessionContext:
    context = SessionContext()
    at = 0
    while at < len(status):
        context, at = _parse_variable(status, at, context)
    if at != len(status):
        raise CorruptEvent(f"a statement's session variables need {at} bytes and have {len(status)}")
    return context


# Width in bytes of status variables that do not matter for how `replica` runs a statement: character_set_database (only
# LOAD DATA uses it), table map for update, MASTER_DATA_WRITTEN, DDL-XID, default table encryption,
# SQL_REQUIRE_PRIMARY_KEY and the like.
_SKIPPED_WIDTHS = {8: 2, 9: 8, 10: 4, 17: 8, 19: 1, 20: 1, 21: 1, 129: 8}


def _parse_variable(  # noqa: C901, PLR0911 - one case and one return for each code
    status: bytes, at: int, context: SessionContext
) -> tuple[SessionContext, int]:
    code = status[at]
    at += 1
    match code:
        case 0:
            return replace(context, flags2=_number(status, at, 4)), at + 4
        case 1:
            return replace(context, sql_mode=_number(status, at, 8)), at + 8
        case 3:
            return replace(context, auto_increment=struct.unpack_from("<HH", status, at)), at + 4
        case 4:
            client, connection, server = struct.unpack_from("<HHH", status, at)
            charsets = {"character_set_client": client, "collation_connection": connection, "collation_server": server}
            return replace(context, **charsets), at + 6
        case 5:
            end = at + 1 + status[at]
            return replace(context, time_zone=status[at + 1 : end].decode("ascii", "replace")), end
        case 7:
            return replace(context, lc_time_names=_number(status, at, 2)), at + 2
        case 16:
            return replace(context, explicit_defaults_for_timestamp=bool(status[at])), at + 1
        case 18:
            return replace(context, default_collation_for_utf8mb4=_number(status, at, 2)), at + 2
        case 13 | 128:  # the fraction of the statement's time: 13 in MySQL, 128 in MariaDB
            return replace(context, microseconds=_number(status, at, 3)), at + 3
        case 130:  # MariaDB's two-phase ALTER: flags, and for COMMIT or ROLLBACK the sequence number of its START
            width = 9 if status[at] & (_COMMIT_ALTER | ROLLBACK_ALTER) else 1
            return replace(context, alter_flags=status[at]), at + width
        case 131:  # MariaDB's default collations: the number of pairs, then pairs of ids of two bytes each
            end = at + 1 + 4 * status[at]
            pairs = tuple(struct.iter_unpack("<HH", status[at + 1 : end]))
            return replace(context, charset_collations=pairs), end
    return context, _end_of_skipped(code, status, at)


def _end_of_skipped(code: int, status: bytes, at: int) -> int:
    match code:
        case 2:  # catalog with a trailing zero, MySQL 5.0
            return at + 2 + status[at]
        case 6:  # catalog
            return at + 1 + status[at]
        case 11:  # invoker: user, host
            at += 1 + status[at]
            return at + 1 + status[at]
        case 12:  # updated schemas: their number (254: too many to list) and zero-terminated names
            count = status[at]
            at += 1
            for _ in range(0 if count >= 254 else count):
                at = status.index(b"\0", at) + 1
            return at
        case _ if code in _SKIPPED_WIDTHS:
            return at + _SKIPPED_WIDTHS[code]
    raise UnsupportedEvent(
        f"a statement carries the unknown session variable {code}",
        hint="the server is newer than this version of replica: upgrade replica",
    )


def _number(status: bytes, at: int, width: int) -> int:
    return int.from_bytes(status[at : at + width], "little")
