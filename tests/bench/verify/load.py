"""What a comparison takes from a primary that writes as fast as it can, and from the stream behind it."""

from __future__ import annotations

import contextlib
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from replica_cli.core.errors import ReplicaError
from replica_cli.stop import StopToken
from tests.bench import sysbench
from tests.bench.failure import Missing, RunFailed
from tests.bench.meter import Meter
from tests.bench.result import Run, Timing
from tests.bench.rig import checksums, difference
from tests.bench.sysbench import Sysbench
from tests.bench.verify.costs import DURABILITY, streaming
from tests.bench.verifying import verifying

if TYPE_CHECKING:
    from replica_cli.sandbox.binaries import ServerBinary
    from replica_cli.sandbox.server import SandboxServer
    from tests.bench.rig import Rig
    from tests.bench.verify.record import Plan, Record

ALONE, VERIFIED = "stream alone", "verify run beside it"
TRANSACTIONS = 60_000
_PATIENCE_SECONDS = 300.0
_LOOK_SECONDS = 0.02


def run(plan: Plan, record: Record) -> None:
    """Write with and without a comparison beside, on servers of each flavour."""
    for binary in plan.binaries:
        work = work_of(binary)
        try:
            _measure(plan, record, work, binary)
        except Missing as error:
            record.book.lacks(f"{work}: {error}")
        except (RunFailed, ReplicaError) as error:
            record.book.add(Run(work, DURABILITY, "the tables and the stream", 0, problem=str(error)))


def work_of(binary: ServerBinary) -> str:
    """Return the name of this measurement."""
    return f"{binary.flavour} load"


def _measure(plan: Plan, record: Record, work: str, binary: ServerBinary) -> None:
    data = Sysbench(100_000 // plan.divisor, TRANSACTIONS // plan.divisor)

    def load(primary: SandboxServer) -> None:
        data.load(primary)
        with primary.session(database=sysbench.SCHEMA) as session:
            session.execute("CREATE TABLE mark (id INT PRIMARY KEY)")

    record.transactions[work] = data.transactions
    record.book.say(f"{work}: loading on {binary}")
    with streaming(record, binary, sysbench.SCHEMA, load) as rig:
        # The first writes after a start are slower.
        _write(rig, data, 0)
        marks = 0
        for number in range(1, plan.rounds + 1):
            # A server gets slower with what it wrote before, so neither of the two is always the second.
            for name in (ALONE, VERIFIED) if number % 2 else (VERIFIED, ALONE):
                marks += 1
                meter = Meter(rig)
                with verifying(rig) if name == VERIFIED else contextlib.nullcontext() as runs:
                    timing = _write(rig, data, marks)
                timing = replace(timing, note="" if runs is None else str(runs))
                run = meter.read(Run(work, DURABILITY, name, number), timing)
                rig.checksums = checksums(rig.primary, rig.schema)
                record.book.add(replace(run, problem=difference(rig)))


def _write(rig: Rig, data: Sysbench, mark: int) -> Timing:
    """Write the transactions; return the time until the primary had them, and until the secondary had them too."""
    with rig.primary.session(database=rig.schema) as primary, rig.secondary.session(database=rig.schema) as secondary:
        started = time.monotonic()
        data.write(rig.primary)
        written = time.monotonic()
        primary.execute(f"INSERT INTO mark VALUES ({mark})")
        while secondary.row(f"SELECT 1 FROM mark WHERE id = {mark}") is None:
            if time.monotonic() - written > _PATIENCE_SECONDS:
                raise RunFailed(f"not applied {_PATIENCE_SECONDS:.0f} s after it was written")
            StopToken().wait(_LOOK_SECONDS)
        return Timing(time.monotonic() - started, streaming_seconds=written - started)
