"""A running stream: batches over many tables, and DDL while all of them are in use."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from tests.bench.growth.pair import Following, rig_with, write_together
from tests.bench.growth.series import Limit, Series
from tests.bench.growth.tables import make_tables

if TYPE_CHECKING:
    from collections.abc import Callable

    from replica_cli.mysql.session import Session
    from tests.bench.growth.pair import Plan
    from tests.bench.growth.record import Record

    _Step = Callable[[Session], None]

_PART = "batches"
_FIRST, _AGAIN = "first batch over all tables", "second batch over all tables"
_DDL, _KNOWN = "10 unrelated CREATE TABLE", "10 batches over all tables"
_MIXED = "10 batches, a CREATE TABLE before each"
_ROUNDS = 10
_COSTS = (
    "client_cpu", "primary_cpu", "secondary_cpu", "primary_statements", "secondary_statements", "primary_sent",
    "secondary_sent", "secondary_received", "secondary_log", "client_mib", "log_lines",
)  # fmt: skip
_FLAT = ("client_cpu", "secondary_cpu", "primary_statements", "secondary_statements", "secondary_sent", "secondary_log")
SERIES = (
    *(Series(_PART, name, "tables", linear=_COSTS) for name in (_FIRST, _AGAIN, _KNOWN)),
    Series(_PART, _DDL, "tables", flat=_FLAT),
    Series(_PART, _MIXED, "tables", linear=_COSTS, limits=(Limit("times_known", most=1.2),)),
)
# CPU that ten DDL statements may cost whatever the number of tables.
_DDL_CPU = 0.3
# Below this the batches alone are no measure.
_LEAST_CPU = 0.5


def run(plan: Plan, record: Record) -> None:
    """Write the same to each number of tables."""
    for count in plan.sizes((50, 150, 450), (1000, 2000, 5000)):
        with rig_with(plan, partial(make_tables, count=count)) as rig, Following(rig, plan) as stream:
            _Tables(count, stream, record).measure()


class _Tables:
    """The batches over a number of tables."""

    def __init__(self, count: int, stream: Following, record: Record) -> None:
        self._count, self._stream, self._record = count, stream, record
        self._made = 0

    def measure(self) -> None:
        self._cost(_FIRST, self._touch)
        self._cost(_AGAIN, self._touch)
        self._cost(_DDL, *[self._create] * _ROUNDS)
        known = self._cost(_KNOWN, *[self._touch] * _ROUNDS)
        self._cost(_MIXED, *[self._create, self._touch] * _ROUNDS, known=known)

    def _cost(self, name: str, *steps: _Step, known: float = 0.0) -> float:
        def write(session: Session) -> None:
            for step in steps:
                step(session)

        def work() -> dict[str, float]:
            found = self._stream.cost_of_batch(write)
            if known >= _LEAST_CPU:
                found["times_known"] = max(0.0, found["client_cpu"] - _DDL_CPU) / known
            return found

        return self._record.measure(_PART, name, self._count, work).get("client_cpu", 0.0)

    def _touch(self, session: Session) -> None:
        """Insert a row into each table, in one transaction."""
        self._made += 1
        rows = (f"INSERT INTO t{n} VALUES ({100 + self._made}, 'new', 1)" for n in range(self._count))
        write_together(session, ["BEGIN", *rows, "COMMIT"])

    def _create(self, session: Session) -> None:
        self._made += 1
        session.execute(f"CREATE TABLE other{self._made} (id INT PRIMARY KEY)")
