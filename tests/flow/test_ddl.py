"""Data definition while streaming and while copying."""

from __future__ import annotations

import random
import signal
import threading
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.command import Replica

SHAPES = (
    "CREATE TABLE created (id INT PRIMARY KEY, word VARCHAR(20) DEFAULT 'x') COMMENT 'drop; -- nothing'",
    "INSERT INTO created (id) VALUES (1), (2), (3)",
    "ALTER TABLE created ADD COLUMN added INT NOT NULL DEFAULT 7 AFTER id",
    "INSERT INTO created (id, word) VALUES (4, 'behind')",
    "ALTER TABLE created MODIFY COLUMN word VARCHAR(200) NOT NULL DEFAULT 'ü', ADD INDEX by_word (word)",
    "UPDATE created SET word = REPEAT(word, 30) WHERE id > 2",
    "ALTER TABLE created DROP COLUMN added, ADD COLUMN first_one BIGINT FIRST",
    "UPDATE created SET first_one = id * 3",
    "CREATE INDEX by_first ON created (first_one)",
    "DROP INDEX by_word ON created",
    "CREATE TABLE alike LIKE created",
    "INSERT INTO alike SELECT * FROM created WHERE id < 3",
    "CREATE TABLE selected (PRIMARY KEY (id)) SELECT id, word FROM created",
    "INSERT INTO selected VALUES (77, 'later')",
    "CREATE TABLE child (id INT PRIMARY KEY, parent INT)",
    "ALTER TABLE child ADD CONSTRAINT child_parent FOREIGN KEY (parent) REFERENCES created (id) ON DELETE CASCADE",
    "INSERT INTO child VALUES (1, 1), (2, 2), (3, NULL)",
    "DELETE FROM created WHERE id = 2",
    "ALTER TABLE child DROP FOREIGN KEY child_parent",
    "DELETE FROM created WHERE id = 1",
    "RENAME TABLE alike TO renamed",
    "INSERT INTO renamed (id, word) VALUES (50, 'after the rename')",
    "RENAME TABLE renamed TO between_them, selected TO renamed, between_them TO selected",
    "INSERT INTO selected (id, word) VALUES (51, 'swapped'), (52, 'too')",
    "INSERT INTO renamed (id, word) VALUES (53, 'the other')",
    "TRUNCATE TABLE child",
    "INSERT INTO child VALUES (9, 9)",
    "ALTER TABLE base RENAME COLUMN n TO renamed_n",
    "UPDATE base SET renamed_n = renamed_n + 1",
    "CREATE TABLE gone_1 (id INT)",
    "CREATE TABLE gone_2 (id INT)",
    "DROP TABLE IF EXISTS gone_1, never_there, gone_2",
    "CREATE TABLE gone_3 (id INT)",
    "DROP /*x*/ /*!TABLE*/ gone_3",
    "CREATE OR REPLACE VIEW seen AS SELECT id FROM created",
    "DROP VIEW seen",
    "ALTER TABLE created CONVERT TO CHARACTER SET latin1",
    "INSERT INTO created (id, word) VALUES (60, 'Zoë')",
)
BASE = ("CREATE TABLE base (id INT AUTO_INCREMENT PRIMARY KEY, n INT)", "INSERT INTO base (n) VALUES (1), (2), (3)")


@pytest.mark.every_flavour
def test_every_kind_of_definition_is_followed_while_streaming(two_secondaries: Replica) -> None:
    replica = two_secondaries
    replica.on_primary(*BASE)
    replica.run("transfer")
    stream = replica.stream()
    replica.wait_until_applied(stream)
    replica.on_primary(*SHAPES)
    replica.wait_until_applied(stream)
    assert stream.end(signal.SIGTERM).code == 0
    replica.assert_equal()
    replica.assert_nothing_is_noted()
    replica.run("drift", "check")


def test_rows_before_and_after_a_statement_that_are_read_together_fit_their_definitions(replica: Replica) -> None:
    # All of it is in the log before the stream begins: the catalog of the primary is far ahead of the rows.
    replica.on_primary(*BASE)
    replica.run("transfer")
    replica.on_primary(*SHAPES)
    replica.catch_up()
    replica.assert_equal()


def test_tables_altered_while_they_are_copied_are_equal_in_the_end(replica: Replica) -> None:
    replica.settings |= {"TRANSFER_BATCH_SIZE": "20", "REPLICA_TRANSFER_WORKERS": "1"}
    fill = "SELECT a.id * 100 + b.id, REPEAT('x', 50) FROM digits a, digits b"
    # The first copy of fewer may be over before it is looked at: its chunks grow.
    large = "SELECT 10000 + a.id * 10000 + b.id * 100 + c.id, 'x' FROM digits a, digits b, digits c WHERE a.id < 20"
    replica.on_primary(
        "CREATE TABLE digits (id INT PRIMARY KEY)",
        "INSERT INTO digits VALUES " + ",".join(f"({n})" for n in range(100)),
        *(f"CREATE TABLE t{n} (id INT PRIMARY KEY, word VARCHAR(60)) " for n in range(3)),
        *(f"INSERT INTO t{n} {fill}" for n in range(3)),
        f"INSERT INTO t0 {large}",
    )
    stream = replica.start("stream")
    replica.wait_until_copied("t0")
    with replica.secondaries["db1"].session(database=replica.schema) as session:
        # So that the copy cannot be over before everything is altered.
        session.execute("LOCK TABLES t0 WRITE")
        replica.on_primary(
            "ALTER TABLE t0 ADD COLUMN more INT NOT NULL DEFAULT 5 AFTER id",
            "UPDATE t0 SET more = id WHERE id < 5000",
            "ALTER TABLE t1 MODIFY COLUMN word TEXT",
            "UPDATE t1 SET word = REPEAT('y', 500) WHERE id MOD 3 = 0",
            "TRUNCATE TABLE t2",
            "INSERT INTO t2 VALUES (1, 'only one')",
            "CREATE TABLE t3 (id INT PRIMARY KEY)",
            "INSERT INTO t3 VALUES (1), (2)",
            "RENAME TABLE digits TO numbers",
        )
        assert "streaming from" not in stream.stderr
    stream.wait_for_log("streaming from")
    replica.wait_until_applied(stream)
    assert stream.end(signal.SIGTERM).code == 0
    replica.assert_equal()


def test_killed_around_definitions_each_is_done_once(replica: Replica) -> None:
    chance = random.Random(1)
    replica.on_primary(*BASE, *(f"CREATE TABLE t{n} (id INT PRIMARY KEY)" for n in range(4)))
    replica.run("transfer")
    statements = []
    for number in range(40):
        table = f"t{number % 4}"
        statements += [
            # A second run of any of these fails: the column, the row or the table is there already, or gone.
            f"ALTER TABLE {table} ADD COLUMN c{number} INT NOT NULL DEFAULT {number}",
            f"INSERT INTO {table} (id) VALUES ({number})",
            f"CREATE TABLE once_{number} (id INT PRIMARY KEY)",
            f"RENAME TABLE once_{number} TO moved_{number}",
        ]
        if number % 5 == 4:
            gone = [f"moved_{number - n}" for n in range(4)]
            statements.append("DROP TABLE " + ", ".join(gone))
    replica.on_primary(*statements)
    for _ in range(8):
        stream = replica.start("stream")
        stream.wait_for_log("streaming from")
        threading.Event().wait(chance.uniform(0, 0.3))
        stream.kill_all()
    replica.catch_up()
    replica.assert_equal()
    replica.assert_nothing_is_noted()
