"""A cache of what is computed from table definitions; it forgets the entries of a table when its definition changes."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Collection

    from replica_cli.core.table import TableName

K = TypeVar("K")
V = TypeVar("V")

# The same number as of cached table maps (reader/log_tables.py); a table has a few entries, of some kilobytes. If more
# tables than that change in turns, their entries are computed again, and memory does not grow.
_ENTRIES_KEPT = 10_000


class TableCache(Generic[K, V]):
    """A dictionary of limited size whose entries belong to tables. Read `entries` directly; add with `keep`.

    A table may have several entries, such as one for each form of its row events. With `trims_itself`, `keep` makes
    room, and may remove an entry that was added a moment before. Without it, the owner calls `trim` when it uses no
    entry, or the number of entries cannot grow. For one thread.
    """

    def __init__(self, *, trims_itself: bool = True) -> None:
        self._trims_itself = trims_itself
        self.entries: dict[K, V] = {}
        self._keys: defaultdict[str, list[K]] = defaultdict(list)

    def keep(self, table: TableName, key: K, value: V) -> V:
        """Add an entry for a table, or replace it, and return its value."""
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
        """Forget the entries of tables, or all entries if no table is named.

        Names are compared without regard to case, as a statement may spell a name otherwise than its server. To forget
        the entries of one table too many does no harm.
        """
        if not tables:
            self.entries.clear()
            self._keys.clear()
        for name in {_spelled(table) for table in tables}:
            for key in self._keys.pop(name, ()):
                del self.entries[key]


def _spelled(table: TableName) -> str:
    return str(table).lower()
