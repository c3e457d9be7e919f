"""The result of `replica stream`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from replica_cli.core.errors import ExitCode
from replica_cli.core.reports.failure import first_code

if TYPE_CHECKING:
    from replica_cli.core.position import Position
    from replica_cli.core.reports.failure import Failure
    from replica_cli.core.status import Phase


@dataclass(frozen=True, slots=True)
class WorkerReport:
    """What the stream of one secondary did; `position` is the last one committed."""

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
    """How `replica stream` ended, for each secondary.

    A worker's failure with the exit code FOUND means that it did its work, and that it has a problem to report, such as
    quarantined tables.
    """

    workers: tuple[WorkerReport, ...]
    was_interrupted: bool = False

    @property
    def exit_code(self) -> ExitCode:
        """Return the exit code of the failures (`first_code`); without a failure INTERRUPTED after Ctrl-C, else OK."""
        code = first_code(w.failure for w in self.workers)
        return ExitCode.INTERRUPTED if code is ExitCode.OK and self.was_interrupted else code
