"""The cost of commands that have almost nothing to do."""

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
    from tests.bench.rig import Rig

_PART = "starts"
_TABLES = 3
_Command = tuple[tuple[str, ...], tuple[int, ...], tuple[Limit, ...]]
_LOOK, _STREAM = (Limit("client_cpu", most=0.35),), (Limit("client_cpu", most=0.6),)
# Words, exit codes (`health` is critical without a stream), limits.
_COMMANDS: Mapping[str, _Command] = {
    "--help": (("--help",), (0,), ()),
    "health": (("health",), (0, 1, 2), _LOOK),
    "position show": (("position", "show"), (0,), _LOOK),
    "stream --until-caught-up": (("stream", "--until-caught-up"), (0,), _STREAM),
}
SERIES = tuple(Series(_PART, name, "tables", limits=limits) for name, (_, _, limits) in _COMMANDS.items())


def run(plan: Plan, record: Record) -> None:
    """Run each command several times; the least CPU counts, because a busy machine only adds to it."""
    with rig_with(plan, partial(make_tables, count=_TABLES)) as rig:
        replica.begin_at_start(rig)
        for name, (words, codes, _) in _COMMANDS.items():
            work = partial(_least, rig, plan, words, codes)
            record.measure(_PART, name, _TABLES, work)


def _least(rig: Rig, plan: Plan, words: tuple[str, ...], codes: tuple[int, ...]) -> dict[str, float]:
    runs = [cost_of_run(rig, plan, *words, codes=codes) for _ in range(3 if plan.is_small else 7)]
    return min(runs, key=lambda found: found["client_cpu"])
