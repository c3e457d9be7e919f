"""Statements that take rows or a definition from a table outside the filters: what is there after them is copied."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from replica_cli.core.settings import TableFailurePolicy
from replica_cli.core.status import TableState
from tests.support.equality import assert_equal

if TYPE_CHECKING:
    from tests.engine.applier.harness import Harness

_PARTS = "(id INT PRIMARY KEY) PARTITION BY RANGE (id) (PARTITION p0 VALUES LESS THAN (10)"
FILLED = (
    "CREATE TABLE out_model (id INT PRIMARY KEY, n INT)",
    "INSERT INTO out_model VALUES (1, 1)",
    *(f"CREATE TABLE {name} (id INT PRIMARY KEY, up INT)" for name in ("tied", "tied_unchecked", "freed")),
    *(f"INSERT INTO {name} VALUES (1, 1)" for name in ("tied", "tied_unchecked", "freed")),
    f"CREATE TABLE exchanged {_PARTS})",
    "INSERT INTO exchanged VALUES (1)",
    *(
        f"CREATE TABLE {name} (id INT PRIMARY KEY)"
        for name in ("out_part", "out_rows", "out_new", "changed", "leaving")
    ),
    *(f"INSERT INTO {name} VALUES (5)" for name in ("out_part", "out_rows", "out_new", "changed", "leaving")),
)
OUTSIDE = (
    "CREATE TABLE alike LIKE out_model",
    "INSERT INTO alike VALUES (1, 1)",
    "CREATE TABLE queried (PRIMARY KEY (id)) SELECT * FROM out_model",
    "INSERT INTO queried VALUES (2, 2)",
    "CREATE TABLE child (id INT PRIMARY KEY, up INT, FOREIGN KEY (up) REFERENCES out_model (id))",
    "INSERT INTO child VALUES (1, 1)",
    "ALTER TABLE tied ADD FOREIGN KEY (up) REFERENCES out_model (id)",
    "INSERT INTO tied VALUES (2, 1)",
    "SET foreign_key_checks = 0",
    "CREATE TABLE child_unchecked (id INT PRIMARY KEY, up INT, FOREIGN KEY (up) REFERENCES out_model (id))",
    "ALTER TABLE tied_unchecked ADD FOREIGN KEY (up) REFERENCES out_model (id)",
    "SET foreign_key_checks = 1",
    "INSERT INTO child_unchecked VALUES (1, 1)",
    "INSERT INTO tied_unchecked VALUES (2, 1)",
    "ALTER TABLE freed ADD CONSTRAINT freed_up FOREIGN KEY (up) REFERENCES out_model (id)",
    "ALTER TABLE freed DROP FOREIGN KEY freed_up",
    "INSERT INTO freed VALUES (2, 9)",
    "ALTER TABLE exchanged EXCHANGE PARTITION p0 WITH TABLE out_part",
    "INSERT INTO exchanged VALUES (6)",
    "RENAME TABLE out_rows TO renamed",
    "UPDATE renamed SET id = 6",
    "ALTER TABLE renamed RENAME TO out_again",
    "ALTER TABLE out_again RENAME TO renamed, ADD n INT",
    "UPDATE renamed SET n = 7",
    # An online schema change whose tables are left out.
    "RENAME TABLE changed TO out_old, out_new TO changed",
    "INSERT INTO changed VALUES (8)",
)
CONVERTED = (
    f"CREATE TABLE converted {_PARTS}, PARTITION p1 VALUES LESS THAN (20))",
    "INSERT INTO converted VALUES (1), (11)",
    "ALTER TABLE converted CONVERT PARTITION p1 TO TABLE out_p1",
    "UPDATE converted SET id = 2",
    "ALTER TABLE converted CONVERT TABLE out_p1 TO PARTITION p2 VALUES LESS THAN (20)",
    "UPDATE converted SET id = 12 WHERE id = 11",
)


@pytest.fixture
def filtered(harness: Harness) -> Harness:
    """Give a harness whose stream has followed the tables that are filled; those called out_… are left out."""
    selection = replace(harness.settings.selection, excluded_tables=(f"{harness.schema}.out_*",))
    harness.settings = replace(harness.settings, selection=selection)
    harness.begin_here()
    harness.on_primary(*FILLED)
    harness.follow()
    return harness


def drop_outside(harness: Harness) -> None:
    names = harness.source.rows(
        "SELECT table_name FROM information_schema.tables WHERE table_schema = %s AND table_name LIKE 'out%%'",
        harness.schema,
    )
    harness.on_primary("SET foreign_key_checks = 0", *(f"DROP TABLE {name}" for (name,) in names))


def test_what_is_there_after_the_statement_is_copied_again(filtered: Harness) -> None:
    filtered.on_primary(*OUTSIDE, *(CONVERTED if filtered.is_mariadb else ()))
    filtered.follow()
    assert filtered.tables.load() == {}
    drop_outside(filtered)
    filtered.assert_equal()


@pytest.mark.parametrize("policy", TableFailurePolicy)
def test_without_copies_such_a_table_is_set_aside_and_the_others_stream_on(
    filtered: Harness, policy: TableFailurePolicy
) -> None:
    filtered.on_primary("CREATE TABLE alike LIKE out_model", "INSERT INTO alike VALUES (1, 1)")
    filtered.on_primary("ALTER TABLE tied ADD FOREIGN KEY (up) REFERENCES out_model (id)")
    filtered.on_primary("INSERT INTO changed VALUES (9)")
    apply = replace(filtered.settings.apply, on_table_failure=policy)
    failure = filtered.work(may_transfer=False, apply=apply).failure
    assert failure is not None
    records = filtered.tables.load()
    if policy is TableFailurePolicy.STOP:
        assert (failure.exit_code, records) == (14, {})
        assert "replica transfer --table" in (failure.hint or "")
        return
    assert failure.code == "quarantined"
    assert {(n.table, r.state) for n, r in records.items()} == {
        ("alike", TableState.QUARANTINED),
        ("tied", TableState.QUARANTINED),
    }
    assert all("outside the filters" in r.reason for r in records.values())
    assert filtered.rows("SELECT id FROM changed ORDER BY id") == [(5,), (9,)]


def test_what_leaves_the_filters_is_set_aside_and_keeps_its_rows(filtered: Harness) -> None:
    filtered.on_primary("RENAME TABLE leaving TO out_left, out_rows TO arrived", "INSERT INTO arrived VALUES (9)")
    filtered.follow()
    assert {(n.table, r.state) for n, r in filtered.tables.load().items()} == {("leaving", TableState.QUARANTINED)}
    assert filtered.rows("SELECT id FROM leaving") == [(5,)]
    filtered.other.execute("DROP TABLE leaving")
    drop_outside(filtered)
    filtered.assert_equal()


def test_what_leaves_the_filters_and_is_there_again_is_copied(filtered: Harness) -> None:
    filtered.on_primary("RENAME TABLE leaving TO out_left", "CREATE TABLE leaving (id INT PRIMARY KEY, n INT)")
    filtered.on_primary("INSERT INTO leaving VALUES (1, 1)")
    if filtered.is_mariadb:
        # A temporary table of that name is renamed, which the log does not tell.
        filtered.on_primary("CREATE TEMPORARY TABLE changed (id INT)", "RENAME TABLE changed TO out_changed")
        filtered.on_primary("DROP TEMPORARY TABLE out_changed", "INSERT INTO changed VALUES (9)")
    filtered.follow()
    assert filtered.tables.load() == {}
    drop_outside(filtered)
    filtered.assert_equal()


def test_a_foreign_key_that_the_copy_left_out_is_dropped_without_another_copy(
    filtered: Harness, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("tied", "freed"):
        filtered.on_primary(f"ALTER TABLE {name} ADD CONSTRAINT {name}_up FOREIGN KEY (up) REFERENCES out_model (id)")
    filtered.follow()
    caplog.clear()
    filtered.on_primary(
        "ALTER TABLE freed DROP FOREIGN KEY freed_up",
        "ALTER TABLE tied ADD n INT, DROP FOREIGN KEY tied_up, ALGORITHM=INPLACE",
        "INSERT INTO freed VALUES (2, 9)",
        "INSERT INTO tied VALUES (2, 9, 9)",
    )
    filtered.follow()
    assert filtered.tables.load() == {}
    assert "copied" not in caplog.text
    drop_outside(filtered)
    filtered.assert_equal()


def test_a_foreign_key_of_another_name_is_not_left_behind(filtered: Harness) -> None:
    filtered.on_primary(
        "CREATE TABLE up (id INT PRIMARY KEY)",
        "CREATE TABLE child (id INT PRIMARY KEY, up INT, CONSTRAINT of_primary FOREIGN KEY (up) REFERENCES up (id))",
    )
    filtered.follow()
    filtered.on_secondary(
        "ALTER TABLE child DROP FOREIGN KEY of_primary",
        "ALTER TABLE child ADD CONSTRAINT of_secondary FOREIGN KEY (up) REFERENCES up (id)",
    )
    filtered.on_primary("ALTER TABLE child DROP FOREIGN KEY of_primary", "INSERT INTO child VALUES (1, 1)")
    filtered.follow()
    assert filtered.tables.load() == {}
    drop_outside(filtered)
    filtered.assert_equal()


def test_a_foreign_key_that_the_copy_finds_is_left_out_too(filtered: Harness) -> None:
    # With it the secondary would refuse each row that the stream brings.
    filtered.on_primary("ALTER TABLE tied ADD FOREIGN KEY (up) REFERENCES out_model (id)")
    filtered.follow()
    filtered.on_primary("INSERT INTO tied VALUES (3, 1)")
    filtered.follow()
    assert "FOREIGN KEY" not in str(filtered.rows("SHOW CREATE TABLE tied")[0][1])
    drop_outside(filtered)
    assert_equal(filtered.primary, filtered.secondary, filtered.schema)
