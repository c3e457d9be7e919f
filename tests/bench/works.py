"""All works by name, at full size or a tenth of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replica_cli.sandbox.binaries import Flavour
from tests.bench import bars, sysbench
from tests.bench.contestants import PARALLEL, Ours
from tests.bench.native import Native
from tests.bench.race import Race
from tests.bench.sysbench import Sysbench

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.bench.plan import Plan


def works(plan: Plan) -> Mapping[str, Race]:
    """Return every work by its name, in the order of the report."""
    small = plan.divisor
    oltp = Sysbench(100_000 // small, 60_000 // small)
    engines = {
        bars.ROW_IMAGE: Ours("auto", plan.profile),
        bars.SQL: Ours("sql", plan.profile),
    }
    single = {bars.SINGLE: Native()}
    made = (
        Race("oltp", sysbench.SCHEMA, oltp, {**engines, **single}, parallel=PARALLEL),
        Race(
            "mysql-oltp",
            sysbench.SCHEMA,
            oltp,
            {
                bars.ROW_IMAGE: engines[bars.ROW_IMAGE],
                bars.WORKERS_1: Native(1),
                bars.WORKERS_4: Native(4),
            },
            flavour=Flavour.MYSQL,
        ),
    )
    return {work.name: work for work in made}
