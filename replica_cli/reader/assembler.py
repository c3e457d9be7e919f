"""From events to transactions: boundaries, positions, table maps; rows are passed on unread."""

from __future__ import annotations

import logging
import struct
import zlib
from typing import TYPE_CHECKING

from replica_cli.core.errors import CorruptEvent, UnsupportedEvent
from replica_cli.core.events import RowEvent, Statement, Transaction, XaPhase, XaStep
from replica_cli.core.gtid import parse_gtids
from replica_cli.core.position import Position
from replica_cli.logs import Tag, log
from replica_cli.reader.codes import (
    ARTIFICIAL,
    BETWEEN_GROUPS,
    HEADER,
    IGNORABLE,
    MARIADB_STANDALONE,
    WITHOUT_EFFECT,
    EventType,
    event_name,
)
from replica_cli.reader.doubt import DoubtfulEvent
from replica_cli.reader.format import Format, parse_format
from replica_cli.reader.gtid import mariadb_gtid, mysql_gtid, plain_gtid
from replica_cli.reader.log_cursor import LogCursor
from replica_cli.reader.payload import unpack_payload
from replica_cli.reader.query import (
    ROLLBACK_ALTER,
    START_ALTER,
    is_begin,
    parse_execute_load,
    parse_query,
    query_text_offset,
)
from replica_cli.reader.rowevent import ID_END, ROW_EVENTS, RowHeads, unpack_mariadb
from replica_cli.reader.tables import LogTables
from replica_cli.reader.xa import XaPrepared, parse_xa_prepare, parse_xa_statement, prepared_by_gtid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from replica_cli.core.events import RowHead
    from replica_cli.core.table import TableName

logger = logging.getLogger(__name__)

_HEADER = struct.Struct("<IBIIIH")
_TIME_AND_PLACE = struct.Struct("<I9xI")
# What nearly every event is. Plain numbers: naming a member of an enum costs more than what is done with it.
_GTID = int(EventType.GTID)
_QUERY = int(EventType.QUERY)
_TABLE_MAP = int(EventType.TABLE_MAP)
_XID = int(EventType.XID)
_INSIDE = ROW_EVENTS | {EventType.TABLE_MAP, EventType.XID, EventType.XA_PREPARE}
# CRC-32 of any bytes with their own CRC-32 behind them.
_CRC_RESIDUE = 0x2144DF1C
# The header and eight bytes: less is for the long way to complain about.
_SMALLEST = 27
_UNKNOWN = RowHeads()
_NO_HEADS: tuple[int, dict[bytes, RowHead]] = (0, {})
# What a NamedTuple does to make itself, without its call in between.
_made = tuple.__new__


class Assembler:
    """Feeds on events in log order and yields whole transactions, or pieces of large ones.

    `wants` says by the primary's name whether a table's rows are kept at all. Positions are 64 bits wide: the 32 bits
    of an event's header are continued by the size of what was read. Everything about table ids is forgotten at each
    format description: ids begin anew after a restart.
    """

    def __init__(
        self, start: Position, wants: Callable[[TableName], bool], *, is_mariadb: bool, piece_bytes: int
    ) -> None:
        self._piece_bytes = piece_bytes
        self._is_mariadb = is_mariadb
        self._place = LogCursor(start)
        self._boundary = start
        self._format: Format | None = None
        self._has_checksum = False
        self._tables = LogTables(wants, is_mariadb=is_mariadb)
        self._is_open = self._is_standalone = False
        self._gtid = ""
        self._group_time = 0
        self._xa: XaStep | None = None
        self._changes: list[RowEvent | Statement] = []
        self._group_size = self._piece_start = 0
        self._is_first_piece = True
        self._doubtful: DoubtfulEvent | None = None

    @property
    def format(self) -> Format | None:
        """Return the format description of the file being read, None before the first event."""
        return self._format

    @property
    def is_inside(self) -> bool:
        """Say whether a transaction has begun and not ended."""
        return self._is_open

    @property
    def boundary(self) -> Position:
        """Return the end of the last whole transaction."""
        return self._boundary

    def feed_all(self, events: Iterable[bytes], ready: list[Transaction]) -> None:
        """Take events and add what is complete with them to `ready`; raises as `feed` does."""
        events = iter(events)
        while (event := self._next_new(events, ready)) is not None:
            ready.extend(self.feed(event))

    def _next_new(self, events: Iterator[bytes], ready: list[Transaction]) -> bytes | None:
        return self._take_known(events, ready) if self._doubtful is None else next(events, None)

    def _take_known(  # noqa: C901, PLR0912, PLR0915 - one loop over millions of events: a call each would double its cost
        self, events: Iterator[bytes], ready: list[Transaction]
    ) -> bytes | None:
        """Take events for as long as nothing in them is new; return the first that has to be looked at more closely.

        New is all but the begin of a transaction, table maps and beginnings of row events that were seen before, and
        the end. None where the events are over.
        """
        bodies, heads_of, place = self._tables.bodies, self._tables.heads, self._place
        has_checksum = self._has_checksum
        body_end = -4 if has_checksum else None
        limit = self._piece_start + self._piece_bytes
        is_open, changes, size, passed = self._is_open, self._changes, self._group_size, 0
        try:
            for event in events:
                length = len(event)
                if length < _SMALLEST:
                    break
                code = event[4]
                if (
                    zlib.crc32(event) != _CRC_RESIDUE
                    if has_checksum
                    else int.from_bytes(event[9:13], "little") != length
                ):
                    break
                if code == _TABLE_MAP and is_open:
                    if event[HEADER:body_end] not in bodies:
                        break
                    size += length
                    passed += length
                    continue
                if not is_open:
                    if not (gtid := plain_gtid(event[:body_end])):
                        break
                    self._open_group(gtid, int.from_bytes(event[:4], "little"), is_standalone=code == _GTID)
                    is_open, changes, size, limit = True, [], 0, self._piece_bytes
                    passed += length
                    continue
                if code == _XID:
                    if not self._is_first_piece or self._xa is not None:
                        break
                    size += length
                    timestamp, log_pos = _TIME_AND_PLACE.unpack_from(event)
                    place.pass_by(passed)
                    passed = 0
                    place.advance(code, log_pos, length, is_inside=True)
                    start, self._boundary = self._boundary, place.position
                    size -= self._piece_start
                    ready.append(Transaction(start, self._boundary, self._gtid, timestamp, tuple(changes), size))
                    is_open, changes, size = False, [], 0
                    continue
                heads = heads_of.get(event[HEADER:ID_END], _UNKNOWN)
                if heads is not None:
                    rows_start, known = heads.by_code.get(code, _NO_HEADS)
                    head = known.get(event[ID_END:rows_start])
                    if head is None:
                        if code == _QUERY and self._is_standalone and is_begin(event, body_end):
                            self._is_standalone = False
                            size += length
                            passed += length
                            continue
                        break
                    changes.append(_made(RowEvent, (head, event[:body_end], 0)))
                elif code not in ROW_EVENTS:
                    break
                size += length
                passed += length
                if size > limit and changes:
                    self._changes, self._group_size = changes, size
                    ready.append(self._piece(is_end=False))
                    changes, limit = self._changes, size + self._piece_bytes
            else:
                return None
            return event
        finally:
            place.pass_by(passed)
            self._is_open, self._changes, self._group_size = is_open, changes, size

    def feed(self, event: bytes) -> Iterator[Transaction]:
        """Take one event (whole, with its checksum) and yield what is complete with it.

        Raises CorruptEvent where a checksum or a layout is broken, UnsupportedEvent where the event is not understood.
        Both name the position at which the transaction begins.
        """
        if len(event) < HEADER:
            raise CorruptEvent(f"an event of {len(event)} bytes, after {self._boundary}")
        timestamp, code, _, size, log_pos, flags = _HEADER.unpack_from(event)
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
            if (
                not self._is_open
                and self._boundary.file
                and self._place.pos > self._boundary.pos
                and code in BETWEEN_GROUPS
            ):
                # The head of a file and notes between transactions: the end of a log may consist of them.
                self._boundary = self._place.position
        self._check_begun(code)
        self._settle_doubt(code, log_pos, size, flags)
        self._group_size += size
        try:
            yield from self._take(event, code, timestamp, flags)
        except (struct.error, IndexError, ValueError, zlib.error) as error:
            raise CorruptEvent(f"{event_name(code)} cannot be read, after {self._boundary}: {error}") from error
        except UnsupportedEvent as error:
            error.args = (f"{error.message}; in the transaction that begins at {self._boundary}",)
            error.message = error.args[0]
            raise

    def _settle_doubt(self, code: int, log_pos: int, size: int, flags: int) -> None:
        """Raise the error of the event that is in doubt, or forget it, if the next event tells which of the two."""
        if self._doubtful is None:
            return
        is_ours = self._doubtful.is_ours(code, log_pos, size, flags)
        if is_ours:
            error = self._doubtful.error
            error.args = (f"{error.message}; after {self._boundary}",)
            error.message = error.args[0]
            raise error
        if is_ours is not None:
            log(
                logger, logging.WARNING, Tag.WARN, "%s, at %s: passed over, as a transaction after it was applied "
                "before", self._doubtful.error.message, self._doubtful.place, position=self._doubtful.place,
            )  # fmt: skip
            self._doubtful = None

    def _stop_at(self, error: UnsupportedEvent) -> None:
        """Raise the error of an event, or keep it if the event may lie before the place to read from."""
        if self._is_open or self._boundary.file:
            raise error
        # Read by a GTID set, and no transaction has come yet.
        if not parse_gtids(self._boundary.gtid, is_mariadb=self._is_mariadb).has_one_order:
            error.message = (
                f"{error.message}, at {self._place.position}; whether it comes after the applied transactions cannot "
                f"be told, as they are of several domains or sources ({self._boundary.gtid})"
            )
            error.args = (error.message,)
            raise error
        self._doubtful = self._doubtful or DoubtfulEvent(error, self._place.position)

    def _check_begun(self, code: int) -> None:
        if not self._is_open and code in _INSIDE:
            # The reading began inside a transaction: the first part of it is missing.
            raise CorruptEvent(f"{event_name(code)} comes before the begin of its transaction, at {self._boundary}")

    def _take(self, event: bytes, code: int, timestamp: int, flags: int) -> Iterator[Transaction]:
        if code in ROW_EVENTS:
            if (found := self._tables.rows(event)) is not None:
                self._changes.append(found)
                # A compressed event counts by the memory that it takes, not by its size in the log.
                self._piece_start -= max(0, len(found.raw) - len(event))
            if self._group_size - self._piece_start > self._piece_bytes and self._changes:
                yield self._piece(is_end=False)
        elif code == EventType.TABLE_MAP:
            self._tables.take_map(event)
        elif code == EventType.MARIADB_GTID:
            self._take_mariadb_gtid(event, timestamp)
        elif code == EventType.XID:
            yield self._end(timestamp)
        elif code in (EventType.QUERY, EventType.MARIADB_QUERY_COMPRESSED):
            yield from self._take_query(event, code, timestamp, flags)
        elif code in (EventType.GTID, EventType.ANONYMOUS_GTID, EventType.GTID_TAGGED):
            # What follows decides: BEGIN opens a transaction, any other statement stands alone.
            self._open_group(mysql_gtid(event), timestamp, is_standalone=True)
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
            self._tables.forget_ids()
        elif code == EventType.TRANSACTION_PAYLOAD:
            for inner in unpack_payload(event[HEADER:]):
                inner_time, inner_code, _, _, _, inner_flags = _HEADER.unpack_from(inner)
                self._piece_start -= len(inner)
                yield from self._take(inner, inner_code, inner_time, inner_flags)
        elif code == EventType.EXECUTE_LOAD_QUERY:
            self._changes.append(parse_execute_load(event[HEADER:], timestamp))
        elif code == EventType.XA_PREPARE:
            yield self._take_xa(parse_xa_prepare(event[HEADER:]), timestamp)
        elif code == EventType.INCIDENT:
            hole = "the primary says that its binary log has a hole here (INCIDENT)"
            self._stop_at(UnsupportedEvent(hole, hint="copy again: `replica transfer --restart`"))
        elif not flags & IGNORABLE:
            hint = "a newer replica may know it; `replica position reset --to FILE:POS` skips it knowingly"
            self._stop_at(UnsupportedEvent(f"{event_name(code)} is not understood", hint=hint))

    def _take_mariadb_gtid(self, event: bytes, timestamp: int) -> None:
        # The GTID event is the BEGIN; standalone groups are one statement that commits by itself.
        gtid, flags = mariadb_gtid(event)
        self._open_group(gtid, timestamp, is_standalone=bool(flags & MARIADB_STANDALONE))
        self._xa = prepared_by_gtid(event[HEADER:], flags)

    def _take_query(self, event: bytes, code: int, timestamp: int, flags: int) -> Iterator[Transaction]:
        body = event[HEADER:]
        offset = query_text_offset(body)
        if code == EventType.MARIADB_QUERY_COMPRESSED:
            body = body[:offset] + unpack_mariadb(body[offset:])
        text = body[offset:]
        if text == b"BEGIN":
            if not self._is_open:
                self._open_group("", timestamp)
            self._is_standalone = False
        elif text == b"COMMIT":
            yield self._end(timestamp)
        elif text == b"ROLLBACK":
            # It undoes rows. A statement is in such a group because its effect stays (DDL, other engines than InnoDB).
            self._changes = [c for c in self._changes if isinstance(c, Statement)]
            yield self._end(timestamp, is_rolled_back=True)
        elif text.startswith(b"XA "):
            self._is_standalone = False
            step = parse_xa_statement(text)
            self._xa = step or self._xa
            if step is not None and step.phase is not XaPhase.PREPARE:
                yield self._end(timestamp)
        else:
            statement = parse_query(body, timestamp, flags)
            # Of an ALTER in two phases only the second is carried out: by then its outcome is known.
            if not statement.context.alter_flags & (START_ALTER | ROLLBACK_ALTER):
                self._changes.append(statement)
            if self._is_standalone or not self._is_open:
                yield self._end(timestamp)

    def _take_rotate(self, event: bytes, *, is_fake: bool) -> Iterator[Transaction]:
        file = event[HEADER + 8 :].decode()
        (pos,) = struct.unpack_from("<Q", event, HEADER)
        self._tables.forget_ids()
        if is_fake and file == self._place.file:
            return
        if self._is_open and not is_fake:
            raise CorruptEvent(f"{self._place.file} goes on in the next file inside a transaction")
        if not self._is_first_piece:
            # The primary died while it wrote this transaction: what is in the log of it never happened.
            self._changes.clear()
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

    def _open_group(self, gtid: str, timestamp: int, *, is_standalone: bool = False) -> None:
        self._close_group()
        self._is_open = True
        self._group_time = timestamp
        self._is_standalone = is_standalone
        self._gtid = gtid

    def _close_group(self) -> None:
        self._is_open = self._is_standalone = False
        self._gtid = ""
        self._xa = None
        self._changes = []
        self._group_size = self._piece_start = 0
        self._is_first_piece = True

    def _end(self, timestamp: int, *, is_rolled_back: bool = False) -> Transaction:
        start, self._boundary = self._boundary, self._place.position
        transaction = self._piece(is_end=True, start=start, timestamp=timestamp, is_rolled_back=is_rolled_back)
        self._close_group()
        return transaction

    def _piece(
        self, *, is_end: bool, start: Position | None = None, timestamp: int = 0, is_rolled_back: bool = False
    ) -> Transaction:
        piece = Transaction(
            start or self._boundary,
            self._boundary,
            self._gtid,
            timestamp or self._group_time,
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
