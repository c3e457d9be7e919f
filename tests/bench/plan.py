"""The request of a benchmark run, and the record of its results."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pathlib import Path

    from tests.bench.result import Run


@dataclass(frozen=True, slots=True)
class Plan:
    """The size, how often, and under which settings. `profile`: a folder for py-spy's samples of our processes."""

    pairs: int = 3
    durabilities: tuple[str, ...] = ("safe", "fast")
    has_secondary_log: bool = True
    divisor: int = 1
    profile: Path | None = None
    only: tuple[str, ...] = ()

    def wants(self, contestant: str) -> bool:
        """Return True if a contestant takes part: all do if none is named, else those whose names begin so."""
        return not self.only or contestant.startswith(self.only)


@dataclass
class Book:
    """All results in order; each is printed on stderr when it comes."""

    is_quiet: bool = False
    runs: list[Run] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    settings: dict[str, str] = field(default_factory=dict)
    facts: dict[str, str] = field(default_factory=dict)
    started: float = field(default_factory=time.monotonic)

    def say(self, text: str) -> None:
        """Print the progress."""
        if not self.is_quiet:
            print(f"{time.monotonic() - self.started:7.1f} s  {text}", file=sys.stderr, flush=True)

    def add(self, run: Run) -> None:
        """Write a run down."""
        self.runs.append(run)
        where = f"{run.work} {run.durability} {run.contestant} #{run.pair}"
        if run.problem:
            self.say(f"{where}: FAILED: {run.problem}")
        elif run.timing is not None:
            delays = run.timing.delays_ms
            shown = f"{run.timing.seconds:.2f} s" if not delays else f"{len(delays)} probes"
            self.say(f"{where}: {shown} {run.timing.note}".rstrip())

    def lacks(self, text: str) -> None:
        """Write down what was left out because something is missing."""
        if text not in self.missing:
            self.missing.append(text)
            self.say(f"LEFT OUT: {text}")


class Work(Protocol):
    """Something to be measured."""

    @property
    def name(self) -> str:
        """Return what it is called on the command line."""

    def run(self, plan: Plan, book: Book) -> None:
        """Measure, and write down."""
