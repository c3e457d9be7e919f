"""How many rows an event holds: a compiled scan that decodes nothing."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from replica_cli.applier.plan import columns_for
from replica_cli.applier.steps import RowCount
from replica_cli.applier.table_cache import TableCache
from replica_cli.applier.target import definition_of
from replica_cli.decoder.compile import compile_count

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from replica_cli.applier.definitions import Definitions
    from replica_cli.core.events import RowEvent, RowKind, TableMap
    from replica_cli.core.selection import Selection
    from replica_cli.core.table import TableName
    from replica_cli.decoder.compile import CountFunction


class RowCounts:
    """Counts rows by table and kind, for the log and the position row."""

    def __init__(self, definitions: Definitions, selection: Selection) -> None:
        self._definitions = definitions
        self._selection = selection
        self._scans: TableCache[tuple[TableMap, RowKind, bytes, bytes, bool], CountFunction] = TableCache()

    def forget(self, tables: Collection[TableName] = ()) -> None:
        """Forget the compiled scans of tables, or all: definitions changed."""
        self._scans.forget(tables)

    def parts(self, events: Sequence[RowEvent]) -> tuple[RowCount, ...]:
        """Return the rows of events, summed. Raises CorruptEvent where an event does not end with its last row."""
        found: defaultdict[tuple[RowKind, TableMap], int] = defaultdict(int)
        scans = self._scans.entries
        for event in events:
            head, raw, count = event
            if not count:
                shape = (head.table, head.kind, head.present, head.present_after, head.is_partial_json)
                scan = scans.get(shape)
                if scan is None:
                    scan = self._scans.keep(head.table.name, shape, self._compile(event))
                count = scan(raw, head.rows_start, len(raw))
            found[head.kind, head.table] += count
        # Several maps may be of one table: ids and details change.
        rows: defaultdict[tuple[RowKind, TableName], int] = defaultdict(int)
        for (kind, table), count in found.items():
            rows[kind, table.name] += count
        return tuple(RowCount(kind, name, count) for (kind, name), count in rows.items())

    def _compile(self, event: RowEvent) -> CountFunction:
        definition = definition_of(event, self._definitions, self._selection)
        return compile_count(event.head, columns_for(event.table, definition))
