"""Secondaries whose stream has ended while the process lives on for others: said as an error, and again and again."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from replica_cli.core.errors import ExitCode
from replica_cli.core.wording import duration, told_once
from replica_cli.logs import Tag, log

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from replica_cli.core.reports.stream import WorkerReport

logger = logging.getLogger(__name__)

_FIRST_SECONDS = 30.0
_LONGEST_SECONDS = 600.0


@dataclass(slots=True)
class _Fall:
    since: float
    next_at: float
    interval: float = _FIRST_SECONDS


class StoppedSecondaries:
    """Logs an error when a report says that a secondary failed, then after 30 s, later less often, at last each 10 min.

    One record at the moment itself is soon out of sight, and nothing else of the process shows that a part is dead.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._falls: dict[str, _Fall] = {}

    @property
    def next_at(self) -> float | None:
        """Return the time of the clock at which something is due again, None if nothing is."""
        return min((fall.next_at for fall in self._falls.values()), default=None)

    def say(self, reports: Iterable[WorkerReport]) -> None:
        """Log what is due."""
        now = self._clock()
        for report in reports:
            if report.failure is None or report.failure.exit_code is ExitCode.FOUND:
                continue
            is_elsewhere = report.failure.exit_code is ExitCode.LOCKED
            fate = "another process writes to it" if is_elsewhere else "it is not replicated any more"
            fall = self._falls.get(report.instance)
            if fall is None:
                self._falls[report.instance] = _Fall(now, now + _FIRST_SECONDS)
                _log(report, f"its stream has ended here, {fate}")
            elif now >= fall.next_at:
                fall.interval = min(2 * fall.interval, _LONGEST_SECONDS)
                fall.next_at = now + fall.interval
                _log(report, f"its stream ended here {duration(now - fall.since)} ago, {fate}")


def _log(report: WorkerReport, what: str) -> None:
    failure = report.failure
    if failure is None:
        return
    hint = f" (hint: {failure.hint})" if failure.hint else ""
    log(
        logger, logging.ERROR, Tag.ERROR, "%s: %s%s", what, told_once(failure.message, report.instance), hint,
        instance=report.instance, position=report.position,
    )  # fmt: skip
