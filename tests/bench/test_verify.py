from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from replica_cli.core.errors import ExitCode
from replica_cli.sandbox.binaries import Flavour, select_binary
from tests.bench import bulk
from tests.bench.bulk import Bulk
from tests.bench.failure import RunFailed
from tests.bench.plan import Book
from tests.bench.proc import Cost
from tests.bench.result import Run, Timing
from tests.bench.verify.costs import streaming
from tests.bench.verify.load import ALONE, VERIFIED
from tests.bench.verify.record import Plan, Record, Size
from tests.bench.verify.report import as_json, as_text, verdicts_of
from tests.bench.verify.ways import CHECKSUM, PT, VERIFY, WAYS, chunk_query
from tests.bench.verifying import verifying
from tests.support.command import wait_until

if TYPE_CHECKING:
    from tests.bench.rig import Rig

_ROWS = 5_000


def changed(rig: Rig, rows: str) -> None:
    with rig.secondary.session(database=bulk.SCHEMA) as session:
        session.execute(f"UPDATE line SET {rows}")


@pytest.mark.skipif(select_binary(Flavour.MARIADB) is None, reason="no MariaDB server on this machine")
def test_each_way_ends_with_equal_rows_and_fails_if_one_differs() -> None:
    binary = select_binary(Flavour.MARIADB)
    assert binary is not None
    with streaming(Record(Book(is_quiet=True)), binary, bulk.SCHEMA, Bulk(_ROWS, is_loaded=True).load) as rig:
        for way in WAYS.values():
            assert way(rig).seconds > 0
        with verifying(rig) as runs:
            wait_until(lambda: runs.ended > 0, "a run to end")
        assert runs.undecided == 0
        changed(rig, "weight = weight + 1 WHERE id = 4001")
        for way in WAYS.values():
            with pytest.raises(RunFailed, match=f"differ|ended with {ExitCode.FOUND.value}"):
                way(rig)
        changed(rig, "weight = weight - 1 WHERE id = 4001")


def test_the_queries_of_the_other_tool_tell_null_from_an_empty_text() -> None:
    query = chunk_query([("id", False), ("note", True)], "`line`", "id >= 5")
    assert "CONCAT_WS('#', `id`, `note`, CONCAT(ISNULL(`note`)))" in query


def test_goals_compare_the_ways_and_the_load() -> None:
    def run(work: str, contestant: str, seconds: float, cpu: float) -> Run:
        timing = Timing(seconds, supervisor=Cost(0.2, 50 << 20))
        return Run(work, "fast", contestant, 1, timing, primary_cpu_seconds=cpu / 2, secondary_cpu_seconds=cpu / 2)

    record = Record(Book(is_quiet=True), sizes={"bulk": Size(10, 1_000_000)}, transactions={"load": 1000})
    for contestant, seconds, cpu in ((CHECKSUM, 1.0, 1.0), (PT, 3.0, 2.0), (VERIFY, 1.0, 3.0)):
        one = run("bulk", contestant, seconds, cpu)
        record.book.add(one)
        record.moved[one] = 2_000.0
    for contestant, seconds in ((ALONE, 9.5), (VERIFIED, 10.0)):
        record.book.add(run("load", contestant, seconds, 1.0))
    found = [(v.work, v.measured, v.is_met) for v in verdicts_of(record)]
    assert found == [
        ("bulk", "3.00x", False),
        ("bulk", "1.50x", False),
        ("bulk", "3.00x", True),
        ("bulk", "0.200%", True),
        ("load", "5.0%", True),
    ]
    plan = Plan((), rounds=1, divisor=1, has_large=False)
    assert "| bulk | replica verify run | 1.00 |" in as_text(plan, record)
    assert "| load | verify run beside it | 10.00 | 10.00-10.00 |  | 100 |" in as_text(plan, record)
    assert '"moved_bytes": 2000.0' in as_json(plan, record)
