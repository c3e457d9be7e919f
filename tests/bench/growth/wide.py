"""Rows of 200 columns through a stream, with each engine."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from tests.bench import replica
from tests.bench.growth.pair import SCHEMA, cost_of_run, numbers, rig_with
from tests.bench.growth.series import Limit, Series

if TYPE_CHECKING:
    from replica_cli.mysql.session import Session
    from tests.bench.growth.pair import Plan
    from tests.bench.growth.record import Record
    from tests.bench.rig import Rig

_PART = "wide"
_ENGINES = {"row images": "auto", "SQL": "sql"}
SERIES = tuple(
    Series(
        _PART, name, "rows",
        linear=("client_cpu", "primary_cpu", "secondary_cpu", "secondary_received", "secondary_log"),
        flat=("client_mib",),
        limits=(Limit("microseconds_per_row", most=50, first=40_000),),
    )
    for name in _ENGINES
)  # fmt: skip
_NUMBERS = ", ".join(f"n{i} INT NOT NULL" for i in range(100))
_WORDS = ", ".join(f"w{i} VARCHAR(20) CHARACTER SET ascii NOT NULL" for i in range(99))
_VALUES = ", ".join([*(f"i + {n}" for n in range(100)), *(f"CONCAT('w', i + {n})" for n in range(99))])
_ROWS_OF_TRANSACTION = 1000


def run(plan: Plan, record: Record) -> None:
    """Stream each number of rows, at each engine by a process of its own; a row's cost is without the start."""
    for name, engine in _ENGINES.items():
        with rig_with(plan, _make) as rig:
            replica.begin_at_start(rig)
            before: tuple[int, float] | None = None
            for count in plan.sizes((10_000, 20_000, 40_000), (20_000, 60_000, 180_000)):
                with rig.primary.session(database=SCHEMA) as session:
                    source = numbers(session, _ROWS_OF_TRANSACTION)
                    for _ in range(count // _ROWS_OF_TRANSACTION):
                        session.execute(
                            f"INSERT INTO wide SELECT NULL, {_VALUES} FROM ({source} SELECT i FROM numbers) s"
                        )
                found = record.measure(_PART, name, count, partial(_stream, rig, plan, engine, count, before))
                before = (count, found.get("client_cpu", 0.0))


def _make(session: Session) -> None:
    session.execute(f"CREATE TABLE wide (id INT AUTO_INCREMENT PRIMARY KEY, {_NUMBERS}, {_WORDS})")


def _stream(rig: Rig, plan: Plan, engine: str, count: int, before: tuple[int, float] | None) -> dict[str, float]:
    found = cost_of_run(rig, plan, "stream", "--until-caught-up", "--no-transfer", "--engine", engine)
    if before:
        found["microseconds_per_row"] = (found["client_cpu"] - before[1]) / (count - before[0]) * 1e6
    return found
