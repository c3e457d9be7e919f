"""What must be reached, as data: the bars of the project's own specification for its speed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.bench.race import ANY, BEST

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tests.bench.result import Line

    _Lines = Mapping[tuple[str, str, str], Line]

ROW_IMAGE, SQL, SINGLE, LIBRARY = "replica", "replica, SQL engine", "native single", "library, decoding alone"
MYDUMPER_4 = "mydumper + myloader -t 4"
PIPE, DUMP, MYDUMPER = "mariadb-binlog | mariadb", "mariadb-dump | mariadb", "mydumper + myloader -t 2"
VERIFIED, VERIFIED_BEHIND = "verify run beside it", "verify run --max-lag 24h beside it"
LINK, LINK_20 = "replica, proxies", "replica, proxies of 20 ms"
WORKERS_1, WORKERS_4 = "native 1 worker", "native 4 workers"
MEMORY_LIMIT = 150 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Bar:
    """`contestant` must be this many times as fast as `against`."""

    work: str
    contestant: str
    against: str
    times: float


@dataclass(frozen=True, slots=True)
class DelayBar:
    """99 of 100 probes must be visible within this number of milliseconds."""

    work: str
    contestant: str
    p99_ms: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """A bar with the measured value."""

    work: str
    durability: str
    contestant: str
    against: str
    wanted: str
    measured: str
    is_met: bool


BARS = (
    Bar("oltp", ROW_IMAGE, SINGLE, 1.7),
    Bar("oltp", ROW_IMAGE, BEST, 1.0),
    Bar("oltp", SQL, SINGLE, 0.8),
    Bar("oltp", SQL, LIBRARY, 6.0),
    Bar("bulk", ROW_IMAGE, SINGLE, 1.0),
    Bar("bulk", ROW_IMAGE, PIPE, 1.3),
    Bar("bulk", SQL, SINGLE, 0.8),
    Bar("bulk", SQL, LIBRARY, 6.0),
    Bar("mixed", ROW_IMAGE, SINGLE, 1.3),
    Bar("mixed", SQL, SINGLE, 0.8),
    Bar("mysql-oltp", ROW_IMAGE, WORKERS_1, 1.7),
    Bar("mysql-oltp", ROW_IMAGE, WORKERS_4, 1.7),
    Bar("link", LINK_20, LINK, 0.67),
    Bar("oltp-verify", VERIFIED, ROW_IMAGE, 0.9),
    Bar("oltp-verify", VERIFIED_BEHIND, ROW_IMAGE, 0.9),
    Bar("transfer-bulk", ROW_IMAGE, DUMP, 1.5),
    Bar("transfer-bulk", ROW_IMAGE, MYDUMPER, 1.1),
    Bar("transfer-oltp", ROW_IMAGE, DUMP, 1.5),
    Bar("transfer-oltp", ROW_IMAGE, MYDUMPER, 1.1),
)
DELAY_BARS = (
    DelayBar("latency-idle", ROW_IMAGE, 20.0),
    DelayBar("latency-500", ROW_IMAGE, 250.0),
)


def judged(lines: Sequence[Line]) -> list[Verdict]:
    """Return each bar for which there are measurements, at each durability, and the memory of each of our lines."""
    by_key = {(line.work, line.durability, line.contestant): line for line in lines}
    verdicts: list[Verdict] = []
    for durability in dict.fromkeys(line.durability for line in lines):
        verdicts += _ratios(durability, by_key)
        verdicts += _delays(durability, by_key)
    verdicts += [_memory(line) for line in lines if line.contestant in (ROW_IMAGE, SQL)]
    return verdicts


def _ratios(durability: str, lines: _Lines) -> Iterator[Verdict]:
    for bar in BARS:
        line = lines.get((bar.work, durability, bar.contestant))
        other = lines.get((bar.work, durability, bar.against)) or lines.get((bar.work, ANY, bar.against))
        if line and other:
            ratio = other.seconds / line.seconds
            wanted, measured = f">= {bar.times:g}x", f"{ratio:.2f}x"
            yield Verdict(bar.work, durability, bar.contestant, bar.against, wanted, measured, ratio >= bar.times)


def _delays(durability: str, lines: _Lines) -> Iterator[Verdict]:
    for bar in DELAY_BARS:
        line = lines.get((bar.work, durability, bar.contestant))
        if line and line.p99_ms is not None:
            wanted, measured = f"<= {bar.p99_ms:.0f} ms", f"{line.p99_ms:.1f} ms"
            yield Verdict(bar.work, durability, bar.contestant, "p99", wanted, measured, line.p99_ms <= bar.p99_ms)


def _memory(line: Line) -> Verdict:
    # A transfer has no worker process: it copies in the command's own.
    peak = line.worker_peak_bytes or line.supervisor_peak_bytes
    wanted, measured = f"<= {MEMORY_LIMIT >> 20} MiB", f"{peak / 2**20:.0f} MiB"
    return Verdict(line.work, line.durability, line.contestant, "memory", wanted, measured, peak <= MEMORY_LIMIT)
