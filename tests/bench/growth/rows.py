"""How often a copy reads each row of the primary, and what a row costs, for tables with different keys."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from tests.bench.growth.pair import cost_of_run, numbers, rig_with
from tests.bench.growth.series import Limit, Series

if TYPE_CHECKING:
    from collections.abc import Mapping

    from replica_cli.mysql.session import Session
    from tests.bench.growth.pair import Plan
    from tests.bench.growth.record import Record
    from tests.bench.rig import Rig

_PART = "rows"
_COLUMNS = "name VARCHAR(60) NOT NULL, city INT NOT NULL"
_VALUES = "REPEAT(CONCAT('name ', i, ' '), 3), i MOD 1000"
_KINDS: Mapping[str, tuple[str, str]] = {
    "counter as key": (f"id INT PRIMARY KEY, {_COLUMNS}", f"i, {_VALUES}"),
    "text and number as key": (
        f"word VARCHAR(20) NOT NULL, n INT NOT NULL, {_COLUMNS}, PRIMARY KEY (word, n)",
        f"CONCAT('w', i * 7919 MOD 997), i, {_VALUES}",
    ),
    "no key": (f"id INT NOT NULL, {_COLUMNS}", f"i, {_VALUES}"),
}
SERIES = tuple(
    Series(
        _PART, kind, "rows",
        linear=("client_cpu", "primary_cpu", "secondary_cpu", "primary_sent", "secondary_received", "secondary_log"),
        flat=("client_mib", "reads_per_row"),
        limits=(Limit("reads_per_row", most=1.3),),
    )
    for kind in _KINDS
)  # fmt: skip


def run(plan: Plan, record: Record) -> None:
    """Copy a table of each kind and size."""
    for kind in _KINDS:
        for count in plan.sizes((20_000, 60_000), (200_000, 600_000, 2_000_000)):
            with rig_with(plan, partial(_make, kind=kind, count=count), is_empty=True) as rig:
                record.measure(_PART, kind, count, partial(_copy, rig, plan, count))


def _make(session: Session, kind: str, count: int) -> None:
    columns, values = _KINDS[kind]
    session.execute(f"CREATE TABLE line ({columns})")
    session.execute(f"INSERT INTO line {numbers(session, count)} SELECT {values} FROM numbers")


def _copy(rig: Rig, plan: Plan, count: int) -> dict[str, float]:
    found = cost_of_run(rig, plan, "transfer")
    return {**found, "reads_per_row": found["primary_reads"] / count}
