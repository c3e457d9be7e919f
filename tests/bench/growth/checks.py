"""Commands that only look, on many tables: they are linear and flat, and are to stay so."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from tests.bench import replica
from tests.bench.growth.pair import cost_of_run, rig_with
from tests.bench.growth.series import Limit, Series
from tests.bench.growth.tables import make_tables

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.bench.growth.pair import Plan
    from tests.bench.growth.record import Record

_PART = "checks"
# All exit codes of `health` that say something about the servers; there is no stream, which is critical.
_COMMANDS: Mapping[str, tuple[tuple[str, ...], tuple[int, ...]]] = {
    "drift check": (("drift", "check"), (0, 3)),
    "health": (("health",), (0, 1, 2, 3)),
    "position show": (("position", "show"), (0,)),
}
_DRY = "transfer --dry-run"
_STATEMENTS = ("primary_statements", "secondary_statements")
_EACH = Limit("client_cpu", most=0.7, each=0.001)
SERIES = (
    Series(_PART, _DRY, "tables", linear=("client_cpu", "primary_cpu", *_STATEMENTS)),
    Series(_PART, "drift check", "tables", linear=("client_cpu", "primary_cpu"), flat=_STATEMENTS, limits=(_EACH,)),
    Series(_PART, "health", "tables", flat=("client_cpu", *_STATEMENTS)),
    Series(_PART, "position show", "tables", flat=("client_cpu", *_STATEMENTS)),
)


def run(plan: Plan, record: Record) -> None:
    """Run each command on each number of tables."""
    for count in plan.sizes((100, 200, 400), (100, 1000, 5000)):
        with rig_with(plan, partial(make_tables, count=count), is_empty=True) as rig:
            record.measure(_PART, _DRY, count, partial(cost_of_run, rig, plan, "transfer", "--dry-run"))
            rig.renew_secondary("fast")
            replica.begin_at_start(rig)
            for name, (words, codes) in _COMMANDS.items():
                record.measure(_PART, name, count, partial(cost_of_run, rig, plan, *words, codes=codes))
