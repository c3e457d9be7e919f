"""A race: the contestants run one workload in turn (A B C A B C), each on a fresh secondary; each result is checked."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

from replica_cli.core.errors import ReplicaError
from replica_cli.sandbox.binaries import Flavour, select_binary
from replica_cli.sandbox.sandbox import Sandbox
from tests.bench.failure import Missing, RunFailed
from tests.bench.meter import Meter
from tests.bench.result import Run
from tests.bench.rig import Rig, difference

if TYPE_CHECKING:
    from collections.abc import Mapping

    from replica_cli.sandbox.server import SandboxServer
    from tests.bench.contestants import Contestant
    from tests.bench.native import Native
    from tests.bench.plan import Book, Plan

BEST = "native best parallel"
ANY = "any"
_TRIED_SHARE = 0.1


class Data(Protocol):
    """What a work is about: rows that are there before, and what is logged."""

    def load(self, primary: SandboxServer) -> None:
        """Make the tables and rows that both sides begin with; the primary has no log meanwhile."""

    def write(self, primary: SandboxServer) -> int:
        """Make the log; return how many transactions. Once a work, for all contestants."""


@dataclass(frozen=True)
class Race:
    """A work. Of `parallel` the fastest over the log's first tenth takes part, as BEST.

    `readers` only read the primary: they run at the first durability, and count for any. `is_single`: one run of each
    at the last durability, for what is measured for its memory.
    """

    name: str
    schema: str
    data: Data
    contestants: Mapping[str, Contestant]
    parallel: Mapping[str, Native] = field(default_factory=dict)
    readers: Mapping[str, Contestant] = field(default_factory=dict)
    flavour: Flavour = Flavour.MARIADB
    is_from_nothing: bool = False
    is_single: bool = False

    def run(self, plan: Plan, book: Book) -> None:
        """Make the servers and the log, and race."""
        binary = select_binary(self.flavour)
        if binary is None:
            book.lacks(f"{self.name}: no {self.flavour} server on this machine")
            return
        book.say(f"{self.name}: loading and writing the log on {binary}")
        with Sandbox() as sandbox:
            rig = Rig(sandbox, binary, self.schema, has_secondary_log=plan.has_secondary_log)
            try:
                rig.load(self.data.load)
                rig.write(self.data.write)
            except Missing as error:
                book.lacks(f"{self.name}: {error}")
                return
            except (RunFailed, ReplicaError) as error:
                book.add(Run(self.name, ANY, "the log", 0, problem=_shortened(str(error))))
                return
            book.settings[str(binary)] = rig.settings_text()
            book.facts[self.name] = rig.log_text()
            plan = replace(plan, pairs=1, durabilities=plan.durabilities[-1:]) if self.is_single else plan
            for index, durability in enumerate(plan.durabilities):
                _Round(self, rig, durability, book).race(plan, with_readers=index == 0)


class _Round:
    """The runs at one durability."""

    def __init__(self, work: Race, rig: Rig, durability: str, book: Book) -> None:
        self._work = work
        self._rig = rig
        self._durability = durability
        self._book = book
        self._absent: set[str] = set()

    def race(self, plan: Plan, *, with_readers: bool) -> None:
        contestants = {name: one for name, one in self._work.contestants.items() if plan.wants(name)}
        if self._work.parallel and plan.wants(BEST):
            name = self._pick()
            if name:
                self._book.facts[f"{self._work.name} {self._durability} {BEST}"] = name
                contestants[BEST] = self._work.parallel[name]
        for pair in range(1, plan.pairs + 1):
            for name, contestant in contestants.items():
                self._one(name, contestant, pair)
            if with_readers:
                for name, contestant in self._work.readers.items():
                    if plan.wants(name):
                        self._one(name, contestant, pair, is_reader=True)

    def _pick(self) -> str:
        """Return the fastest of the parallel settings, from one run of each over the log's beginning."""
        seconds: dict[str, float] = {}
        for name, native in self._work.parallel.items():
            try:
                self._rig.renew_secondary(self._durability)
                native.prepare(self._rig)
                seconds[name] = native.seconds_for_share(self._rig, _TRIED_SHARE)
            except (RunFailed, ReplicaError) as error:
                self._book.add(Run(self._work.name, self._durability, name, 0, problem=_shortened(str(error))))
        shown = ", ".join(f"{name} {value:.2f} s" for name, value in seconds.items())
        where = f"{self._work.name} {self._durability}, a tenth of the log"
        self._book.facts[where] = shown
        self._book.say(f"{where}: {shown}")
        return min(seconds, key=lambda name: seconds[name], default="")

    def _one(self, name: str, contestant: Contestant, pair: int, *, is_reader: bool = False) -> Run | None:
        if name in self._absent:
            return None
        durability = ANY if is_reader else self._durability
        run = Run(self._work.name, durability, name, pair)
        try:
            run = self._timed(run, contestant, is_reader=is_reader)
        except Missing as error:
            self._absent.add(name)
            self._book.lacks(f"{self._work.name}, {name}: {error}")
            return None
        except (RunFailed, ReplicaError) as error:
            run = Run(run.work, run.durability, name, pair, problem=_shortened(str(error)))
        self._book.add(run)
        return run

    def _timed(self, run: Run, contestant: Contestant, *, is_reader: bool) -> Run:
        rig = self._rig
        if not is_reader:
            rig.renew_secondary(self._durability, is_empty=self._work.is_from_nothing)
        contestant.prepare(rig)
        meter = Meter(rig)
        timing = contestant.run(rig)
        return replace(
            meter.read(run, timing),
            problem="" if is_reader else difference(rig),
        )


def _shortened(text: str) -> str:
    lines = text.splitlines()
    return "\n".join([*lines[:2], "...", *lines[-8:]] if len(lines) > 10 else lines)
