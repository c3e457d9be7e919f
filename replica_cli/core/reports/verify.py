"""What `replica verify` reports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from replica_cli.core.errors import ExitCode

if TYPE_CHECKING:
    from datetime import datetime

    from replica_cli.core.names import TableName
    from replica_cli.core.position import Position
    from replica_cli.core.reports.failure import Failure
    from replica_cli.core.verification import Difference


@dataclass(frozen=True, slots=True)
class TableVerdict:
    """What a run found of one table.

    Attributes:
        rows: the number of rows on the primary that were compared.
        missing: rows that the secondary lacks.
        extra: rows that only the secondary has.
        differs: rows with other values.
        position: the earliest position at which a part of the table was compared, None if nothing was.
        undecided: why the table, or a part of it, is not decided; empty if it is.
    """

    table: TableName
    rows: int = 0
    missing: int = 0
    extra: int = 0
    differs: int = 0
    position: Position | None = None
    undecided: str = ""

    @property
    def differences(self) -> int:
        """Return the number of rows that differ."""
        return self.missing + self.extra + self.differs

    @property
    def is_equal(self) -> bool:
        """Return True if every row is proven equal."""
        return not self.differences and not self.undecided


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What a run found on one secondary.

    Attributes:
        is_stopped: the run ended before all tables were compared: a stop, or too many differences.
        is_count_only: only the numbers of rows were compared.
        failure: the error that ended the run.
    """

    instance: str
    tables: tuple[TableVerdict, ...] = ()
    elapsed_milliseconds: int = 0
    is_stopped: bool = False
    failure: Failure | None = None
    is_count_only: bool = False

    @property
    def is_equal(self) -> bool:
        """Return True if every row of every table is proven equal."""
        return self.failure is None and not self.is_stopped and all(t.is_equal for t in self.tables)

    @property
    def exit_code(self) -> ExitCode:
        """Return OK if all rows are proven equal, FOUND if some differ, and else what prevented the proof."""
        if self.failure is not None:
            return self.failure.exit_code
        if any(t.differences for t in self.tables):
            return ExitCode.FOUND
        return ExitCode.OK if self.is_equal else ExitCode.FAILURE


@dataclass(frozen=True, slots=True)
class ProvenTable:
    """What is proven of one table, by the last run that reached its end, and by the one that goes on.

    Attributes:
        rows: the number of rows that were compared.
        position: the whole table was compared at this position of the secondary or later.
        proven_at: when the oldest of the comparisons was made, in UTC.
        is_whole: the whole table was compared; otherwise only its first part.
        differences: the number of rows that differ.
    """

    table: TableName
    rows: int
    position: Position | None
    proven_at: datetime | None
    is_whole: bool
    differences: int


@dataclass(frozen=True, slots=True)
class ProofReport:
    """What is proven on one secondary.

    Attributes:
        tables: the tables of which a part was compared.
        undecided: the tables that the last run could not compare, with the reasons.
        differences: the first rows that differ.
        difference_count: the number of all rows that differ.
        is_unfinished: the last run was interrupted, or is going on.
        has_run: there was a run.
        failure: why the secondary could not be asked.
    """

    instance: str
    tables: tuple[ProvenTable, ...] = ()
    undecided: tuple[tuple[str, str], ...] = ()
    differences: tuple[Difference, ...] = ()
    difference_count: int = 0
    is_unfinished: bool = False
    has_run: bool = False
    failure: Failure | None = None
