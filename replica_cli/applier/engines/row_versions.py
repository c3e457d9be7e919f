"""Recognise row events of system-versioned tables, and apply each of them by itself.

A row event of such a table holds versions: an UPDATE on the primary is logged as the new current row and the former one
as an INSERT, a DELETE as an UPDATE of the row's end, DELETE HISTORY as a DELETE of former versions. The server takes
the versions of a row image as they are. With SQL it would make another version with its own time, so only the row image
engine writes them.

Source: https://mariadb.com/kb/en/system-versioned-tables/
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from replica_cli.applier.engines.definitions import definition_of
from replica_cli.applier.engines.row_plan import columns_for
from replica_cli.applier.engines.table_cache import TableCache
from replica_cli.core.errors import Drift

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from replica_cli.applier.engines.definitions import Definitions
    from replica_cli.applier.engines.row_ends import RowEnds
    from replica_cli.applier.engines.row_image_engine import RowImageEngine
    from replica_cli.applier.engines.sql_engine import SqlEngine
    from replica_cli.applier.engines.steps import ApplyStep
    from replica_cli.core.events import RowEvent, TableMap
    from replica_cli.core.selection import Selection
    from replica_cli.core.table import TableName


class RowVersions:
    """Recognises events that hold row versions, and rewrites them with `ends` if the servers' releases need that."""

    def __init__(self, definitions: Definitions, selection: Selection, ends: RowEnds | None) -> None:
        self._definitions = definitions
        self._selection = selection
        self._ends = ends
        self._versioned: TableCache[TableMap, bool] = TableCache()

    def forget(self, tables: Collection[TableName] = ()) -> None:
        """Forget some tables, or all if none is given, because their definitions changed."""
        self._versioned.forget(tables)
        if self._ends is not None:
            self._ends.forget(tables)

    def holds(self, event: RowEvent) -> bool:
        """Return True if an event's rows are versions. Raises ApplyRefused for a table that is not replicated."""
        is_versioned = self._versioned.entries.get(event.table)
        if is_versioned is None:
            try:
                columns = columns_for(event.table, definition_of(event, self._definitions, self._selection))
            except Drift:
                return False  # the engine raises it
            is_versioned = any(c.is_of_period for c in columns)
            self._versioned.keep(event.table.name, event.table, is_versioned)
        return is_versioned

    def for_secondary(self, event: RowEvent) -> RowEvent:
        """Return an event of row versions as the secondary's release would have logged it."""
        return self._ends.rewritten(event) if self._ends is not None else event


class SqlPreferringEngine:
    """Sends each event of row versions by itself as a row image, and all other events to the SQL engine.

    If `sql` does not compact events, this is the diagnostic engine. A catch-up uses it with an SQL engine that does.
    `check` raises ApplyRefused for events of row versions that cannot be sent as row images.
    """

    def __init__(
        self,
        sql: SqlEngine,
        images: RowImageEngine,
        versions: RowVersions,
        *,
        check: Callable[[Sequence[RowEvent]], None],
    ) -> None:
        self._sql = sql
        self._images = images
        self._versions = versions
        self._check = check

    def preparation(self) -> Sequence[Sequence[bytes]]:
        """Return the statements that prepare the session for row images."""
        return self._images.preparation()

    def forget(self, tables: Collection[TableName] = ()) -> None:
        """Forget some tables, or all if none is given, because their definitions changed."""
        self._sql.forget(tables)
        self._images.forget(tables)
        self._versions.forget(tables)

    def steps(self, events: Sequence[RowEvent]) -> Iterator[ApplyStep]:
        """Yield the steps of consecutive row events, in the order of the log."""
        for holds_versions, portion in groupby(events, self._versions.holds):
            if holds_versions:
                versions = list(portion)
                self._check(versions)
                for event in versions:
                    yield from self._images.steps([self._versions.for_secondary(event)])
            else:
                yield from self._sql.steps(list(portion))
