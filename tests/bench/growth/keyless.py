"""Deletes in tables without a key: all rows by one statement, in random order; native replication beside it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from tests.bench import replica
from tests.bench.growth.pair import SCHEMA, cost_of_run, numbers, rig_with, single_native
from tests.bench.growth.series import Limit, Series
from tests.bench.native import start_applying, wait_for
from tests.bench.proc import cpu_seconds

if TYPE_CHECKING:
    from collections.abc import Mapping

    from replica_cli.mysql.session import Session
    from replica_cli.sandbox.server import SandboxServer
    from tests.bench.growth.pair import Plan
    from tests.bench.growth.record import Record
    from tests.bench.rig import Place, Rig

_PART = "keyless"
# The second has an index that narrows: ten rows for each value.
_KINDS: Mapping[str, str] = {"no index": "", "an index of ten rows a value": ", KEY city (city)"}
_COLUMNS = "id INT NOT NULL, name VARCHAR(60) NOT NULL, city INT NOT NULL"
SERIES = tuple(
    Series(
        _PART, kind, "rows",
        linear=("client_cpu", "secondary_cpu", "secondary_statements", "secondary_received"),
        flat=("client_mib", "secondary_reads_per_row"),
        limits=(Limit("times_native", most=1.2),),
    )
    for kind in _KINDS
)  # fmt: skip
# Not in the order of the table, in which the next row would be at its begin.
_DELETE = "DELETE FROM t{n} ORDER BY CRC32(id)"
# Below this the cost of the native replica is no measure.
_LEAST_CPU = 0.3


def run(plan: Plan, record: Record) -> None:
    """Delete all rows of a table of each kind and size, for the server's own replication and then for us."""
    sizes = plan.sizes((2000, 4000, 8000), (2000, 4000, 8000, 16000))
    for kind, index in _KINDS.items():

        def load(session: Session, index: str = index) -> None:
            for count in sizes:
                _make(session, count, index)

        with rig_with(plan, load) as rig:
            native = _native_cpu(rig, sizes)
        with rig_with(plan, load) as rig:
            replica.begin_at_start(rig)
            for count in sizes:
                with rig.primary.session(database=SCHEMA) as session:
                    session.execute(_DELETE.format(n=count))
                record.measure(_PART, kind, count, partial(_stream, rig, plan, count, native[count]))


def _make(session: Session, count: int, index: str) -> None:
    session.execute(f"CREATE TABLE t{count} ({_COLUMNS}{index})")
    values = f"i, CONCAT('name ', i), i * 7919 MOD {count // 10}"
    session.execute(f"INSERT INTO t{count} {numbers(session, count)} SELECT {values} FROM numbers")


def _stream(rig: Rig, plan: Plan, count: int, native_cpu: float) -> dict[str, float]:
    words = ("stream", "--until-caught-up", "--no-transfer")
    found = {**cost_of_run(rig, plan, *words), "native_cpu": native_cpu}
    found["secondary_reads_per_row"] = found["secondary_reads"] / count
    if native_cpu >= _LEAST_CPU:
        found["times_native"] = found["secondary_cpu"] / native_cpu
    return found


def _native_cpu(rig: Rig, sizes: tuple[int, ...]) -> dict[int, float]:
    """Return the CPU seconds of a native replica for the table of each size."""
    places: dict[int, Place] = {}

    def delete(primary: SandboxServer) -> int:
        with primary.session(database=SCHEMA) as session:
            for count in sizes:
                session.execute(_DELETE.format(n=count))
                places[count] = rig.place()
        return len(sizes)

    rig.write(delete)
    single_native(rig).prepare(rig)
    found: dict[int, float] = {}
    with rig.secondary.session() as session:
        before = cpu_seconds(rig.secondary.pid)
        start_applying(session)
        for count, place in places.items():
            wait_for(session, place)
            now = cpu_seconds(rig.secondary.pid)
            found[count], before = now - before, now
    return found
