"""The row image engine: it sends the primary's own row events to the secondary in BINLOG statements.

The server decodes them itself, so every type, charset and flag is exact. It reports missing and duplicate rows as its
errors 1032 and 1062, and fires no triggers. Events are sent in groups: all table maps first, then the row events in
source order. Only the last one has the flag that ends the statement, so the server opens and locks the tables once for
each group.
Sources: https://mariadb.com/kb/en/binlog/ and the output of mysqlbinlog, which these statements imitate.
"""

from __future__ import annotations

import itertools
import struct
from binascii import b2a_base64
from typing import TYPE_CHECKING

from replica_cli.applier.engines.compaction import compacted_steps
from replica_cli.applier.engines.definitions import target_of
from replica_cli.applier.engines.steps import ApplyStep
from replica_cli.applier.engines.table_cache import TableCache
from replica_cli.core.events import CASCADES_ARE_LOGGED, NO_FOREIGN_KEY_CHECKS, RELAXED_UNIQUE_CHECKS

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from replica_cli.applier.engines.compaction import Compaction
    from replica_cli.applier.engines.row_counts import RowCounts
    from replica_cli.core.events import RowEvent, TableMap
    from replica_cli.core.selection import Selection
    from replica_cli.core.table import TableName
    from replica_cli.mysql.session import Session

_HEADER = struct.Struct("<IBIIIH")
# Bytes 9 to 16 of an event's header: the event's length and the position after it.
_LENGTH_AND_POSITION = struct.Struct("<II")
_FLAGS = struct.Struct("<H")
_TABLE_MAP_EVENT = 19
_STATEMENT_END = 0x0001
_CHECK_FLAGS = NO_FOREIGN_KEY_CHECKS | RELAXED_UNIQUE_CHECKS
_CHECKSUM_ALGORITHM_OFF = b"\0"
_CHECKSUM = bytes(4)


class RowImageEngine:
    """Groups row events into BINLOG statements for one session.

    `format_event` returns the primary's format description event without its checksum; the session needs it before the
    first group. `statement_bytes` limits one statement, unless one event alone is larger. The engine gives out its own
    table ids: the primary counts its ids from the beginning again after a restart, so one id could name two tables in
    one group.
    """

    def __init__(
        self,
        session: Session,
        selection: Selection,
        counts: RowCounts,
        compaction: Compaction | None,
        *,
        format_event: Callable[[], bytes],
        statement_bytes: int,
    ) -> None:
        self._session = session
        self._selection = selection
        self._counts = counts
        self._compaction = compaction
        self._format_event = format_event
        # Base64 makes four bytes from three.
        self._group_bytes = statement_bytes * 3 // 4
        self._maps: TableCache[TableMap, tuple[bytes, bytes]] = TableCache()
        self._ids = itertools.count(1)

    def forget(self, tables: Collection[TableName] = ()) -> None:
        """Forget what is cached of tables, or of all: definitions changed."""
        self._maps.forget(tables)
        self._counts.forget(tables)
        if self._compaction is not None:
            self._compaction.forget(tables)

    def fits(self, event: RowEvent) -> bool:
        """Return True if an event is small enough for one statement."""
        return len(event.raw) + len(event.table.body) + 64 <= self._group_bytes

    def steps(self, events: Sequence[RowEvent]) -> Iterator[ApplyStep]:
        """Yield BINLOG statements for consecutive row events."""
        return compacted_steps(self._compaction, events, self._steps)

    def _steps(self, events: Sequence[RowEvent]) -> Iterator[ApplyStep]:
        first = size = 0
        flags = _flags(events[0]) & _CHECK_FLAGS if events else 0
        for number, event in enumerate(events):
            length = len(event.raw)
            event_flags = _flags(event) & _CHECK_FLAGS
            if number > first and (size + length > self._group_bytes or event_flags != flags):
                yield self._step(events[first:number])
                first, size = number, 0
            flags = event_flags
            size += length
        if events:
            yield self._step(events[first:])

    def preparation(self) -> Sequence[Sequence[bytes]]:
        """Return the packets that send the session the primary's format description.

        The BINLOG statement runs with autocommit, when no transaction is open.
        """
        event = self._format_event()
        # The last byte names the checksum algorithm; four bytes of checksum follow it, even if the algorithm is "off".
        body = event[19:-1] + _CHECKSUM_ALGORITHM_OFF + _CHECKSUM
        timestamp, code, server_id, _, _, flags = _HEADER.unpack_from(event)
        header = _HEADER.pack(timestamp, code, server_id, 19 + len(body), 0, flags)
        before = [b"SET SESSION autocommit=1", b"BINLOG '" + b2a_base64(header + body, newline=False) + b"'"]
        # After the format description a MySQL session expects that each transaction gets a GTID.
        between = [] if self._session.is_mariadb else [[b"SET @@SESSION.gtid_next = 'AUTOMATIC'"]]
        # A packet for each: the server runs the others even if one fails.
        return before, *between, [b"SET SESSION autocommit=0"]

    def _step(self, group: Sequence[RowEvent]) -> ApplyStep:
        data: list[bytes] = []
        ids: dict[TableMap, bytes] = {}
        for event in group:
            if event.table not in ids:
                table_id, map_event = self._map(event.table)
                ids[event.table] = table_id
                data.append(map_event)
        last = len(group) - 1
        for number, event in enumerate(group):
            head, raw, _ = event
            event_flags = _flags(event)
            flags = event_flags | _STATEMENT_END if number == last else event_flags & ~_STATEMENT_END
            # The header gets the length of the event as it is sent. Its position in the primary's log is not needed.
            data += (
                raw[:9],
                _LENGTH_AND_POSITION.pack(len(raw), 0),
                raw[17:19],
                ids[head.table],
                _FLAGS.pack(flags),
                raw[27:],
            )
        statement = b"BINLOG '" + b2a_base64(b"".join(data), newline=False) + b"'"
        kind, table = group[0].kind, group[0].table
        target, counts = target_of(table, self._selection), self._counts.of(group)
        # A BINLOG statement is the last one of its packet: servers do not read another statement after it.
        return ApplyStep(
            kind, table.name, target, (), statement, counts, None, checks_foreign_keys=None, ends_packet=True
        )

    def _map(self, table: TableMap) -> tuple[bytes, bytes]:
        """Return the table id and the table map event that the secondary gets for a table map."""
        id_and_event = self._maps.entries.get(table)
        if id_and_event is None:
            table_id = next(self._ids).to_bytes(6, "little")
            id_and_event = self._maps.keep(table.name, table, (table_id, self._map_event(table, table_id)))
        return id_and_event

    def _map_event(self, table: TableMap, table_id: bytes) -> bytes:
        target = target_of(table, self._selection)
        body = table.body
        rest = body[8 + 2 + body[8] :]  # after the schema's length, name and zero byte
        schema = target.schema.encode()
        body = table_id + body[6:8] + bytes((len(schema),)) + schema + b"\0" + rest
        return _HEADER.pack(0, _TABLE_MAP_EVENT, 0, 19 + len(body), 0, 0) + body


def _flags(event: RowEvent) -> int:
    """Return an event's flags, with foreign key checks off if the primary has logged what it cascaded.

    The applier's session is no replica thread: MySQL would cascade again in it, and the cascaded rows are also in the
    log.
    """
    flags = event.head.flags
    return flags | NO_FOREIGN_KEY_CHECKS if flags & CASCADES_ARE_LOGGED else flags
