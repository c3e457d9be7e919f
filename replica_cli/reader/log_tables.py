"""Keep the table maps of the log by table id, and the known beginnings of their row events."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replica_cli.core.errors import CorruptEvent
from replica_cli.reader.parsers.event_types import HEADER
from replica_cli.reader.parsers.row_event import ID_END, RowHeads
from replica_cli.reader.parsers.table_map import parse_table_map

if TYPE_CHECKING:
    from collections.abc import Callable

    from replica_cli.core.events import RowEvent, TableMap
    from replica_cli.core.table import TableName

_MAX_MAPS = 10_000
_DUMMY_ID = b"\xff\xff\xff\0\0\0"


class LogTables:
    """The tables of the log by their ids; an id is kept as its six bytes. One thread uses an object.

    `wants` returns True for a table, by its name on the primary, if its row events are to be kept.

    Attributes:
        bodies: the bodies, with ids, of the table maps that are valid now.
        heads: by table id the known heads of row events, None if the table is not wanted.
    """

    def __init__(self, wants: Callable[[TableName], bool], *, is_mariadb: bool) -> None:
        self._wants = wants
        self._is_mariadb = is_mariadb
        self._maps: dict[bytes, TableMap] = {}
        self._bodies: dict[bytes, bytes] = {}
        self._ids: dict[TableName, bytes] = {}
        # By the body without id and flags. Equal maps stay one object as long as possible, because engines cache by the
        # object.
        self._by_content: dict[bytes, tuple[TableMap, RowHeads]] = {}
        self.bodies: set[bytes] = set()
        self.heads: dict[bytes, RowHeads | None] = {}

    def forget_ids(self) -> None:
        """Forget all table ids, because the primary may count them from the start again."""
        for forgotten in (self._maps, self._bodies, self._ids, self.bodies, self.heads):
            forgotten.clear()

    def take_map(self, event: bytes) -> None:
        """Take a table map event, with header and without checksum. Raises CorruptEvent if it cannot be read."""
        body = event[HEADER:]
        entry = self._by_content.get(body[8:])
        if entry is None:
            if len(self._by_content) >= _MAX_MAPS:
                self._by_content.clear()
            entry = self._by_content[body[8:]] = parse_table_map(body, is_mariadb=self._is_mariadb), RowHeads()
        table, heads = entry
        table_id = body[:6]
        # The primary gives a table another id each time it opens it again, so the former id is dropped. Row events that
        # still have the former id come after a table map with that id.
        former = self._ids.get(table.name)
        if former is not None and former != table_id:
            self._forget_id(former)
        # The id may have belonged to another table, if the primary's counter started at 0 again.
        other = self._maps.get(table_id)
        if other is not None and other.name != table.name and self._ids.get(other.name) == table_id:
            del self._ids[other.name]
        self._ids[table.name] = table_id
        self._maps[table_id] = table
        self.heads[table_id] = heads if self._wants(table.name) else None
        self.bodies.discard(self._bodies.get(table_id, b""))
        self._bodies[table_id] = body
        self.bodies.add(body)

    def _forget_id(self, table_id: bytes) -> None:
        self._maps.pop(table_id, None)
        self.heads.pop(table_id, None)
        self.bodies.discard(self._bodies.pop(table_id, b""))

    def rows(self, event: bytes) -> RowEvent | None:
        """Read a row event, with header and without checksum; None for an unwanted table or the dummy table id.

        Raises:
            CorruptEvent: the event cannot be read, or no table map with its id came before.
        """
        table_id = event[HEADER:ID_END]
        if table_id not in self.heads:
            if table_id == _DUMMY_ID:
                return None
            number = int.from_bytes(table_id, "little")
            raise CorruptEvent(f"a row event for table id {number} comes without its table map")
        heads = self.heads[table_id]
        return None if heads is None else heads.parse(event, self._maps[table_id])
