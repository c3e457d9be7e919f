"""What `replica verify repair` plans and reports."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from replica_cli.core.errors import ExitCode

if TYPE_CHECKING:
    from replica_cli.core.names import TableName
    from replica_cli.core.position import Position
    from replica_cli.core.reports.failure import Failure


class RepairOutcome(StrEnum):
    """What became of one difference."""

    WRITTEN = "written"
    """The row was written, or deleted, and is proven equal."""
    VANISHED = "vanished"
    """The row did not differ any more."""
    REFUSED = "refused"
    """The row was not written; the reason says why."""


@dataclass(frozen=True, slots=True)
class PlannedRepair:
    """The rows of one table that a repair concerns.

    Attributes:
        missing: rows to insert.
        extra: rows to delete.
        differs: rows to replace.
        refusal: why nothing is done about this table; empty if it is repaired.
    """

    table: TableName
    missing: int = 0
    extra: int = 0
    differs: int = 0
    refusal: str = ""

    @property
    def rows(self) -> int:
        """Return the number of rows."""
        return self.missing + self.extra + self.differs


@dataclass(frozen=True, slots=True)
class RepairPlan:
    """What a repair would do on one secondary.

    Attributes:
        tables: the tables with differences.
        failure: why there is no plan.
    """

    instance: str
    tables: tuple[PlannedRepair, ...] = ()
    failure: Failure | None = None

    @property
    def rows(self) -> int:
        """Return the number of rows that would be written or deleted."""
        return sum(t.rows for t in self.tables if not t.refusal)


@dataclass(frozen=True, slots=True)
class RepairedTable:
    """What was done about the differences of one table.

    Attributes:
        written: rows that were written or deleted, and are proven equal.
        vanished: rows that did not differ any more.
        refused: rows that were not written.
        reason: why the first of them was not written.
        position: the position at which the last row was written.
    """

    table: TableName
    written: int = 0
    vanished: int = 0
    refused: int = 0
    reason: str = ""
    position: Position | None = None


@dataclass(frozen=True, slots=True)
class RepairReport:
    """What a repair did on one secondary.

    Attributes:
        is_stopped: the repair ended before all rows were done.
        failure: the error that ended it.
    """

    instance: str
    tables: tuple[RepairedTable, ...] = ()
    is_stopped: bool = False
    failure: Failure | None = None

    @property
    def exit_code(self) -> ExitCode:
        """Return OK if every difference was repaired or has vanished, REFUSED if rows were not written."""
        if self.failure is not None:
            return self.failure.exit_code
        if any(t.refused for t in self.tables):
            return ExitCode.REFUSED
        return ExitCode.FAILURE if self.is_stopped else ExitCode.OK
