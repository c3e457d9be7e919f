"""Row events of system-versioned tables: which they are, and the engine that names what fails in one of them.

A row event of such a table holds versions: an UPDATE on the primary is logged as the new current row and the former
one as an INSERT, a DELETE as an UPDATE of the row's end, DELETE HISTORY as a DELETE of former versions. The server
takes them over as they are from a row image. By SQL it would make another version at its own time, so only the row
image engine writes them.
Source: https://mariadb.com/kb/en/system-versioned-tables/
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from replica_cli.applier.plan import columns_for
from replica_cli.applier.table_cache import TableCache
from replica_cli.applier.target import definition_of
from replica_cli.core.errors import Drift

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from replica_cli.applier.definitions import Definitions
    from replica_cli.applier.row_ends import RowEnds
    from replica_cli.applier.row_image_engine import RowImageEngine
    from replica_cli.applier.sql_engine import SqlEngine
    from replica_cli.applier.steps import ApplyStep
    from replica_cli.core.events import RowEvent, TableMap
    from replica_cli.core.selection import Selection
    from replica_cli.core.table import TableName


class History:
    """Tells events that hold row versions from others; `ends` rewrites them where the servers' releases need it."""

    def __init__(self, definitions: Definitions, selection: Selection, ends: RowEnds | None) -> None:
        self._definitions = definitions
        self._selection = selection
        self._ends = ends
        self._known: TableCache[TableMap, bool] = TableCache()

    def forget(self, tables: Collection[TableName] = ()) -> None:
        """Forget the tables: definitions changed."""
        self._known.forget(tables)
        if self._ends is not None:
            self._ends.forget(tables)

    def holds(self, event: RowEvent) -> bool:
        """Say whether an event's rows are versions. Raises ApplyRefused for a table that is not replicated."""
        found = self._known.entries.get(event.table)
        if found is None:
            try:
                columns = columns_for(event.table, definition_of(event, self._definitions, self._selection))
            except Drift:
                return False  # the engine says so
            found = any(c.is_of_period for c in columns)
            self._known.keep(event.table.name, event.table, found)
        return found

    def as_here(self, event: RowEvent) -> RowEvent:
        """Return an event of row versions as the secondary's release would have logged it."""
        return self._ends.rewritten(event) if self._ends is not None else event


class ExactEngine:
    """Carries out every event by itself, so that what fails can be named: row versions as images, all else as SQL.

    `check` raises ApplyRefused for events of row versions that cannot go as images.
    """

    def __init__(
        self, sql: SqlEngine, images: RowImageEngine, history: History, *, check: Callable[[Sequence[RowEvent]], None]
    ) -> None:
        self._sql = sql
        self._images = images
        self._history = history
        self._check = check

    def preparation(self) -> Sequence[Sequence[bytes]]:
        """Return what makes the session ready for row images."""
        return self._images.preparation()

    def forget(self, tables: Collection[TableName] = ()) -> None:
        """Forget the tables: definitions changed."""
        self._sql.forget(tables)
        self._images.forget(tables)
        self._history.forget(tables)

    def works(self, events: Sequence[RowEvent]) -> Iterator[ApplyStep]:
        """Yield the work for consecutive row events, in source order."""
        for holds_versions, portion in groupby(events, self._history.holds):
            if holds_versions:
                versions = list(portion)
                self._check(versions)
                for event in versions:
                    yield from self._images.works([self._history.as_here(event)])
            else:
                yield from self._sql.works(list(portion))
