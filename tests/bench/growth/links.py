"""A copy over slow links to both servers, without a limit of the bytes in flight."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.bench.growth.pair import cost_of_run, numbers, rig_with
from tests.bench.growth.series import Limit, Series
from tests.support.proxy import Proxy

if TYPE_CHECKING:
    from replica_cli.mysql.session import Session
    from tests.bench.growth.pair import Plan
    from tests.bench.growth.record import Record
    from tests.bench.rig import Rig

_PART = "links"
_SMALL, _FULL = "12 tables of 500 rows", "54 tables of 150,000 rows"
_FLAT = ("primary_turns", "secondary_turns", "primary_statements", "secondary_statements", "client_cpu")
SERIES = (
    # With few rows the start takes most of the time: nothing is said of it.
    Series(_PART, _SMALL, "ms", flat=_FLAT),
    Series(_PART, _FULL, "ms", flat=_FLAT, limits=(Limit("times_local", most=1.5, first=100),)),
)
_TABLE = "CREATE TABLE t{n} (id INT PRIMARY KEY, name VARCHAR(60) NOT NULL, city INT NOT NULL, KEY city (city))"
_ROWS = "INSERT INTO t{n} {numbers} SELECT i, REPEAT(CONCAT('name ', i, ' '), 3), i MOD 1000 FROM numbers"


def run(plan: Plan, record: Record) -> None:
    """Copy the same tables over links of 0, 20 and 100 ms."""
    tables, count, name = (12, 500, _SMALL) if plan.is_small else (54, 150_000, _FULL)

    def load(session: Session) -> None:
        source = numbers(session, count)
        for number in range(tables):
            session.execute(_TABLE.format(n=number))
            session.execute(_ROWS.format(n=number, numbers=source))

    local = 0.0
    with rig_with(plan, load, is_empty=True) as rig:
        for milliseconds in (0, 20, 100):
            if milliseconds:
                rig.renew_secondary("fast", is_empty=True)

            def copy(milliseconds: int = milliseconds, local: float = local) -> dict[str, float]:
                return _copy(rig, plan, milliseconds, local)

            seconds = record.measure(_PART, name, milliseconds, copy).get("seconds", 0.0)
            local = local or seconds


def _copy(rig: Rig, plan: Plan, milliseconds: int, local: float) -> dict[str, float]:
    proxies = Proxy(rig.primary.port), Proxy(rig.secondary.port)
    try:
        for proxy in proxies:
            proxy.delay(milliseconds / 2000)
        found = cost_of_run(rig, plan, "transfer", ports=(proxies[0].port, proxies[1].port))
    finally:
        for proxy in proxies:
            proxy.close()
    found |= {"primary_turns": proxies[0].turns, "secondary_turns": proxies[1].turns}
    if local:
        found["times_local"] = found["seconds"] / local
        found["waits"] = (found["seconds"] - local) / (milliseconds / 1000)
    return found
