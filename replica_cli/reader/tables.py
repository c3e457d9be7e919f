"""The tables of the log: which map each id means, and how row events of each begin."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replica_cli.core.errors import CorruptEvent
from replica_cli.reader.codes import HEADER
from replica_cli.reader.rowevent import ID_END, RowHeads
from replica_cli.reader.tablemap import parse_table_map

if TYPE_CHECKING:
    from collections.abc import Callable

    from replica_cli.core.events import RowEvent, TableMap
    from replica_cli.core.table import TableName

_MAPS_KEPT = 10_000
_DUMMY_ID = b"\xff\xff\xff\0\0\0"


class LogTables:
    """Knows tables by the ids that the log gives them; ids are six bytes here.

    `bodies` are those of the table maps in force, ids included. `heads` has how row events of an id begin, None where
    nobody wants the table. `wants` says so by the primary's name.
    """

    def __init__(self, wants: Callable[[TableName], bool], *, is_mariadb: bool) -> None:
        self._wants = wants
        self._is_mariadb = is_mariadb
        self._maps: dict[bytes, TableMap] = {}
        self._bodies: dict[bytes, bytes] = {}
        self._ids: dict[TableName, bytes] = {}
        # The same map is the same object for as long as it can be: engines remember what they made of it.
        self._known: dict[bytes, tuple[TableMap, RowHeads]] = {}
        self.bodies: set[bytes] = set()
        self.heads: dict[bytes, RowHeads | None] = {}

    def forget_ids(self) -> None:
        """Forget which table each id means: they begin anew."""
        for forgotten in (self._maps, self._bodies, self._ids, self.bodies, self.heads):
            forgotten.clear()

    def take_map(self, event: bytes) -> None:
        """Take a table map event (without checksum). Raises CorruptEvent, UnsupportedEvent."""
        body = event[HEADER:]
        found = self._known.get(body[8:])
        if found is None:
            if len(self._known) >= _MAPS_KEPT:
                self._known.clear()
            found = self._known[body[8:]] = parse_table_map(body, is_mariadb=self._is_mariadb), RowHeads()
        table, heads = found
        table_id = body[:6]
        # The primary gives a table another id whenever it opens it again: the former one goes. Rows that still have it
        # come behind a table map of their own.
        former = self._ids.get(table.name)
        if former is not None and former != table_id:
            self._forget_id(former)
        # The primary may have given the id to another table before, if its counter began at 0 again.
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
        """Return a row event (without checksum), None where nobody wants its table. Raises CorruptEvent."""
        table_id = event[HEADER:ID_END]
        if table_id not in self.heads:
            if table_id == _DUMMY_ID:
                return None
            number = int.from_bytes(table_id, "little")
            raise CorruptEvent(f"a row event for table id {number} comes without its table map")
        heads = self.heads[table_id]
        return None if heads is None else heads.parse(event, self._maps[table_id])
