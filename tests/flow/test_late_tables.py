"""Tables that any statement makes while others are copied: each is copied or streamed."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from tests.support.command import wait_until
from tests.support.equality import assert_equal

if TYPE_CHECKING:
    from tests.support.command import Replica

PARTS = "PARTITION BY RANGE (id) (PARTITION p0 VALUES LESS THAN (5000), PARTITION p1 VALUES LESS THAN (20000))"
BEFORE = (
    "CREATE TABLE digits (id INT PRIMARY KEY)",
    "INSERT INTO digits VALUES " + ",".join(f"({n})" for n in range(100)),
    f"CREATE TABLE parted (id INT PRIMARY KEY, word VARCHAR(60)) {PARTS}",
    f"CREATE TABLE exchanged (id INT PRIMARY KEY, word VARCHAR(60)) {PARTS}",
    "CREATE TABLE other_rows (id INT PRIMARY KEY, word VARCHAR(60))",
    "CREATE TABLE renamed (id INT PRIMARY KEY, word VARCHAR(60))",
    "CREATE TABLE model (id INT PRIMARY KEY, word VARCHAR(60))",
    "INSERT INTO parted SELECT a.id * 100 + b.id, 'x' FROM digits a, digits b",
    "INSERT INTO exchanged SELECT * FROM parted",
    "INSERT INTO renamed SELECT * FROM parted WHERE id < 2000",
    "INSERT INTO other_rows VALUES (1, 'one'), (2, 'two')",
)
# While the first of the tables are copied.
MEANWHILE = (
    "CREATE TABLE made (id INT PRIMARY KEY)",
    "INSERT INTO made VALUES (1), (2)",
    "CREATE TABLE selected (PRIMARY KEY (id)) SELECT id, word FROM parted WHERE id < 50",
    "ALTER TABLE model ADD more INT",
    "CREATE TABLE like_model LIKE model",
    "INSERT INTO like_model VALUES (1, 'x', 2)",
    "ALTER TABLE exchanged EXCHANGE PARTITION p0 WITH TABLE other_rows",
    "ALTER TABLE renamed RENAME TO renamed_twice, ADD more INT",
    "RENAME TABLE renamed_twice TO `2024`",
    "UPDATE `2024` SET more = id WHERE id < 100",
    "RENAME TABLE {schema}_out.t TO moved_in",
    "UPDATE moved_in SET v = 5 WHERE id = 1",
    "CREATE TABLE swapped LIKE made",
    "INSERT INTO swapped VALUES (3)",
    "RENAME TABLE made TO swapping, swapped TO made, swapping TO swapped",
)
CONVERTED = (
    "ALTER TABLE parted CONVERT PARTITION p1 TO TABLE converted",
    "UPDATE converted SET word = 'later' WHERE id < 6000",
    "CREATE TABLE part (id INT PRIMARY KEY, word VARCHAR(60))",
    "INSERT INTO part VALUES (30000, 'x')",
    "ALTER TABLE parted CONVERT TABLE part TO PARTITION p2 VALUES LESS THAN (40000)",
)


@pytest.mark.every_flavour
@pytest.mark.parametrize("command", ["transfer", "stream"])
def test_every_table_arrives(replica: Replica, command: str) -> None:
    replica.settings |= {"TRANSFER_BATCH_SIZE": "5", "REPLICA_TRANSFER_WORKERS": "1"}
    replica.on_primary(*BEFORE)
    outside = f"{replica.schema}_out"
    with replica.primary.session() as session:
        is_mariadb = session.is_mariadb
        session.execute(f"CREATE DATABASE {outside}")
        session.execute(f"CREATE TABLE {outside}.t (id INT PRIMARY KEY, v INT)")
        session.execute(f"INSERT INTO {outside}.t VALUES (1, 1), (2, 2)")
    meanwhile = MEANWHILE + (CONVERTED if is_mariadb else ())
    copy = replica.start(command)
    # Among the first: its progress is to be seen until the last table is copied.
    replica.wait_until_copied("parted")
    replica.on_primary(*(statement.replace("{schema}", replica.schema) for statement in meanwhile))
    if command == "transfer":
        assert copy.end().code == 0
        copy = replica.stream()
    else:
        copy.wait_for_log("streaming from")
    replica.wait_until_applied(copy)
    states = "SELECT 1 FROM table_state WHERE state <> 'quarantined'"
    wait_until(lambda: not replica.state(states), "every table to join")
    assert copy.end(signal.SIGTERM).code == 0
    assert replica.state("SELECT table_name, state FROM table_state") == []
    assert_equal(replica.primary, replica.secondaries["db1"], replica.schema)
