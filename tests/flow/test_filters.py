"""Routes, filters, and filters that change."""

from __future__ import annotations

import re
import signal
from typing import TYPE_CHECKING

import pytest

from tests.support.equality import assert_equal

if TYPE_CHECKING:
    from tests.support.command import Replica


def tables(replica: Replica, schema: str) -> set[str]:
    with replica.secondaries["db1"].session() as session:
        found = session.rows("SELECT table_name FROM information_schema.tables WHERE table_schema = %s", schema)
        return {name for (name,) in found}


def test_a_schema_is_routed_into_another_by_copy_rows_and_definitions(replica: Replica) -> None:
    target = f"{replica.schema}_copy"
    replica.settings |= {"REPLICA_SCHEMAS": f"{replica.schema}:{target}"}
    replica.on_primary(
        "CREATE TABLE parent (id INT PRIMARY KEY)",
        "CREATE TABLE child (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES parent (id) ON DELETE CASCADE)",
        "INSERT INTO parent VALUES (1), (2)",
        "INSERT INTO child VALUES (1, 1), (2, 2)",
    )
    replica.run("transfer")
    replica.on_primary(
        "DELETE FROM parent WHERE id = 1",
        "ALTER TABLE child ADD COLUMN n INT",
        f"""CREATE TABLE `{replica.schema}`.later (id INT PRIMARY KEY, c INT,
            FOREIGN KEY (c) REFERENCES `{replica.schema}`.child (id))""",
        "INSERT INTO later VALUES (1, 2)",
        f"RENAME TABLE later TO `{replica.schema}`.renamed",
        "TRUNCATE TABLE renamed",
        "INSERT INTO renamed VALUES (5, NULL)",
    )
    replica.catch_up()
    assert_equal(replica.primary, replica.secondaries["db1"], replica.schema, target)
    assert tables(replica, replica.schema) == set()


@pytest.mark.parametrize("engine", ["auto", "sql"])
def test_tables_outside_the_filters_are_neither_copied_nor_followed(replica: Replica, engine: str) -> None:
    schema = replica.schema
    replica.settings |= {
        "REPLICA_ENGINE": engine,
        "REPLICA_TABLES": f"{schema}.in_*,{schema}.one_?",
        "REPLICA_EXCLUDE_TABLES": f"{schema}.in_secret*",
    }
    names = ("in_a", "in_b", "one_1", "one_22", "in_secret", "outer_one")
    replica.on_primary(*(f"CREATE TABLE {n} (id INT PRIMARY KEY)" for n in names))
    replica.on_primary(*(f"INSERT INTO {n} VALUES (1)" for n in names))
    replica.run("transfer")
    assert tables(replica, schema) == {"in_a", "in_b", "one_1"}
    replica.on_primary(
        *(f"INSERT INTO {n} VALUES (2)" for n in names),
        "CREATE TABLE in_c (id INT PRIMARY KEY)",
        "INSERT INTO in_c VALUES (3)",
        "CREATE TABLE in_secret_too (id INT PRIMARY KEY)",
        "ALTER TABLE outer_one ADD COLUMN n INT",
        "DROP TABLE IF EXISTS in_b, outer_one",
    )
    replica.catch_up()
    assert tables(replica, schema) == {"in_a", "in_c", "one_1"}
    for name in ("in_a", "in_c", "one_1"):
        with replica.primary.session(schema) as a, replica.secondaries["db1"].session(schema) as b:
            assert a.rows(f"SELECT * FROM {name} ORDER BY 1") == b.rows(f"SELECT * FROM {name} ORDER BY 1")
    replica.assert_nothing_is_noted()


def test_changed_filters_are_refused_until_they_are_accepted(replica: Replica) -> None:
    schema = replica.schema
    replica.settings |= {"REPLICA_EXCLUDE_TABLES": f"{schema}.b"}
    replica.on_primary(
        "CREATE TABLE a (id INT PRIMARY KEY)", "CREATE TABLE b (id INT PRIMARY KEY)", "INSERT INTO b VALUES (1)"
    )
    replica.run("transfer")
    del replica.settings["REPLICA_EXCLUDE_TABLES"]
    refused = replica.run("stream", "--json", code=10)
    assert refused.error["error"] == "filters_changed"
    assert "replica position reset --accept-filters --secondary db1" in refused.error["hint"]
    place = replica.saved()
    replica.run("position", "reset", "--to-current", "--all", "--yes", code=10)
    replica.run("position", "reset", "--accept-filters", "--secondary", "db1", "--yes")
    assert replica.saved() == place
    replica.run("transfer", "--table", f"{schema}.b", "--secondary", "db1", "--yes")
    replica.on_primary("INSERT INTO b VALUES (2)", "INSERT INTO a VALUES (7)")
    replica.catch_up()
    replica.assert_equal()


@pytest.mark.parametrize("way", ["renamed back", "left out", "copied under its new name"])
def test_a_table_that_left_the_filters_has_three_ways_out(replica: Replica, way: str) -> None:
    schema = replica.schema
    replica.settings |= {"REPLICA_EXCLUDE_TABLES": f"{schema}.old_*"}
    replica.on_primary("CREATE TABLE t (id INT PRIMARY KEY)", "INSERT INTO t VALUES (1)")
    replica.on_primary("CREATE TABLE u (id INT PRIMARY KEY)")
    replica.run("transfer")
    replica.on_primary("RENAME TABLE t TO old_t", "INSERT INTO old_t VALUES (2)")
    ended = replica.catch_up(code=3)
    advice = "if it was renamed on the primary, `replica transfer --table SCHEMA.NEW_NAME"
    (skipped,) = re.findall(rf"\[SKIPPED\] .*{schema}\.t .*", ended.stderr)
    assert advice in skipped
    assert "copies it again" not in skipped
    # Its old name is refused with the same advice, before anything is written.
    refused = replica.run("transfer", "--table", f"{schema}.t", "--all", "--yes", "--json", code=2)
    assert advice in refused.error["hint"]
    (check,) = [c for c in replica.run("health", "--json", code=2).document["checks"] if "quarantined" in c["name"]]
    assert advice in check["hint"]
    assert "copies them again" not in check["hint"]
    if way == "renamed back":
        replica.on_primary("RENAME TABLE old_t TO t")
        replica.catch_up(code=3)
        replica.run("transfer", "--table", f"{schema}.t", "--all", "--yes")
    else:
        if way == "copied under its new name":
            replica.on_primary("RENAME TABLE old_t TO v")
            replica.run("transfer", "--table", f"{schema}.v", "--all", "--yes")
        replica.settings["REPLICA_EXCLUDE_TABLES"] += f",{schema}.t"
        replica.run("position", "reset", "--accept-filters", "--all", "--yes")
        replica.on_secondary("DROP TABLE t")
    replica.on_primary("INSERT INTO u VALUES (3)")
    replica.catch_up()
    replica.assert_nothing_is_noted()
    left = {"renamed back": {"t"}, "left out": set(), "copied under its new name": {"v"}}
    assert tables(replica, schema) == {"u", *left[way]}


def test_a_mistyped_name_is_reported_with_similar_names(replica: Replica) -> None:
    replica.on_primary("CREATE TABLE orders (id INT PRIMARY KEY)", "CREATE TABLE items (id INT PRIMARY KEY)")
    replica.run("transfer")
    refused = replica.run("transfer", "--table", f"{replica.schema}.order", "--all", "--yes", "--json", code=2)
    assert refused.error["hint"] == f"check the name and the filters; similar names: {replica.schema}.orders"


def test_a_rename_into_the_filters_copies_the_table_while_the_stream_runs(replica: Replica) -> None:
    # As an online schema change does whose new table is left out: its rows were never here.
    schema = replica.schema
    replica.settings |= {"REPLICA_EXCLUDE_TABLES": f"{schema}._*"}
    replica.on_primary("CREATE TABLE t (id INT PRIMARY KEY)", "INSERT INTO t VALUES (1)")
    replica.run("transfer")
    stream = replica.stream()
    replica.wait_until_applied(stream)
    replica.on_primary(
        "CREATE TABLE _t_new (id BIGINT PRIMARY KEY, more INT)",
        "INSERT INTO _t_new SELECT id, 5 FROM t",
        "RENAME TABLE t TO _t_old, _t_new TO t",
        "INSERT INTO t VALUES (2, 2)",
        "DROP TABLE _t_old",
    )
    stream.wait_for_log(rf"\[TRANSFER\].*{schema}\.t: rename table with {schema}\._t_old, which is outside the filters")
    stream.wait_for_log("has joined the stream")
    replica.on_primary("UPDATE t SET more = 9")
    replica.wait_until_applied(stream)
    assert stream.end(signal.SIGTERM).code == 0
    replica.assert_equal()
    replica.assert_nothing_is_noted()


def test_a_schema_that_is_left_out_with_all_its_tables_is_never_made(replica: Replica) -> None:
    schema = replica.schema
    names = [f"{schema}_{end}" for end in ("private", "late")]
    replica.settings |= {
        "REPLICA_SCHEMAS": ",".join((schema, *names)),
        "REPLICA_EXCLUDE_TABLES": ",".join(f"{name}.*" for name in names),
    }
    replica.on_primary("CREATE TABLE t (id INT PRIMARY KEY)", f"CREATE DATABASE {names[0]}")
    replica.on_primary(f"CREATE TABLE {names[0]}.t (id INT PRIMARY KEY)")
    replica.run("transfer")
    replica.on_primary(f"CREATE DATABASE {names[1]}", f"CREATE TABLE {names[1]}.t (id INT PRIMARY KEY)")
    replica.on_primary("INSERT INTO t VALUES (1)")
    replica.catch_up()
    replica.on_primary(*(f"DROP DATABASE {name}" for name in names))
    assert [name for (name,) in replica.on_secondary("SHOW DATABASES") if name in names] == []
    replica.assert_equal()
