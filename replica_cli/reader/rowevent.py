"""Row events: which table, which columns are present, where the rows begin. Compressed ones are unpacked first.

Layout: https://mariadb.com/kb/en/rows_event_v1v2-rows_compressed_event_v1/ and MySQL's rows_event.h.
"""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

from replica_cli.core.errors import CorruptEvent
from replica_cli.core.events import RowEvent, RowKind
from replica_cli.reader.codes import EventType
from replica_cli.reader.lenenc import read_lenenc

if TYPE_CHECKING:
    from replica_cli.core.events import TableMap

# Type code -> kind, whether the header has an extra-data part (v2), the plain type of a compressed one.
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
HEADER = 19
_FLAGS_END = 27


_Head = tuple[bytes, RowKind, bytes, bytes, int]


class RowHeads:
    """Knows what stands before the rows in events seen before: the same table and type nearly always begin alike."""

    def __init__(self) -> None:
        self._heads: dict[tuple[TableMap, int], _Head] = {}

    def find(self, event: bytes, code: int, table: TableMap) -> RowEvent | None:
        """Return a row event (without checksum) if it begins like the last one of its table and type, else None."""
        found = self._heads.get((table, code))
        if found is None:
            return None
        head, kind, present, present_after, rows_start = found
        if not event.startswith(head, _FLAGS_END):
            return None
        return RowEvent(kind, table, event[25] | event[26] << 8, present, present_after, event, rows_start)

    def learn(self, event: bytes, parsed: RowEvent) -> None:
        """Remember how an event began. Compressed ones and those with changes inside JSON are not remembered."""
        if parsed.raw is event and not parsed.is_partial_json:
            head = event[_FLAGS_END : parsed.rows_start]
            self._heads[parsed.table, event[4]] = (
                head, parsed.kind, parsed.present, parsed.present_after, parsed.rows_start,
            )  # fmt: skip

    def clear(self) -> None:
        """Forget all."""
        self._heads.clear()


def parse_row_event(event: bytes, table: TableMap) -> RowEvent:
    """Read a row event (whole, without checksum) of a known table. Raises CorruptEvent."""
    code = event[4]
    kind, has_extra, plain = _KINDS[EventType(code)]
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
        if plain:
            event = _plain(event, at, plain)
    except (IndexError, zlib.error) as error:
        raise CorruptEvent(f"{table.name}: a row event of {len(event)} bytes cannot be read: {error}") from error
    is_partial = code == EventType.PARTIAL_UPDATE_ROWS
    return RowEvent(kind, table, flags, present, present_after, event, at, is_partial)


def _plain(event: bytes, at: int, code: int) -> bytes:
    rows = unpack_mariadb(event[at:])
    header = struct.pack("<IBIIIH", *_header_with(event, code, at + len(rows)))
    return header + event[HEADER:at] + rows


def _header_with(event: bytes, code: int, size: int) -> tuple[int, int, int, int, int, int]:
    timestamp, _, server_id, _, log_pos, flags = struct.unpack_from("<IBIIIH", event)
    return timestamp, code, server_id, size, log_pos, flags


def unpack_mariadb(data: bytes) -> bytes:
    """Unpack MariaDB's compressed part of an event.

    One byte: 0x80, algorithm in bits 4-6 (0 is zlib), width of the length in bits 0-2; then the length, big-endian;
    then the zlib stream. Raises CorruptEvent where the algorithm or the length is not as it says.
    """
    first = data[0]
    if first & 0xF0 != 0x80:
        raise CorruptEvent(f"unknown compression algorithm {first:#x}")
    width = first & 0x07
    length = int.from_bytes(data[1 : 1 + width], "big")
    unpacked = zlib.decompress(data[1 + width :])
    if len(unpacked) != length:
        raise CorruptEvent(f"a compressed event holds {len(unpacked)} bytes and says {length}")
    return unpacked
