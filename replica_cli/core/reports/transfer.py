"""What a copy would do, and what it did."""

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
    """How a table's rows are read."""

    RANGES = "ranges"  # keyset ranges, several workers, resumable
    SNAPSHOT = "snapshot"  # one consistent read: no usable key


class TableAction(StrEnum):
    """What becomes of the table on the secondary before its rows come."""

    CREATE = "create"
    FILL = "fill"  # it is there, empty
    REPLACE = "replace"  # it is there with rows: they go
    CONTINUE = "continue"
    DONE = "done"  # copied by the transfer that is resumed


@dataclass(frozen=True, slots=True)
class PlannedTable:
    """One table of a plan; `name` is the primary's, `target` the secondary's, `rows_estimated` the primary's guess."""

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
    """What a transfer to one secondary would do; `warnings` are sentences for people, `is_partial`: tables by name.

    `is_done`: everything is copied already and nothing is to be done. `failure`: there is no plan, and why.
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
        """Say whether rows on the secondary go before the copy; those of an unfinished copy are our own."""
        return self.mode is not TransferMode.RESUME and any(t.action is TableAction.REPLACE for t in self.tables)


@dataclass(frozen=True, slots=True)
class CopyReport:
    """What was copied to one secondary; streaming goes on from `start`.

    `rows` is None where a stream made the copy and its process does not tell them.
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
    """How `replica transfer` ended, per secondary."""

    copies: tuple[CopyReport, ...]

    @property
    def exit_code(self) -> ExitCode:
        """Return the first failure's code, OK where there is none."""
        return first_code(c.failure for c in self.copies)
