"""Statements that swap tables of equal definitions: killed behind one, nothing tells that it was carried out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from replica_cli.applier.ddl import execution as execution_module
from replica_cli.core.errors import ApplyRefused, ReplicaError, StatementInDoubt

if TYPE_CHECKING:
    from tests.engine.applier.harness import Harness

_PARTS = "PARTITION BY RANGE (id) (PARTITION p0 VALUES LESS THAN (10), PARTITION p1 VALUES LESS THAN (20))"
SWAPS = {
    "rename": "RENAME TABLE a TO x, b TO a, x TO b",
    "counters": "RENAME TABLE c TO x, d TO c, x TO d",
    "exchange": "ALTER TABLE parts EXCHANGE PARTITION p0 WITH TABLE a",
    "columns": "ALTER TABLE turns DROP COLUMN was, CHANGE COLUMN `is` was INT, ADD COLUMN `is` INT AFTER id",
}


CHANGED = {"rename": ("a", "b"), "counters": ("c", "d"), "exchange": ("a", "parts"), "columns": ("turns",)}


class KilledError(ReplicaError):
    """The process died here."""


@pytest.fixture
def equal(harness: Harness) -> Harness:
    harness.on_both(
        "CREATE TABLE a (id INT PRIMARY KEY, v INT)", "CREATE TABLE b LIKE a",
        f"CREATE TABLE parts (id INT PRIMARY KEY, v INT) {_PARTS}",
        "CREATE TABLE turns (id INT PRIMARY KEY, `is` INT, was INT)", "INSERT INTO turns VALUES (1, 2, 1)",
        "CREATE TABLE c (id INT AUTO_INCREMENT PRIMARY KEY)", "CREATE TABLE d LIKE c", "INSERT INTO d VALUES (7)",
        "INSERT INTO a VALUES (1, 10)", "INSERT INTO b VALUES (2, 20)", "INSERT INTO parts VALUES (3, 30), (13, 31)",
    )  # fmt: skip
    harness.begin_here()
    return harness


@pytest.mark.parametrize("name", SWAPS)
def test_a_swap_is_carried_out(equal: Harness, name: str) -> None:
    equal.on_primary(SWAPS[name], "INSERT INTO a VALUES (5, 50)")
    equal.stream()
    equal.assert_equal()


@pytest.mark.parametrize("name", SWAPS)
@pytest.mark.parametrize("place", ["before", "behind"])
def test_a_swap_that_a_kill_left_in_doubt_is_copied_and_not_repeated(
    equal: Harness, name: str, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    equal.on_primary(SWAPS[name])
    run = execution_module.DdlExecution._run

    def dying(applier: execution_module.DdlExecution, *args: object) -> None:
        if place == "behind":
            run(applier, *args)  # type: ignore[arg-type]
        raise KilledError("killed")

    monkeypatch.setattr(execution_module.DdlExecution, "_run", dying)
    with pytest.raises(KilledError):
        equal.stream()
    monkeypatch.setattr(execution_module.DdlExecution, "_run", run)
    with pytest.raises(StatementInDoubt, match="it is not known whether it ran") as error:
        equal.stream()
    assert set(error.value.tables) == set(map(equal.name, CHANGED[name]))


def test_a_swap_that_the_server_refused_is_not_in_doubt(equal: Harness) -> None:
    equal.on_primary(SWAPS["exchange"])
    equal.on_secondary("INSERT INTO a VALUES (50, 1)")
    with pytest.raises(ApplyRefused):
        equal.stream()
    equal.on_secondary("DELETE FROM a WHERE id = 50")
    equal.stream()
    equal.assert_equal()
