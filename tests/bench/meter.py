"""What the servers cost during a run, and how much of the machine was taken by processes that are not in it."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from tests.bench.proc import cpu_seconds, machine_cpu_seconds

if TYPE_CHECKING:
    from tests.bench.result import Run, Timing
    from tests.bench.rig import Rig


class Meter:
    """Begins to count when it is made. A median from a busy machine tells little: the report says how busy it was."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self._started = self._now()

    def read(self, run: Run, timing: Timing) -> Run:
        """Return the run with its timing and what was counted."""
        primary, secondary, machine, own, seconds = (b - a for a, b in zip(self._started, self._now(), strict=True))
        replica_seconds = timing.worker.cpu_seconds + timing.supervisor.cpu_seconds
        others = max(0.0, machine - primary - secondary - own - replica_seconds)
        return replace(
            run,
            timing=timing,
            primary_cpu_seconds=primary,
            secondary_cpu_seconds=secondary,
            others_share=others / (seconds * len(os.sched_getaffinity(0))),
        )

    def _now(self) -> tuple[float, ...]:
        servers = self._rig.primary, self._rig.secondary
        primary, secondary = (cpu_seconds(s.pid) if s.is_running else 0.0 for s in servers)
        return primary, secondary, machine_cpu_seconds(), time.process_time(), time.monotonic()
