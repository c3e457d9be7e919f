"""Pick the engine for each table: row images if both tables are the same to the byte, else SQL. Log why."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from replica_cli.applier.engines.definitions import definition_of
from replica_cli.applier.engines.row_plan import columns_for, refuse_history
from replica_cli.applier.engines.table_cache import TableCache
from replica_cli.core.errors import Drift
from replica_cli.logs import Tag, log
from replica_cli.sqlbuilder.statements.system_versioning import why_history_differs

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from replica_cli.applier.engines.definitions import Definitions
    from replica_cli.applier.engines.row_image_engine import RowImageEngine
    from replica_cli.applier.engines.row_versions import RowVersions
    from replica_cli.applier.engines.sql_engine import SqlEngine
    from replica_cli.applier.engines.steps import ApplyStep
    from replica_cli.core.events import RowEvent, TableMap
    from replica_cli.core.selection import Selection
    from replica_cli.core.table import TableDefinition, TableName

logger = logging.getLogger(__name__)


class AutoEngine:
    """The strict engine. It decides once for each table map, and again after each DDL on the table.

    `read_primary` returns the primary's present definitions. If one differs from the secondary's, a DDL statement may
    not be applied yet, or the tables have drifted. Then the SQL engine goes by the names and types that the secondary
    has. `doubt` is called with a table that must be compared when the stream has reached the present position of the
    primary. `is_same_release`: both servers have the same version, except for its last number.
    `wants_sql` returns True for a table for which the user chose the SQL engine.
    """

    def __init__(
        self,
        images: RowImageEngine,
        sql: SqlEngine,
        definitions: Definitions,
        selection: Selection,
        versions: RowVersions,
        *,
        read_primary: Callable[[Sequence[TableName]], Mapping[TableName, TableDefinition]],
        doubt: Callable[[TableName], None],
        is_same_release: bool,
        instance: str,
        wants_sql: Callable[[TableName], bool] = lambda _: False,
    ) -> None:
        self._images = images
        self._sql = sql
        self._definitions = definitions
        self._selection = selection
        self._versions = versions
        self._read_primary = read_primary
        self._doubt = doubt
        self._is_same_release = is_same_release
        self._instance = instance
        self._wants_sql = wants_sql
        self._takes_images: TableCache[TableMap, bool] = TableCache(trims_itself=False)
        self._logged: dict[TableName, str] = {}

    def preparation(self) -> Sequence[Sequence[bytes]]:
        """Return the statements that prepare the session for row images."""
        return self._images.preparation()

    def forget(self, tables: Collection[TableName] = ()) -> None:
        """Forget what was decided for some tables, or for all if none is given, because their definitions changed."""
        self._takes_images.forget(tables)
        self._images.forget(tables)
        self._sql.forget(tables)
        self._versions.forget(tables)

    def steps(self, events: Sequence[RowEvent]) -> Iterator[ApplyStep]:
        """Yield the steps of consecutive row events, in the order of the log across both engines."""
        self._takes_images.trim()
        takes_images, fits = self._takes_images.entries, self._images.fits
        versions = [e for e in {e.table: e for e in events}.values() if self._versions.holds(e)]
        if versions:
            self.check(versions)
            events = [self._versions.for_secondary(e) if self._versions.holds(e) else e for e in events]
        first, engine = 0, None
        primary_tables: Mapping[TableName, TableDefinition] | None = None
        for number, event in enumerate(events):
            takes_image = takes_images.get(event.table)
            if takes_image is None:
                if primary_tables is None:
                    primary_tables = self._look_up(events[number:])
                takes_image = self._takes_images.keep(
                    event.table.name, event.table, self._decide(event, primary_tables)
                )
            # The SQL engine also takes rows that are too large for one image statement, because it writes them shorter.
            # It cannot apply a partial JSON document or row versions, so these go as images even if they are large.
            goes_whole = event.head.is_partial_json or fits(event) or self._versions.holds(event)
            wanted = self._images if takes_image and goes_whole else self._sql
            if engine is not wanted and engine is not None:
                yield from engine.steps(events[first:number])
                first = number
            engine = wanted
        if engine is not None:
            yield from engine.steps(events[first:])

    def check(self, events: Sequence[RowEvent]) -> None:
        """Raise ApplyRefused for events of row versions that cannot be sent as row images."""
        unknown = [e for e in events if e.table not in self._takes_images.entries]
        primary_tables = self._look_up(unknown) if unknown else {}
        for event in unknown:
            self._takes_images.keep(event.table.name, event.table, self._decide(event, primary_tables))

    def _look_up(self, events: Sequence[RowEvent]) -> Mapping[TableName, TableDefinition]:
        """Return the primary's definitions of those tables of some events about which nothing is decided."""
        names = {m.name for m in {e.table for e in events} if m not in self._takes_images.entries}
        return self._read_primary(sorted(names))

    def _decide(self, event: RowEvent, primary_tables: Mapping[TableName, TableDefinition]) -> bool:
        name = event.table.name
        target = self._selection.target(name)
        reason = "not replicated" if target is None else self._difference(event)
        if reason is None and self._wants_sql(name):
            reason = "`engine: sql` is set for it"
        differs_from_primary = None if reason else self._difference_from_primary(event, primary_tables.get(name))
        if differs_from_primary and self._versions.holds(event):
            # No other engine can write row versions. The secondary's table was made by statements of the stream, so it
            # is compared when the stream has reached the position at which the primary's definition was read.
            self._doubt(name)
        else:
            reason = reason or differs_from_primary
        choice = "row image engine" if reason is None else f"SQL engine: {reason}"
        if self._logged.get(name) != choice:
            self._logged[name] = choice
            log(
                logger, logging.INFO, Tag.INFO, "%s", choice,
                instance=self._instance, schema=name.schema, table=name.table,
            )  # fmt: skip
        if reason is not None and self._versions.holds(event):
            columns = columns_for(event.table, definition_of(event, self._definitions, self._selection))
            refuse_history(event.table, columns, reason)
        return reason is None

    def _difference(self, event: RowEvent) -> str | None:
        """Return why the secondary's table cannot take the images of an event, None if it can."""
        secondary_table = definition_of(event, self._definitions, self._selection)
        try:
            by_name = columns_for(event.table, secondary_table)
        except Drift:
            return "the tables differ"
        if by_name not in (secondary_table.logged_columns, secondary_table.logged_without_period):
            return "the secondary has other columns, or another order of them"
        if not self._is_same_release and any(c.is_generated for c in secondary_table.logged_without_period):
            # MariaDB 11 leaves generated columns out of its images; 10.11 keeps their former values.
            return "it has generated columns, and the primary is of another release"
        return why_history_differs(secondary_table) if self._versions.holds(event) else None

    def _difference_from_primary(self, event: RowEvent, primary_table: TableDefinition | None) -> str | None:
        """Return how the secondary's table differs from the primary's present table, None if it does not."""
        secondary_table = definition_of(event, self._definitions, self._selection)
        if primary_table is None:
            return "the table is gone from the primary"
        for primary, secondary in zip(primary_table.columns, secondary_table.columns, strict=False):
            if (primary.name, primary.data_type, primary.is_unsigned, primary.charset, primary.is_generated) != (
                secondary.name, secondary.data_type, secondary.is_unsigned, secondary.charset, secondary.is_generated,
            ):  # fmt: skip
                return f"column {secondary.name} differs from the primary's present column"
        if len(primary_table.columns) != len(secondary_table.columns):
            return "the primary's table has another number of columns now"
        return None
