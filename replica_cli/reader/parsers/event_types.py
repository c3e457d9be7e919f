"""Define the event type codes and flags of the binary log, of both flavours.

Sources: https://mariadb.com/kb/en/2-binlog-event-header/ and MySQL's binlog_event.h (enum Log_event_type).
"""

from __future__ import annotations

from enum import IntEnum

# The size of an event's header in bytes.
HEADER = 19
# The header of an event gives the lower 32 bits of the offset at its end.
LOW_32_BITS = 0xFFFFFFFF


class EventType(IntEnum):
    """The event types that the reader knows."""

    QUERY = 2
    STOP = 3
    ROTATE = 4
    INTVAR = 5
    APPEND_BLOCK = 9
    RAND = 13
    USER_VAR = 14
    FORMAT_DESCRIPTION = 15
    XID = 16
    BEGIN_LOAD_QUERY = 17
    EXECUTE_LOAD_QUERY = 18
    TABLE_MAP = 19
    WRITE_ROWS_V1 = 23
    UPDATE_ROWS_V1 = 24
    DELETE_ROWS_V1 = 25
    INCIDENT = 26
    HEARTBEAT = 27
    IGNORABLE = 28
    ROWS_QUERY = 29
    WRITE_ROWS = 30
    UPDATE_ROWS = 31
    DELETE_ROWS = 32
    GTID = 33
    ANONYMOUS_GTID = 34
    PREVIOUS_GTIDS = 35
    TRANSACTION_CONTEXT = 36
    VIEW_CHANGE = 37
    XA_PREPARE = 38
    PARTIAL_UPDATE_ROWS = 39
    TRANSACTION_PAYLOAD = 40
    HEARTBEAT_V2 = 41
    GTID_TAGGED = 42
    MARIADB_ANNOTATE = 160
    MARIADB_BINLOG_CHECKPOINT = 161
    MARIADB_GTID = 162
    MARIADB_GTID_LIST = 163
    MARIADB_START_ENCRYPTION = 164
    MARIADB_QUERY_COMPRESSED = 165
    MARIADB_WRITE_ROWS_COMPRESSED_V1 = 166
    MARIADB_UPDATE_ROWS_COMPRESSED_V1 = 167
    MARIADB_DELETE_ROWS_COMPRESSED_V1 = 168
    MARIADB_WRITE_ROWS_COMPRESSED = 169
    MARIADB_UPDATE_ROWS_COMPRESSED = 170
    MARIADB_DELETE_ROWS_COMPRESSED = 171
    MARIADB_PARTIAL_ROW_DATA = 172


# Events that change no row, no table and no saved position.
WITHOUT_EFFECT = frozenset(
    {
        EventType.STOP,
        EventType.IGNORABLE,
        EventType.ROWS_QUERY,
        EventType.PREVIOUS_GTIDS,
        EventType.TRANSACTION_CONTEXT,
        EventType.VIEW_CHANGE,
        EventType.MARIADB_ANNOTATE,
        EventType.MARIADB_BINLOG_CHECKPOINT,
        EventType.MARIADB_GTID_LIST,
        EventType.MARIADB_START_ENCRYPTION,
        # Parts of a change in statement format. `replica` refuses the statement that follows them, not these events.
        EventType.INTVAR,
        EventType.RAND,
        EventType.USER_VAR,
        EventType.BEGIN_LOAD_QUERY,
        EventType.APPEND_BLOCK,
    }
)
# What a primary sends on an idle connection. MySQL sends the second type for an offset above 32 bits.
HEARTBEATS = frozenset({EventType.HEARTBEAT, EventType.HEARTBEAT_V2})

# What servers write between transactions, apart from the ROTATE at the end of a file.
BETWEEN_GROUPS = frozenset(
    {
        EventType.FORMAT_DESCRIPTION,
        EventType.PREVIOUS_GTIDS,
        EventType.MARIADB_GTID_LIST,
        EventType.MARIADB_BINLOG_CHECKPOINT,
        EventType.MARIADB_START_ENCRYPTION,
        EventType.STOP,
    }
)

THREAD_SPECIFIC = 0x04  # the statement depends on its connection, for example on temporary tables or CONNECTION_ID()
ARTIFICIAL = 0x20  # the server made the event for this connection; it is not in the log
IGNORABLE = 0x80  # a reader that does not know the type may ignore the event

MARIADB_STANDALONE = 0x01
MARIADB_GROUP_COMMIT_ID = 0x02
MARIADB_PREPARED_XA = 0x40
MARIADB_COMPLETED_XA = 0x80


def event_name(code: int) -> str:
    """Return the name of an event type, or "event type N" if it is not known."""
    try:
        return EventType(code).name
    except ValueError:
        return f"event type {code}"
