"""What the benchmark of `replica verify run` was asked for, and what it measured."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.bench.plan import Book

if TYPE_CHECKING:
    from replica_cli.sandbox.binaries import ServerBinary
    from tests.bench.result import Run


@dataclass(frozen=True, slots=True)
class Plan:
    """What was asked for: the servers, how often each thing is measured, and the size of the tables."""

    binaries: tuple[ServerBinary, ...]
    rounds: int
    divisor: int
    has_large: bool


@dataclass(frozen=True, slots=True)
class Size:
    """How many rows some tables have, and how many bytes they take on the primary."""

    rows: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class HashCost:
    """The CPU seconds in which a server read all rows of a table once by a query, in each round."""

    work: str
    query: str
    rows: int
    cpu_seconds: tuple[float, ...]

    @property
    def microseconds(self) -> float:
        """Return the median for one row."""
        return statistics.median(self.cpu_seconds) * 1e6 / self.rows


@dataclass
class Record:
    """All results in order. The runs are in the book; `moved` has the bytes that each of them moved.

    `sizes` and `transactions` have what the tables of a work are, and how many transactions each of its runs wrote.
    """

    book: Book = field(default_factory=Book)
    sizes: dict[str, Size] = field(default_factory=dict)
    transactions: dict[str, int] = field(default_factory=dict)
    moved: dict[Run, float] = field(default_factory=dict)
    hashes: list[HashCost] = field(default_factory=list)

    def moved_bytes(self, work: str, contestant: str) -> float:
        """Return the median of the bytes that the runs of a contestant moved."""
        return statistics.median(n for run, n in self.moved.items() if (run.work, run.contestant) == (work, contestant))
