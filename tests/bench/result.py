"""What is measured: values only."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.bench.proc import Cost

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True)
class Timing:
    """One run as its contestant reports it. `streaming_seconds` is the time without replica's start-up."""

    seconds: float
    streaming_seconds: float | None = None
    worker: Cost = field(default_factory=Cost)
    supervisor: Cost = field(default_factory=Cost)
    # Milliseconds from the commit on the primary to the row's being visible on the secondary, sorted.
    delays_ms: tuple[float, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class Run:
    """One run as the benchmark saw it; `problem` where it failed or its tables differ from the primary's."""

    work: str
    durability: str
    contestant: str
    pair: int
    timing: Timing | None = None
    primary_cpu_seconds: float = 0.0
    secondary_cpu_seconds: float = 0.0
    # What processes that have nothing to do with the run used meanwhile, as a share of the whole machine.
    others_share: float = 0.0
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """The runs of one contestant at one work and durability: medians, and the greatest memory."""

    work: str
    durability: str
    contestant: str
    seconds: float
    fastest: float
    slowest: float
    streaming_seconds: float | None
    worker_cpu_seconds: float
    supervisor_cpu_seconds: float
    worker_peak_bytes: int
    supervisor_peak_bytes: int
    primary_cpu_seconds: float
    secondary_cpu_seconds: float
    others_share: float
    p50_ms: float | None
    p99_ms: float | None
    runs: int
    note: str


def summed_up(runs: Iterable[Run]) -> list[Line]:
    """Return a line for each contestant that finished a run, in the order of their first runs."""
    groups: dict[tuple[str, str, str], list[Run]] = {}
    for run in runs:
        if run.timing is not None and not run.problem:
            groups.setdefault((run.work, run.durability, run.contestant), []).append(run)
    return [_line(*key, found) for key, found in groups.items()]


def percentile(values: list[float], share: float) -> float | None:
    """Return the value that `share` of the values do not pass (nearest rank), None without values."""
    if not values:
        return None
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def _line(work: str, durability: str, contestant: str, runs: list[Run]) -> Line:
    timings = [run.timing for run in runs if run.timing is not None]
    streaming = [t.streaming_seconds for t in timings if t.streaming_seconds is not None]
    delays = [delay for t in timings for delay in t.delays_ms]
    return Line(
        work,
        durability,
        contestant,
        seconds=statistics.median(t.seconds for t in timings),
        fastest=min(t.seconds for t in timings),
        slowest=max(t.seconds for t in timings),
        streaming_seconds=statistics.median(streaming) if streaming else None,
        worker_cpu_seconds=statistics.median(t.worker.cpu_seconds for t in timings),
        supervisor_cpu_seconds=statistics.median(t.supervisor.cpu_seconds for t in timings),
        worker_peak_bytes=max(t.worker.peak_bytes for t in timings),
        supervisor_peak_bytes=max(t.supervisor.peak_bytes for t in timings),
        primary_cpu_seconds=statistics.median(r.primary_cpu_seconds for r in runs),
        secondary_cpu_seconds=statistics.median(r.secondary_cpu_seconds for r in runs),
        others_share=statistics.median(r.others_share for r in runs),
        p50_ms=percentile(delays, 0.5),
        p99_ms=percentile(delays, 0.99),
        runs=len(runs),
        note=next((t.note for t in timings if t.note), ""),
    )
