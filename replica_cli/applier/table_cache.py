"""What was worked out from definitions of tables, forgotten table by table when a definition changes."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Collection

    from replica_cli.core.table import TableName

K = TypeVar("K")
V = TypeVar("V")


class TableCache(Generic[K, V]):
    """A dictionary whose entries belong to tables. Read `entries` directly; add with `keep`.

    One table has several entries: one a shape of its row events.
    """

    def __init__(self) -> None:
        self.entries: dict[K, V] = {}
        self._keys: defaultdict[str, list[K]] = defaultdict(list)

    def keep(self, table: TableName, key: K, value: V) -> V:
        """Add an entry of a table, and return its value."""
        if key not in self.entries:
            self._keys[_spelled(table)].append(key)
        self.entries[key] = value
        return value

    def forget(self, tables: Collection[TableName] = ()) -> None:
        """Forget the entries of some tables, or all.

        A statement may spell a name as its server does not: capitals do not count, one too many is no harm.
        """
        if not tables:
            self.entries.clear()
            self._keys.clear()
        for name in {_spelled(table) for table in tables}:
            for key in self._keys.pop(name, ()):
                del self.entries[key]


def _spelled(table: TableName) -> str:
    return str(table).lower()
