"""Memory of a worker while the primary opens tables again and again, because it knows fewer than are in use.

Each time a table gets another id in the binary log. One process streams all of it, as fast as it is written, so that
nothing but what is kept of a transaction makes it larger.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from tests.bench.growth.pair import Following, rig_with, write_together
from tests.bench.growth.series import Limit, Series
from tests.bench.growth.tables import make_tables

if TYPE_CHECKING:
    from replica_cli.mysql.session import Session
    from tests.bench.growth.pair import Plan
    from tests.bench.growth.record import Record

_PART, _NAME = "reopened", "stream"
SERIES = (
    Series(
        _PART,
        _NAME,
        "transactions",
        linear=("client_cpu", "primary_cpu", "secondary_cpu"),
        flat=("client_mib",),
        limits=(Limit("memory_per_transaction", most=150, first=45_000),),
    ),
)
# The least that servers allow is 400.
_TABLES = 900
# Small, so that a queue that is sometimes full does not look like something that is kept.
_SETTINGS = {"REPLICA_QUEUE_BYTES": "1MiB", "REPLICA_BATCH_BYTES": "1MiB"}
# As many transactions as fill the queue and the buffers of the process.
_WARM = 70_000
_OPTIONS = {"table-definition-cache": 400, "table-open-cache": 400}


def run(plan: Plan, record: Record) -> None:
    """Stream more and more transactions by one process, after it has met all tables."""
    load = partial(make_tables, count=_TABLES)
    with rig_with(plan, load, _OPTIONS) as rig, Following(rig, plan, _SETTINGS) as stream:
        # Twice: the first batch waits until all definitions are known.
        stream.cost_of_batch(partial(_write, first=0, last=_TABLES))
        peak = stream.cost_of_batch(partial(_write, first=_TABLES, last=_WARM))["client_mib"]
        done = _WARM
        for count in plan.sizes((5_000, 15_000, 45_000), (20_000, 60_000, 200_000)):
            work = partial(_cost, stream, done, count, peak)
            record.measure(_PART, _NAME, count, work)
            done += count


def _cost(stream: Following, done: int, count: int, peak: float) -> dict[str, float]:
    found = stream.cost_of_batch(partial(_write, first=done, last=done + count))
    return {**found, "memory_per_transaction": (found["client_mib"] - peak) * 2**20 / (done + count - _WARM)}


def _write(session: Session, first: int, last: int) -> None:
    statement = "INSERT INTO t{} VALUES ({}, 'new', 1)"
    write_together(session, [statement.format(n % _TABLES, 100 + n) for n in range(first, last)])
