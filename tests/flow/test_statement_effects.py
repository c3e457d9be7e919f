"""Statements whose text does not show what they did: `replica` ends with equal tables, or names those that differ."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from replica_cli.mysql.errnos import ServerError

if TYPE_CHECKING:
    from tests.support.command import Replica


@pytest.mark.every_flavour
def test_tables_that_temporary_ones_hide_end_equal(replica: Replica) -> None:
    names = ("emptied", "altered", "indexed", "moved", "renamed", "model", "dropped", "kept")
    replica.on_primary(
        *(f"CREATE TABLE {n} (id INT PRIMARY KEY, n INT)" for n in names),
        *(f"INSERT INTO {n} VALUES (1, 1), (2, 2)" for n in names),
    )
    replica.run("transfer")
    with replica.primary.session(replica.schema) as session:
        session.execute("SET SESSION binlog_format = STATEMENT")
        for name in names:
            session.execute(f"CREATE TEMPORARY TABLE {name} (id INT, n INT, o INT)")
        session.execute("TRUNCATE TABLE emptied")
        session.execute("ALTER TABLE altered DROP COLUMN n")
        session.execute("CREATE INDEX by_n ON indexed (n)")
        session.execute("ALTER TABLE moved RENAME TO moved_away")
        if session.is_mariadb:
            session.execute("RENAME TABLE renamed TO renamed_too")
        session.execute("CREATE TABLE made LIKE model")
        session.execute("CREATE TABLE chosen SELECT UUID() AS a")
        session.execute("DROP TABLE IF EXISTS dropped")
    replica.on_primary(*(f"INSERT INTO {n} VALUES (3, 3)" for n in names))
    replica.catch_up()
    replica.assert_equal()
    replica.on_primary(*(f"INSERT INTO {n} VALUES (4, 4)" for n in names), "INSERT INTO made VALUES (1, 1, 1)")
    ended = replica.catch_up()
    assert "copied again" not in ended.stderr
    replica.assert_equal()
    replica.assert_nothing_is_noted()


@pytest.mark.servers("mariadb")
def test_a_stream_that_lags_and_a_rename_of_which_the_primary_has_neither_name_any_more(replica: Replica) -> None:
    names = ("hidden", "moved", "kept")
    replica.on_primary(*(f"CREATE TABLE {n} (id INT PRIMARY KEY)" for n in names), "INSERT INTO hidden VALUES (1)")
    replica.run("transfer")
    with replica.primary.session(replica.schema) as session:
        session.execute("CREATE TEMPORARY TABLE hidden (id INT)")
        session.execute("RENAME TABLE hidden TO away")  # the temporary one: the real one stays
    replica.on_primary("INSERT INTO hidden VALUES (2)", "RENAME TABLE moved TO gone", "DROP TABLE hidden, gone")
    replica.catch_up()
    replica.assert_equal()
    replica.on_primary("INSERT INTO kept VALUES (1)", "CREATE TABLE hidden (id INT)", "INSERT INTO hidden VALUES (3)")
    replica.catch_up()
    replica.assert_equal()
    replica.assert_nothing_is_noted()


@pytest.mark.servers("mariadb")
def test_a_table_that_a_failed_statement_replaced_ends_as_on_the_primary(replica: Replica) -> None:
    names = ("gone", "refilled", "halfway")
    replica.on_primary(
        "CREATE TABLE t (id INT PRIMARY KEY)",
        *(f"CREATE TABLE {n} (id INT PRIMARY KEY)" for n in names),
        *(f"INSERT INTO {n} VALUES (1)" for n in names),
    )
    replica.run("transfer")
    for binlog_format, name in (("ROW", "gone"), ("MIXED", "refilled")):
        with pytest.raises(ServerError, match="Duplicate"):
            replica.on_primary(
                f"SET SESSION binlog_format = {binlog_format}",
                f"CREATE OR REPLACE TABLE {name} (PRIMARY KEY (id)) SELECT 1 AS id UNION ALL SELECT 1",
            )
    with pytest.raises(ServerError, match="Key column"):
        replica.on_primary("CREATE OR REPLACE TABLE halfway (id INT, KEY k (nothing))")
    replica.on_primary("CREATE TABLE refilled (id INT PRIMARY KEY)", "INSERT INTO refilled VALUES (5)")
    replica.catch_up()
    replica.on_primary("INSERT INTO t VALUES (1)")
    replica.catch_up()
    replica.assert_equal()
    replica.assert_nothing_is_noted()


@pytest.mark.every_flavour
def test_tables_of_engines_without_rows_of_their_own_are_set_aside_by_name(replica: Replica) -> None:
    replica.on_primary(
        *(f"CREATE TABLE {n} (id INT PRIMARY KEY, n INT)" for n in ("good", "thrown")),
        *(f"CREATE TABLE part_{n} (id INT, n INT) ENGINE=MyISAM" for n in range(3)),
        "INSERT INTO good VALUES (1, 1)",
        "INSERT INTO part_0 VALUES (1, 1)",
    )
    replica.run("transfer")
    with replica.primary.session() as session:
        thrown_by_default = "MRG_MYISAM" if session.is_mariadb else "BLACKHOLE"
    replica.on_primary(
        # MariaDB takes its default engine where it has not this one, as on this machine: it is judged by its name.
        "CREATE TABLE lost (id INT) ENGINE=BLACKHOLE",
        "INSERT INTO lost VALUES (1)",
        f"SET SESSION default_storage_engine = {thrown_by_default}",
        "CREATE TABLE lost_too (id INT)",
        "SET SESSION default_storage_engine = InnoDB",
        "ALTER TABLE thrown ENGINE=BLACKHOLE",
        "INSERT INTO thrown VALUES (5, 5)",
        "CREATE TABLE whole (id INT, n INT) ENGINE=MERGE UNION=(part_0, part_1) INSERT_METHOD=LAST",
        "INSERT INTO whole VALUES (7, 7)",
        "UPDATE whole SET n = 8",
        "INSERT INTO part_2 VALUES (9, 9)",
        "INSERT INTO good VALUES (2, 2)",
    )
    replica.catch_up(code=3)
    noted = dict(replica.state("SELECT table_name, reason FROM table_state WHERE state = 'quarantined'"))
    assert sorted(noted) == ["lost", "lost_too", "part_0", "part_1", "thrown", "whole"]
    assert all("throws its rows away" in noted[n] for n in ("lost", "thrown"))
    assert "engine" in noted["lost_too"]
    assert all("MERGE" in noted[n] for n in ("part_0", "part_1", "whole"))
    assert all("the copy is refused too: such a table cannot be copied exactly" in noted[n] for n in noted)
    for name in ("good", "part_2"):
        assert replica.on_secondary(f"SELECT * FROM {name}") == replica.primary.session(replica.schema).rows(
            f"SELECT * FROM {name}"
        )
    # The copy says the same of them, also of those whose MERGE table is left out by the filters.
    replica.settings["REPLICA_EXCLUDE_TABLES"] = ",".join(f"{replica.schema}.{n}" for n in ("lost*", "thrown", "whole"))
    replica.settings["REPLICA_STATE_SCHEMA"] = f"{replica.state_schema}_2"
    refused = replica.run("transfer", "--restart", "--all", "--yes", "--json", code=14)
    assert f"changes through {replica.schema}.whole (engine MERGE) are logged" in refused.stderr


def test_ddl_stop_stops_with_the_position_and_the_next_command(replica: Replica) -> None:
    replica.settings["REPLICA_DDL"] = "stop"
    replica.on_primary("CREATE TABLE t (id INT PRIMARY KEY)", "INSERT INTO t VALUES (1)")
    replica.run("transfer")
    replica.on_primary("INSERT INTO t VALUES (2)")
    before = "{}:{}".format(*replica.primary_end())
    with replica.primary.session(replica.schema) as session:
        session.execute("ALTER TABLE t ADD COLUMN n INT NOT NULL DEFAULT 4")
    after = "{}:{}".format(*replica.primary_end())
    replica.on_primary("INSERT INTO t VALUES (3, 3)")
    stopped = replica.run("stream", "--json", code=14)
    assert f"alter table at {before}" in stopped.error["message"]
    assert "REPLICA_DDL=stop" in stopped.error["message"]
    assert f"`replica position reset --secondary db1 --to {after}" in stopped.error["hint"]
    replica.assert_nothing_is_noted()
    assert replica.on_secondary("SELECT * FROM t") == [(1,), (2,)]
    replica.on_secondary("ALTER TABLE t ADD COLUMN n INT NOT NULL DEFAULT 4")
    replica.run("position", "reset", "--secondary", "db1", "--to", after, "--yes")
    replica.catch_up()
    replica.assert_equal()
    replica.assert_nothing_is_noted()
