"""Pack the changes of a prepared XA transaction as bytes, to store them until the transaction is committed.

The bytes are binary log events without checksums. Each packed piece is complete in itself: it holds the table maps of
its row events, before them and under table ids of its own. `PreparedTransactions` of the applier stores the bytes.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from replica_cli.core.errors import CorruptEvent
from replica_cli.core.events import RowEvent
from replica_cli.reader.log_tables import LogTables
from replica_cli.reader.parsers.event_types import HEADER, EventType
from replica_cli.reader.parsers.query_event import parse_query

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from replica_cli.core.events import Statement, TableMap
    from replica_cli.core.table import TableName

_HEADER = struct.Struct("<IBIIIH")
_QUERY = struct.Struct("<IIBHH")
_SQL_MODE, _CHARSETS = 1, 4


class PreparedChangesCodec:
    """Packs changes, and unpacks them from bytes that come in portions of any size. Each applier has its own object.

    Args:
        wants: as for `Assembler`. It is asked again because the filters may have changed since the changes were packed.
        is_mariadb: True if the primary is MariaDB.
    """

    def __init__(self, wants: Callable[[TableName], bool], *, is_mariadb: bool) -> None:
        self._rest = b""
        self._tables = LogTables(wants, is_mariadb=is_mariadb)

    def pack(self, changes: Sequence[RowEvent | Statement]) -> bytes:
        """Return the changes of one piece as bytes."""
        return b"".join(_packed(changes))

    def begin(self) -> None:
        """Prepare to unpack another transaction."""
        self._rest = b""
        self._tables.forget_ids()

    def unpack(self, data: bytes) -> list[RowEvent | Statement]:
        """Return the changes that are complete with these bytes. Raises CorruptEvent if an event cannot be read."""
        data, at = self._rest + data, 0
        changes: list[RowEvent | Statement] = []
        while len(data) - at >= HEADER:
            (size,) = struct.unpack_from("<I", data, at + 9)
            if size < HEADER:
                raise CorruptEvent(f"a stored event announces {size} bytes")
            if len(data) - at < size:
                break
            event = data[at : at + size]
            at += size
            if event[4] == EventType.TABLE_MAP:
                self._tables.take_map(event)
            elif event[4] == EventType.QUERY:
                changes.append(parse_query(event[HEADER:], int.from_bytes(event[:4], "little")))
            elif (change := self._tables.rows(event)) is not None:
                changes.append(change)
        self._rest = data[at:]
        return changes

    def end(self) -> None:
        """End a transaction. Raises CorruptEvent if bytes of an incomplete event remain."""
        if self._rest:
            raise CorruptEvent(f"{len(self._rest)} bytes of a prepared transaction are left over")


def _packed(changes: Sequence[RowEvent | Statement]) -> Iterator[bytes]:
    ids: dict[TableMap, bytes] = {}
    for change in changes:
        if not isinstance(change, RowEvent):
            yield _packed_statement(change)
            continue
        table_id = ids.get(change.table)
        if table_id is None:
            table_id = ids[change.table] = (len(ids) + 1).to_bytes(6, "little")
            body = table_id + change.table.body[6:]
            yield _HEADER.pack(0, EventType.TABLE_MAP, 0, HEADER + len(body), 0, 0) + body
        raw = change.raw
        timestamp, code, server_id, _, _, flags = _HEADER.unpack_from(raw)
        yield _HEADER.pack(timestamp, code, server_id, len(raw), 0, flags) + table_id + raw[HEADER + 6 :]


def _packed_statement(statement: Statement) -> bytes:
    # The statement is a savepoint. Of its session only the values matter on which the reading of its name depends.
    context, schema = statement.context, statement.schema.encode("utf-8", "surrogateescape")
    status = struct.pack("<BQ", _SQL_MODE, context.sql_mode or 0)
    if context.character_set_client is not None:
        status += struct.pack("<BHHH", _CHARSETS, context.character_set_client, 0, 0)
    body = _QUERY.pack(0, 0, len(schema), 0, len(status)) + status + schema + b"\0" + statement.text
    return _HEADER.pack(statement.timestamp, EventType.QUERY, 0, HEADER + len(body), 0, 0) + body
