"""A row that is refused inside a replay window: its table is copied again, and is quarantined if no copy helps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from replica_cli.core.attempts import REFUSALS_LIMIT
from replica_cli.core.errors import RefusedInWindow
from replica_cli.core.status import TableState
from replica_cli.runtime import copying
from replica_cli.transfer import copy_worker
from replica_cli.transfer.rows.ranges import split
from replica_cli.worker import worker

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.engine.applier.harness import Harness

PARTITIONS = "PARTITION BY RANGE (id) (PARTITION p0 VALUES LESS THAN (100))"
ADD, DROP = "ALTER TABLE t ADD PARTITION (PARTITION p1 VALUES LESS THAN (200))", "ALTER TABLE t DROP PARTITION p1"


def alter_in_each_copy(harness: Harness, monkeypatch: pytest.MonkeyPatch, times: int) -> list[int]:
    """Alter the table before the position of each of the first copies, and back after it, and return their numbers.

    The window begins with a row for which the definition of the copy has no partition.
    """
    copies: list[int] = []

    def before(function: Callable[..., Any], *statements: str) -> Callable[..., Any]:
        def run(*args: Any, **options: Any) -> Any:
            if function is carry_out:
                copies.append(len(copies) + 1)
            assert len(copies) < 20, "the table is copied again without end"
            if len(copies) <= times:
                harness.on_primary(*statements)
            return function(*args, **options)

        return run

    carry_out = copying.carry_out
    inside = ("UPDATE t SET n = 1 WHERE id = 101", DROP)
    monkeypatch.setattr(copying, "carry_out", before(carry_out, ADD, "INSERT INTO t VALUES (101, 0)"))
    monkeypatch.setattr(copy_worker, "split", before(split, *inside))
    return copies


@pytest.fixture
def table(harness: Harness) -> Harness:
    """Return a harness with a table that the stream has applied before."""
    harness.begin_here()
    harness.on_primary(
        f"CREATE TABLE t (id INT PRIMARY KEY, n INT) {PARTITIONS}",
        *(f"INSERT INTO t VALUES ({n}, {n})" for n in range(5)),
    )
    harness.stream()
    harness.tables.request_copies([harness.name("t")], "for the test")
    return harness


@pytest.mark.parametrize("is_resynced", [False, True], ids=["stream", "re-sync"])
def test_a_table_that_each_new_window_refuses_is_quarantined(
    table: Harness, monkeypatch: pytest.MonkeyPatch, *, is_resynced: bool
) -> None:
    monkeypatch.setattr(worker, "can_be_resynced", lambda *_: is_resynced)
    copies = alter_in_each_copy(table, monkeypatch, 100)
    table.follow()
    assert len(copies) == REFUSALS_LIMIT
    (record,) = table.tables.load().values()
    assert record.state is TableState.QUARANTINED


@pytest.mark.parametrize("is_resynced", [False, True], ids=["stream", "re-sync"])
def test_a_table_whose_new_window_ends_well_goes_on(
    table: Harness, monkeypatch: pytest.MonkeyPatch, *, is_resynced: bool
) -> None:
    monkeypatch.setattr(worker, "can_be_resynced", lambda *_: is_resynced)
    copies = alter_in_each_copy(table, monkeypatch, REFUSALS_LIMIT - 1)
    table.follow()
    assert len(copies) == REFUSALS_LIMIT
    table.assert_equal()


def test_a_window_that_ends_well_ends_the_count(harness: Harness) -> None:
    name = harness.name("t")
    harness.on_both("CREATE TABLE t (id INT PRIMARY KEY, n INT)")
    harness.on_secondary(f"ALTER TABLE t {PARTITIONS}")
    start = harness.begin_here()
    harness.on_primary("INSERT INTO t VALUES (1, 1)")
    harness.save_window("t", start, harness.here())
    with harness.open() as sessions:
        streaming = harness.streaming(sessions, refusals={name: 3})
        streaming.run(until_caught_up=True)
        assert streaming.refusals == {}
    start = harness.begin_here()
    harness.on_primary("INSERT INTO t VALUES (101, 1)")
    harness.save_window("t", start, harness.here())
    with harness.open() as sessions:
        streaming = harness.streaming(sessions, refusals={name: 3})
        with pytest.raises(RefusedInWindow):
            streaming.run(until_caught_up=True)
        assert streaming.refusals == {name: 3}
