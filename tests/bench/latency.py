"""The work that measures delay: commit on the primary to visible on the secondary."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from replica_cli.core.errors import ReplicaError
from replica_cli.sandbox.binaries import Flavour, select_binary
from replica_cli.sandbox.sandbox import Sandbox
from tests.bench import probes
from tests.bench.failure import RunFailed
from tests.bench.meter import Meter
from tests.bench.result import Run
from tests.bench.rig import Rig, checksums, difference

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.bench.followers import Follower
    from tests.bench.plan import Book, Plan


@dataclass(frozen=True)
class Latency:
    """A number of probes in each run: one at a time on an idle pair, or at a rate."""

    name: str
    followers: Mapping[str, Follower]
    count: int
    per_second: int = 0

    def run(self, plan: Plan, book: Book) -> None:
        """Make the servers and probe each follower in turn."""
        binary = select_binary(Flavour.MARIADB)
        if binary is None:
            book.lacks(f"{self.name}: no {Flavour.MARIADB} server on this machine")
            return
        with Sandbox() as sandbox:
            rig = Rig(sandbox, binary, probes.SCHEMA, has_secondary_log=plan.has_secondary_log)
            data = probes.Probes()
            rig.load(data.load)
            rig.write(data.write)
            book.settings[str(binary)] = rig.settings_text()
            for durability in plan.durabilities:
                for pair in range(1, plan.pairs + 1):
                    for name, follower in self.followers.items():
                        if not plan.wants(name):
                            continue
                        run = Run(self.name, durability, name, pair)
                        try:
                            book.add(self._probe(rig, run, follower))
                        except (RunFailed, ReplicaError) as error:
                            book.add(replace(run, problem=str(error)))

    def _probe(self, rig: Rig, run: Run, follower: Follower) -> Run:
        rig.renew_secondary(run.durability)
        meter = Meter(rig)
        follower.start(rig)
        note = ""
        try:
            if self.per_second:
                delays, note = probes.steady_probes(rig, self.count, self.per_second)
            else:
                delays = probes.single_probes(rig, self.count)
        finally:
            timing = follower.stop(rig)
        rig.checksums = checksums(rig.primary, rig.schema)
        measured = meter.read(run, replace(timing, delays_ms=tuple(delays), note=note))
        return replace(measured, problem=difference(rig))
