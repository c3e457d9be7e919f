"""Foreign keys that cascade without a word in the log, against every order in which two tables can be copied."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from engine.applier.bench import Bench

PARENT = "CREATE TABLE parent (id INT PRIMARY KEY, code INT NOT NULL UNIQUE, v INT)"
CHILD = """CREATE TABLE child (id INT PRIMARY KEY, code INT, v INT,
    FOREIGN KEY (code) REFERENCES parent (code) ON DELETE {rule} ON UPDATE CASCADE)"""
CHANGES = {
    "delete": "DELETE FROM parent WHERE id = 1",
    "key": "UPDATE parent SET code = 99 WHERE id = 1",
    "primary key": "UPDATE parent SET id = 99, code = 98 WHERE id = 1",
    "replace": "REPLACE INTO parent VALUES (1, 77, 7)",
}


@pytest.fixture(params=["CASCADE", "SET NULL"])
def family(bench: Bench, request: pytest.FixtureRequest) -> Bench:
    bench.on_both(PARENT, CHILD.format(rule=request.param))
    bench.on_primary("INSERT INTO parent VALUES (1, 10, 0), (2, 20, 0)")
    bench.on_primary("INSERT INTO child VALUES (1, 10, 0), (2, 10, 0), (3, 20, 0)")
    return bench


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("order", ["parent first", "child first"])
def test_a_cascade_between_the_copies_of_parent_and_child(family: Bench, change: str, order: str) -> None:
    first, second = ("parent", "child") if order == "parent first" else ("child", "parent")
    start = family.begin_here()
    family.copy(first)
    family.on_primary(CHANGES[change])
    family.copy(second)
    end = family.here()
    family.save_window("parent", start, end)
    family.save_window("child", start, end)
    family.on_primary("INSERT INTO parent VALUES (5, 50, 0)", "INSERT INTO child VALUES (5, 50, 0)")
    family.stream()
    family.assert_equal()


def test_a_child_copied_anew_keeps_the_rows_of_a_parent_that_came_again(family: Bench) -> None:
    family.copy("parent")
    family.begin_here()
    # The stream has fallen behind all of this when `transfer --table child` is called.
    family.on_primary(
        "DELETE FROM parent WHERE id = 1",
        "INSERT INTO parent VALUES (1, 10, 1)",
        "INSERT INTO child VALUES (7, 10, 7)",
    )
    start = family.here()
    family.copy("child")
    family.save_window("child", start, family.here())
    family.stream()
    family.assert_equal()


def test_a_parent_copied_anew_still_cascades_to_its_children(family: Bench) -> None:
    family.copy("child")
    family.begin_here()
    family.on_primary("DELETE FROM parent WHERE id = 1", "UPDATE parent SET code = 21 WHERE id = 2")
    start = family.here()
    family.copy("parent")
    family.save_window("parent", start, family.here())
    family.stream()
    family.assert_equal()


def test_rows_of_one_tree_copied_at_two_moments(bench: Bench) -> None:
    bench.on_both(
        "CREATE TABLE tree (id INT PRIMARY KEY, up INT, FOREIGN KEY (up) REFERENCES tree (id) ON DELETE CASCADE)"
    )
    bench.on_primary("INSERT INTO tree VALUES (8, NULL), (9, 8)", "INSERT INTO tree VALUES (1, 9), (2, 8)")
    start = bench.begin_here()
    bench.copy("tree", "id < 5")
    bench.on_primary("DELETE FROM tree WHERE id = 8", "INSERT INTO tree VALUES (3, NULL)")
    bench.copy("tree", "id >= 5")
    bench.save_window("tree", start, bench.here())
    bench.stream()
    bench.assert_equal()


def test_cascades_outside_of_any_window(family: Bench) -> None:
    family.copy("parent")
    family.copy("child")
    family.begin_here()
    family.on_primary(*CHANGES.values(), "DELETE FROM parent WHERE id = 2")
    family.stream()
    family.assert_equal()


@pytest.mark.parametrize("place", ["in the window", "after it"])
@pytest.mark.parametrize("change", CHANGES)
def test_nothing_cascades_from_a_session_without_checks(family: Bench, change: str, place: str) -> None:
    start = family.begin_here()
    family.copy("parent")
    family.copy("child")
    family.on_primary("SET SESSION foreign_key_checks=0", CHANGES[change])
    if place == "in the window":
        for table in ("parent", "child"):
            family.save_window(table, start, family.here())
    family.on_primary("SET SESSION foreign_key_checks=1", "INSERT INTO parent VALUES (6, 6, 6)")
    family.stream()
    family.assert_equal()
