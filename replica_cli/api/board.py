"""What the HTTP server knows of the secondaries: the newest snapshot of each, and its lag in the last hour."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from replica_cli.core.status import STREAMING_PHASES, Phase, WorkerStatus
from replica_cli.stop import StopToken

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

SAMPLE_SECONDS = 5.0
_HISTORY_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A snapshot of a worker and its age in seconds."""

    status: WorkerStatus
    age_seconds: float

    @property
    def lag_seconds(self) -> float | None:
        """Return the present lag. While a stream is behind, it grows between two snapshots."""
        lag = self.status.lag_seconds
        return lag if lag is None or self.status.phase is not Phase.STREAMING else lag + self.age_seconds


@dataclass(frozen=True, slots=True)
class Sample:
    """One point of a secondary's history; `time` in Unix seconds. The lag is None if it was not known."""

    time: float
    phase: Phase
    lag_seconds: float | None
    rows_per_second: float


class Board:
    """A reporter that keeps the newest snapshots, and samples of them. Safe between threads, and bounded in memory.

    Args:
        instances: the secondaries, in the order in which they are shown.
        note_event: takes each change of state and each message: the instance and a sentence.
        clock: a monotonic clock.

    `stopping` is set when the stop of the command begins.
    """

    def __init__(
        self,
        instances: Iterable[str],
        note_event: Callable[[str, str], None] = lambda _instance, _message: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._note_event, self._clock = note_event, clock
        self.stopping = StopToken()
        self._lock = threading.Lock()
        now = clock()
        self._newest = {name: (WorkerStatus(name), now) for name in instances}
        length = int(_HISTORY_SECONDS / SAMPLE_SECONDS)
        self._history: dict[str, deque[Sample]] = {name: deque(maxlen=length) for name in self._newest}

    def on_status(self, status: WorkerStatus) -> None:
        """Keep the snapshot."""
        with self._lock:
            before, _ = self._newest.get(status.instance, (None, 0.0))
            if before is None:
                return
            self._newest[status.instance] = (status, self._clock())
        if _state(before.phase) is not _state(status.phase):
            self._note_event(status.instance, _state(status.phase).value.replace("_", " "))

    def on_note(self, instance: str, message: str) -> None:
        """Pass the message on to the events."""
        self._note_event(instance, message)

    def on_stopping(self, message: str) -> None:
        """Pass the message on to the events, and let others know that the command stops."""
        self._note_event("", message)
        if not self.stopping.is_set:
            self.stopping.request()

    def snapshots(self) -> tuple[Snapshot, ...]:
        """Return the newest snapshot of each secondary."""
        with self._lock:
            now = self._clock()
            return tuple(Snapshot(status, now - at) for status, at in self._newest.values())

    def newest(self) -> tuple[WorkerStatus, ...]:
        """Return the newest snapshots without their ages, for metrics."""
        return tuple(snapshot.status for snapshot in self.snapshots())

    def take_samples(self) -> None:
        """Add a sample of each secondary to its history. The HTTP server calls it each SAMPLE_SECONDS."""
        now = time.time()
        for snapshot in self.snapshots():
            status = snapshot.status
            is_streaming = status.phase in STREAMING_PHASES
            sample = Sample(
                now, status.phase, snapshot.lag_seconds if is_streaming else None, round(status.rows_per_second, 1)
            )
            with self._lock:
                self._history[status.instance].append(sample)

    def history(self, instance: str, after: float = 0.0) -> tuple[Sample, ...]:
        """Return the samples of a secondary that are later than a time, the oldest first."""
        with self._lock:
            return tuple(sample for sample in self._history[instance] if sample.time > after)


def _state(phase: Phase) -> Phase:
    # A busy stream changes between these two each second.
    return Phase.STREAMING if phase is Phase.CAUGHT_UP else phase
