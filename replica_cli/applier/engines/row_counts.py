"""Counts the rows of events, with a compiled scan that decodes no value."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from replica_cli.applier.engines.definitions import definition_of
from replica_cli.applier.engines.row_plan import columns_for
from replica_cli.applier.engines.steps import RowCount
from replica_cli.applier.engines.table_cache import TableCache
from replica_cli.decoder.compile import compile_count

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from replica_cli.applier.engines.definitions import Definitions
    from replica_cli.core.events import RowEvent, RowKind, TableMap
    from replica_cli.core.selection import Selection
    from replica_cli.core.table import TableName
    from replica_cli.decoder.compile import CountFunction


class RowCounts:
    """Counts rows by table and kind, for the log and the position row. The row image engine uses it."""

    def __init__(self, definitions: Definitions, selection: Selection) -> None:
        self._definitions = definitions
        self._selection = selection
        self._scans: TableCache[tuple[TableMap, RowKind, bytes, bytes, bool], CountFunction] = TableCache()

    def forget(self, tables: Collection[TableName] = ()) -> None:
        """Forget the compiled scans of tables, or all scans: definitions changed."""
        self._scans.forget(tables)

    def of(self, events: Sequence[RowEvent]) -> tuple[RowCount, ...]:
        """Return the number of rows of events, by kind and table.

        Raises:
            CorruptEvent: if an event does not end with its last row.
            ApplyRefused: if a table is not replicated, or does not fit the event.

        """
        rows_by_map: defaultdict[tuple[RowKind, TableMap], int] = defaultdict(int)
        scans = self._scans.entries
        for event in events:
            head, raw, count = event
            if not count:
                shape = (head.table, head.kind, head.present, head.present_after, head.is_partial_json)
                scan = scans.get(shape)
                if scan is None:
                    scan = self._scans.keep(head.table.name, shape, self._compile(event))
                count = scan(raw, head.rows_start, len(raw))
            rows_by_map[head.kind, head.table] += count
        # One table may have several maps, as its table id and details of the map change.
        rows: defaultdict[tuple[RowKind, TableName], int] = defaultdict(int)
        for (kind, table), count in rows_by_map.items():
            rows[kind, table.name] += count
        return tuple(RowCount(kind, name, count) for (kind, name), count in rows.items())

    def _compile(self, event: RowEvent) -> CountFunction:
        definition = definition_of(event, self._definitions, self._selection)
        return compile_count(event.head, columns_for(event.table, definition))
