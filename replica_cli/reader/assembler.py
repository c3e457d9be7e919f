"""Assemble events into transactions: track boundaries, positions and table maps, and pass row images on undecoded.

`Reader` feeds it the events of a dump connection, in log order.
"""

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
from replica_cli.reader.doubtful_event import DoubtfulEvent
from replica_cli.reader.log_cursor import LogCursor
from replica_cli.reader.log_tables import LogTables
from replica_cli.reader.parsers.event_types import (
    ARTIFICIAL,
    BETWEEN_GROUPS,
    HEADER,
    HEARTBEATS,
    IGNORABLE,
    MARIADB_STANDALONE,
    WITHOUT_EFFECT,
    EventType,
    event_name,
)
from replica_cli.reader.parsers.format_event import Format, parse_format
from replica_cli.reader.parsers.gtid_event import mariadb_gtid, mysql_gtid, plain_gtid
from replica_cli.reader.parsers.payload_event import unpack_payload
from replica_cli.reader.parsers.query_event import (
    ROLLBACK_ALTER,
    START_ALTER,
    is_begin,
    parse_execute_load,
    parse_query,
    query_text_offset,
)
from replica_cli.reader.parsers.row_event import ID_END, ROW_EVENTS, RowHeads, unpack_mariadb
from replica_cli.reader.parsers.xa_event import XaPrepared, parse_xa_prepare, parse_xa_statement, prepared_by_gtid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from replica_cli.core.events import RowHead
    from replica_cli.core.table import TableName

logger = logging.getLogger(__name__)

_HEADER = struct.Struct("<IBIIIH")
_TIME_AND_POSITION = struct.Struct("<I9xI")
# The types of nearly all events, as plain numbers: access to an enum member costs more than the work on the event.
_GTID = int(EventType.GTID)
_QUERY = int(EventType.QUERY)
_TABLE_MAP = int(EventType.TABLE_MAP)
_XID = int(EventType.XID)
_INSIDE = ROW_EVENTS | {EventType.TABLE_MAP, EventType.XID, EventType.XA_PREPARE}
# The CRC-32 of any bytes that are followed by their own CRC-32.
_CRC_RESIDUE = 0x2144DF1C
# Header and eight bytes. A shorter event is left to `feed`, which raises the error.
_SMALLEST = 27
_UNKNOWN_TABLE = RowHeads()
_NO_HEADS: tuple[int, dict[bytes, RowHead]] = (0, {})
# Makes a NamedTuple without the extra call of its own __new__.
_new_tuple = tuple.__new__


class Assembler:
    """Takes events in log order and gives whole transactions, or the pieces of large ones. One thread feeds it.

    Positions have 64 bits: `LogCursor` continues the 32 bits of the event headers. All table ids are forgotten at each
    format description and each rotation, because the primary counts them from the start again after a restart.

    Args:
        start: where reading starts; without a file if the dump is by GTID set.
        wants: returns True for a table, by its name on the primary, if its row events are to be kept.
        is_mariadb: True if the primary is MariaDB.
        piece_bytes: the size from which a piece of an unfinished transaction is given.
    """

    def __init__(
        self, start: Position, wants: Callable[[TableName], bool], *, is_mariadb: bool, piece_bytes: int
    ) -> None:
        self._piece_bytes = piece_bytes
        self._is_mariadb = is_mariadb
        self._cursor = LogCursor(start)
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
        """Return the format description of the file that is being read, None before the first one."""
        return self._format

    @property
    def is_inside(self) -> bool:
        """Return True if a transaction has begun and has not ended."""
        return self._is_open

    @property
    def boundary(self) -> Position:
        """Return the position after the last whole transaction."""
        return self._boundary

    def feed_all(self, events: Iterable[bytes], ready: list[Transaction]) -> None:
        """Take events, and add each transaction or piece that they complete to `ready`. Raises the errors of `feed`."""
        events = iter(events)
        while (event := self._next_uncommon(events, ready)) is not None:
            ready.extend(self.feed(event))

    def _next_uncommon(self, events: Iterator[bytes], ready: list[Transaction]) -> bytes | None:
        return self._take_common(events, ready) if self._doubtful is None else next(events, None)

    def _take_common(  # noqa: C901, PLR0912, PLR0915 - millions of events: a call for each would double the cost
        self, events: Iterator[bytes], ready: list[Transaction]
    ) -> bytes | None:
        """Take events of the common forms; return the first other event, None if there are no more events.

        The common forms are: the GTID event of an ordinary transaction and MySQL's BEGIN after it, a table map that was
        seen before, a row event that begins like one seen before or whose table is not wanted, and the XID that ends a
        transaction of one piece without XA.
        """
        bodies, heads_of, cursor = self._tables.bodies, self._tables.heads, self._cursor
        has_checksum = self._has_checksum
        body_end = -4 if has_checksum else None
        limit = self._piece_start + self._piece_bytes
        is_open, changes, size, deferred_bytes = self._is_open, self._changes, self._group_size, 0
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
                    deferred_bytes += length
                    continue
                if not is_open:
                    if not (gtid := plain_gtid(event[:body_end])):
                        break
                    self._open_group(gtid, int.from_bytes(event[:4], "little"), is_standalone=code == _GTID)
                    is_open, changes, size, limit = True, [], 0, self._piece_bytes
                    deferred_bytes += length
                    continue
                if code == _XID:
                    if not self._is_first_piece or self._xa is not None:
                        break
                    size += length
                    timestamp, log_pos = _TIME_AND_POSITION.unpack_from(event)
                    cursor.defer(deferred_bytes)
                    deferred_bytes = 0
                    cursor.advance(code, log_pos, length, is_inside=True)
                    start, self._boundary = self._boundary, cursor.position
                    size -= self._piece_start
                    ready.append(Transaction(start, self._boundary, self._gtid, timestamp, tuple(changes), size))
                    is_open, changes, size = False, [], 0
                    continue
                heads = heads_of.get(event[HEADER:ID_END], _UNKNOWN_TABLE)
                if heads is not None:
                    rows_start, known_heads = heads.by_code.get(code, _NO_HEADS)
                    head = known_heads.get(event[ID_END:rows_start])
                    if head is None:
                        if code == _QUERY and self._is_standalone and is_begin(event, body_end):
                            self._is_standalone = False
                            size += length
                            deferred_bytes += length
                            continue
                        break
                    changes.append(_new_tuple(RowEvent, (head, event[:body_end], 0)))
                elif code not in ROW_EVENTS:
                    break
                size += length
                deferred_bytes += length
                if size > limit and changes:
                    self._changes, self._group_size = changes, size
                    ready.append(self._piece(is_end=False))
                    changes, limit = self._changes, size + self._piece_bytes
            else:
                return None
            return event
        finally:
            cursor.defer(deferred_bytes)
            self._is_open, self._changes, self._group_size = is_open, changes, size

    def feed(self, event: bytes) -> Iterator[Transaction]:
        """Take one event, with header and checksum, and yield the transactions or pieces that it completes.

        The message of each error names the end of the last whole transaction.

        Raises:
            CorruptEvent: a checksum is wrong, or the event cannot be read.
            UnsupportedEvent: the event's type, or something in it, is not known or cannot be applied.
        """
        if len(event) < HEADER:
            raise CorruptEvent(f"an event has only {len(event)} bytes, after {self._boundary}")
        timestamp, code, _, size, log_pos, flags = _HEADER.unpack_from(event)
        if size != len(event):
            raise CorruptEvent(
                f"{event_name(code)} announces {size} bytes and has {len(event)}, after {self._boundary}"
            )
        if code == EventType.ROTATE and flags & ARTIFICIAL:
            # The primary made it for this connection. It comes before the format description, which says if events have
            # checksums.
            event = _without_checksum(event)
        elif self._has_checksum and code != EventType.FORMAT_DESCRIPTION:
            if zlib.crc32(event[:-4]) != int.from_bytes(event[-4:], "little"):
                raise CorruptEvent(f"{event_name(code)}: the checksum is wrong, after {self._boundary}")
            event = event[:-4]
        if not flags & ARTIFICIAL:
            self._cursor.advance(code, log_pos, size, is_inside=self._is_open)
            if (
                not self._is_open
                and self._boundary.file
                and self._cursor.pos > self._boundary.pos
                and code in BETWEEN_GROUPS
            ):
                # The first events of a file, and events between transactions. A log may end with nothing else.
                self._boundary = self._cursor.position
        self._check_begun(code)
        self._resolve_doubt(code, log_pos, size, flags)
        self._group_size += size
        try:
            yield from self._take(event, code, timestamp, flags)
        except (struct.error, IndexError, ValueError, zlib.error) as error:
            raise CorruptEvent(f"{event_name(code)} cannot be read, after {self._boundary}: {error}") from error
        except UnsupportedEvent as error:
            error.args = (f"{error.message}; in the transaction that begins at {self._boundary}",)
            error.message = error.args[0]
            raise

    def _resolve_doubt(self, code: int, log_pos: int, size: int, flags: int) -> None:
        """Raise the error of the event in doubt, or log and forget it, if the header of the next event decides."""
        if self._doubtful is None:
            return
        comes_after_set = self._doubtful.comes_after_set(code, log_pos, size, flags)
        if comes_after_set:
            error = self._doubtful.error
            error.args = (f"{error.message}; after {self._boundary}",)
            error.message = error.args[0]
            raise error
        if comes_after_set is not None:
            log(
                logger, logging.WARNING, Tag.WARN, "%s, at %s: skipped, because a later transaction is applied "
                "already", self._doubtful.error.message, self._doubtful.position, position=self._doubtful.position,
            )  # fmt: skip
            self._doubtful = None

    def _raise_or_keep(self, error: UnsupportedEvent) -> None:
        """Raise the error of an event, or keep it in doubt if the event may come before the position to read from."""
        if self._is_open or self._boundary.file:
            raise error
        # The dump is by GTID set, and no transaction has arrived yet.
        if not parse_gtids(self._boundary.gtid, is_mariadb=self._is_mariadb).has_one_order:
            error.message = (
                f"{error.message}, at {self._cursor.position}; it is not known if it comes after the applied "
                f"transactions, because they are of several domains or sources ({self._boundary.gtid})"
            )
            error.args = (error.message,)
            raise error
        self._doubtful = self._doubtful or DoubtfulEvent(error, self._cursor.position)

    def _check_begun(self, code: int) -> None:
        """Raise CorruptEvent if an event that occurs only inside a transaction comes outside one."""
        if not self._is_open and code in _INSIDE:
            # Reading started inside a transaction: its first events are missing.
            raise CorruptEvent(f"{event_name(code)} comes before the start of its transaction, at {self._boundary}")

    def _take(self, event: bytes, code: int, timestamp: int, flags: int) -> Iterator[Transaction]:
        if code in ROW_EVENTS:
            if (row_event := self._tables.rows(event)) is not None:
                self._changes.append(row_event)
                # A compressed event counts with the memory that it needs, not with its size in the log.
                self._piece_start -= max(0, len(row_event.raw) - len(event))
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
            # The next event decides: after BEGIN a transaction follows; any other statement is a transaction by itself.
            self._open_group(mysql_gtid(event), timestamp, is_standalone=True)
        elif code in WITHOUT_EFFECT:
            return
        else:
            yield from self._take_rare(event, code, timestamp, flags)

    def _take_rare(  # noqa: C901 - one case for each event type
        self, event: bytes, code: int, timestamp: int, flags: int
    ) -> Iterator[Transaction]:
        if code in HEARTBEATS:
            if not self._is_open:
                yield self._position_only()
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
            gap = "the primary reports a gap in its binary log (INCIDENT)"
            self._raise_or_keep(UnsupportedEvent(gap, hint="copy again: `replica transfer --restart`"))
        elif not flags & IGNORABLE:
            hint = "a newer version of replica may know it; `replica position reset --to FILE:POS` skips it"
            self._raise_or_keep(UnsupportedEvent(f"{event_name(code)} is not understood", hint=hint))

    def _take_mariadb_gtid(self, event: bytes, timestamp: int) -> None:
        # The GTID event is the BEGIN. A standalone group is one statement that commits by itself.
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
            # ROLLBACK undoes the rows. The primary logs a statement in such a group because its effect remains: DDL, or
            # a change of a table whose storage engine has no transactions.
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
            # Of a two-phase ALTER only the COMMIT phase is applied, because then the outcome is known.
            if not statement.context.alter_flags & (START_ALTER | ROLLBACK_ALTER):
                self._changes.append(statement)
            if self._is_standalone or not self._is_open:
                yield self._end(timestamp)

    def _take_rotate(self, event: bytes, *, is_fake: bool) -> Iterator[Transaction]:
        file = event[HEADER + 8 :].decode()
        (pos,) = struct.unpack_from("<Q", event, HEADER)
        self._tables.forget_ids()
        if is_fake and file == self._cursor.file:
            return
        if self._is_open and not is_fake:
            raise CorruptEvent(f"{self._cursor.file} ends inside a transaction")
        if not self._is_first_piece:
            # The primary crashed while it wrote this transaction: the part that is in the log was never committed.
            self._changes.clear()
            yield self._piece(is_end=True, is_rolled_back=True)
        self._close_group()
        is_first = not self._cursor.file
        self._cursor.move(file, pos)
        if is_first:
            # For a dump by GTID set the primary begins somewhere in this file, so the start of the file is no valid
            # boundary.
            return
        self._boundary = Position(file, pos)
        yield self._position_only()

    def _take_xa(self, prepared: XaPrepared, timestamp: int) -> Transaction:
        if not prepared.is_one_phase:
            self._xa = XaStep(XaPhase.PREPARE, prepared.xid)
        elif self._is_first_piece:
            self._xa = None
        else:
            # Its first pieces were given out before this event showed that it prepares and commits in one step.
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
        """Move the boundary to the end of the last event; return the transaction, or its last piece."""
        start, self._boundary = self._boundary, self._cursor.position
        transaction = self._piece(is_end=True, start=start, timestamp=timestamp, is_rolled_back=is_rolled_back)
        self._close_group()
        return transaction

    def _piece(
        self, *, is_end: bool, start: Position | None = None, timestamp: int = 0, is_rolled_back: bool = False
    ) -> Transaction:
        """Return the changes since the last piece, and begin the next piece."""
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

    def _position_only(self) -> Transaction:
        """Return a transaction without changes, which only reports the boundary."""
        return Transaction(self._boundary, self._boundary, "", 0, (), 0)


def _without_checksum(event: bytes) -> bytes:
    return event[:-4] if zlib.crc32(event[:-4]) == int.from_bytes(event[-4:], "little") else event
