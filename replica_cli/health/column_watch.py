"""Find columns that were renamed or dropped on the secondary while no process of `replica` was running.

The health monitor uses it. If the primary logs no column names, rows are applied by the order of the columns, so such a
change would stay unnoticed.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from replica_cli.core.commands import table_options
from replica_cli.core.differences import Aspect, Difference, Severity
from replica_cli.core.names import TableName
from replica_cli.core.reports.health import HealthCheck, HealthLevel
from replica_cli.mysql.binlog.log_state import end_of_log
from replica_cli.mysql.facts import read_facts

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from replica_cli.core.differences import AcceptedDrift
    from replica_cli.core.position import Position
    from replica_cli.core.selection import Selection
    from replica_cli.mysql.session import Session

# Each check reads the names of all columns. One in ten rounds of the health monitor is enough for what people change by
# hand.
_CALLS_PER_CHECK = 10
_SCHEMAS = "SELECT schema_name FROM information_schema.schemata ORDER BY schema_name"
_COLUMNS = """SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = %s
 ORDER BY table_name, ordinal_position"""
_Names = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Difference:
    """The columns of one table on both sides, and the end of the primary's log a moment later."""

    primary_columns: _Names
    secondary_columns: _Names
    end: Position

    @property
    def missing(self) -> list[str]:
        """Return the primary's columns that the secondary does not have."""
        secondary_names = {name.lower() for name in self.secondary_columns}
        return [name for name in self.primary_columns if name.lower() not in secondary_names]


class ColumnWatch:
    """Compares the names of all columns from time to time, and in each round while there is a difference.

    A difference may come from a DDL statement that the stream has not applied yet. So it is reported only if both sides
    have not changed since it was seen, and the stream has passed the end that the log had at that time.
    """

    def __init__(self, selection: Selection, instance: str, accepted: Sequence[AcceptedDrift] = ()) -> None:
        self._selection = selection
        self._accepted = accepted
        self._instance = instance
        self._seen: dict[TableName, _Difference] = {}
        self._calls = 0

    def is_due(self) -> bool:
        """Count a round; return True if it should check: one of ten, and each round while there is a difference."""
        self._calls += 1
        return bool(self._seen) or self._calls % _CALLS_PER_CHECK == 1

    def check(
        self, primary: Session, secondary: Session, position: Position | None, *, left_out: Collection[TableName]
    ) -> HealthCheck | None:
        """Compare the columns; return a warning about confirmed differences, None if there are none.

        Args:
            primary: a session to the primary.
            secondary: a session to the secondary.
            position: the stream's position, None if it is not known.
            left_out: tables that are not compared, by the primary's names.

        Raises:
            ServerError: a server does not answer.
        """
        differences = self._differences(primary, secondary, left_out)
        confirmed, names = [], []
        for name, difference in differences.items():
            before = self._seen.get(name)
            if before is None or (before.primary_columns, before.secondary_columns) != (
                difference.primary_columns,
                difference.secondary_columns,
            ):
                continue
            differences[name] = before
            if position is not None and position.at_least(before.end):
                confirmed.append(f"{name} ({', '.join(before.missing)})")
                names.append(name)
        self._seen = differences
        if not confirmed:
            return None
        return HealthCheck(
            "columns",
            HealthLevel.WARNING,
            f"not on the secondary, and no statement in the log adds them: {'; '.join(confirmed)}",
            hint="if this is intended, set REPLICA_ACCEPTED_DRIFT; if not, `replica drift check --sql` prints the "
            f"correction, and `replica transfer {table_options(names)}` copies the rows again",
            instance=self._instance,
        )

    def _is_accepted(self, name: TableName, target: TableName, column: str) -> bool:
        """Return True if the settings say that the column is missing on purpose, as in `replica drift check`."""
        missing = Difference(name, target, Aspect.MISSING_COLUMN, column, column, None, Severity.BREAKS)
        return any(accepted.accepts(missing) for accepted in self._accepted)

    def _differences(
        self, primary: Session, secondary: Session, left_out: Collection[TableName]
    ) -> dict[TableName, _Difference]:
        schemas = [str(row[0]) for row in primary.rows(_SCHEMAS) if self._selection.schema_target(str(row[0]))]
        primary_columns = _columns(primary, schemas)
        # Every statement that made these columns is before this end of the log.
        log_end = end_of_log(primary, read_facts(primary))
        routes = map(self._selection.schema_target, schemas)
        secondary_columns = _columns(secondary, {schema for schema in routes if schema is not None})
        differences = {}
        for name, columns in primary_columns.items():
            target = self._selection.target(name)
            if target is None or target not in secondary_columns or name in left_out:
                continue
            difference = _Difference(columns, secondary_columns[target], log_end)
            if not all(self._is_accepted(name, target, column) for column in difference.missing):
                differences[name] = difference
        return differences


def _columns(session: Session, schemas: Iterable[str]) -> Mapping[TableName, _Names]:
    columns: defaultdict[TableName, list[str]] = defaultdict(list)
    for schema in schemas:
        for table, column in session.rows(_COLUMNS, schema):
            columns[TableName(schema, str(table))].append(str(column))
    return {name: tuple(names) for name, names in columns.items()}
