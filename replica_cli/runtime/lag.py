"""Calculate the lag of a secondary on a monotonic clock; it grows while a batch waits to be applied."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from replica_cli.core.status import STREAMING_PHASES, Phase

if TYPE_CHECKING:
    from replica_cli.core.status import WorkerStatus

# With a lag below this a stream has caught up.
CAUGHT_UP_SECONDS = 1.0


class PrimaryClock:
    """The primary's current time, from one reading and this machine's monotonic clock. Safe between threads."""

    def __init__(self) -> None:
        self._offset: float | None = None

    def read(self, seconds: float, asked_at: float) -> None:
        """Take a reading of the primary's clock.

        Args:
            seconds: the primary's time in Unix seconds.
            asked_at: the monotonic time at which the query was sent.

        """
        self._offset = seconds - (asked_at + time.monotonic()) / 2

    def age(self, source_time: int) -> float | None:
        """Return the seconds since a time of the primary; None without a time, or before the first reading."""
        if self._offset is None or not source_time:
            return None
        return max(0.0, time.monotonic() + self._offset - source_time)


@dataclass(frozen=True, slots=True)
class Lag:
    """The lag at a monotonic time.

    `seconds` is None if the lag is not known. `grows` is True while something waits to be applied.
    """

    seconds: float | None = None
    grows: bool = False
    known_at: float = 0.0

    @property
    def now(self) -> float | None:
        """Return the current lag, in seconds."""
        if self.seconds is None or not self.grows:
            return self.seconds
        return self.seconds + time.monotonic() - self.known_at


def with_lag(status: WorkerStatus, lag: Lag, heard_at: float | None) -> WorkerStatus:
    """Return a status with the current lag, the phase that fits it, and how long the primary has sent nothing.

    Args:
        status: the status to complete.
        lag: the last known lag.
        heard_at: the monotonic time at which the primary last sent anything, None if it is not known.

    """
    seconds, phase = lag.now, status.phase
    if phase in STREAMING_PHASES:
        is_behind = seconds is None or seconds >= CAUGHT_UP_SECONDS
        phase = Phase.STREAMING if is_behind else Phase.CAUGHT_UP
    else:
        seconds = status.lag_seconds
    silent = None if heard_at is None else time.monotonic() - heard_at
    return replace(status, phase=phase, lag_seconds=seconds, seconds_since_event=silent)
