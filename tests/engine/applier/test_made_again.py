"""A quarantined table whose name the primary gives to a new table: all of that one is in the log, so it is followed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from replica_cli.checkpoint.table_records import TableRecord
from replica_cli.core.errors import ReplicaError
from replica_cli.core.settings import DdlPolicy
from replica_cli.core.status import TableState
from tests.support.table_records import put

if TYPE_CHECKING:
    from tests.engine.applier.harness import Harness

_NEW = "CREATE TABLE t (id INT PRIMARY KEY, word VARCHAR(9))"
# What made the name free on the primary, and what takes it again; {s} is the schema.
AGAIN = {
    "renamed away": ("RENAME TABLE t TO {s}_x.old", _NEW),
    "dropped": ("DROP TABLE t", _NEW),
    "like another": ("RENAME TABLE t TO {s}_x.old", "CREATE TABLE t LIKE model"),
    "from a query": ("RENAME TABLE t TO {s}_x.old", "CREATE TABLE t (PRIMARY KEY (id)) SELECT id, word FROM model"),
    "replaced": ("DO 0", "CREATE OR REPLACE TABLE t (id INT PRIMARY KEY, word VARCHAR(9))"),
    "a parent": ("RENAME TABLE t TO {s}_x.old", f"{_NEW[:-1]}, up INT, FOREIGN KEY (up) REFERENCES model (id))"),
}


@pytest.fixture
def table(harness: Harness) -> Harness:
    """Give a table that is quarantined since a row differed, and another one."""
    harness.on_both(
        f"CREATE DATABASE IF NOT EXISTS {harness.schema}_x",
        "CREATE TABLE t (id INT PRIMARY KEY, former INT)",
        "INSERT INTO t VALUES (1, 1), (2, 2)",
        "CREATE TABLE model (id INT PRIMARY KEY, word VARCHAR(9))",
        "INSERT INTO model VALUES (5, 'five')",
    )
    harness.on_secondary("DELETE FROM t WHERE id = 1")
    harness.begin_here()
    harness.on_primary("UPDATE t SET former = 9 WHERE id = 1")
    harness.follow(apply=replace(harness.settings.apply, table_failures=1))
    assert harness.tables.load()[harness.name("t")].state is TableState.QUARANTINED
    return harness


@pytest.mark.parametrize("case", AGAIN)
def test_it_is_followed_from_there(table: Harness, case: str) -> None:
    before, create = AGAIN[case]
    if case == "replaced" and not table.is_mariadb:
        pytest.skip("MySQL has no CREATE OR REPLACE TABLE")
    table.on_primary(before.replace("{s}", table.schema), create, "INSERT INTO t (id, word) VALUES (1, 'one')")
    table.follow()
    assert table.tables.load() == {}
    table.assert_equal()
    table.on_primary("UPDATE t SET word = 'uno' WHERE id = 1")
    table.stream()
    table.assert_equal()


def test_it_is_followed_after_a_kill_at_any_step(table: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    table.on_primary(f"RENAME TABLE t TO {table.schema}_x.old", _NEW, "INSERT INTO t VALUES (1, 'one')")

    def die(*_: object, **__: object) -> None:
        raise ReplicaError("killed")

    for name in (
        "ddl.execution.DdlExecution._run",
        "ddl.execution.DdlExecution._keep_transactional",
        "ddl.statement_applier.end_quarantines",
    ):
        with monkeypatch.context() as patch:
            patch.setattr(f"replica_cli.applier.{name}", die)
            with pytest.raises(ReplicaError, match="killed"):
                table.stream()
    table.follow()
    assert table.tables.load() == {}
    table.assert_equal()


def test_the_former_table_is_never_taken_for_the_new_one(table: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    table.on_primary(f"RENAME TABLE t TO {table.schema}_x.old", "CREATE TABLE t (id INT PRIMARY KEY, former INT)")

    def die(*_: object, **__: object) -> None:
        raise ReplicaError("killed")

    with monkeypatch.context() as patch:
        patch.setattr("replica_cli.applier.ddl.execution.drop_tables", die)
        with pytest.raises(ReplicaError, match="killed"):
            table.stream()
    table.on_secondary("ALTER TABLE t COMMENT = 'of somebody here'")
    table.follow()
    assert table.tables.load() == {}
    table.assert_equal()


def test_a_table_that_is_there_is_left_alone(table: Harness, caplog: pytest.LogCaptureFixture) -> None:
    table.on_primary(
        f"CREATE TABLE {table.schema}_x.outside (id INT PRIMARY KEY)",
        "CREATE TABLE IF NOT EXISTS model (id INT PRIMARY KEY, word VARCHAR(9),"
        f" FOREIGN KEY (id) REFERENCES {table.schema}_x.outside (id))",
        "INSERT INTO model VALUES (6, 'six')",
    )
    table.follow()
    assert "copied" not in caplog.text
    assert table.rows("SELECT id FROM model ORDER BY id") == [(5,), (6,)]


def test_one_that_may_be_the_former_table_stays_quarantined(table: Harness) -> None:
    table.on_primary(_NEW.replace("TABLE", "TABLE IF NOT EXISTS"), "UPDATE t SET former = 3 WHERE id = 2")
    table.follow()
    assert table.tables.load()[table.name("t")].state is TableState.QUARANTINED
    assert table.rows("SELECT former FROM t") == [(2,)]


def test_what_failed_itself_is_not_tried_again_and_again(table: Harness) -> None:
    # Neither the statement nor a copy can make the table: a view has its name.
    table.on_secondary("DROP TABLE t", "CREATE VIEW t AS SELECT 1 AS id")
    table.on_primary("DROP TABLE t")
    table.follow()
    assert table.tables.load() == {}
    table.on_primary(_NEW, "INSERT INTO model VALUES (6, 'six')")
    table.follow(apply=replace(table.settings.apply, table_failures=1))
    assert table.tables.load()[table.name("t")].state is TableState.QUARANTINED
    assert table.rows("SELECT COUNT(*) FROM model") == [(2,)]


@pytest.mark.servers("mariadb")
def test_a_sequence_that_is_made_again_is_followed(table: Harness) -> None:
    table.on_both("CREATE SEQUENCE numbers")
    for name, statement in {
        "numbers": "CREATE OR REPLACE SEQUENCE numbers START WITH 50",
        "others": "CREATE SEQUENCE others START WITH 70",
    }.items():
        position = table.saved().position
        put(table.tables, TableRecord(table.name(name), TableState.QUARANTINED, stopped_at=position, reason="a test"))
        table.on_primary(statement, f"DO NEXTVAL({name})")
    table.on_primary("DROP TABLE t")
    table.follow()
    assert table.tables.load() == {}
    table.assert_equal()


def test_tables_that_the_primary_has_no_longer_are_not_advised_to_be_copied(
    table: Harness, caplog: pytest.LogCaptureFixture
) -> None:
    table.on_primary(f"RENAME TABLE t TO away, model TO {table.schema}_x.model")
    caplog.clear()
    table.follow()
    told = {
        r.__dict__["table"]: r.getMessage()
        for r in caplog.records
        if r.__dict__.get("table") and "is quarantined" in r.message
    }
    assert "copies it again" in told["away"]
    assert "copies it again" not in told["model"]


def test_one_that_is_missing_at_the_position_goes_with_its_drop(table: Harness) -> None:
    table.on_secondary("DROP TABLE model")
    table.follow()
    record = table.tables.load()[table.name("model")]
    assert record.stopped_at == table.saved().position
    table.on_primary("DROP TABLE model")
    table.follow()
    assert table.name("model") not in table.tables.load()


def test_one_set_aside_at_the_position_ends_there_with_a_new_table(table: Harness) -> None:
    put(table.tables, TableRecord(table.name("t"), TableState.QUARANTINED, "a test", stopped_at=table.saved().position))
    if table.is_mariadb:
        table.on_primary(_NEW.replace("CREATE", "CREATE OR REPLACE"))
    else:
        table.source.execute("SET SESSION sql_log_bin=0")
        table.on_primary("DROP TABLE t")
        table.source.execute("SET SESSION sql_log_bin=1")
        table.on_primary(_NEW)
    table.follow()
    assert table.tables.load() == {}
    table.assert_equal()


def test_with_quarantine_as_the_rule_for_statements_it_stays(table: Harness) -> None:
    table.on_primary("DROP TABLE t", _NEW)
    table.follow(apply=replace(table.settings.apply, ddl=DdlPolicy.QUARANTINE))
    assert table.tables.load()[table.name("t")].state is TableState.QUARANTINED
