from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from replica_cli.sandbox.binaries import Flavour, select_binary
from tests.bench import bars, mixed
from tests.bench.bars import judged
from tests.bench.contestants import Contestant, Ours
from tests.bench.mixed import Mixed
from tests.bench.native import Native
from tests.bench.plan import Book, Plan
from tests.bench.proc import Cost
from tests.bench.race import ANY, Race
from tests.bench.report import as_text
from tests.bench.result import Run, Timing, summed_up

if TYPE_CHECKING:
    from tests.bench.rig import Rig


class Idler:
    """Very fast: it does nothing."""

    def prepare(self, rig: Rig) -> None: ...

    def run(self, rig: Rig) -> Timing:
        del rig
        return Timing(0.001)


@pytest.mark.skipif(select_binary(Flavour.MARIADB) is None, reason="no MariaDB server on this machine")
def test_a_run_counts_only_with_equal_tables() -> None:
    contestants: dict[str, Contestant] = {"replica": Ours("auto"), "native": Native(), "idler": Idler()}
    book = Book(is_quiet=True)
    plan = Plan(pairs=1, durabilities=("fast",))
    Race("mixed", mixed.SCHEMA, Mixed(rows=100, transactions=200), contestants).run(plan, book)
    problems = {run.contestant: run.problem for run in book.runs}
    assert (problems["replica"], problems["native"]) == ("", "")
    assert "t0 differs" in problems["idler"]
    (replica, native) = summed_up(book.runs)
    assert replica.worker_peak_bytes > 10_000_000
    assert replica.streaming_seconds is not None
    assert 0 < replica.streaming_seconds < replica.seconds
    assert native.contestant == "native"
    assert "FAILED: mixed fast idler" in as_text(plan, book)


def test_bars_compare_within_a_durability_and_with_what_counts_for_any() -> None:
    def run(durability: str, contestant: str, seconds: float) -> Run:
        return Run("oltp", durability, contestant, 1, Timing(seconds, worker=Cost(1.0, 200 << 20)))

    runs = [
        run("safe", bars.SQL, 2.0),
        run("safe", bars.SINGLE, 1.0),
        run("fast", bars.SQL, 1.0),
        run("fast", bars.SINGLE, 1.0),
        run(ANY, bars.LIBRARY, 12.0),
    ]
    found = {(v.durability, v.against): (v.measured, v.is_met) for v in judged(summed_up(runs))}
    assert found == {
        ("safe", bars.SINGLE): ("0.50x", False),
        ("safe", bars.LIBRARY): ("6.00x", True),
        ("safe", "memory"): ("200 MiB", False),
        ("fast", bars.SINGLE): ("1.00x", True),
        ("fast", bars.LIBRARY): ("12.00x", True),
        ("fast", "memory"): ("200 MiB", False),
    }
