"""Compare the tables that statements of the stream altered with the same tables on the primary.

The log does not hold everything of a statement's session, so the same statement can make another definition on the
secondary. If the definitions differ, the table is copied again, once.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from replica_cli.core.differences import Aspect, Difference, Severity
from replica_cli.core.errors import ApplyRefused, ComputedOtherwise, Drift, LockWait, TableChangedInWindow
from replica_cli.core.status import TableState
from replica_cli.drift.comparison import compare_catalogs
from replica_cli.logs import Tag, log
from replica_cli.mysql.binlog.log_state import end_of_log
from replica_cli.mysql.catalog.table_definitions import read_tables
from replica_cli.sqlbuilder.definitions.crossing import Crossing

if TYPE_CHECKING:
    from replica_cli.applier.ddl.altered import AlteredTables
    from replica_cli.applier.window import Windows
    from replica_cli.checkpoint.uncompared import UncomparedStore
    from replica_cli.core.position import Position
    from replica_cli.core.selection import Selection
    from replica_cli.core.table import TableDefinition, TableName
    from replica_cli.mysql.facts import ServerFacts
    from replica_cli.mysql.session import Session
    from replica_cli.runtime.primary_session import PrimarySession

logger = logging.getLogger(__name__)

_POLL_SECONDS = 1.0
# A difference of these aspects changes no row, at once or with the next statement: it does not count.
_HARMLESS = frozenset({Aspect.CHECK, Aspect.TRIGGER, Aspect.ENGINE, Aspect.MISSING_TABLE, Aspect.EXTRA_TABLE})
# A difference of these aspects counts although it breaks nothing: it shows that the session was not the same.
_COUNTED = frozenset({Aspect.COLLATION, Aspect.TABLE_COLLATION, Aspect.NULLABILITY})
# Between two flavours only these aspects count: the texts of expressions and the names of keys differ without a reason.
_COUNTED_ACROSS_FLAVOURS = frozenset(
    {Aspect.MISSING_COLUMN, Aspect.EXTRA_COLUMN, Aspect.COLUMN_ORDER, Aspect.COLUMN_TYPE, Aspect.CHARSET}
)


@dataclass(frozen=True, slots=True)
class _Comparison:
    """The result of one comparison: two definitions that differ, and the end of the primary's log after they were read.

    A definition is None if the table does not exist.
    """

    primary_table: TableDefinition | None
    secondary_table: TableDefinition | None
    end: Position


class DefinitionCheck:
    """Compares each table that a statement altered, until both definitions are equal or certainly differ.

    Used by the worker's main thread between batches. The primary's definition is the current one, so a difference can
    come from a statement that is not applied yet. A difference counts if the stream has passed the end that the log had
    when the difference was seen, and neither definition has changed since. A difference that existed in the same way
    before the statement is left alone: a user made it on the secondary.
    """

    def __init__(
        self,
        altered: AlteredTables,
        selection: Selection,
        *,
        primary: PrimarySession,
        primary_facts: ServerFacts,
        catalog: Session,
        store: UncomparedStore,
        windows: Windows,
    ) -> None:
        self._altered = altered
        self._selection = selection
        self._primary = primary
        self._facts = primary_facts
        self._catalog = catalog
        self._store = store
        self._windows = windows
        altered.restore(store.load())
        crossing = Crossing(primary_facts.is_mariadb, catalog.is_mariadb)
        self._crossing = crossing if crossing.is_needed else None
        self._seen: dict[TableName, _Comparison] = {}
        self._compared_at = 0.0

    @property
    def is_over(self) -> bool:
        """Return True if every table is compared."""
        return not self._altered.before

    def look(self, position: Position, *, is_forced: bool = False) -> None:
        """Compare the tables that are not compared yet, at most once a second.

        A table that is not compared before the process ends is compared by the next process. A table that differs stays
        recorded until the caller has asked for its copy and forgets it.

        Args:
            position: the position that the stream has applied.
            is_forced: compare at once, also if the last comparison is less than a second old.

        Raises:
            TableChangedInWindow: tables certainly differ.
            ServerError: a server does not answer.

        """
        self._forget_settled()
        if self.is_over or (time.monotonic() - self._compared_at < _POLL_SECONDS and not is_forced):
            return
        for name, record in self._windows.records.items():
            # The table is quarantined or is copied again: its copy makes the primary's definition.
            if name in self._altered.before and record.state is not TableState.COPIED:
                self._altered.forget(name)
        if not self._can_tell(position):
            return
        differing = self._differing()
        self._forget_settled()
        self._compared_at = time.monotonic()
        certain = {}
        for name, (current, difference) in differing.items():
            before = self._seen.get(name)
            if before is None or (before.primary_table, before.secondary_table) != (
                current.primary_table,
                current.secondary_table,
            ):
                self._seen[name] = current
            elif position.at_least(before.end) and difference:
                certain[name] = difference
            elif position.at_least(before.end):
                # One server does not have the table: it was dropped or renamed, perhaps by hand on the secondary. Its
                # next row shows that.
                self._altered.forget(name)
        if certain:
            raise TableChangedInWindow(tuple(certain), "; ".join(certain.values()))

    def _forget_settled(self) -> None:
        if settled := self._altered.settled:
            self._store.forget(settled)
            self._altered.mark_not_stored(settled)

    def explained(self, error: ApplyRefused) -> TableChangedInWindow | None:
        """Return the error that requests a copy if a statement's definition explains why rows fail, else None."""
        name = error.table
        if name is None or name not in self._altered.before or isinstance(error, LockWait):
            return None  # a copy would wait for the same lock
        contradicts = isinstance(error, Drift) and not isinstance(error, ComputedOtherwise)
        if not contradicts and name not in self._seen:
            return None
        return TableChangedInWindow((name,), f"{error.message}, after a statement of the stream changed its definition")

    def give_up(self) -> None:
        """Log which tables are not compared: statements on the primary alter them again and again."""
        for name in self._altered.before:
            log(
                logger, logging.WARNING, Tag.WARN, "its definition is altered again and again and is not compared",
                instance=self._catalog.server.name, schema=name.schema, table=name.table,
            )  # fmt: skip

    def _can_tell(self, position: Position) -> bool:
        """Return True if another comparison can give a new result.

        A stream with a large distance does not ask for the same definitions each second.
        """
        waiting = [self._seen.get(name) for name in self._altered.before]
        return any(seen is None or position.at_least(seen.end) for seen in waiting)

    def _differing(self) -> dict[TableName, tuple[_Comparison, str]]:
        primary_tables = self._primary.read(list(self._altered.before))
        # The statements that made these definitions are before this position.
        end = end_of_log(self._primary.session, self._facts)
        targets = {name: self._selection.target(name) for name in self._altered.before}
        secondary_tables = read_tables(self._catalog, [t for t in targets.values() if t is not None])
        differing = {}
        for name, before in list(self._altered.before.items()):
            target = targets[name]
            primary, secondary = primary_tables.get(name), secondary_tables.get(target) if target is not None else None
            difference = (
                self._difference(primary, secondary, before) if primary is not None and secondary is not None else ""
            )
            # A table that only one server has: a statement that is not applied yet may drop, rename or create it.
            if difference or (primary is None) != (secondary is None):
                differing[name] = (_Comparison(primary, secondary, end), difference)
                continue
            self._altered.forget(name)
            self._seen.pop(name, None)
        return differing

    def _difference(
        self, primary_table: TableDefinition, secondary_table: TableDefinition, before: TableDefinition | None
    ) -> str:
        earlier = {(d.aspect, d.name, d.secondary) for d in self._compared(primary_table, before)}
        counted = (d for d in self._compared(primary_table, secondary_table) if self._counts(d))
        return ", ".join(_described(d) for d in counted if (d.aspect, d.name, d.secondary) not in earlier)

    def _compared(
        self, primary_table: TableDefinition, secondary_table: TableDefinition | None
    ) -> tuple[Difference, ...]:
        target = self._selection.target(primary_table.name)
        if target is None or secondary_table is None:
            return ()
        return compare_catalogs(
            {primary_table.name: primary_table}, {target: secondary_table}, self._selection, self._crossing
        )

    def _counts(self, difference: Difference) -> bool:
        if self._crossing is not None:
            return difference.aspect in _COUNTED_ACROSS_FLAVOURS and difference.severity is Severity.BREAKS
        is_breaking = difference.severity is Severity.BREAKS and difference.aspect not in _HARMLESS
        return is_breaking or difference.aspect in _COUNTED


def _described(difference: Difference) -> str:
    name = f" {difference.name}" if difference.name else ""
    primary_value, secondary_value = difference.primary or "nothing", difference.secondary or "nothing"
    return f"{difference.aspect}{name}: {primary_value} on the primary, {secondary_value} on the secondary"
