"""What was worked out from definitions of tables, forgotten table by table when a definition changes."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Collection

    from replica_cli.core.table import TableName

K = TypeVar("K")
V = TypeVar("V")

# As many as there are table maps at a time (reader/tables.py), a few shapes each; what is known of a table takes some
# kilobytes. With more tables than that in turns they are worked out again, and memory stays where it is.
_ENTRIES_KEPT = 10_000


class TableCache(Generic[K, V]):
    """A dictionary whose entries belong to tables, of limited size. Read `entries` directly; add with `keep`.

    One table has several entries: one a shape of its row events. `trims_itself`: `keep` makes room, which may take an
    entry away that was kept a moment before; else its owner calls `trim` where no entry is in use.
    """

    def __init__(self, *, trims_itself: bool = True) -> None:
        self._trims_itself = trims_itself
        self.entries: dict[K, V] = {}
        self._keys: defaultdict[str, list[K]] = defaultdict(list)

    def keep(self, table: TableName, key: K, value: V) -> V:
        """Add an entry of a table, and return its value."""
        if key not in self.entries:
            if self._trims_itself:
                self.trim()
            self._keys[_spelled(table)].append(key)
        self.entries[key] = value
        return value

    def trim(self) -> None:
        """Forget all entries if there are too many."""
        if len(self.entries) >= _ENTRIES_KEPT:
            self.forget()

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
