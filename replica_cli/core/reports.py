"""What a service hands back: frozen values that text and JSON are both made from."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import TYPE_CHECKING, Self

from replica_cli.core.errors import ExitCode, ReplicaError
from replica_cli.core.requests import TransferMode

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from replica_cli.core.position import Position
    from replica_cli.core.requests import ResetKind
    from replica_cli.core.status import CopyStatus, Phase, TableProgress, TableState
    from replica_cli.core.table import TableName


@dataclass(frozen=True, slots=True)
class Failure:
    """An error as a value: it crosses from a worker process and waits beside the others' results."""

    code: str
    message: str
    hint: str | None = None
    exit_code: ExitCode = ExitCode.FAILURE

    @classmethod
    def of(cls, error: ReplicaError) -> Self:
        """Keep what a person and a script need of an error."""
        return cls(error.code, error.message, error.hint, error.exit_code)


@dataclass(frozen=True, slots=True)
class Unknown:
    """The place of a value that could not be read; None means that there is no such value.

    `is_reachable`: the server answers, but not this question.
    """

    failure: Failure
    is_reachable: bool = False


@dataclass(frozen=True, slots=True)
class WorkerReport:
    """What one secondary's stream did; `position` is the last one committed."""

    instance: str
    phase: Phase
    position: Position | None = None
    rows_total: int = 0
    transactions_total: int = 0
    skipped_rows: int = 0
    reconnects: int = 0
    quarantined: tuple[str, ...] = ()
    elapsed_seconds: float = 0.0
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class StreamReport:
    """How `replica stream` ended, per secondary.

    A worker's failure with code FOUND says that it did what was asked, and that something is wrong with what it has.
    """

    workers: tuple[WorkerReport, ...]
    was_interrupted: bool = False

    @property
    def exit_code(self) -> ExitCode:
        """Return the first failure's code; without one INTERRUPTED after Ctrl-C, else OK."""
        code = _first_code(w.failure for w in self.workers)
        return ExitCode.INTERRUPTED if code is ExitCode.OK and self.was_interrupted else code


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
        return _first_code(c.failure for c in self.copies)


@dataclass(frozen=True, slots=True)
class TableNote:
    """A table that is not simply live; `position` is where it stopped, for a quarantined one.

    `progress` is set while its copy is not finished.
    """

    table: TableName
    state: TableState
    reason: str = ""
    position: Position | None = None
    progress: TableProgress | None = None


@dataclass(frozen=True, slots=True)
class PositionReport:
    """The position of one secondary and the primary's. Times are aware and in UTC; None is unknown.

    `saved` is None if no position is saved, and Unknown if the secondary could not be asked: then nothing else is known
    of it. `distance_bytes` counts binary log between `saved` and `primary`; `distance_seconds` is the age of the oldest
    change not yet applied. Both are None when the saved position is not true on the primary (`lost` says why), when the
    primary could not be asked, and before the first copy is done (`is_copied` is False). `copy` is of a first copy, or
    one beside the stream, that is not finished. `rows_uncommitted` were applied by a live stream, of a transaction
    that is not committed yet. `message` is what a live process says that it waits for.
    """

    instance: str
    saved: Position | Unknown | None = None
    saved_at: datetime | None = None
    source_time: datetime | None = None
    primary: Position | Unknown | None = None
    distance_bytes: int | None = None
    distance_seconds: float | None = None
    tables: tuple[TableNote, ...] = ()
    phase: Phase | None = None
    is_paused: bool = False
    lost: Failure | None = None
    is_copied: bool = True
    copy: CopyStatus | None = None
    rows_uncommitted: int = 0
    message: str = ""

    @property
    def failure(self) -> Failure | None:
        """Return why the secondary could not be asked, None if it answered."""
        return self.saved.failure if isinstance(self.saved, Unknown) else None

    @property
    def primary_failure(self) -> Failure | None:
        """Return why the primary's position is not known, None if it is."""
        return self.primary.failure if isinstance(self.primary, Unknown) else None


@dataclass(frozen=True, slots=True)
class PauseReport:
    """What came of the wish to pause, or to go on; `holder` and `phase` are of the live process, if there is one."""

    instance: str
    is_pause_wanted: bool = False
    holder: str = ""
    phase: Phase | None = None
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class ResetPlan:
    """What a reset would do to one secondary; `after` is None where the position is forgotten.

    Filters are in words; `filters_after` equals `filters_before` where they stay. `failure`: there is no plan, and why.
    """

    instance: str
    kind: ResetKind
    before: Position | None
    after: Position | None
    filters_before: str = ""
    filters_after: str = ""
    warnings: tuple[str, ...] = ()
    failure: Failure | None = None


class HealthLevel(IntEnum):
    """How bad it is, in the numbers that monitoring plug-ins exit with."""

    OK = 0
    WARNING = 1
    CRITICAL = 2
    UNKNOWN = 3


# A certain fault outranks an open question, as in the plug-ins' own max_state().
_BADNESS = (HealthLevel.OK, HealthLevel.WARNING, HealthLevel.UNKNOWN, HealthLevel.CRITICAL)


def worst(levels: Iterable[HealthLevel]) -> HealthLevel:
    """Return the worst of some levels, UNKNOWN where there are none."""
    return max(levels, key=_BADNESS.index, default=HealthLevel.UNKNOWN)


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """One line of `replica health`; `instance` is empty for the primary's checks, `value` is in `unit`."""

    name: str
    level: HealthLevel
    message: str
    hint: str = ""
    value: float | None = None
    unit: str = ""
    instance: str = ""


@dataclass(frozen=True, slots=True)
class HealthReport:
    """Every check, in the order in which they were made."""

    checks: tuple[HealthCheck, ...]

    @property
    def level(self) -> HealthLevel:
        """Return the worst level: critical, unknown, warning, ok. Nothing checked is unknown."""
        return worst([c.level for c in self.checks])


@dataclass(frozen=True, slots=True)
class DemoTable:
    """One table on one secondary, compared with the primary's."""

    instance: str
    table: TableName
    rows_primary: int
    rows_secondary: int
    is_equal: bool
    detail: str = ""


@dataclass(frozen=True, slots=True)
class DemoReport:
    """What the demo showed; `env_file` is set where the servers were left up."""

    tables: tuple[DemoTable, ...]
    rows_transferred: int = 0
    transfer_seconds: float = 0.0
    rows_streamed: int = 0
    elapsed_seconds: float = 0.0
    env_file: str | None = None

    @property
    def is_equal(self) -> bool:
        """Say whether every table was compared and is the same."""
        return bool(self.tables) and all(t.is_equal for t in self.tables)


def _first_code(failures: Iterable[Failure | None]) -> ExitCode:
    codes = [f.exit_code for f in failures if f is not None]
    # What ended a worker counts before what another one noticed.
    return next((c for c in codes if c is not ExitCode.FOUND), codes[0] if codes else ExitCode.OK)
