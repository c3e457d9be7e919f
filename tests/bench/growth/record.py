"""Collects the samples of a part, and prints each on stderr."""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from replica_cli.core.errors import ReplicaError
from tests.bench.failure import RunFailed
from tests.bench.growth.series import COLUMNS, Sample, Series

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

_TOLD = 4


class Record:
    """The series of a run of the benchmark, each filled size by size."""

    def __init__(self, *, is_quiet: bool = False) -> None:
        self._series: dict[tuple[str, str], Series] = {}
        self._is_quiet = is_quiet
        self._started = time.monotonic()

    @property
    def series(self) -> tuple[Series, ...]:
        """Return all series that have samples."""
        return tuple(series for series in self._series.values() if series.samples)

    def expect(self, series: Iterable[Series]) -> None:
        """Make ready for the series of a part."""
        self._series |= {(one.part, one.name): one for one in series}

    def measure(self, part: str, name: str, size: int, work: Callable[[], Mapping[str, float]]) -> dict[str, float]:
        """Measure one size; return the values, none if it failed. After a failure larger sizes are left out."""
        series = self._series[part, name]
        if any(sample.problem for sample in series.samples):
            self.say(f"{part}, {name}: {size:,} {series.axis} left out: the size before failed")
            return {}
        try:
            values = dict(work())
        except (RunFailed, ReplicaError) as error:
            self._add(series, Sample(size, {}, str(error) or type(error).__name__))
            return {}
        self._add(series, Sample(size, values))
        return values

    def fail(self, part: str, problem: str) -> None:
        """Write down that a part could not be measured."""
        self._add(self._series.setdefault((part, "-"), Series(part, "-", "")), Sample(0, {}, problem))

    def say(self, text: str) -> None:
        """Print the progress."""
        if not self._is_quiet:
            print(f"{time.monotonic() - self._started:7.1f} s  {text}", file=sys.stderr, flush=True)

    def _add(self, series: Series, sample: Sample) -> None:
        self._series[series.part, series.name] = replace(series, samples=(*series.samples, sample))
        shown = [
            f"{name.replace('_', ' ')} {value:.{COLUMNS[name].digits}f}"
            for name, value in sample.values.items()
            if name in COLUMNS
        ]
        self.say(
            f"{series.part}, {series.name}, {sample.size:,} {series.axis}: "
            + (f"FAILED: {sample.problem}" if sample.problem else ", ".join(shown[:_TOLD]))
        )
