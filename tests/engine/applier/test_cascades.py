"""Foreign keys that cascade without a word in the log, before and behind the copy of their tables."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from replica_cli.core.settings import Apply

if TYPE_CHECKING:
    from replica_cli.core.settings import EngineChoice
    from tests.engine.applier.harness import Harness

PARENT = "CREATE TABLE parent (id INT PRIMARY KEY, code INT NOT NULL UNIQUE, v INT)"
CHILD = """CREATE TABLE child (id INT PRIMARY KEY, code INT, v INT,
    FOREIGN KEY (code) REFERENCES parent (code) ON DELETE {rule} ON UPDATE CASCADE)"""
CHANGES = {
    "delete": "DELETE FROM parent WHERE id = 1",
    "key": "UPDATE parent SET code = 99 WHERE id = 1",
    "primary key": "UPDATE parent SET id = 99, code = 98 WHERE id = 1",
    "replace": "REPLACE INTO parent VALUES (1, 77, 7)",
}


def _copy_at_one_moment(harness: Harness, *tables: str) -> None:
    # What the copy does with a family on a primary that does not log cascades: one snapshot, no window.
    here = harness.here()
    for table in tables:
        harness.copy(table)
        harness.save_window(table, here, here)


@pytest.fixture(params=["CASCADE", "SET NULL"])
def family(harness: Harness, request: pytest.FixtureRequest) -> Harness:
    harness.on_both(PARENT, CHILD.format(rule=request.param))
    harness.on_primary("INSERT INTO parent VALUES (1, 10, 0), (2, 20, 0)")
    harness.on_primary("INSERT INTO child VALUES (1, 10, 0), (2, 10, 0), (3, 20, 0)")
    return harness


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("is_before", [True, False], ids=["before the copy", "behind it"])
def test_a_cascade_and_the_copy_of_a_family(family: Harness, change: str, *, is_before: bool) -> None:
    family.begin_here()
    if is_before:
        family.on_primary(CHANGES[change])
    _copy_at_one_moment(family, "parent", "child")
    if not is_before:
        family.on_primary(CHANGES[change])
    family.on_primary("INSERT INTO parent VALUES (5, 50, 0)", "INSERT INTO child VALUES (5, 50, 0)")
    family.stream()
    family.assert_equal()


@pytest.mark.parametrize("is_before", [True, False], ids=["before the copy", "behind it"])
def test_a_cascade_over_two_levels(harness: Harness, *, is_before: bool) -> None:
    harness.on_both(
        "CREATE TABLE a (id INT PRIMARY KEY)",
        "CREATE TABLE b (id INT PRIMARY KEY, a INT, FOREIGN KEY (a) REFERENCES a (id) ON DELETE CASCADE)",
        "CREATE TABLE c (id INT PRIMARY KEY, b INT, FOREIGN KEY (b) REFERENCES b (id) ON DELETE CASCADE)",
    )
    harness.on_primary(
        "INSERT INTO a VALUES (1), (4)", "INSERT INTO b VALUES (2, 1), (5, 4)", "INSERT INTO c VALUES (3, 2), (6, 5)"
    )
    harness.begin_here()
    if is_before:
        harness.on_primary("DELETE FROM a WHERE id = 1")
    _copy_at_one_moment(harness, *"abc")
    if not is_before:
        harness.on_primary("DELETE FROM a WHERE id = 1")
    harness.stream()
    harness.assert_equal()


def test_a_parent_that_is_deleted_and_another_that_takes_its_key(family: Harness) -> None:
    family.begin_here()
    family.on_primary("DELETE FROM parent WHERE id = 1", "UPDATE parent SET code = 10 WHERE id = 2")
    _copy_at_one_moment(family, "parent", "child")
    family.on_primary("DELETE FROM parent WHERE id = 2")
    family.stream()
    family.assert_equal()


def test_a_family_copied_anew_while_the_stream_is_behind(family: Harness) -> None:
    family.begin_here()
    # All of this is older than the copy: it is skipped for both, and cascades to neither.
    family.on_primary(
        "DELETE FROM parent WHERE id = 1",
        "INSERT INTO parent VALUES (1, 10, 1)",
        "INSERT INTO child VALUES (7, 10, 7)",
        "UPDATE parent SET code = 21 WHERE id = 2",
    )
    _copy_at_one_moment(family, "parent", "child")
    family.on_primary("UPDATE parent SET code = 22 WHERE id = 2", "INSERT INTO child VALUES (8, 22, 8)")
    family.on_primary("DELETE FROM parent WHERE id = 2")
    family.stream()
    family.assert_equal()


def test_a_tree_copied_at_one_moment(harness: Harness) -> None:
    harness.on_both(
        "CREATE TABLE tree (id INT PRIMARY KEY, up INT, FOREIGN KEY (up) REFERENCES tree (id) ON DELETE CASCADE)"
    )
    harness.on_primary("INSERT INTO tree VALUES (8, NULL), (9, 8)", "INSERT INTO tree VALUES (1, 9), (2, 8), (3, NULL)")
    harness.begin_here()
    harness.on_primary("INSERT INTO tree VALUES (4, 3)")
    _copy_at_one_moment(harness, "tree")
    harness.on_primary("DELETE FROM tree WHERE id = 8", "INSERT INTO tree VALUES (5, 3)")
    harness.on_primary("DELETE FROM tree WHERE id = 3")
    harness.stream()
    harness.assert_equal()


@pytest.mark.covers("foreign keys that cascade")
def test_cascades_outside_of_any_window(family: Harness, engine_choice: EngineChoice) -> None:
    family.settings = replace(family.settings, apply=Apply(engine=engine_choice))
    family.copy("parent")
    family.copy("child")
    family.begin_here()
    family.on_primary(*CHANGES.values(), "DELETE FROM parent WHERE id = 2")
    family.stream()
    family.assert_equal()


@pytest.mark.parametrize("change", CHANGES)
def test_nothing_cascades_from_a_session_without_checks(family: Harness, change: str) -> None:
    family.begin_here()
    _copy_at_one_moment(family, "parent", "child")
    family.on_primary("SET SESSION foreign_key_checks=0", CHANGES[change])
    family.on_primary("SET SESSION foreign_key_checks=1", "INSERT INTO parent VALUES (6, 6, 6)")
    family.stream()
    family.assert_equal()


TOGETHER = {
    "parent again": ("DELETE FROM parent WHERE id = 1", "INSERT INTO parent VALUES (1, 10, 1)"),
    "parent and child again": (
        "DELETE FROM parent WHERE id = 1",
        "INSERT INTO parent VALUES (1, 10, 1)",
        "INSERT INTO child VALUES (9, 10, 9)",
    ),
    "child before": ("INSERT INTO child VALUES (9, 10, 9)", "DELETE FROM parent WHERE id = 1"),
    "another child before": ("INSERT INTO child VALUES (9, 20, 9)", "DELETE FROM parent WHERE id = 1"),
    "child behind": ("DELETE FROM parent WHERE id = 1", "INSERT INTO child VALUES (9, 20, 9)"),
    "key and child": ("UPDATE parent SET code = 99 WHERE id = 1", "INSERT INTO child VALUES (9, 99, 9)"),
    "child changed before": ("UPDATE child SET v = 5", "DELETE FROM parent WHERE id = 1"),
    "child deleted behind": ("UPDATE parent SET code = 99 WHERE id = 1", "DELETE FROM child WHERE id = 1"),
}


@pytest.mark.parametrize("changes", TOGETHER)
def test_a_cascade_beside_changes_of_the_child_in_one_transaction(family: Harness, changes: str) -> None:
    family.begin_here()
    _copy_at_one_moment(family, "parent", "child")
    family.on_primary("START TRANSACTION", *TOGETHER[changes], "COMMIT")
    family.stream()
    family.assert_equal()
