"""Value types that the reader hands to the applier: transactions, with raw row events and statements.

Layouts: https://mariadb.com/kb/en/2-binlog-event-header/ and
https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_replication_binlog_event.html
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from replica_cli.core.position import Position
    from replica_cli.core.table import TableName


class RowKind(IntEnum):
    """What a row event does to each of its rows."""

    INSERT = 0
    UPDATE = 1
    DELETE = 2


NO_FOREIGN_KEY_CHECKS = 0x0002
RELAXED_UNIQUE_CHECKS = 0x0004
# Set by MySQL from 9.6 on, unless innodb_native_foreign_keys is on: the SQL layer, and not the storage engine, carried
# out the foreign keys, and the rows that they changed are in the log too (USE_SQL_FOREIGN_KEY_F in rows_event.h).
CASCADES_ARE_LOGGED = 0x0010


@dataclass(frozen=True, slots=True, eq=False)
class TableMap:
    """A parsed table map event. The reader caches it by its bytes, so equal events give the same object.

    The fields after `nullable` come from the optional metadata; they are None if the primary did not log them.

    Attributes:
        body: the whole event body with its post-header, without checksum.
        types: one type code for each column.
        metadata: the number that belongs to the type, one for each column; 0 if the type has none. A two-byte number
            has its first byte as the low one, as the decoder expects.
        nullable: one bool for each column.
    """

    table_id: int
    name: TableName
    body: bytes
    types: bytes
    metadata: tuple[int, ...]
    nullable: tuple[bool, ...]
    unsigned: tuple[bool, ...] | None = None
    column_names: tuple[str, ...] | None = None
    collation_ids: tuple[int | None, ...] | None = None
    enum_members: tuple[tuple[bytes, ...] | None, ...] | None = None
    primary_key: tuple[int, ...] | None = None
    visible: tuple[bool, ...] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class RowHead:
    """The part of a row event before its rows. Events with the same part share one object.

    Attributes:
        present: the bitmap of the columns that the rows hold; for an UPDATE those of the before image.
        present_after: the bitmap of the columns of the after image, for an UPDATE only.
        rows_start: the offset at which the rows begin.
    """

    kind: RowKind
    table: TableMap
    flags: int
    present: bytes
    present_after: bytes
    rows_start: int
    is_partial_json: bool = False


class RowEvent(NamedTuple):
    """One row event, never compressed; its rows stay bytes.

    It is a tuple with few fields, because millions of them are made.

    Attributes:
        raw: the whole event from its header on, without checksum, for the row image engine.
        folded_rows: the number of its rows if compaction made the event; each key then occurs once in it, and no row
            changes its key. 0 for every event of the primary.
    """

    head: RowHead
    raw: bytes
    folded_rows: int = 0

    @property
    def kind(self) -> RowKind:
        """Return what the event does to each of its rows."""
        return self.head.kind

    @property
    def table(self) -> TableMap:
        """Return the table map of the event's table."""
        return self.head.table


@dataclass(frozen=True, slots=True)
class SessionContext:
    """The settings of the primary's session that ran a statement, from the query event's status variables.

    Collations are ids. A field is None if the event does not have it.

    Attributes:
        flags2: OPTION_* bits.
        time_zone: logged only if the statement used it.
        lc_time_names: a number, logged only if it is not English.
        charset_collations: pairs of a charset's own default collation and the one that MariaDB's session used instead.
        microseconds: the fraction of the statement's time.
        alter_flags: MariaDB's phases of an ALTER (2 started, 4 committed, 8 rolled back).
    """

    sql_mode: int | None = None
    flags2: int | None = None
    character_set_client: int | None = None
    collation_connection: int | None = None
    collation_server: int | None = None
    time_zone: str | None = None
    lc_time_names: int | None = None
    auto_increment: tuple[int, int] | None = None
    explicit_defaults_for_timestamp: bool | None = None
    default_collation_for_utf8mb4: int | None = None
    charset_collations: tuple[tuple[int, int], ...] | None = None
    microseconds: int = 0
    alter_flags: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Statement:
    """A query event that does not begin or end a transaction: DDL, or DML in statement format.

    Attributes:
        text: the statement in the client's charset (`context.character_set_client`).
        is_thread_specific: the server marked the statement as dependent on its connection, as it does with each
            TRUNCATE, ALTER or CREATE … LIKE that used a temporary table.
        error_code: the error with which the statement failed on the primary after it had changed something, 0 if none.
    """

    text: bytes
    schema: str
    context: SessionContext
    timestamp: int = 0
    is_thread_specific: bool = False
    error_code: int = 0


class XaPhase(Enum):
    """What a group of events does to an XA transaction."""

    PREPARE = "prepare"
    COMMIT = "commit"
    ROLLBACK = "rollback"


@dataclass(frozen=True, slots=True)
class XaStep:
    """One step of an XA transaction; `xid` is as servers write it in XA statements: X'gtrid',X'bqual',format."""

    phase: XaPhase
    xid: str


class Transaction(NamedTuple):
    """One transaction of the primary, or a piece of a large one.

    It is a tuple, because hundreds of thousands of them are made. A transaction is one item with `is_start` and
    `is_end`, or several items one after another. An item without changes only moves the position (idle heartbeat,
    rotation, filtered transaction).

    Attributes:
        end: the position after the transaction; in a piece before the last, the position of the transaction's start.
        timestamp: the time of the transaction's end; in a piece before the last, the time of its begin.
        size: bytes of binary log; compressed events count with their uncompressed size.
        is_rolled_back: the rows of the pieces before this one must not be committed; its own statements still count.
        xa: PREPARE if the changes count only after another group commits them; COMMIT or ROLLBACK for that other group,
            which has no changes of its own; COMMIT for the last piece of an XA transaction in one phase.
    """

    start: Position
    end: Position
    gtid: str
    timestamp: int
    changes: tuple[RowEvent | Statement, ...]
    size: int
    is_start: bool = True
    is_end: bool = True
    is_rolled_back: bool = False
    xa: XaStep | None = None
