"""What the reader hands on: whole transactions of raw row events, and statements.

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
# MySQL from 9.6 on, unless innodb_native_foreign_keys is on there: foreign keys were carried out above the storage
# engine, and the rows that they changed are in the log too (USE_SQL_FOREIGN_KEY_F in the server's rows_event.h).
CASCADES_ARE_LOGGED = 0x0010


@dataclass(frozen=True, slots=True, eq=False)
class TableMap:
    """A table map event, understood. Cached by its bytes, so the same map is the same object.

    `body` is the whole event body (post-header and all, no checksum); `types` one code a column,
    `metadata` the type's own number a column (0 where there is none; two-byte ones as the decoder expects:
    first byte low), `nullable` one bool a column. The rest comes from the optional metadata, None where not logged.
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
    """What stands before the rows of an event: one object for all events that begin alike.

    `present` / `present_after` are the column bitmaps (after image for UPDATE only); rows begin at `rows_start`.
    """

    kind: RowKind
    table: TableMap
    flags: int
    present: bytes
    present_after: bytes
    rows_start: int
    is_partial_json: bool = False


class RowEvent(NamedTuple):
    """One row event, plain (never compressed): rows stay bytes. A tuple of few, as millions of them are made.

    `raw` is the whole event without checksum, from the header on, for the row image engine. `row_count` is the
    number of its rows where somebody has counted them, else 0.
    """

    head: RowHead
    raw: bytes
    row_count: int = 0

    @property
    def kind(self) -> RowKind:
        """Return what it does to each of its rows."""
        return self.head.kind

    @property
    def table(self) -> TableMap:
        """Return its table's map."""
        return self.head.table


@dataclass(frozen=True, slots=True)
class SessionContext:
    """The session that a statement was written in, from the query event's status variables.

    Collations are ids; None where the event does not say. `flags2` holds OPTION_* bits; `alter_flags` MariaDB's
    phases of an ALTER (2 started, 4 committed, 8 rolled back); `microseconds` the fraction of the statement's time.
    `charset_collations`: pairs of a charset's own default collation and what MariaDB's session had in its place.
    `time_zone` is logged where the statement used it; `lc_time_names` is a number, logged where it is not English.
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
    """A query event that is not BEGIN, COMMIT or the like: DDL, or statement-format DML.

    `text` is in the client's own charset (`context.character_set_client`). `is_thread_specific`: the server says that
    it depends on its connection; each TRUNCATE, ALTER or CREATE … LIKE that used a temporary table is marked so.
    `error_code`: the error with which it failed on the primary, after it had changed something there.
    """

    text: bytes
    schema: str
    context: SessionContext
    timestamp: int = 0
    is_thread_specific: bool = False
    error_code: int = 0


class XaPhase(Enum):
    """What a group of the log does to a transaction that XA statements prepared and completed."""

    PREPARE = "prepare"
    COMMIT = "commit"
    ROLLBACK = "rollback"


@dataclass(frozen=True, slots=True)
class XaStep:
    """`xid` as servers write it in their XA statements: X'gtrid',X'bqual',format."""

    phase: XaPhase
    xid: str


class Transaction(NamedTuple):
    """One source transaction, or a piece of a large one. A tuple, as hundreds of thousands of them are made.

    A transaction arrives as one item with `is_start` and `is_end`, or as several in a row; only the last has the
    boundary in `end`. `timestamp` is the time of its end, in a piece before that the time of its begin. `size` counts
    bytes of binary log, compressed events by what they unpack to. `is_ddl` marks a group that is exactly one statement.
    An item without changes moves the position only (idle heartbeat, rotation, filtered transaction).
    `is_rolled_back`: the rows of the pieces before it must not be kept; its own statements count all the same.
    `xa` marks changes that count only once another group commits them (PREPARE), and that other group (COMMIT with no
    changes of its own, or the last piece in one phase).
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

    @property
    def is_ddl(self) -> bool:
        """Say whether this is one statement that commits by itself."""
        return len(self.changes) == 1 and isinstance(self.changes[0], Statement)
