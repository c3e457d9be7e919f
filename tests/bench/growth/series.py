"""What is measured over sizes, and what must be true of it: values and rules only, no server."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

# Faster than linear by more than this is a failure.
_EXCESS = 1.2
# A slope comes of two values, and is compared with another one.
_NOISE_OF_SLOPES = 3


@dataclass(frozen=True, slots=True)
class Column:
    """How a value is shown, and the difference below which it says nothing about growth."""

    head: str
    digits: int
    noise: float


COLUMNS: Mapping[str, Column] = {
    "seconds": Column("s", 1, 1.0),
    "client_cpu": Column("client CPU s", 2, 0.3),
    "supervisor_cpu": Column("supervisor's part", 2, 0.3),
    "primary_cpu": Column("primary CPU s", 2, 0.3),
    "secondary_cpu": Column("secondary CPU s", 2, 0.3),
    "primary_statements": Column("statements, primary", 0, 30),
    "secondary_statements": Column("statements, secondary", 0, 30),
    "primary_turns": Column("round trips, primary", 0, 30),
    "secondary_turns": Column("round trips, secondary", 0, 30),
    "primary_sent": Column("MB primary sent", 2, 0.1),
    "secondary_sent": Column("MB secondary sent", 2, 0.1),
    "secondary_received": Column("MB secondary received", 2, 0.1),
    "secondary_log": Column("MB of its log", 2, 0.2),
    # A queue of 16 MiB is full or not.
    "client_mib": Column("client MiB", 0, 24),
    "primary_mib": Column("primary MiB", 0, 64),
    "secondary_mib": Column("secondary MiB", 0, 64),
    "log_lines": Column("log lines", 0, 100),
    "deadlocks": Column("deadlocks", 0, 0),
    "reads_per_row": Column("reads of each row", 2, 0.2),
    "secondary_reads_per_row": Column("secondary's reads for a row", 1, 6.0),
    "memory_per_transaction": Column("bytes kept of a transaction", 0, 50),
    "microseconds_per_row": Column("client µs a row", 1, 1.0),
    "times_local": Column("times 0 ms", 2, 0.2),
    "waits": Column("round trips one after another", 0, 5),
    "native_seconds": Column("native: s", 1, 1.0),
    "native_cpu": Column("native: secondary CPU s", 2, 0.3),
    "parallel_seconds": Column("native, 4 threads: s", 1, 1.0),
    "times_native": Column("times native", 2, 0.2),
    "times_known": Column("times without DDL", 2, 0.2),
    "worker_percent": Column("worker, % of a core", 3, 0.2),
    "supervisor_percent": Column("supervisor, % of a core", 3, 0.2),
    "worker_wakeups": Column("worker wakeups/s", 1, 0.5),
    "supervisor_wakeups": Column("supervisor wakeups/s", 1, 1.0),
    "primary_rate": Column("statements/s, primary", 2, 0.1),
    "secondary_rate": Column("statements/s, secondary", 2, 0.1),
    "writes_in_10_s": Column("commits in 10 s", 1, 0.5),
    "log_bytes_a_minute": Column("bytes of log a minute", 0, 500),
    "primary_connections_a_minute": Column("connections a minute, primary", 1, 0.5),
    "secondary_connections_a_minute": Column("connections a minute, secondary", 1, 0.5),
}


@dataclass(frozen=True, slots=True)
class Limit:
    """A value must be at most `most` + `each` x size, for sizes from `first` on."""

    column: str
    most: float = 0.0
    each: float = 0.0
    first: int = 0

    def at(self, size: int) -> float:
        """Return the limit for a size."""
        return self.most + self.each * size


@dataclass(frozen=True, slots=True)
class Sample:
    """What one run cost at a size; `problem` if it failed or did not end."""

    size: int
    values: Mapping[str, float]
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Series:
    """One thing measured over sizes. `linear`: columns that may grow as the size does; `flat`: that may not grow."""

    part: str
    name: str
    axis: str
    samples: tuple[Sample, ...] = ()
    linear: tuple[str, ...] = ()
    flat: tuple[str, ...] = ()
    limits: tuple[Limit, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """A rule with the measured value."""

    part: str
    series: str
    what: str
    wanted: str
    measured: str
    is_met: bool


def judged(series: Series) -> list[Verdict]:
    """Return what each rule of a series says of its samples, and a verdict for each run that failed."""
    return [*_failures(series), *_growths(series), *_constants(series), *_limits(series)]


def _failures(series: Series) -> Iterator[Verdict]:
    for sample in series.samples:
        if sample.problem:
            what = f"{sample.size:,} {series.axis}"
            yield Verdict(series.part, series.name, what, "ends", sample.problem.splitlines()[0], is_met=False)


def _growths(series: Series) -> Iterator[Verdict]:
    for column in series.linear:
        if (times := growth(_points(series, column), COLUMNS[column].noise * _NOISE_OF_SLOPES)) is not None:
            wanted, measured = f"<= {_EXCESS:g}x of linear", f"{times:.2f}x"
            yield Verdict(series.part, series.name, _title(column), wanted, measured, times <= _EXCESS)


def _constants(series: Series) -> Iterator[Verdict]:
    for column in series.flat:
        points = _points(series, column)
        if len(points) > 1:
            digits, noise = COLUMNS[column].digits, COLUMNS[column].noise
            most = points[0][1] * _EXCESS + noise
            greatest = max(value for _, value in points[1:])
            wanted, measured = f"<= {most:.{digits}f}: does not grow", f"{greatest:.{digits}f}"
            yield Verdict(series.part, series.name, _title(column), wanted, measured, greatest <= most)


def _limits(series: Series) -> Iterator[Verdict]:
    for limit in series.limits:
        digits = COLUMNS[limit.column].digits
        for size, value in _points(series, limit.column):
            if size >= limit.first:
                what = f"{_title(limit.column)}, {size:,} {series.axis}"
                most = limit.at(size)
                yield Verdict(
                    series.part, series.name, what, f"<= {most:.{digits}f}", f"{value:.{digits}f}", value <= most
                )


def growth(points: Sequence[tuple[int, float]], noise: float) -> float | None:
    """Return how many times as steep the cost grows at its steepest as before; None if nothing can be said.

    With three sizes or more the slopes are compared, which leaves out what a run costs at any size. With two there is
    no slope before the last one: the costs themselves are compared with the sizes, which is more lenient.
    A rise within the noise is no rise; a first slope within the noise counts as the noise.
    """
    if len(points) == 2:
        (n1, c1), (n2, c2) = points
        return 0.0 if c2 - c1 <= noise else (c2 / n2) / (max(c1, noise) / n1)
    steepest: float | None = None
    for (n1, c1), (n2, c2), (n3, c3) in zip(points, points[1:], points[2:], strict=False):
        before, after = max(c2 - c1, noise) / (n2 - n1), (c3 - c2) / (n3 - n2)
        times = 0.0 if c3 - c2 <= noise else after / before
        steepest = max(times, steepest or 0.0)
    return steepest


def _points(series: Series, column: str) -> list[tuple[int, float]]:
    found = [(s.size, s.values[column]) for s in series.samples if not s.problem and column in s.values]
    return sorted(found)


def _title(column: str) -> str:
    return column.replace("_", " ")
