"""Read the beginning of row events: the columns that are present and the offset of the rows. Unpack compressed events.

Layout: https://mariadb.com/kb/en/rows_event_v1v2-rows_compressed_event_v1/ and MySQL's rows_event.h.
"""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

from replica_cli.core.errors import CorruptEvent
from replica_cli.core.events import RowEvent, RowHead, RowKind
from replica_cli.reader.parsers.event_types import HEADER, EventType
from replica_cli.reader.parsers.lenenc import read_lenenc

if TYPE_CHECKING:
    from replica_cli.core.events import TableMap

# By event type: the kind, if there is an extra-data part (version 2), and for a compressed type its plain type, else 0.
_KINDS = {
    EventType.WRITE_ROWS_V1: (RowKind.INSERT, False, 0),
    EventType.UPDATE_ROWS_V1: (RowKind.UPDATE, False, 0),
    EventType.DELETE_ROWS_V1: (RowKind.DELETE, False, 0),
    EventType.WRITE_ROWS: (RowKind.INSERT, True, 0),
    EventType.UPDATE_ROWS: (RowKind.UPDATE, True, 0),
    EventType.PARTIAL_UPDATE_ROWS: (RowKind.UPDATE, True, 0),
    EventType.DELETE_ROWS: (RowKind.DELETE, True, 0),
    EventType.MARIADB_WRITE_ROWS_COMPRESSED_V1: (RowKind.INSERT, False, EventType.WRITE_ROWS_V1),
    EventType.MARIADB_UPDATE_ROWS_COMPRESSED_V1: (RowKind.UPDATE, False, EventType.UPDATE_ROWS_V1),
    EventType.MARIADB_DELETE_ROWS_COMPRESSED_V1: (RowKind.DELETE, False, EventType.DELETE_ROWS_V1),
    EventType.MARIADB_WRITE_ROWS_COMPRESSED: (RowKind.INSERT, True, EventType.WRITE_ROWS),
    EventType.MARIADB_UPDATE_ROWS_COMPRESSED: (RowKind.UPDATE, True, EventType.UPDATE_ROWS),
    EventType.MARIADB_DELETE_ROWS_COMPRESSED: (RowKind.DELETE, True, EventType.DELETE_ROWS),
}
ROW_EVENTS = frozenset(int(code) for code in _KINDS)
ID_END = 25
_MAX_HEADS = 1000


class RowHeads:
    """The heads of one table's row events. Events that begin alike share one RowHead object.

    `by_code` gives for each event type the offset of the rows, and the heads by the bytes between table id and rows.
    """

    def __init__(self) -> None:
        self.by_code: dict[int, tuple[int, dict[bytes, RowHead]]] = {}

    def parse(self, event: bytes, table: TableMap) -> RowEvent:
        """Read a row event, with header, without checksum, and remember its head. Raises CorruptEvent."""
        head, raw, _ = parse_row_event(event, table)
        start, heads = self.by_code.get(raw[4], (0, {}))
        if start != head.rows_start or len(heads) >= _MAX_HEADS:
            heads = {}
            self.by_code[raw[4]] = (head.rows_start, heads)
        return RowEvent(heads.setdefault(raw[ID_END : head.rows_start], head), raw)


def parse_row_event(event: bytes, table: TableMap) -> RowEvent:
    """Read a row event, with header, without checksum, of the table that `table` describes.

    Raises:
        CorruptEvent: the event is cut, cannot be unpacked, or does not have as many columns as the table map.
    """
    code = event[4]
    kind, has_extra, plain_code = _KINDS[EventType(code)]
    try:
        flags = event[25] | event[26] << 8
        at = 27
        if has_extra:
            at += event[27] | event[28] << 8
        columns, at = read_lenenc(event, at)
        if columns != len(table.types):
            raise CorruptEvent(f"{table.name}: a row event has {columns} columns, its table map {len(table.types)}")
        width = (columns + 7) // 8
        present = event[at : at + width]
        at += width
        present_after = b""
        if kind is RowKind.UPDATE:
            present_after = event[at : at + width]
            at += width
        if at > len(event):
            raise CorruptEvent(f"{table.name}: a row event of {len(event)} bytes is cut")
        if plain_code:
            event = _plain(event, at, plain_code)
    except (IndexError, zlib.error) as error:
        raise CorruptEvent(f"{table.name}: a row event of {len(event)} bytes cannot be read: {error}") from error
    is_partial = code == EventType.PARTIAL_UPDATE_ROWS
    return RowEvent(RowHead(kind, table, flags, present, present_after, at, is_partial), event)


def _plain(event: bytes, at: int, code: int) -> bytes:
    rows = unpack_mariadb(event[at:])
    header = struct.pack("<IBIIIH", *_header_with(event, code, at + len(rows)))
    return header + event[HEADER:at] + rows


def _header_with(event: bytes, code: int, size: int) -> tuple[int, int, int, int, int, int]:
    timestamp, _, server_id, _, log_pos, flags = struct.unpack_from("<IBIIIH", event)
    return timestamp, code, server_id, size, log_pos, flags


def unpack_mariadb(data: bytes) -> bytes:
    """Unpack the compressed part of a MariaDB event.

    The first byte has 0x80, the algorithm in bits 4-6 (0 is zlib), and the width of the length in bits 0-2. Then follow
    the length, high byte first, and the zlib stream.

    Raises:
        CorruptEvent: the algorithm is not known, or the unpacked size is not the announced one.
        zlib.error: the stream is broken.
        IndexError: the data is empty.
    """
    first = data[0]
    if first & 0xF0 != 0x80:
        raise CorruptEvent(f"unknown compression algorithm {first:#x}")
    width = first & 0x07
    length = int.from_bytes(data[1 : 1 + width], "big")
    decompressor = zlib.decompressobj()
    # One byte more than announced is enough to see that there is more. The rest is not unpacked.
    unpacked = decompressor.decompress(data[1 + width :], length + 1)
    if len(unpacked) != length or not decompressor.eof:
        actual = f"{len(unpacked)} bytes" if len(unpacked) <= length else "more"
        raise CorruptEvent(f"a compressed event announces {length} bytes and holds {actual}")
    return unpacked
