"""The plan and the result of `replica transfer`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from replica_cli.core.reports.failure import first_code
from replica_cli.core.requests.transfer import TransferMode

if TYPE_CHECKING:
    from replica_cli.core.errors import ExitCode
    from replica_cli.core.position import Position
    from replica_cli.core.reports.failure import Failure
    from replica_cli.core.table import TableName


class CopyMethod(StrEnum):
    """How the rows of a table are read."""

    RANGES = "ranges"  # by ranges of a key: several copy workers, and the copy can be resumed
    SNAPSHOT = "snapshot"  # with one consistent read, because the table has no usable key


class TableAction(StrEnum):
    """What happens to the table on the secondary before rows are copied."""

    CREATE = "create"
    FILL = "fill"  # the table exists and is empty
    REPLACE = "replace"  # the table exists with rows, which are deleted
    CONTINUE = "continue"
    DONE = "done"  # copied already by the transfer that is resumed


@dataclass(frozen=True, slots=True)
class PlannedTable:
    """One table of a plan.

    Attributes:
        name: the table's name on the primary.
        target: its name on the secondary.
        rows_estimated: the primary's estimate of its rows, None if there is none.
    """

    name: TableName
    target: TableName
    action: TableAction
    method: CopyMethod
    key: tuple[str, ...] = ()
    rows_estimated: int | None = None
    bytes_estimated: int | None = None
    ranges: int = 1
    rows_copied: int = 0


@dataclass(frozen=True, slots=True)
class TransferPlan:
    """What a transfer to one secondary does.

    Attributes:
        warnings: sentences for people.
        is_partial: the user named the tables to copy.
        is_done: everything is copied already.
        failure: why there is no plan.
    """

    instance: str
    mode: TransferMode
    tables: tuple[PlannedTable, ...]
    workers: int
    chunk_rows: int
    warnings: tuple[str, ...] = ()
    is_partial: bool = False
    is_done: bool = False
    failure: Failure | None = None

    @property
    def is_destructive(self) -> bool:
        """Return True if the transfer deletes rows on the secondary that no unfinished copy of `replica` wrote."""
        return self.mode is not TransferMode.RESUME and any(t.action is TableAction.REPLACE for t in self.tables)


@dataclass(frozen=True, slots=True)
class CopyReport:
    """What was copied to one secondary.

    Attributes:
        rows: None if a running stream made the copy and does not report the number of rows.
        start: the position from which the stream continues.
    """

    instance: str
    tables: int = 0
    rows: int | None = 0
    elapsed_milliseconds: int = 0
    errors: int = 0
    start: Position | None = None
    end: Position | None = None
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class TransferReport:
    """How `replica transfer` ended, for each secondary."""

    copies: tuple[CopyReport, ...]

    @property
    def exit_code(self) -> ExitCode:
        """Return the exit code of the failures (`first_code`), OK if there are none."""
        return first_code(c.failure for c in self.copies)
