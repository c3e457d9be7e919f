"""A position is saved, and tables are not on the secondary: what the log brings, and what it does not."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from replica_cli.mysql.errnos import ServerError

if TYPE_CHECKING:
    from fix_replica import Replica


@pytest.fixture
def copied(replica: Replica) -> Replica:
    replica.on_primary(
        *(s for t in ("one", "two") for s in (f"CREATE TABLE {t} (id INT PRIMARY KEY)", f"INSERT INTO {t} VALUES (1)"))
    )
    replica.run("transfer")
    return replica


def test_tables_that_were_all_renamed_while_the_stream_was_stopped_come_by_the_log(copied: Replica) -> None:
    copied.catch_up()
    copied.on_primary(
        "RENAME TABLE one TO first_one, two TO second_one",
        "INSERT INTO first_one VALUES (2)",
        "CREATE TABLE late (id INT PRIMARY KEY)",
        "INSERT INTO late VALUES (1)",
    )
    ended = copied.catch_up()
    assert "to copy" not in ended.stderr
    copied.assert_equal()


def test_tables_of_a_primary_that_had_none_at_the_copy_come_by_the_log(replica: Replica) -> None:
    replica.on_primary()
    replica.run("transfer")
    replica.on_primary("CREATE TABLE t (id INT PRIMARY KEY)", "INSERT INTO t VALUES (1)")
    ended = replica.catch_up()
    assert "to copy" not in ended.stderr
    replica.assert_equal()


@pytest.mark.parametrize("dropped", ["DROP DATABASE {schema}", "DROP TABLE {schema}.two"])
def test_tables_that_were_dropped_on_the_secondary_are_named_and_not_copied_unasked(
    copied: Replica, dropped: str
) -> None:
    copied.catch_up()
    with copied.secondaries["db1"].session() as session:
        session.execute(dropped.format(schema=copied.schema))
    copied.on_primary("INSERT INTO one VALUES (3)")
    ended = copied.catch_up(code=3)
    assert "to copy" not in ended.stderr
    set_aside = copied.state("SELECT table_name FROM table_status WHERE state = 'quarantined' ORDER BY table_name")
    assert set_aside == ([("one",), ("two",)] if "DATABASE" in dropped else [("two",)])
    assert re.search(r"two.*is not on the secondary, and the primary's log did not bring it", ended.stderr)
    options = [word for (name,) in set_aside for word in ("--table", f"{copied.schema}.{name}")]
    copied.run("transfer", *options, "--secondary", "db1", "--yes")
    copied.catch_up()
    copied.assert_equal()


def test_a_stream_goes_on_with_a_copy_that_failed_before_its_first_table(replica: Replica) -> None:
    replica.on_primary("CREATE TABLE t (id INT PRIMARY KEY)", "INSERT INTO t VALUES (1)")
    # What keeps every table from being made.
    with replica.secondaries["db1"].session() as session:
        session.execute(f"CREATE DATABASE `{replica.schema}`")
        session.execute(f"USE `{replica.schema}`")
        session.execute("CREATE VIEW t AS SELECT 1 AS id")
    replica.run("transfer", code=1)
    with replica.secondaries["db1"].session(replica.schema) as session:
        session.execute("DROP VIEW t")
        with pytest.raises(ServerError):
            session.execute("SELECT 1 FROM t")
    replica.catch_up()
    replica.assert_equal()
