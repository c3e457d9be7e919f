"""Log again and again which secondaries have no stream any more, while the supervisor goes on for the others."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from replica_cli.core.errors import ExitCode
from replica_cli.core.wording import duration, short_reason
from replica_cli.logs import Tag, log

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from replica_cli.core.reports.stream import WorkerReport

logger = logging.getLogger(__name__)

_FIRST_SECONDS = 30.0
_LONGEST_SECONDS = 600.0


@dataclass(slots=True)
class _StoppedStream:
    """When a stream ended, and when it is logged next: times of the clock and an interval, in seconds."""

    since: float
    next_at: float
    interval: float = _FIRST_SECONDS


class StoppedSecondaries:
    """Logs an error when a secondary's stream fails, again after 30 s, then less often, and at last each 10 minutes.

    A single record is soon out of sight, and nothing else of the process shows that one stream has ended.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._stopped: dict[str, _StoppedStream] = {}

    @property
    def next_at(self) -> float | None:
        """Return the time of the clock at which the next record is due, None if there is none."""
        return min((stopped.next_at for stopped in self._stopped.values()), default=None)

    def log_due(self, reports: Iterable[WorkerReport]) -> None:
        """Log the records that are due. A report without a failure, or with quarantined tables only, is not logged."""
        now = self._clock()
        for report in reports:
            if report.failure is None or report.failure.exit_code is ExitCode.FOUND:
                continue
            is_elsewhere = report.failure.exit_code is ExitCode.LOCKED
            fate = "another process writes to it" if is_elsewhere else "it is not replicated any more"
            stopped = self._stopped.get(report.instance)
            if stopped is None:
                self._stopped[report.instance] = _StoppedStream(now, now + _FIRST_SECONDS)
                _log(report, f"its stream has ended here, {fate}")
            elif now >= stopped.next_at:
                stopped.interval = min(2 * stopped.interval, _LONGEST_SECONDS)
                stopped.next_at = now + stopped.interval
                _log(report, f"its stream ended here {duration(now - stopped.since)} ago, {fate}")


def _log(report: WorkerReport, what: str) -> None:
    failure = report.failure
    if failure is None:
        return
    hint = f" (hint: {failure.hint})" if failure.hint else ""
    log(
        logger, logging.ERROR, Tag.ERROR, "%s: %s%s", what, short_reason(failure.message, report.instance), hint,
        instance=report.instance, position=report.position,
    )  # fmt: skip
