"""Picks the engine for each table: row images where the two tables are the same to the byte, else SQL; and says why."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from replica_cli.applier.plan import columns_for, refuse_history
from replica_cli.applier.table_cache import TableCache
from replica_cli.applier.target import definition_of
from replica_cli.core.errors import Drift
from replica_cli.logs import Tag, log
from replica_cli.sqlbuilder.history import why_history_differs

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from replica_cli.applier.definitions import Definitions
    from replica_cli.applier.history import History
    from replica_cli.applier.row_image_engine import RowImageEngine
    from replica_cli.applier.sql_engine import SqlEngine
    from replica_cli.applier.steps import ApplyStep
    from replica_cli.core.events import RowEvent, TableMap
    from replica_cli.core.selection import Selection
    from replica_cli.core.table import TableDefinition, TableName

logger = logging.getLogger(__name__)


class AutoEngine:
    """Serves strict changes. Decided once a table map, and anew after each DDL.

    `read_primary` returns the primary's definitions of now: where one differs, a DDL may still be on its way, or the
    tables have drifted apart; the SQL engine then goes by the names and types that the secondary has.
    `doubt` is called with a table that has to be compared once the stream has come to the primary's definition of now.
    `is_same_release`: both servers are of one version, but for its last number.
    """

    def __init__(
        self,
        images: RowImageEngine,
        sql: SqlEngine,
        definitions: Definitions,
        selection: Selection,
        history: History,
        *,
        read_primary: Callable[[Sequence[TableName]], Mapping[TableName, TableDefinition]],
        doubt: Callable[[TableName], None],
        is_same_release: bool,
        instance: str,
    ) -> None:
        self._images = images
        self._sql = sql
        self._definitions = definitions
        self._selection = selection
        self._history = history
        self._read_primary = read_primary
        self._doubt = doubt
        self._is_same_release = is_same_release
        self._instance = instance
        self._takes_images: TableCache[TableMap, bool] = TableCache(trims_itself=False)
        self._said: dict[TableName, str] = {}

    def preparation(self) -> Sequence[Sequence[bytes]]:
        """Return what makes the session ready for row images."""
        return self._images.preparation()

    def forget(self, tables: Collection[TableName] = ()) -> None:
        """Forget what was decided for tables, or for all: their definitions changed."""
        self._takes_images.forget(tables)
        self._images.forget(tables)
        self._sql.forget(tables)
        self._history.forget(tables)

    def works(self, events: Sequence[RowEvent]) -> Iterator[ApplyStep]:
        """Yield the work for consecutive row events, in source order across the engines."""
        self._takes_images.trim()
        takes_images, fits = self._takes_images.entries, self._images.fits
        versions = [e for e in {e.table: e for e in events}.values() if self._history.holds(e)]
        if versions:
            self.check(versions)
            events = [self._history.as_here(e) if self._history.holds(e) else e for e in events]
        first, engine = 0, None
        ours: Mapping[TableName, TableDefinition] | None = None
        for number, event in enumerate(events):
            takes_image = takes_images.get(event.table)
            if takes_image is None:
                if ours is None:
                    ours = self._look_up(events[number:])
                takes_image = self._takes_images.keep(event.table.name, event.table, self._decide(event, ours))
            # SQL takes large rows, which it writes shorter; of a partial document and of row versions it knows nothing.
            goes_whole = event.head.is_partial_json or fits(event) or self._history.holds(event)
            wanted = self._images if takes_image and goes_whole else self._sql
            if engine is not wanted and engine is not None:
                yield from engine.works(events[first:number])
                first = number
            engine = wanted
        if engine is not None:
            yield from engine.works(events[first:])

    def check(self, events: Sequence[RowEvent]) -> None:
        """Raise ApplyRefused for events of row versions that cannot go as row images."""
        unknown = [e for e in events if e.table not in self._takes_images.entries]
        ours = self._look_up(unknown) if unknown else {}
        for event in unknown:
            self._takes_images.keep(event.table.name, event.table, self._decide(event, ours))

    def _look_up(self, events: Sequence[RowEvent]) -> Mapping[TableName, TableDefinition]:
        """Return the primary's definitions of all tables that are new here."""
        names = {m.name for m in {e.table for e in events} if m not in self._takes_images.entries}
        return self._read_primary(sorted(names))

    def _decide(self, event: RowEvent, ours: Mapping[TableName, TableDefinition]) -> bool:
        name = event.table.name
        target = self._selection.target(name)
        reason = "not replicated" if target is None else self._difference(event)
        differs_now = None if reason else self._difference_now(event, ours.get(name))
        if differs_now and self._history.holds(event):
            # No other engine can write them. Statements of the stream made the secondary's table: it is compared once
            # the stream has come to where the primary's definition was read.
            self._doubt(name)
        else:
            reason = reason or differs_now
        says = "row image engine" if reason is None else f"SQL engine: {reason}"
        if self._said.get(name) != says:
            self._said[name] = says
            log(
                logger, logging.INFO, Tag.INFO, "%s", says,
                instance=self._instance, schema=name.schema, table=name.table,
            )  # fmt: skip
        if reason is not None and self._history.holds(event):
            columns = columns_for(event.table, definition_of(event, self._definitions, self._selection))
            refuse_history(event.table, columns, reason)
        return reason is None

    def _difference(self, event: RowEvent) -> str | None:
        """Return why the secondary's table cannot take the images of an event, None where it can."""
        theirs = definition_of(event, self._definitions, self._selection)
        try:
            by_name = columns_for(event.table, theirs)
        except Drift:
            return "the tables differ"
        if by_name not in (theirs.logged_columns, theirs.logged_without_period):
            return "other columns, or another order, on the secondary"
        if not self._is_same_release and any(c.is_generated for c in theirs.logged_without_period):
            # MariaDB 11 leaves generated columns out of its images; 10.11 keeps what they were before.
            return "generated columns, and another release on the primary"
        return why_history_differs(theirs) if self._history.holds(event) else None

    def _difference_now(self, event: RowEvent, ours: TableDefinition | None) -> str | None:
        """Return how the secondary's table differs from the primary's of now, None where it does not."""
        theirs = definition_of(event, self._definitions, self._selection)
        if ours is None:
            return "the table is gone from the primary"
        for one, other in zip(ours.columns, theirs.columns, strict=False):
            if (one.name, one.data_type, one.is_unsigned, one.charset, one.is_generated) != (
                other.name, other.data_type, other.is_unsigned, other.charset, other.is_generated,
            ):  # fmt: skip
                return f"column {other.name} differs from the primary's of now"
        if len(ours.columns) != len(theirs.columns):
            return "another number of columns on the primary now"
        return None
