"""System-versioned tables of MariaDB: copied with their history, and followed with the primary's own times."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest

from replica_cli.core.settings import EngineChoice
from tests.support.command import Load, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from replica_cli.mysql.session import Session
    from tests.support.command import Replica

MADE = (
    "CREATE TABLE plain (id INT PRIMARY KEY, a VARCHAR(10), UNIQUE (a), KEY by_a (a, id)) WITH SYSTEM VERSIONING",
    (
        "CREATE TABLE named (id INT PRIMARY KEY, a INT, s TIMESTAMP(6) GENERATED ALWAYS AS ROW START INVISIBLE,"
        " e TIMESTAMP(6) GENERATED ALWAYS AS ROW END, PERIOD FOR SYSTEM_TIME (s, e)) WITH SYSTEM VERSIONING"
    ),
    "CREATE TABLE keyless (id INT, a INT WITHOUT SYSTEM VERSIONING, b INT) WITH SYSTEM VERSIONING",
    "CREATE TABLE hashed (id INT PRIMARY KEY, t TEXT, UNIQUE (t)) WITH SYSTEM VERSIONING",
    (
        "CREATE TABLE parted (id INT PRIMARY KEY, a INT) WITH SYSTEM VERSIONING PARTITION BY SYSTEM_TIME LIMIT 2"
        " (PARTITION p0 HISTORY, PARTITION p1 HISTORY, PARTITION pc CURRENT)"
    ),
    (
        "CREATE TABLE hourly (id INT PRIMARY KEY, a INT) WITH SYSTEM VERSIONING PARTITION BY SYSTEM_TIME"
        " INTERVAL 1 DAY STARTS '2020-01-01 00:00:00' PARTITIONS 4"
    ),
    "CREATE TABLE isam (id INT PRIMARY KEY, a INT) WITH SYSTEM VERSIONING ENGINE=Aria TRANSACTIONAL=0",
    "CREATE TABLE parent (id INT PRIMARY KEY) WITH SYSTEM VERSIONING",
    "CREATE TABLE child (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES parent (id) ON DELETE CASCADE)",
    (
        "CREATE TABLE strict_child (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES parent (id))"
        " WITH SYSTEM VERSIONING"
    ),
    "CREATE TABLE big (id INT PRIMARY KEY, t LONGTEXT) WITH SYSTEM VERSIONING",
    "CREATE TABLE future (id INT PRIMARY KEY, a INT) WITH SYSTEM VERSIONING",
    "CREATE TABLE of_history (id INT PRIMARY KEY) WITH SYSTEM VERSIONING",
    "CREATE TABLE turned (id INT PRIMARY KEY, a INT)",
)


def changes(start: int) -> tuple[str, ...]:
    """Return statements that make history of every kind in all tables; other rows with each `start`."""
    n = start
    return (
        f"INSERT INTO plain VALUES ({n}, 'a{n}'), ({n + 1}, 'b{n}'), ({n + 2}, NULL)",
        f"UPDATE plain SET a = 'c{n}' WHERE id = {n}",
        f"UPDATE plain SET a = 'c{n}' WHERE id = {n}",
        f"UPDATE plain SET id = {n + 5} WHERE id = {n}",
        f"DELETE FROM plain WHERE id = {n + 1}",
        f"REPLACE INTO plain VALUES ({n + 5}, 'r{n}'), ({n + 1}, 'n{n}')",
        f"INSERT INTO plain VALUES ({n + 5}, 'x') ON DUPLICATE KEY UPDATE a = 'u{n}'",
        f"INSERT INTO named (id, a) VALUES ({n}, 1), ({n + 1}, 1)",
        f"UPDATE named SET a = 2 WHERE id = {n}",
        f"DELETE FROM named WHERE id = {n + 1}",
        f"INSERT INTO keyless VALUES ({n}, 1, 1), ({n}, 1, 1), ({n}, 1, 2)",
        f"UPDATE keyless SET a = 2 WHERE id = {n}",
        f"UPDATE keyless SET b = b + 1 WHERE id = {n}",
        f"DELETE FROM keyless WHERE id = {n} LIMIT 1",
        f"INSERT INTO hashed VALUES ({n}, 'one {n}'), ({n + 1}, NULL)",
        f"UPDATE hashed SET t = 'other {n}' WHERE id IN ({n}, {n + 3})",
        f"UPDATE hashed SET t = NULL WHERE id = {n}",
        f"INSERT INTO parted VALUES ({n}, 1)",
        *(f"UPDATE parted SET a = {value} WHERE id = {n}" for value in range(2, 6)),
        f"INSERT INTO hourly VALUES ({n}, 1)",
        f"UPDATE hourly SET a = 2 WHERE id = {n}",
        f"INSERT INTO isam VALUES ({n}, 1)",
        f"UPDATE isam SET a = 2 WHERE id = {n}",
        f"INSERT INTO parent VALUES ({n}), ({n + 1})",
        f"INSERT INTO child VALUES ({n}, {n}), ({n + 1}, {n + 1})",
        f"INSERT INTO strict_child VALUES ({n + 1}, {n + 1})",
        f"UPDATE strict_child SET p = NULL WHERE id = {n + 1}",
        f"DELETE FROM parent WHERE id = {n}",
        f"INSERT INTO big VALUES ({n}, REPEAT('{n} ', 200000))",
        f"UPDATE big SET t = REVERSE(t) WHERE id = {n}",
        # The clock goes back: rows that were written in the future leave no version.
        "SET @@timestamp = UNIX_TIMESTAMP() + 90000",
        f"INSERT INTO future VALUES ({n}, 1), ({n + 1}, 1)",
        f"UPDATE future SET a = 2 WHERE id = {n}",
        "SET @@timestamp = DEFAULT",
        f"UPDATE future SET a = 3 WHERE id = {n}",
        f"DELETE FROM future WHERE id = {n + 1}",
        f"INSERT INTO of_history VALUES ({n})",
        f"DELETE FROM of_history WHERE id = {n}",
        f"INSERT INTO turned (id, a) VALUES ({n}, 1), ({n + 1}, 1)",
        f"UPDATE turned SET a = 2 WHERE id = {n}",
    )


DEFINED = (
    "DELETE HISTORY FROM plain",
    "ALTER TABLE turned ADD SYSTEM VERSIONING",
    "UPDATE turned SET a = 3",
    "ALTER TABLE plain ADD COLUMN z INT DEFAULT 4, ADD KEY (z)",
    "UPDATE plain SET z = 5",
    "ALTER TABLE named MODIFY a BIGINT",
    "UPDATE named SET a = a + 1",
    "RENAME TABLE keyless TO keyless_too",
    "DELETE FROM keyless_too LIMIT 1",
    "CREATE TABLE young (id INT PRIMARY KEY) WITH SYSTEM VERSIONING",
    "CREATE TABLE like_it LIKE plain",
    "CREATE TABLE chosen WITH SYSTEM VERSIONING SELECT 1 AS id",
    "INSERT INTO young VALUES (1), (2)",
    "DELETE FROM young WHERE id = 1",
    "INSERT INTO like_it VALUES (1, 'x', 1)",
    "UPDATE like_it SET z = 2",
    "UPDATE chosen SET id = 2",
    "ALTER TABLE isam DROP SYSTEM VERSIONING",
    "UPDATE isam SET a = 7",
    (
        "ALTER TABLE isam ADD COLUMN s TIMESTAMP(6) GENERATED ALWAYS AS ROW START, ADD COLUMN e TIMESTAMP(6)"
        " GENERATED ALWAYS AS ROW END, ADD PERIOD FOR SYSTEM_TIME (s, e), ADD SYSTEM VERSIONING"
    ),
    "UPDATE isam SET a = 8",
    "ALTER TABLE parted ADD PARTITION (PARTITION p2 HISTORY)",
    "UPDATE parted SET a = a + 1",
)


def apply(replica: Replica, *statements: str) -> None:
    replica.on_primary("SET SESSION system_versioning_alter_history = KEEP", *statements)


def assert_ends_that_cannot_be_rewritten_are_refused(replica: Replica) -> None:
    replica.on_primary(
        "CREATE TABLE middle (id INT PRIMARY KEY, s TIMESTAMP(6) GENERATED ALWAYS AS ROW START, e TIMESTAMP(6)"
        " GENERATED ALWAYS AS ROW END, b INT, PERIOD FOR SYSTEM_TIME (s, e)) WITH SYSTEM VERSIONING",
        "INSERT INTO middle (id, b) VALUES (1, 1)",
        "CREATE TABLE late (id INT PRIMARY KEY) WITH SYSTEM VERSIONING",
    )
    expected = {"middle": "the end of the period is not the last column"}
    if str(replica.primary.binary).startswith("mariadb:11"):
        replica.on_primary(
            "SET @@timestamp = 2200000000", "INSERT INTO late VALUES (1)", "SET @@timestamp = 2200000001",
            "DELETE FROM late",
        )  # fmt: skip
        expected["late"] = "a row version begins or ends after 2038"
    replica.catch_up(code=3)
    noted = dict(replica.state("SELECT table_name, reason FROM table_state"))
    assert noted.keys() == expected.keys()
    assert all(expected[name] in str(reason) for name, reason in noted.items()), noted
    replica.on_primary("DROP TABLE middle, late")
    replica.catch_up()


@pytest.mark.every_flavour
@pytest.mark.servers("mariadb")
@pytest.mark.covers("system-versioned tables: row versions, DELETE HISTORY, ADD and DROP (MariaDB)")
def test_history_is_copied_and_followed_with_the_primarys_times(
    replica: Replica, engine_choice: EngineChoice, record_property: Callable[[str, object], None]
) -> None:
    is_sql = engine_choice is EngineChoice.SQL
    replica.settings |= {"REPLICA_ENGINE": str(engine_choice.value), "REPLICA_TABLE_FAILURES": "1"}
    apply(replica, *MADE, *changes(100), *changes(200))
    if replica.secondaries["db1"].binary.flavour != replica.primary.binary.flavour:
        reason = "MySQL has no system-versioned tables"
        assert f"plain: {reason}" in replica.run("transfer", code=14).stderr
        record_property("refused", reason)
        return
    replica.run("transfer")
    replica.assert_equal()
    assert replica.on_secondary("SELECT COUNT(*) FROM of_history FOR SYSTEM_TIME ALL") == [(2,)]
    apply(replica, *changes(300))
    is_one_release = str(replica.secondaries["db1"].binary) == str(replica.primary.binary)
    replica.catch_up(code=0 if is_one_release and not is_sql else 3)
    if is_sql:
        noted = replica.state("SELECT table_name, reason FROM table_state")
        reason = "only row images can write rows of a system-versioned table"
        named = [name for name, why in noted if reason in str(why)]
        assert sorted(named) == sorted(s.split()[2] for s in MADE if "WITH SYSTEM VERSIONING" in s)
        record_property("refused", reason)
        return
    if not is_one_release:
        # A hidden column of hashes counts as a generated one: releases log those in different ways.
        ((name, why),) = replica.state("SELECT table_name, reason FROM table_state")
        assert (name, "generated columns, and the primary is of another release" in str(why)) == ("hashed", True)
        replica.on_primary("DROP TABLE hashed")
        replica.catch_up()
        assert_ends_that_cannot_be_rewritten_are_refused(replica)
    replica.assert_equal()
    if is_one_release:
        apply(replica, "SET SESSION binlog_row_image = MINIMAL", *changes(400))
    apply(replica, *DEFINED)
    ended = replica.catch_up()
    assert [line for line in ended.stderr.splitlines() if "copied again" in line] == []
    replica.assert_equal()
    replica.assert_nothing_is_noted()
    replica.run("drift", "check")


@pytest.mark.servers("mariadb")
def test_a_partition_of_history_that_is_dropped_takes_the_same_rows_on_both_sides(replica: Replica) -> None:
    apply(replica, MADE[4], MADE[5], "INSERT INTO parted VALUES (1, 1)", "INSERT INTO hourly VALUES (1, 1)")
    apply(replica, *(f"UPDATE {t} SET a = a + 1" for t in ("parted", "hourly") for _ in range(5)))
    # Copied row by row, the history comes into other partitions than the primary has it in.
    replica.run("transfer")
    apply(replica, "ALTER TABLE parted DROP PARTITION p0", "UPDATE parted SET a = 90")
    ended = replica.catch_up()
    assert "DROP PARTITION: the log does not show which row versions a partition holds" in ended.stderr
    replica.assert_equal()
    replica.assert_nothing_is_noted()
    apply(replica, "ALTER TABLE hourly CONVERT PARTITION p0 TO TABLE archive", "INSERT INTO hourly VALUES (2, 2)")
    replica.catch_up()
    replica.assert_equal()
    replica.assert_nothing_is_noted()


@pytest.mark.servers("mariadb")
def test_history_that_cannot_be_the_same_is_refused_by_name(replica: Replica) -> None:
    numbered = (
        "CREATE TABLE {} (id INT PRIMARY KEY, s BIGINT UNSIGNED GENERATED ALWAYS AS ROW START, e BIGINT UNSIGNED"
        " GENERATED ALWAYS AS ROW END, PERIOD FOR SYSTEM_TIME (s, e)) WITH SYSTEM VERSIONING ENGINE=InnoDB"
    )
    cascading = (
        "CREATE TABLE {} (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES parent (id) ON DELETE CASCADE)"
        " WITH SYSTEM VERSIONING"
    )
    apply(replica, "CREATE TABLE parent (id INT PRIMARY KEY)", numbered.format("n1"), cascading.format("c1"))
    refused = replica.run("transfer", code=14).stderr
    assert "n1: its row versions are numbered by the primary's transactions" in refused
    assert "c1: foreign key c1_ibfk_1 changes rows when the parent's rows change" in refused
    apply(replica, "DROP TABLE n1, c1")
    replica.run("transfer")
    apply(
        replica,
        numbered.format("n2"),
        cascading.format("c2"),
        "CREATE TABLE c3 (id INT PRIMARY KEY, p INT) WITH SYSTEM VERSIONING",
        "ALTER TABLE c3 ADD FOREIGN KEY (p) REFERENCES parent (id) ON UPDATE SET NULL",
        "CREATE TABLE c4 (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES parent (id) ON UPDATE CASCADE)",
        "ALTER TABLE c4 ADD SYSTEM VERSIONING",
        "INSERT INTO parent VALUES (1)",
    )
    replica.catch_up(code=3)
    noted = dict(replica.state("SELECT table_name, reason FROM table_state WHERE state = 'quarantined'"))
    assert sorted(noted) == ["c2", "c3", "c4", "n2"]
    assert all("another server" in r or "another time" in r for r in noted.values())
    assert replica.on_secondary("SELECT * FROM parent") == [(1,)]


@pytest.mark.servers("mariadb")
def test_a_table_that_was_altered_on_the_secondary_is_copied_again(replica: Replica) -> None:
    apply(replica, "CREATE TABLE t (id INT PRIMARY KEY, a INT UNSIGNED) WITH SYSTEM VERSIONING")
    replica.run("transfer")
    with replica.secondaries["db1"].session(replica.schema) as session:
        session.execute("SET SESSION system_versioning_alter_history = KEEP")
        session.execute("ALTER TABLE t MODIFY a INT")
    apply(replica, "INSERT INTO t VALUES (1, 4000000000)", "UPDATE t SET a = a + 1")
    ended = replica.catch_up()
    assert "int unsigned on the primary, int on the secondary: copied again" in ended.stderr
    replica.assert_equal()
    replica.assert_nothing_is_noted()


@pytest.mark.servers("mariadb")
def test_the_sql_engine_sets_a_versioned_table_aside_by_name(replica: Replica) -> None:
    replica.settings |= {"REPLICA_ENGINE": "sql", "REPLICA_TABLE_FAILURES": "1"}
    apply(replica, MADE[0], *changes(100)[:4])
    # It is said before the first row is copied, and by health.
    said = f"1 table with history ({replica.schema}.plain): only row images can write their changes, but REPLICA_ENGINE"
    (plan,) = replica.run("transfer", "--dry-run", "--json").document["plans"]
    assert [said in warning for warning in plan["warnings"]] == [True]
    assert said in replica.run("transfer").stderr
    (check,) = (c for c in replica.run("health", "--json", code=2).document["checks"] if c["name"] == "history-tables")
    assert (said in check["message"], check["hint"]) == (True, "set REPLICA_ENGINE=auto")
    replica.assert_equal()
    apply(replica, "DELETE FROM plain WHERE id = 101", "CREATE TABLE good (id INT PRIMARY KEY)")
    replica.catch_up(code=3)
    ((reason,),) = replica.state("SELECT reason FROM table_state WHERE table_name = 'plain'")
    assert "only row images can write" in str(reason)
    replica.settings |= {"REPLICA_ENGINE": "auto"}
    replica.run("transfer", "--all", "--table", f"{replica.schema}.plain", "--yes")
    replica.catch_up()
    replica.assert_equal()
    replica.assert_nothing_is_noted()


@pytest.mark.servers("mariadb")
def test_a_row_that_is_missing_is_named_with_its_table(replica: Replica) -> None:
    replica.settings |= {"REPLICA_TABLE_FAILURES": "1"}
    apply(replica, MADE[0], "CREATE TABLE good (id INT PRIMARY KEY)", *changes(100)[:2])
    replica.run("transfer")
    replica.on_secondary("DELETE FROM plain WHERE id = 101")
    apply(replica, "INSERT INTO good VALUES (1)", "UPDATE plain SET a = 'gone' WHERE id = 101")
    replica.catch_up(code=3)
    ((name, reason),) = replica.state("SELECT table_name, reason FROM table_state")
    assert (name, "a row is not found" in str(reason)) == ("plain", True)
    assert replica.on_secondary("SELECT * FROM good") == [(1,)]


@pytest.mark.servers("mariadb")
def test_a_table_with_history_is_re_synced_while_it_changes(replica: Replica) -> None:
    apply(replica, MADE[0], "CREATE SEQUENCE counted CACHE 2", *changes(0)[:4])
    replica.run("transfer")
    stream = replica.stream()
    turns = itertools.count(10, 10)

    def work(session: Session) -> None:
        for statement in changes(next(turns))[:7]:
            session.execute(statement)
        session.execute("DO NEXTVAL(counted)")

    load = Load(replica.primary, replica.schema, work)
    for table in ("plain", "counted"):
        before = load.rounds
        words = ("transfer", "--secondary", "db1", "--table", f"{replica.schema}.{table}", "--yes")
        replica.run(*words)
        wait_until(lambda before=before: load.rounds > before + 5, "changes behind the copy")  # type: ignore[misc]
    load.stop()
    replica.wait_until_applied(stream)
    assert stream.end(15).code == 0
    replica.assert_equal()
    replica.assert_nothing_is_noted()


@pytest.mark.servers("mariadb")
@pytest.mark.parametrize("engine", ["auto", "sql"])
def test_a_secondary_may_keep_the_history_of_a_table_whose_primary_does_not(replica: Replica, engine: str) -> None:
    replica.settings |= {"REPLICA_ENGINE": engine}
    replica.on_primary("CREATE TABLE t (id INT PRIMARY KEY, a INT)", "INSERT INTO t VALUES (1, 1), (2, 1), (3, 1)")
    replica.run("transfer")
    replica.catch_up()
    replica.on_secondary("ALTER TABLE t ADD SYSTEM VERSIONING")
    for metadata in ("NO_LOG", "FULL"):
        with replica.primary.session(replica.schema) as session:
            session.execute(f"SET GLOBAL binlog_row_metadata = {metadata}")
            session.execute("UPDATE t SET a = a + 1")
            session.execute("SET GLOBAL binlog_row_metadata = DEFAULT")
        replica.on_primary("DELETE FROM t ORDER BY id LIMIT 1")
    replica.catch_up()
    replica.assert_equal()
    # Changes of one batch may be of one moment: then no version lies between them.
    ((versions,),) = replica.on_secondary("SELECT COUNT(*) FROM t FOR SYSTEM_TIME ALL")
    assert versions > 3
