"""The record of one table in the state schema, and what the transitions of its life cycle make of it: values only.

`TableLifecycle` alone uses the functions.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from replica_cli.core.names import TableName
from replica_cli.core.position import Position
from replica_cli.core.status import NOT_STREAMED, TableState

if TYPE_CHECKING:
    from replica_cli.mysql.session import Row

# Part of the reason of a quarantined table: it is the secondary's own table, which the primary's table must not replace
# unless somebody requests it.
OF_SECONDARY = "a table of its own has the name on the secondary"
# The fields of a record that are positions. Each has three columns.
POSITIONS = ("copy_start", "applied_to", "window_end", "stopped_at", "failed_transaction")
# The columns of a row of `record_of`, in its order.
COLUMNS = (
    "schema_name",
    "table_name",
    "state",
    *(f"{position}_{part}" for position in POSITIONS for part in ("file", "pos", "gtid")),
    "reason",
    "row_count",
)


@dataclass(frozen=True, slots=True)
class TableRecord:
    """One table's record. `TableLifecycle` makes and writes all of them.

    Attributes:
        name: the primary's name of the table.
        reason: why the table is quarantined, or why it is copied again.
        row_count: the number of rows that its copy had, 0 until the copy has ended.
        copy_start: the position at which its copy began. The copy contains all changes up to it, and perhaps later
            ones.
        applied_to: the position up to which the catch-up applied its changes, or at which the stream took it over.
        window_end: the end of its replay window. After it, the copy contains no changes.
        stopped_at: the position from which the changes of a quarantined table are missing.
        failed_transaction: the position of the transaction that failed (`checkpoint.intents.transaction_position`),
            None if something else than a transaction caused the quarantine.

    """

    name: TableName
    state: TableState
    reason: str = ""
    row_count: int = 0
    copy_start: Position | None = None
    applied_to: Position | None = None
    window_end: Position | None = None
    stopped_at: Position | None = None
    failed_transaction: Position | None = None

    @property
    def covered_to(self) -> Position | None:
        """Return the position up to which the secondary's table has all changes, None if that is not known."""
        return self.applied_to or self.copy_start

    @property
    def is_of_secondary(self) -> bool:
        """Return True for a quarantined table of the secondary's own, whose rows never were the primary's."""
        # The state counts too, because the reason stays while a copy replaces the table.
        return self.state is TableState.QUARANTINED and OF_SECONDARY in self.reason

    def why_inexact(self, position: Position) -> str:
        """Return why the rows may contain later changes than a position of the secondary says; empty if they do not."""
        if self.window_end is None or position.at_least(self.window_end):
            return ""
        return f"its copy is exact only after {self.window_end}, which the stream has not applied yet"


@dataclass(frozen=True, slots=True)
class NewCopy:
    """A copy that begins. `start` is None if its position is not known yet, or if another run makes the copy."""

    name: TableName
    reason: str = ""
    start: Position | None = None


@dataclass(frozen=True, slots=True)
class EndedCopy:
    """A copy that has ended. `must_catch_up`: the stream has passed `start`, so that the table needs a catch-up."""

    name: TableName
    start: Position
    window_end: Position
    row_count: int = 0
    must_catch_up: bool = False


@dataclass(frozen=True, slots=True)
class QuarantineCause:
    """Why a table is quarantined.

    Attributes:
        name: the primary's name of the table.
        reason: what failed.
        stopped_at: the position from which its changes are missing.
        failed_transaction: the position of the transaction that failed (`checkpoint.intents.transaction_position`),
            None if no transaction failed.
        advice: what to type, for the log; if it is empty, the command that copies the table again.

    """

    name: TableName
    reason: str
    stopped_at: Position | None = None
    failed_transaction: Position | None = None
    advice: str = ""


def begun(copy: NewCopy) -> TableRecord:
    """Return the record of a table whose copy begins: PENDING if its start is not known."""
    state = TableState.COPYING if copy.start else TableState.PENDING
    return TableRecord(copy.name, state, copy.reason, copy_start=copy.start)


def ended(copy: EndedCopy) -> TableRecord:
    """Return the record of a table whose copy has ended: CATCHING_UP if the stream has passed its start."""
    return TableRecord(
        copy.name,
        TableState.CATCHING_UP if copy.must_catch_up else TableState.COPIED,
        row_count=copy.row_count,
        copy_start=copy.start,
        applied_to=copy.start if copy.must_catch_up else None,
        window_end=copy.window_end,
    )


def handed_over(record: TableRecord, position: Position) -> TableRecord | None:
    """Return the record of a table that the stream takes over at a position, None if the table is live from there."""
    covered, window_end = record.covered_to, record.window_end
    applied_to = covered if covered and not position.at_least(covered) else position
    if window_end is None or applied_to.at_least(window_end):
        window_end = applied_to
    if position.at_least(window_end):
        return None
    return replace(record, state=TableState.COPIED, applied_to=applied_to, window_end=window_end)


def of_other_primary(record: TableRecord) -> TableRecord:
    """Return a table's record without the files and offsets of the former primary; an unfinished copy begins again."""
    if record.state in NOT_STREAMED:
        return TableRecord(record.name, TableState.PENDING, record.reason, record.row_count)
    positions = (record.copy_start, record.applied_to, record.window_end)
    copy_start, applied_to, window_end = (p and Position("", 0, p.gtid) for p in positions)
    return replace(record, copy_start=copy_start, applied_to=applied_to, window_end=window_end)


def quarantined(cause: QuarantineCause) -> TableRecord:
    """Return the record of a table that is quarantined."""
    return TableRecord(
        cause.name,
        TableState.QUARANTINED,
        cause.reason,
        stopped_at=cause.stopped_at,
        failed_transaction=cause.failed_transaction,
    )


def row_of(record: TableRecord) -> list[str | int]:
    """Return the values of COLUMNS for a record."""
    row: list[str | int] = [record.name.schema, record.name.table, str(record.state)]
    for position in (getattr(record, name) for name in POSITIONS):
        row += (position.file, position.pos, position.gtid) if position is not None else ("", 0, "")
    return [*row, record.reason, record.row_count]


def record_of(row: Row) -> TableRecord:
    """Return the record of a row. Raises ValueError if it has content that this program never writes."""
    schema, table, state, *parts, reason, row_count = row
    positions = {name: _position(*parts[3 * n : 3 * n + 3]) for n, name in enumerate(POSITIONS)}
    return TableRecord(
        TableName(str(schema), str(table)), TableState(str(state)), str(reason or ""), int(row_count), **positions
    )


def _position(file: object, pos: object, gtid: object) -> Position | None:
    position = Position(str(file or ""), int(str(pos)), str(gtid or ""))
    return position if position.file or position.gtid else None
