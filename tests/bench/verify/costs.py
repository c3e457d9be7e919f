"""What each way costs to compare the same tables of two servers that stream."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from replica_cli.core.errors import ReplicaError
from replica_cli.sandbox.sandbox import Sandbox
from replica_cli.sqlbuilder.identifiers import quote
from tests.bench import bulk, sysbench
from tests.bench.bulk import Bulk
from tests.bench.failure import Missing, RunFailed
from tests.bench.followers import OursFollowing
from tests.bench.growth.counters import Counters
from tests.bench.meter import Meter
from tests.bench.result import Run, Timing
from tests.bench.rig import Rig
from tests.bench.sysbench import Sysbench
from tests.bench.verify.record import Size
from tests.bench.verify.ways import WAYS, checksum_tables, tables_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from replica_cli.sandbox.binaries import ServerBinary
    from tests.bench.race import Data
    from tests.bench.verify.record import Plan, Record

DURABILITY = "fast"
_SENT_AND_RECEIVED = ("primary_sent", "primary_received", "secondary_sent", "secondary_received")


@dataclass(frozen=True, slots=True)
class _Tables:
    """Tables of one schema, and what makes them."""

    name: str
    schema: str
    data: Data


def run(plan: Plan, record: Record) -> None:
    """Measure each way with each of the tables, on servers of each flavour."""
    sets = [
        _Tables("bulk", bulk.SCHEMA, Bulk(700_000 // plan.divisor, is_loaded=True)),
        _Tables("oltp", sysbench.SCHEMA, Sysbench(100_000 // plan.divisor, transactions=0)),
    ]
    if plan.has_large:
        sets.append(_Tables("large", bulk.SCHEMA, Bulk(5_000_000 // plan.divisor, is_loaded=True)))
    for binary in plan.binaries:
        for tables in sets:
            work = f"{binary.flavour} {tables.name}"
            try:
                _measure_all(plan, record, work, binary, tables)
            except Missing as error:
                record.book.lacks(f"{work}: {error}")
            except (RunFailed, ReplicaError) as error:
                record.book.add(Run(work, DURABILITY, "the tables and the stream", 0, problem=str(error)))


def _measure_all(plan: Plan, record: Record, work: str, binary: ServerBinary, tables: _Tables) -> None:
    record.book.say(f"{work}: loading on {binary}")
    with streaming(record, binary, tables.schema, tables.data.load) as rig:
        rig.write(tables.data.write)
        record.sizes[work] = size = _size_of(rig)
        record.book.facts[work] = f"{rig.log_text()}, {size.size_bytes / 1e6:.0f} MB"
        # `write` has read the pages of the primary, and nothing yet those of the secondary.
        checksum_tables(rig)
        for number in range(1, plan.rounds + 1):
            for name, way in WAYS.items():
                _measure(record, rig, Run(work, DURABILITY, name, number), way)


def _measure(record: Record, rig: Rig, run: Run, way: Callable[[Rig], Timing]) -> None:
    counters = Counters(rig.primary, rig.secondary)
    meter = Meter(rig)
    try:
        run = meter.read(run, way(rig))
    except (RunFailed, ReplicaError) as error:
        record.book.add(replace(run, problem=str(error)))
        return
    counted = counters.read()
    record.moved[run] = 1e6 * sum(counted[name] for name in _SENT_AND_RECEIVED)
    record.book.add(run)


@contextlib.contextmanager
def streaming(record: Record, binary: ServerBinary, schema: str, load: Callable[..., None]) -> Iterator[Rig]:
    """Give two servers with equal tables, and a stream from one to the other that has nothing to do yet."""
    with Sandbox() as sandbox:
        rig = Rig(sandbox, binary, schema, has_secondary_log=True)
        rig.load(load)
        rig.renew_secondary(DURABILITY)
        record.book.settings[str(binary)] = rig.settings_text()
        stream = OursFollowing()
        stream.start(rig)
        try:
            yield rig
        finally:
            stream.stop(rig)


def _size_of(rig: Rig) -> Size:
    sql = "SELECT SUM(data_length) FROM information_schema.tables WHERE table_schema = %s"
    with rig.primary.session(database=rig.schema) as session:
        session.rows(f"ANALYZE NO_WRITE_TO_BINLOG TABLE {', '.join(map(quote, tables_of(session, rig.schema)))}")
        ((size,),) = session.rows(sql, rig.schema)
    return Size(sum(rows for _, rows in rig.checksums.values()), int(size))
