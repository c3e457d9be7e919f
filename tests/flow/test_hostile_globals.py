"""Global settings that would change what a session reads and writes: sessions of `replica` set their own."""

from __future__ import annotations

import re
import signal
from typing import TYPE_CHECKING

import pytest

from tests.support.command import Replica, wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from replica_cli.sandbox.binaries import ServerBinary
    from replica_cli.sandbox.server import SandboxServer
    from tests.support.servers import ServerFactory

PASSWORD = "A-long-enough-1"
BOTH = {
    "init_connect": "'SET autocommit=0; SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE; BEGIN'",
    "autocommit": "0",
    "completion_type": "'RELEASE'",
    "sql_select_limit": "20",
    "max_join_size": "10",
    "sql_mode": "'ANSI_QUOTES,PIPES_AS_CONCAT,NO_BACKSLASH_ESCAPES,PAD_CHAR_TO_FULL_LENGTH,HIGH_NOT_PRECEDENCE'",
    "time_zone": "'+09:00'",
    "max_sort_length": "64",
    "group_concat_max_len": "4",
    "sql_notes": "0",
    "max_error_count": "0",
    "sql_quote_show_create": "0",
    "wait_timeout": "2",
    "interactive_timeout": "2",
    "net_write_timeout": "1",
    "net_read_timeout": "1",
    "lock_wait_timeout": "1",
    "innodb_lock_wait_timeout": "1",
    "div_precision_increment": "9",
    "default_week_format": "3",
    "lc_time_names": "'de_DE'",
    "default_storage_engine": "'MyISAM'",
    "explicit_defaults_for_timestamp": "0",
    "sql_safe_updates": "1",
    "sql_auto_is_null": "1",
}
FLAVOURED = {
    "mariadb": {
        "tx_isolation": "'READ-UNCOMMITTED'",
        "idle_transaction_timeout": "1",
        "idle_readonly_transaction_timeout": "1",
        "idle_write_transaction_timeout": "1",
        "max_statement_time": "0.2",
        "old_mode": "'ZERO_DATE_TIME_CAST'",
        "check_constraint_checks": "0",
        "alter_algorithm": "'INSTANT'",
        "note_verbosity": "''",
        "max_session_mem_used": "300000",
    },
    "mysql": {
        "transaction_isolation": "'READ-UNCOMMITTED'",
        "max_execution_time": "1",
        "show_gipk_in_create_table_and_information_schema": "0",
        "show_create_table_verbosity": "1",
        "default_collation_for_utf8mb4": "utf8mb4_general_ci",
        "terminology_use_previous": "'BEFORE_8_0_26'",
    },
}
ISOLATION = {"mariadb": "tx_isolation", "mysql": "transaction_isolation"}
# An application on the primary must be able to write.
SECONDARY = {"transaction_read_only": "1", "foreign_key_checks": "0", "unique_checks": "0"}


def set_globals(server: SandboxServer, values: Mapping[str, str]) -> None:
    with server.session() as session:
        known = {str(name).lower() for name, _ in session.rows("SHOW GLOBAL VARIABLES")}
        for name, value in values.items():
            if name in known:
                session.execute(f"SET GLOBAL {name} = {value}")


@pytest.fixture
def hostile(
    server_factory: ServerFactory, server_binary: ServerBinary, schema: str, state_schema: str, tmp_path: Path
) -> Replica:
    """Give servers of their own, and an account for which init_connect runs."""
    flavour, _, version = str(server_binary).partition(":")
    servers = [server_factory(flavour, version) for _ in range(2)]
    replica = Replica(servers[0], {"db1": servers[1]}, schema, state_schema, tmp_path)
    right = {"mariadb": ("BINLOG MONITOR", "BINLOG REPLAY"), "mysql": ("REPLICATION CLIENT", "REPLICATION_APPLIER")}
    for server, grant in zip(servers, right[flavour], strict=True):
        with server.session() as session:
            session.execute(f"CREATE USER app@'%' IDENTIFIED BY '{PASSWORD}'")
            session.execute(f"GRANT ALL ON `{schema}%`.* TO app@'%'")
            session.execute(f"GRANT REPLICATION SLAVE, {grant} ON *.* TO app@'%'")
    replica.settings |= {"MARIA_USER": "app", "MARIA_PASS": PASSWORD}
    return replica


@pytest.mark.every_flavour
def test_all_hostile_globals_at_once(hostile: Replica, server_binary: ServerBinary) -> None:
    hostile.on_primary(
        "CREATE TABLE big (id INT PRIMARY KEY, ts TIMESTAMP NOT NULL, c CHAR(9) NOT NULL, d DATE, e ENUM('a','b'))",
        "INSERT INTO big WITH RECURSIVE n AS (SELECT 1 i UNION ALL SELECT i + 1 FROM n WHERE i < 900)"
        " SELECT i, '2024-01-02 03:04:05', 'x\\\\', '0000-00-00', 1 FROM n",
        "CREATE TABLE keyless (a INT, b TEXT)",
        "INSERT INTO keyless SELECT id, REPEAT('y', 50) FROM big",
        "CREATE TABLE long_keys (k VARCHAR(700) CHARACTER SET latin1 PRIMARY KEY)",
        "INSERT INTO long_keys SELECT CONCAT(REPEAT('k', 600), 1000 - id) FROM big",
        "CREATE TABLE parent (id INT PRIMARY KEY, u INT UNIQUE, CHECK (u < 5000))",
        "CREATE TABLE child (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES parent (id) ON DELETE CASCADE)",
        "INSERT INTO parent SELECT id, id FROM big",
        "INSERT INTO child SELECT id, id FROM big",
        *(f"CREATE TABLE few_{n} (id INT PRIMARY KEY)" for n in range(25)),
        *(f"INSERT INTO few_{n} VALUES ({n})" for n in range(25)),
    )
    values = BOTH | FLAVOURED[server_binary.flavour]
    set_globals(hostile.primary, values)
    set_globals(hostile.secondaries["db1"], values | SECONDARY)
    hostile.settings |= {"TRANSFER_BATCH_SIZE": "100"}
    hostile.run("transfer")
    hostile.assert_equal()
    for engine in ("auto", "sql"):
        hostile.settings["REPLICA_ENGINE"] = engine
        hostile.on_primary(
            "SET SESSION sql_safe_updates = 0, sql_big_selects = 1",
            "UPDATE big SET c = CONCAT(c, 'z') WHERE id > 300",
            "DELETE FROM keyless WHERE a < 20 OR b IS NULL",
            "INSERT INTO keyless VALUES (5, 'new'), (NULL, NULL)",
            "DELETE FROM parent WHERE id IN (7, 8) OR id = (SELECT MAX(id) FROM child)",
            "UPDATE long_keys SET k = CONCAT(k, '!') WHERE k LIKE '%9'",
            f"CREATE TABLE late_{engine} (id INT PRIMARY KEY, v VARCHAR(20)) ENGINE=InnoDB",
            f"INSERT INTO late_{engine} VALUES (1, 'a''b\\\\c')",
        )
        hostile.catch_up()
        hostile.assert_equal()
    hostile.assert_nothing_is_noted()
    shown = hostile.run("position", "show", "--json").document
    assert shown["secondaries"][0]["distance_bytes"] == 0, shown
    hostile.run("drift", "check")
    stream = hostile.stream()
    health = hostile.start("health", "--json").end().document
    assert [c for c in health["checks"] if c["level"] >= 2] == []
    assert stream.end(signal.SIGTERM).code == 0


@pytest.mark.every_flavour
def test_rows_that_are_never_committed_are_not_copied(hostile: Replica, server_binary: ServerBinary) -> None:
    hostile.on_primary(
        "CREATE TABLE t (id INT PRIMARY KEY, v INT)",
        "INSERT INTO t VALUES (1, 1), (2, 2), (3, 3)",
        "CREATE TABLE p (id INT PRIMARY KEY)",
        "CREATE TABLE c (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES p (id) ON DELETE CASCADE)",
        "INSERT INTO p VALUES (1), (2)",
        "INSERT INTO c VALUES (1, 1), (2, 2)",
    )
    set_globals(hostile.primary, {ISOLATION[server_binary.flavour]: "'READ-UNCOMMITTED'"})
    with hostile.primary.session(database=hostile.schema) as writer:
        writer.begin()
        writer.execute("INSERT INTO t VALUES (4, 4)")
        writer.execute("UPDATE t SET v = 9 WHERE id = 1")
        writer.execute("DELETE FROM t WHERE id = 2")
        writer.execute("DELETE FROM p WHERE id = 1")
        hostile.run("transfer")
        writer.rollback()
    hostile.assert_equal()


@pytest.mark.servers("mariadb")
@pytest.mark.every_flavour
def test_a_snapshot_outlives_the_time_that_its_rows_wait_for_the_secondary(
    hostile: Replica, server_binary: ServerBinary
) -> None:
    hostile.on_primary(
        "CREATE TABLE parent (id INT PRIMARY KEY)",
        "CREATE TABLE child (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES parent (id) ON DELETE CASCADE)",
        "CREATE TABLE keyless (a INT)",
        "INSERT INTO parent VALUES (1), (2)",
        "INSERT INTO child VALUES (1, 1), (2, 2), (3, 2)",
        "INSERT INTO keyless VALUES (1), (1)",
    )
    secondary = hostile.secondaries["db1"]
    values = {k: v for k, v in (BOTH | FLAVOURED[server_binary.flavour]).items() if "time" in k}
    set_globals(hostile.primary, values)
    with secondary.session() as session:
        session.execute(f"CREATE DATABASE `{hostile.schema}`")
        session.execute(f"USE `{hostile.schema}`")
        session.execute("CREATE TABLE child (id INT)")
        session.execute("CREATE TABLE keyless (id INT)")
        session.begin()
        session.rows("SELECT * FROM child, keyless")
        # Here lock_wait_timeout counts, too: the copy drops these tables while its snapshot is open.
        set_globals(secondary, values)
        running = hostile.start("transfer")
        waiting = "SELECT 1 FROM information_schema.processlist WHERE state LIKE 'Waiting for table metadata lock'"
        wait_until(lambda: len(session.rows(waiting)) == 2, "both tables to wait")
        session.row("SELECT SLEEP(2.5)")
        session.commit()
    ended = running.end()
    assert ended.code == 0, ended.stderr
    # Two workers may meet in the state's tables; that is repeated, and says nothing of the snapshot.
    assert not re.search(r"trying again after: (?!db1: Deadlock)", ended.stderr), ended.stderr
    hostile.assert_equal()


@pytest.mark.every_flavour
@pytest.mark.servers("mysql")
def test_a_table_that_the_secondary_makes_otherwise_is_refused_by_name(hostile: Replica) -> None:
    hostile.on_primary(
        "CREATE TABLE keyless (a INT, ts TIMESTAMP NOT NULL)",
        "CREATE TABLE keyed (id INT PRIMARY KEY, ts TIMESTAMP NOT NULL)",
        "INSERT INTO keyless VALUES (1, NOW()), (1, NOW())",
        "INSERT INTO keyed VALUES (1, NOW())",
    )
    set_globals(
        hostile.secondaries["db1"],
        {"sql_generate_invisible_primary_key": "1", "explicit_defaults_for_timestamp": "0"},
    )
    refused = hostile.run("transfer", code=14)
    assert (
        "keyless: it has no primary key, and the secondary has sql_generate_invisible_primary_key=ON" in refused.stderr
    )
    with hostile.secondaries["db1"].session() as session:
        session.execute("GRANT SESSION_VARIABLES_ADMIN ON *.* TO app@'%'")
    hostile.run("transfer")
    hostile.assert_equal()
