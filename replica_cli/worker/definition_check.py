"""What statements of the stream made, compared with what they made on the primary.

The log does not tell all of a statement's session. Where the outcome differs the table is copied again, once.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from replica_cli.applier.window import TableChangedInWindow
from replica_cli.core.differences import Aspect, Difference, Severity
from replica_cli.core.errors import ApplyRefused, ComputedOtherwise, Drift, LockWait
from replica_cli.core.gtid import covers
from replica_cli.core.status import TableState
from replica_cli.drift.comparison import compare_catalogs
from replica_cli.logs import Tag, log
from replica_cli.mysql.binlog import end_of_log
from replica_cli.mysql.catalog import read_tables
from replica_cli.sqlbuilder.definition_crossing import Crossing

if TYPE_CHECKING:
    from replica_cli.applier.altered import AlteredTables
    from replica_cli.applier.window import Windows
    from replica_cli.checkpoint.uncompared import UncomparedStore
    from replica_cli.core.position import Position
    from replica_cli.core.selection import Selection
    from replica_cli.core.table import TableDefinition, TableName
    from replica_cli.mysql.facts import ServerFacts
    from replica_cli.mysql.session import Session
    from replica_cli.runtime.primary_session import PrimarySession

logger = logging.getLogger(__name__)

_LOOK_SECONDS = 1.0
# What changes rows, now or with the next statement; and of the rest what a session of another kind makes.
_HARMLESS = frozenset({Aspect.CHECK, Aspect.TRIGGER, Aspect.ENGINE, Aspect.MISSING_TABLE, Aspect.EXTRA_TABLE})
_COUNTED = frozenset({Aspect.COLLATION, Aspect.TABLE_COLLATION, Aspect.NULLABILITY})
# Across flavours the texts of expressions and the names of keys differ without a reason.
_ACROSS = frozenset(
    {Aspect.MISSING_COLUMN, Aspect.EXTRA_COLUMN, Aspect.COLUMN_ORDER, Aspect.COLUMN_TYPE, Aspect.CHARSET}
)


@dataclass(frozen=True, slots=True)
class _Seen:
    """Two definitions that differ, None where there is no table, and the end of the primary's log a moment later."""

    ours: TableDefinition | None
    theirs: TableDefinition | None
    end: Position


class DefinitionCheck:
    """Compares each table that a statement altered, until both sides are alike or differ for certain.

    The primary's definition is that of now: a difference may be a statement that is not applied yet. It counts once the
    stream has passed the end that the log had when it was seen, and neither side has changed since. What differed in
    the same way before the statement was somebody's own change of the secondary, and is left alone.
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
        self._seen: dict[TableName, _Seen] = {}
        self._looked_at = 0.0

    @property
    def is_over(self) -> bool:
        """Say whether every table is compared."""
        return not self._altered.before

    def look(self, place: Position, *, is_asked: bool = False) -> None:
        """Compare what is not compared yet, once a second or where it `is_asked`; `place` is where the stream is.

        The process after this one begins with what is left. A table that differs stays noted until the caller has asked
        for its copy and forgets it. Raises TableChangedInWindow where tables differ for certain, ServerError.
        """
        self._forget_settled()
        if self.is_over or (time.monotonic() - self._looked_at < _LOOK_SECONDS and not is_asked):
            return
        for name, record in self._windows.records.items():
            # Set aside, or copied beside the stream: what that copy makes is the primary's.
            if name in self._altered.before and record.state is not TableState.COPIED:
                self._altered.forget(name)
        if not self._can_tell(place):
            return
        differing = self._differing()
        self._forget_settled()
        self._looked_at = time.monotonic()
        certain = {}
        for name, (now, difference) in differing.items():
            before = self._seen.get(name)
            if before is None or (before.ours, before.theirs) != (now.ours, now.theirs):
                self._seen[name] = now
            elif self._has_passed(place, before.end) and difference:
                certain[name] = difference
            elif self._has_passed(place, before.end):
                # One side has no such table: dropped or renamed, perhaps by hand on the secondary. Its next row tells.
                self._altered.forget(name)
        if certain:
            raise TableChangedInWindow(tuple(certain), "; ".join(certain.values()))

    def _forget_settled(self) -> None:
        if settled := self._altered.settled:
            self._store.forget(settled)
            self._altered.not_stored(settled)

    def explained(self, error: ApplyRefused) -> TableChangedInWindow | None:
        """Say whether rows fail because of what a statement made: then the table is copied again. Else return None."""
        name = error.table
        if name is None or name not in self._altered.before or isinstance(error, LockWait):
            return None  # a copy would wait for the same lock
        contradicts = isinstance(error, Drift) and not isinstance(error, ComputedOtherwise)
        if not contradicts and name not in self._seen:
            return None
        return TableChangedInWindow((name,), f"{error.message}, after a statement of the stream changed its definition")

    def give_up(self) -> None:
        """Say which tables are not compared: the primary's definitions do not rest."""
        for name in self._altered.before:
            log(
                logger, logging.WARNING, Tag.WARN, "its definition is altered all the time and is not compared",
                instance=self._catalog.server.name, schema=name.schema, table=name.table,
            )  # fmt: skip

    def _can_tell(self, place: Position) -> bool:
        """Say whether another look can tell more: a stream that is far behind does not ask for the same each second."""
        waiting = [self._seen.get(name) for name in self._altered.before]
        return any(seen is None or self._has_passed(place, seen.end) for seen in waiting)

    def _differing(self) -> dict[TableName, tuple[_Seen, str]]:
        ours = self._primary.read(list(self._altered.before))
        # Whatever made these definitions stands before this place.
        end = end_of_log(self._primary.session, self._facts)
        targets = {name: self._selection.target(name) for name in self._altered.before}
        theirs = read_tables(self._catalog, [t for t in targets.values() if t is not None])
        found = {}
        for name, before in list(self._altered.before.items()):
            target = targets[name]
            one, other = ours.get(name), theirs.get(target) if target is not None else None
            difference = self._difference(one, other, before) if one is not None and other is not None else ""
            # A table that only one side has: a statement that is not applied yet may drop, rename or create it.
            if difference or (one is None) != (other is None):
                found[name] = (_Seen(one, other, end), difference)
                continue
            self._altered.forget(name)
            self._seen.pop(name, None)
        return found

    def _difference(self, ours: TableDefinition, theirs: TableDefinition, before: TableDefinition | None) -> str:
        known = {(d.aspect, d.name, d.secondary) for d in self._compared(ours, before)}
        counted = (d for d in self._compared(ours, theirs) if self._counts(d))
        return ", ".join(_described(d) for d in counted if (d.aspect, d.name, d.secondary) not in known)

    def _compared(self, ours: TableDefinition, theirs: TableDefinition | None) -> tuple[Difference, ...]:
        target = self._selection.target(ours.name)
        if target is None or theirs is None:
            return ()
        return compare_catalogs({ours.name: ours}, {target: theirs}, self._selection, self._crossing)

    def _counts(self, difference: Difference) -> bool:
        if self._crossing is not None:
            return difference.aspect in _ACROSS and difference.severity is Severity.BREAKS
        is_breaking = difference.severity is Severity.BREAKS and difference.aspect not in _HARMLESS
        return is_breaking or difference.aspect in _COUNTED

    def _has_passed(self, place: Position, end: Position) -> bool:
        if place.file and end.file:
            return place.order >= end.order
        return covers(place.gtid, end.gtid, is_mariadb=self._facts.is_mariadb)


def _described(difference: Difference) -> str:
    name = f" {difference.name}" if difference.name else ""
    ours, theirs = difference.primary or "nothing", difference.secondary or "nothing"
    return f"{difference.aspect}{name}: the primary made {ours} of it, the secondary {theirs}"
