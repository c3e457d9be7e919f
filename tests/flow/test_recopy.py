"""A quarantined table, and how it is copied again while the stream runs."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from tests.support.command import wait_until

if TYPE_CHECKING:
    from tests.support.command import Replica


@pytest.mark.parametrize("engine", ["auto", "sql"])
def test_a_quarantined_table_is_seen_everywhere_and_comes_back_by_a_copy(two_secondaries: Replica, engine: str) -> None:
    replica = two_secondaries
    replica.settings |= {"REPLICA_TABLE_FAILURES": "1", "REPLICA_ENGINE": engine}
    replica.on_primary(
        "CREATE TABLE good (id INT PRIMARY KEY, n INT)",
        "CREATE TABLE bad (id INT PRIMARY KEY, n INT)",
        "INSERT INTO good VALUES (1, 0), (2, 0)",
        "INSERT INTO bad VALUES (1, 0), (2, 0), (3, 0)",
    )
    replica.run("transfer")
    stream = replica.stream()
    replica.wait_until_applied(stream)
    replica.on_secondary("DELETE FROM bad WHERE id = 2")
    name = f"{replica.schema}.bad"
    replica.on_primary("UPDATE bad SET n = 1", "UPDATE good SET n = 1", "INSERT INTO bad VALUES (4, 4)")
    stream.wait_for_log(rf"\[SKIPPED\] \[db1\] .*{name}")
    replica.on_primary("UPDATE good SET n = 2", "DELETE FROM bad WHERE id = 1")
    replica.wait_until_applied(stream)

    shown = {s["instance"]: s["tables"] for s in replica.run("position", "show", "--json").document["secondaries"]}
    (note,) = shown["db1"]
    assert (note["table"], note["state"], shown["db2"]) == (name, "quarantined", [])
    assert note["position"]["file"]
    # The key's column is named, the row's values are not.
    assert "id" in note["reason"]
    health = replica.run("health", "--secondary", "db1", "--json", code=2).document
    assert any(c["level"] == 2 and name in c["message"] for c in health["checks"]), health
    assert replica.run("health", "--secondary", "db2").code == 0
    # The stream went on with others, and no row of the table was changed after it was quarantined.
    assert replica.on_secondary("SELECT id, n FROM good") == [(1, 2), (2, 2)]
    assert replica.on_secondary("SELECT id, n FROM bad") == [(1, 0), (3, 0)]
    replica.assert_equal("db2")

    copied = replica.run("transfer", "--secondary", "db1", "--table", name, "--yes", "--json")
    assert [line["code"] for line in copied.lines if line["type"] == "summary"] == [0]
    replica.on_primary("UPDATE bad SET n = n + 10", "UPDATE good SET n = 3")
    replica.wait_until_applied(stream)
    replica.run("health")
    ended = stream.end(signal.SIGTERM)
    assert ended.code == 0
    replica.assert_equal()


def test_a_table_made_like_a_quarantined_one_is_copied_and_a_dropped_one_is_forgotten(replica: Replica) -> None:
    replica.settings |= {"REPLICA_TABLE_FAILURES": "1"}
    replica.on_primary("CREATE TABLE bad (id INT PRIMARY KEY, n INT)", "INSERT INTO bad VALUES (1, 0), (2, 0)")
    replica.run("transfer")
    replica.on_secondary("DELETE FROM bad WHERE id = 2")
    replica.on_primary("UPDATE bad SET n = 1")
    replica.catch_up(code=3)
    # From here on the two tables have different definitions.
    replica.on_primary(
        "ALTER TABLE bad ADD COLUMN more INT NOT NULL DEFAULT 4",
        "CREATE TABLE like_it LIKE bad",
        "INSERT INTO like_it SELECT * FROM bad",
        "CREATE TABLE short_lived LIKE bad",
        "INSERT INTO short_lived VALUES (3, 3, 3)",
        "DROP TABLE short_lived",
    )
    replica.catch_up(code=3)
    assert [row[0] for row in replica.state("SELECT table_name FROM table_state")] == ["bad"]
    replica.on_primary("UPDATE like_it SET n = 5", "DROP TABLE bad")
    replica.catch_up()
    replica.assert_nothing_is_noted()
    replica.assert_equal()


def test_a_table_that_was_made_before_the_position_and_renamed_after_it_is_copied(replica: Replica) -> None:
    # No query ran between the two: the copy knows neither name, and the log has the rename without the CREATE.
    replica.on_primary("CREATE TABLE t (id INT PRIMARY KEY)", "INSERT INTO t VALUES (1)")
    replica.run("transfer")
    replica.on_primary(
        "CREATE TABLE guest (id INT PRIMARY KEY)",
        "CREATE TABLE brief (id INT PRIMARY KEY)",
        "INSERT INTO guest VALUES (1)",
    )
    replica.run("position", "reset", "--secondary", "db1", "--to-current", "--yes")
    replica.on_primary(
        "ALTER TABLE guest ADD COLUMN n INT NOT NULL DEFAULT 4",
        "INSERT INTO guest VALUES (2, 2)",
        "INSERT INTO brief VALUES (2)",
        "RENAME TABLE guest TO visitor",
        "UPDATE visitor SET n = 5 WHERE id = 1",
        "DROP TABLE brief",
        "INSERT INTO t VALUES (2)",
    )
    replica.catch_up()
    replica.on_primary("UPDATE visitor SET n = 6 WHERE id = 2")
    replica.catch_up()
    replica.assert_nothing_is_noted()
    replica.assert_equal()


def test_a_run_up_to_the_end_advises_no_copy_of_a_quarantined_table_that_the_primary_has_no_longer(
    replica: Replica,
) -> None:
    replica.settings |= {"REPLICA_TABLE_FAILURES": "1"}
    replica.on_primary("CREATE TABLE bad (id INT PRIMARY KEY, n INT)", "INSERT INTO bad VALUES (1, 0)")
    replica.run("transfer")
    replica.on_secondary("DELETE FROM bad")
    replica.on_primary("UPDATE bad SET n = 1", "RENAME TABLE bad TO good")
    ended = replica.catch_up(code=3)
    old, new = f"{replica.schema}.bad", f"{replica.schema}.good"
    last_words = ended.stderr.partition("caught up, except for 2 quarantined tables")[2]
    assert f"`replica transfer --table {new}" in last_words
    assert f"not on the primary any more: {old}: if it was renamed on the primary" in last_words
    assert f"`replica transfer --table {old}" not in last_words
    replica.run("transfer", "--secondary", "db1", "--table", new, "--yes")
    replica.settings |= {"REPLICA_EXCLUDE_TABLES": old}
    replica.run("position", "reset", "--secondary", "db1", "--accept-filters", "--yes")
    replica.catch_up()
    assert replica.on_secondary("SELECT id, n FROM good") == [(1, 1)]


def test_a_quarantine_outlives_a_restart(replica: Replica) -> None:
    replica.settings |= {"REPLICA_TABLE_FAILURES": "1"}
    replica.on_primary("CREATE TABLE bad (id INT PRIMARY KEY, n INT)", "INSERT INTO bad VALUES (1, 0), (2, 0)")
    replica.run("transfer")
    replica.on_secondary("DELETE FROM bad WHERE id = 2")
    replica.on_primary("UPDATE bad SET n = 1")
    ended = replica.catch_up(code=3)
    said = f"error: db1: caught up, except for 1 quarantined table: {replica.schema}.bad\nhint: `replica transfer"
    said += " --table "
    assert said in ended.stderr
    assert ended.stdout.splitlines()[1].startswith("db1        finished")
    replica.on_primary("INSERT INTO bad VALUES (3, 3)")
    replica.catch_up(code=3)
    assert replica.on_secondary("SELECT id, n FROM bad") == [(1, 0)]
    ((skipped,),) = replica.state("SELECT skipped_count FROM binlog_position")
    assert skipped >= 1
    # Without a stream the transfer copies by itself; the next stream goes on after it.
    replica.run("transfer", "--secondary", "db1", "--table", f"{replica.schema}.bad", "--yes")
    replica.on_primary("UPDATE bad SET n = 7 WHERE id = 2")
    replica.catch_up()
    replica.assert_equal()
    # Nothing streams now: the last heartbeat said so.
    replica.run("health", code=2)
    assert replica.run("position", "show", "--json").document["secondaries"][0]["tables"] == []


def test_a_failing_table_stops_the_stream_if_the_settings_say_so(replica: Replica) -> None:
    replica.settings |= {"REPLICA_TABLE_FAILURES": "2", "REPLICA_ON_TABLE_FAILURE": "stop"}
    replica.on_primary(
        "CREATE TABLE t (id INT PRIMARY KEY, word VARCHAR(20))", "INSERT INTO t VALUES (1, 'secret word')"
    )
    replica.run("transfer")
    replica.on_secondary("DELETE FROM t")
    replica.on_primary("INSERT INTO t VALUES (5, 'before it')", "UPDATE t SET word = 'secret too' WHERE id = 1")
    stopped = replica.run("stream", "--json", code=14)
    assert stopped.error["error"] == "row_missing"
    assert "secret" not in stopped.stdout + stopped.stderr
    # What came before the failing transaction is there, and the mended table goes on from it.
    assert replica.on_secondary("SELECT id FROM t") == [(5,)]
    replica.on_secondary("INSERT INTO t VALUES (1, 'secret word')")
    replica.catch_up()
    replica.assert_equal()


def test_a_large_live_table_is_copied_again_under_load_without_a_gap(replica: Replica) -> None:
    replica.settings |= {"TRANSFER_BATCH_SIZE": "50"}
    replica.on_primary(
        "CREATE TABLE digits (id INT PRIMARY KEY)",
        "INSERT INTO digits VALUES " + ",".join(f"({n})" for n in range(100)),
        "CREATE TABLE t (id INT PRIMARY KEY, n INT NOT NULL)",
        "INSERT INTO t SELECT a.id * 100 + b.id, 0 FROM digits a, digits b",
    )
    replica.run("transfer")
    stream = replica.stream()
    replica.wait_until_applied(stream)
    replica.on_secondary("UPDATE t SET n = 99 WHERE id MOD 7 = 0")
    copying = replica.start("transfer", "--secondary", "db1", "--table", f"{replica.schema}.t", "--yes")
    for number in range(10_000):
        if not copying.is_running:
            break
        replica.on_primary(
            f"UPDATE t SET n = n + 1 WHERE id MOD 97 = {number % 97}",
            f"DELETE FROM t WHERE id = {number}",
            f"INSERT INTO t VALUES ({20_000 + number}, 0)",
            f"UPDATE t SET id = {40_000 + number} WHERE id = {9_000 - number}",
        )
    assert copying.end().code == 0
    replica.wait_until_applied(stream)
    wait_until(lambda: replica.state("SELECT * FROM table_state") == [], "the replay window to close")
    replica.on_primary("UPDATE t SET n = n + 1")
    replica.wait_until_applied(stream)
    assert stream.end(signal.SIGTERM).code == 0
    replica.assert_equal()
