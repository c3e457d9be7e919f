"""From events to transactions: boundaries, positions, table maps; rows are passed on unread."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

from replica_cli.core.errors import CorruptEvent, UnsupportedEvent
from replica_cli.core.events import RowEvent, Statement, TableMap, Transaction, XaPhase, XaStep
from replica_cli.core.position import Position
from replica_cli.reader.codes import (
    ARTIFICIAL,
    IGNORABLE,
    MARIADB_STANDALONE,
    WITHOUT_EFFECT,
    EventType,
    event_name,
)
from replica_cli.reader.format import Format, parse_format
from replica_cli.reader.payload import unpack_payload
from replica_cli.reader.place import LogPlace
from replica_cli.reader.query import ROLLBACK_ALTER, START_ALTER, parse_execute_load, parse_query, query_text_offset
from replica_cli.reader.rowevent import HEADER, ROW_EVENTS, RowHeads, parse_row_event, unpack_mariadb
from replica_cli.reader.tablemap import parse_table_map
from replica_cli.reader.tagged import parse_tagged_gtid
from replica_cli.reader.xa import XaPrepared, parse_xa_prepare, parse_xa_statement, prepared_by_gtid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from replica_cli.core.table import TableName

_HEADER = struct.Struct("<IBIIIH")
_GTID_MYSQL = struct.Struct("<B16sQ")
_BETWEEN = frozenset(
    {
        EventType.FORMAT_DESCRIPTION,
        EventType.PREVIOUS_GTIDS,
        EventType.MARIADB_GTID_LIST,
        EventType.MARIADB_BINLOG_CHECKPOINT,
        EventType.MARIADB_START_ENCRYPTION,
        EventType.STOP,
    }
)
# What nearly every event is. Plain numbers: naming a member of an enum costs more than what is done with it.
_TABLE_MAP = int(EventType.TABLE_MAP)
_XID = int(EventType.XID)
_ARTIFICIAL = int(ARTIFICIAL)
# CRC-32 of any bytes with their own CRC-32 behind them.
_CRC_RESIDUE = 0x2144DF1C
_DUMMY_TABLE_ID = 0xFFFFFF
_MAPS_KEPT = 10_000
# The header and eight bytes: less is for the long way to complain about.
_SMALLEST = 27


class Assembler:
    """Feeds on events in log order and yields whole transactions, or pieces of large ones.

    `wants` says by the primary's name whether a table's rows are kept at all. Positions are 64 bits wide: the 32 bits
    of an event's header are continued by the size of what was read. Everything about table ids is forgotten at each
    format description: ids begin anew after a restart.
    """

    def __init__(
        self, start: Position, wants: Callable[[TableName], bool], *, is_mariadb: bool, piece_bytes: int
    ) -> None:
        self._is_mariadb = is_mariadb
        self._wants = wants
        self._piece_bytes = piece_bytes
        self._place = LogPlace(start)
        self._boundary = start
        self._format: Format | None = None
        self._has_checksum = False
        self._maps: dict[int, TableMap | None] = {}
        self._last_maps: dict[bytes, bytes] = {}
        self._heads = RowHeads()
        self._maps_by_body: dict[bytes, TableMap] = {}
        self._xa: XaStep | None = None
        self._close_group()

    @property
    def format(self) -> Format | None:
        """Return the format description of the file being read, None before the first event."""
        return self._format

    @property
    def boundary(self) -> Position:
        """Return the end of the last whole transaction."""
        return self._boundary

    def feed_all(self, events: Iterable[bytes], ready: list[Transaction]) -> None:
        """Take events and add what is complete with them to `ready`; raises as `feed` does.

        What was seen before in its kind (a known table map, rows of a known shape) goes a short way here.
        """
        for event in events:
            if not self._is_open or not self._take_known(event, ready):
                ready.extend(self.feed(event))
            elif self._group_size - self._piece_start > self._piece_bytes and self._changes:
                ready.append(self._piece(is_end=False))

    def _take_known(self, event: bytes, ready: list[Transaction]) -> bool:
        """Take an event inside a transaction if nothing in it is new; say whether it was taken."""
        if len(event) < _SMALLEST:
            return False
        timestamp, code, _, size, log_pos, flags = _HEADER.unpack_from(event)
        if size != len(event) or flags & _ARTIFICIAL or (self._has_checksum and zlib.crc32(event) != _CRC_RESIDUE):
            return False
        if code == _XID:
            self._place.advance(code, log_pos, size, is_inside=True)
            self._group_size += size
            ready.append(self._end(timestamp))
            return True
        if self._has_checksum:
            event = event[:-4]
        if not (self._is_known_map(event) if code == _TABLE_MAP else self._takes_known_rows(event, code)):
            return False
        self._place.pass_by(size)
        self._group_size += size
        return True

    def _is_known_map(self, event: bytes) -> bool:
        body = event[HEADER:]
        return self._last_maps.get(body[:6]) == body

    def _takes_known_rows(self, event: bytes, code: int) -> bool:
        table_id = int.from_bytes(event[19:25], "little")
        table = self._maps.get(table_id)
        if table is None:
            return table_id in self._maps and code in ROW_EVENTS
        found = self._heads.find(event, code, table)
        if found is None:
            return False
        self._changes.append(found)
        return True

    def feed(self, event: bytes) -> Iterator[Transaction]:
        """Take one event (whole, with its checksum) and yield what is complete with it.

        Raises CorruptEvent where a checksum or a layout is broken, UnsupportedEvent where the event is not understood.
        Both name the position at which the transaction begins.
        """
        if len(event) < HEADER:
            raise CorruptEvent(f"an event of {len(event)} bytes, after {self._boundary}")
        timestamp, code, server_id, size, log_pos, flags = _HEADER.unpack_from(event)
        if size != len(event):
            raise CorruptEvent(f"{event_name(code)} says {size} bytes and has {len(event)}, after {self._boundary}")
        if code == EventType.ROTATE and flags & ARTIFICIAL:
            # Made for this connection, before the format description that would say whether it has a checksum.
            event = _without_checksum(event)
        elif self._has_checksum and code != EventType.FORMAT_DESCRIPTION:
            if zlib.crc32(event[:-4]) != int.from_bytes(event[-4:], "little"):
                raise CorruptEvent(f"{event_name(code)}: the checksum is wrong, after {self._boundary}")
            event = event[:-4]
        if not flags & ARTIFICIAL:
            self._place.advance(code, log_pos, size, is_inside=self._is_open)
            if not self._is_open and self._boundary.file and self._place.pos > self._boundary.pos and code in _BETWEEN:
                # The head of a file and notes between transactions: the end of a log may consist of them.
                self._boundary = self._place.position
        self._group_size += size
        try:
            yield from self._take(event, code, timestamp, server_id, flags)
        except (struct.error, IndexError, ValueError, zlib.error) as error:
            raise CorruptEvent(f"{event_name(code)} cannot be read, after {self._boundary}: {error}") from error
        except UnsupportedEvent as error:
            error.args = (f"{error.message}; in the transaction that begins at {self._boundary}",)
            error.message = error.args[0]
            raise

    def _take(self, event: bytes, code: int, timestamp: int, server_id: int, flags: int) -> Iterator[Transaction]:
        if code in ROW_EVENTS:
            self._take_rows(event)
            if self._group_size - self._piece_start > self._piece_bytes and self._changes:
                yield self._piece(is_end=False)
        elif code == EventType.TABLE_MAP:
            self._take_table_map(event)
        elif code == EventType.MARIADB_GTID:
            self._take_mariadb_gtid(event, server_id)
        elif code == EventType.XID:
            yield self._end(timestamp)
        elif code in (EventType.QUERY, EventType.MARIADB_QUERY_COMPRESSED):
            yield from self._take_query(event, code, timestamp)
        elif code in (EventType.GTID, EventType.ANONYMOUS_GTID, EventType.GTID_TAGGED):
            self._take_mysql_gtid(event, code)
        elif code in WITHOUT_EFFECT:
            return
        else:
            yield from self._take_rare(event, code, timestamp, flags)

    def _take_rare(  # noqa: C901 - one case an event type
        self, event: bytes, code: int, timestamp: int, flags: int
    ) -> Iterator[Transaction]:
        if code in (EventType.HEARTBEAT, EventType.HEARTBEAT_V2):
            if not self._is_open:
                yield self._nothing()
        elif code == EventType.ROTATE:
            yield from self._take_rotate(event, is_fake=bool(flags & ARTIFICIAL) or not timestamp)
        elif code == EventType.FORMAT_DESCRIPTION:
            self._format = parse_format(event)
            self._has_checksum = self._format.has_checksum
            self._forget_maps()
        elif code == EventType.TRANSACTION_PAYLOAD:
            for inner in unpack_payload(event[HEADER:]):
                inner_time, inner_code, inner_server, _, _, inner_flags = _HEADER.unpack_from(inner)
                self._piece_start -= len(inner)
                yield from self._take(inner, inner_code, inner_time, inner_server, inner_flags)
        elif code == EventType.EXECUTE_LOAD_QUERY:
            self._changes.append(parse_execute_load(event[HEADER:], timestamp))
        elif code == EventType.XA_PREPARE:
            yield self._take_xa(parse_xa_prepare(event[HEADER:]), timestamp)
        elif code == EventType.INCIDENT:
            raise UnsupportedEvent(
                "the primary says that its binary log has a hole here (INCIDENT)",
                hint="copy anew: `replica transfer --restart`",
            )
        elif not flags & IGNORABLE:
            raise UnsupportedEvent(
                f"{event_name(code)} is not understood",
                hint="a newer replica may know it; `replica position reset --to FILE:POS` skips it knowingly",
            )

    def _take_rows(self, event: bytes) -> None:
        table_id = int.from_bytes(event[19:25], "little")
        try:
            table = self._maps[table_id]
        except KeyError:
            if table_id == _DUMMY_TABLE_ID:
                return
            raise CorruptEvent(f"a row event for table id {table_id} comes without its table map") from None
        if table is not None:
            found = parse_row_event(event, table)
            self._heads.learn(event, found)
            self._changes.append(found)

    def _take_table_map(self, event: bytes) -> None:
        body = event[HEADER:]
        key = body[8:]
        table = self._maps_by_body.get(key)
        if table is None:
            table = parse_table_map(body, is_mariadb=self._is_mariadb)
            if len(self._maps_by_body) >= _MAPS_KEPT:
                self._maps_by_body.clear()
            self._maps_by_body[key] = table
        self._maps[int.from_bytes(body[:6], "little")] = table if self._wants(table.name) else None
        self._last_maps[body[:6]] = body

    def _forget_maps(self) -> None:
        self._maps.clear()
        self._last_maps.clear()
        self._heads.clear()

    def _take_mariadb_gtid(self, event: bytes, server_id: int) -> None:
        # The GTID event is the BEGIN; standalone groups are one statement that commits by itself.
        sequence, domain, flags = struct.unpack_from("<QIB", event, HEADER)
        self._open_group(f"{domain}-{server_id}-{sequence}")
        self._is_standalone = bool(flags & MARIADB_STANDALONE)
        self._xa = prepared_by_gtid(event[HEADER:], flags)

    def _take_mysql_gtid(self, event: bytes, code: int) -> None:
        gtid = ""
        if code == EventType.GTID:
            _, sid, number = _GTID_MYSQL.unpack_from(event, HEADER)
            digits = sid.hex()
            uuid = f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
            gtid = f"{uuid}:{number}"
        elif code == EventType.GTID_TAGGED:
            gtid = parse_tagged_gtid(event[HEADER:])
        self._open_group(gtid)
        # What follows decides: BEGIN opens a transaction, any other statement stands alone.
        self._is_standalone = True

    def _take_query(self, event: bytes, code: int, timestamp: int) -> Iterator[Transaction]:
        body = event[HEADER:]
        offset = query_text_offset(body)
        if code == EventType.MARIADB_QUERY_COMPRESSED:
            body = body[:offset] + unpack_mariadb(body[offset:])
        text = body[offset:]
        if text == b"BEGIN":
            if not self._is_open:
                self._open_group("")
            self._is_standalone = False
        elif text == b"COMMIT":
            yield self._end(timestamp)
        elif text == b"ROLLBACK":
            yield self._end(timestamp, is_rolled_back=True)
        elif text.startswith(b"XA "):
            self._is_standalone = False
            step = parse_xa_statement(text)
            self._xa = step or self._xa
            if step is not None and step.phase is not XaPhase.PREPARE:
                yield self._end(timestamp)
        else:
            statement = parse_query(body, timestamp)
            # Of an ALTER in two phases only the second is carried out: by then its outcome is known.
            if not statement.context.alter_flags & (START_ALTER | ROLLBACK_ALTER):
                self._changes.append(statement)
            if self._is_standalone or not self._is_open:
                yield self._end(timestamp)

    def _take_rotate(self, event: bytes, *, is_fake: bool) -> Iterator[Transaction]:
        file = event[HEADER + 8 :].decode()
        (pos,) = struct.unpack_from("<Q", event, HEADER)
        self._forget_maps()
        if is_fake and file == self._place.file:
            return
        if self._is_open and not is_fake:
            raise CorruptEvent(f"{self._place.file} goes on in the next file inside a transaction")
        if not self._is_first_piece:
            # The primary died while it wrote this transaction: what is in the log of it never happened.
            yield self._piece(is_end=True, is_rolled_back=True)
        self._close_group()
        is_first = not self._place.file
        self._place.move(file, pos)
        if is_first:
            # Asked by GTID set, the primary begins somewhere in this file: its head is no position of ours.
            return
        self._boundary = Position(file, pos)
        yield self._nothing()

    def _take_xa(self, prepared: XaPrepared, timestamp: int) -> Transaction:
        if not prepared.is_one_phase:
            self._xa = XaStep(XaPhase.PREPARE, prepared.xid)
        elif self._is_first_piece:
            self._xa = None
        else:
            # Its first pieces were handed on before anybody could know that it is committed in the same breath.
            self._xa = XaStep(XaPhase.COMMIT, prepared.xid)
        return self._end(timestamp)

    def _open_group(self, gtid: str) -> None:
        self._close_group()
        self._is_open = True
        self._gtid = gtid

    def _close_group(self) -> None:
        self._is_open = False
        self._is_standalone = False
        self._gtid = ""
        self._xa = None
        self._changes: list[RowEvent | Statement] = []
        self._group_size = 0
        self._piece_start = 0
        self._is_first_piece = True

    def _end(self, timestamp: int, *, is_rolled_back: bool = False) -> Transaction:
        start, self._boundary = self._boundary, self._place.position
        transaction = self._piece(is_end=True, start=start, timestamp=timestamp, is_rolled_back=is_rolled_back)
        self._close_group()
        return transaction

    def _piece(
        self, *, is_end: bool, start: Position | None = None, timestamp: int = 0, is_rolled_back: bool = False
    ) -> Transaction:
        if is_rolled_back:
            self._changes.clear()
        piece = Transaction(
            start or self._boundary,
            self._boundary,
            self._gtid,
            timestamp,
            tuple(self._changes),
            self._group_size - self._piece_start,
            self._is_first_piece,
            is_end,
            is_rolled_back,
            self._xa,
        )
        self._changes = []
        self._piece_start = self._group_size
        self._is_first_piece = False
        return piece

    def _nothing(self) -> Transaction:
        return Transaction(self._boundary, self._boundary, "", 0, (), 0)


def _without_checksum(event: bytes) -> bytes:
    return event[:-4] if zlib.crc32(event[:-4]) == int.from_bytes(event[-4:], "little") else event
