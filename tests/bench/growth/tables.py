"""A copy of many small tables, and the first stream after it, which ends their replay windows."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from tests.bench.growth.pair import SCHEMA, cost_of_run, rig_with, write_together
from tests.bench.growth.series import Limit, Series

if TYPE_CHECKING:
    from replica_cli.mysql.session import Session
    from tests.bench.growth.pair import Plan
    from tests.bench.growth.record import Record
    from tests.bench.rig import Rig

_PART, _COPY, _WINDOWS = "tables", "copy", "first stream"
_CPU = ("client_cpu", "primary_cpu", "secondary_cpu")
_TRAFFIC = (
    "primary_statements", "secondary_statements", "primary_sent", "secondary_sent", "secondary_received",
    "secondary_log", "client_mib", "log_lines",
)  # fmt: skip
SERIES = (
    Series(
        _PART, _COPY, "tables",
        linear=(*_CPU, *_TRAFFIC),
        limits=(Limit("client_cpu", each=0.012, first=400), Limit("deadlocks")),
    ),
    # The windows of all tables end by one statement.
    Series(_PART, _WINDOWS, "tables", linear=_CPU, flat=("secondary_statements", "primary_statements")),
)  # fmt: skip
_TABLE = "CREATE TABLE t{n} (id INT PRIMARY KEY, name VARCHAR(40) NOT NULL, city INT NOT NULL, KEY city (city))"
_ROWS = "INSERT INTO t{n} VALUES " + ", ".join(f"({i}, 'name {i}', {i % 3})" for i in range(10))


def run(plan: Plan, record: Record) -> None:
    """Copy each number of tables to an empty secondary."""
    for count in plan.sizes((100, 200, 400), (100, 1000, 5000)):
        with rig_with(plan, partial(make_tables, count=count), is_empty=True) as rig:
            if record.measure(_PART, _COPY, count, partial(cost_of_run, rig, plan, "transfer")):
                record.measure(_PART, _WINDOWS, count, partial(_stream, rig, plan))


def _stream(rig: Rig, plan: Plan) -> dict[str, float]:
    with rig.primary.session(database=SCHEMA) as session:
        session.execute("INSERT INTO mark VALUES (1)")
    return cost_of_run(rig, plan, "stream", "--until-caught-up")


def make_tables(session: Session, count: int) -> None:
    """Make tables t0 to t<count - 1> of ten rows each."""
    write_together(session, [text.format(n=n) for n in range(count) for text in (_TABLE, _ROWS)])
