"""How far a secondary is behind: measured on a monotonic clock, and growing while a batch is applied."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from replica_cli.core.status import Phase

if TYPE_CHECKING:
    from replica_cli.core.status import WorkerStatus

# Below that a stream has caught up.
CAUGHT_UP_SECONDS = 1.0


class PrimaryClock:
    """The primary's time of now, from one look at it and a clock of ours that does not step. Safe between threads."""

    def __init__(self) -> None:
        self._offset: float | None = None

    def read(self, seconds: float, asked_at: float) -> None:
        """Take the primary's time, seconds since the epoch, and the monotonic time at which it was asked for."""
        self._offset = seconds - (asked_at + time.monotonic()) / 2

    def age(self, source_time: int) -> float | None:
        """Return how long ago something of a time of the primary's was, seconds; None without a time."""
        if self._offset is None or not source_time:
            return None
        return max(0.0, time.monotonic() + self._offset - source_time)


@dataclass(frozen=True, slots=True)
class Lag:
    """What is known of the lag at a monotonic time. `seconds` None: nothing; `grows`: something waits to be applied."""

    seconds: float | None = None
    grows: bool = False
    known_at: float = 0.0

    @property
    def now(self) -> float | None:
        """Return the lag of now, seconds."""
        if self.seconds is None or not self.grows:
            return self.seconds
        return self.seconds + time.monotonic() - self.known_at


def with_lag(status: WorkerStatus, lag: Lag, heard_at: float | None) -> WorkerStatus:
    """Return a snapshot with the lag of now, the phase that goes with it, and how long the primary has been silent."""
    seconds, phase = lag.now, status.phase
    if phase in (Phase.STREAMING, Phase.CAUGHT_UP):
        is_behind = seconds is None or seconds >= CAUGHT_UP_SECONDS
        phase = Phase.STREAMING if is_behind else Phase.CAUGHT_UP
    else:
        seconds = status.lag_seconds
    silent = None if heard_at is None else time.monotonic() - heard_at
    return replace(status, phase=phase, lag_seconds=seconds, seconds_since_event=silent)
