"""Columns that somebody renamed or dropped on the secondary while nothing ran, as a running stream finds out.

Rows go on by their columns' places where the primary logs no names: without a look nobody would be told.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from replica_cli.core.commands import table_options
from replica_cli.core.differences import Aspect, Difference, Severity
from replica_cli.core.names import TableName
from replica_cli.core.reports.health import HealthCheck, HealthLevel
from replica_cli.mysql.binlog import end_of_log
from replica_cli.mysql.facts import read_facts

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from replica_cli.core.differences import AcceptedDrift
    from replica_cli.core.position import Position
    from replica_cli.core.selection import Selection
    from replica_cli.mysql.session import Session

# A look reads the names of all columns: often enough for what people do by hand.
_LOOKS_BETWEEN = 10
_SCHEMAS = "SELECT schema_name FROM information_schema.schemata ORDER BY schema_name"
_COLUMNS = """SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = %s
 ORDER BY table_name, ordinal_position"""
_Names = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Difference:
    """What both sides had, and the end of the primary's log a moment later."""

    ours: _Names
    theirs: _Names
    end: Position

    @property
    def missing(self) -> list[str]:
        """Return the primary's columns that the secondary has not."""
        there = {name.lower() for name in self.theirs}
        return [name for name in self.ours if name.lower() not in there]


class ColumnWatch:
    """Compares the names of columns now and then, and again after each difference.

    A difference may be a definition on its way. It counts once the stream has passed the end that the log had when it
    was seen, and neither side has changed since.
    """

    def __init__(self, selection: Selection, instance: str, accepted: Sequence[AcceptedDrift] = ()) -> None:
        self._selection = selection
        self._accepted = accepted
        self._instance = instance
        self._seen: dict[TableName, _Difference] = {}
        self._looks = 0

    def is_due(self) -> bool:
        """Say whether to look this time: each so many times, and always while there is a difference."""
        self._looks += 1
        return bool(self._seen) or self._looks % _LOOKS_BETWEEN == 1

    def look(
        self, primary: Session, secondary: Session, place: Position | None, *, left_out: Collection[TableName]
    ) -> HealthCheck | None:
        """Return what is wrong for certain, None where nothing is. Raises ServerError."""
        found = self._differences(primary, secondary, left_out)
        certain, names = [], []
        for name, now in found.items():
            before = self._seen.get(name)
            if before is None or (before.ours, before.theirs) != (now.ours, now.theirs):
                continue
            found[name] = before
            if place is not None and place.file and place.order >= before.end.order:
                certain.append(f"{name} ({', '.join(before.missing)})")
                names.append(name)
        self._seen = found
        if not certain:
            return None
        return HealthCheck(
            "columns",
            HealthLevel.WARNING,
            f"not on the secondary, and no statement on its way brings them: {'; '.join(certain)}",
            hint="if it is meant so: REPLICA_ACCEPTED_DRIFT; else `replica drift check --sql` shows the way back, "
            f"`replica transfer {table_options(names)}` copies the rows again",
            instance=self._instance,
        )

    def _is_accepted(self, name: TableName, target: TableName, column: str) -> bool:
        """Return True for a column that the settings say is missing on purpose, as `replica drift check` sees it."""
        missing = Difference(name, target, Aspect.MISSING_COLUMN, column, column, None, Severity.BREAKS)
        return any(accepted.accepts(missing) for accepted in self._accepted)

    def _differences(
        self, primary: Session, secondary: Session, left_out: Collection[TableName]
    ) -> dict[TableName, _Difference]:
        schemas = [str(row[0]) for row in primary.rows(_SCHEMAS) if self._selection.schema_target(str(row[0]))]
        ours = _columns(primary, schemas)
        # Whatever made these columns stands before this place.
        end = end_of_log(primary, read_facts(primary))
        routes = map(self._selection.schema_target, schemas)
        theirs = _columns(secondary, {schema for schema in routes if schema is not None})
        found = {}
        for name, columns in ours.items():
            target = self._selection.target(name)
            if target is None or target not in theirs or name in left_out:
                continue
            difference = _Difference(columns, theirs[target], end)
            if not all(self._is_accepted(name, target, column) for column in difference.missing):
                found[name] = difference
        return found


def _columns(session: Session, schemas: Iterable[str]) -> Mapping[TableName, _Names]:
    found: defaultdict[TableName, list[str]] = defaultdict(list)
    for schema in schemas:
        for table, column in session.rows(_COLUMNS, schema):
            found[TableName(schema, str(table))].append(str(column))
    return {name: tuple(columns) for name, columns in found.items()}
