"""Definitions whose outcome depends on the server that runs them, followed by the real command."""

from __future__ import annotations

import re
import signal
import threading
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.command import Replica

BASE = (
    "CREATE TABLE keyless (word VARCHAR(20))",
    "INSERT INTO keyless VALUES ('c'), ('a'), ('b')",
    "CREATE TABLE parent (id INT PRIMARY KEY)",
    "INSERT INTO parent VALUES (2), (1)",
    "CREATE TABLE child (id INT PRIMARY KEY, up INT, FOREIGN KEY (up) REFERENCES parent (id) ON DELETE CASCADE)",
    "INSERT INTO child VALUES (1, 1), (2, 2), (3, NULL)",
    "CREATE TABLE plain (id INT PRIMARY KEY, n INT)",
    "INSERT INTO plain VALUES (1, 1), (2, 2)",
)
STATEMENTS = (
    "ALTER TABLE keyless ADD id INT NOT NULL AUTO_INCREMENT PRIMARY KEY",
    "UPDATE keyless SET word = CONCAT(word, id) WHERE id < 3",
    "ALTER TABLE plain ADD c INT DEFAULT 5",
    "ALTER TABLE child ADD c DECIMAL(20, 8) DEFAULT (up / 3)",
    "DELETE FROM parent WHERE id = 1",
    "UPDATE child SET c = c + 1 WHERE id = 3",
    "INSERT INTO plain VALUES (3, 3, 3)",
    "DELETE FROM keyless WHERE id = 3",
)


@pytest.mark.every_flavour
def test_tables_whose_rows_depend_on_the_server_are_copied_again_by_themselves(replica: Replica) -> None:
    replica.on_primary(*BASE)
    replica.run("transfer")
    stream = replica.stream()
    replica.wait_until_applied(stream)
    replica.on_primary(*STATEMENTS)
    replica.wait_until_applied(stream)
    assert stream.end(signal.SIGTERM).code == 0
    replica.catch_up()
    replica.assert_equal()
    replica.assert_nothing_is_noted()
    again = set(re.findall(r"\.(\w+): alter table at [^\n]*copied again", stream.stderr))
    assert again == {"keyless", "child"}
    assert "numbers the rows in the order" in stream.stderr


@pytest.mark.every_flavour
def test_what_cannot_be_copied_again_is_set_aside_by_name_and_nothing_else(replica: Replica) -> None:
    with replica.primary.session() as session:
        is_mariadb = session.is_mariadb
    replica.on_primary(
        *BASE,
        "CREATE TABLE moments (id INT PRIMARY KEY, ts TIMESTAMP(6) NULL)",
        "INSERT INTO moments VALUES (1, '2024-01-01 23:00:00')",
    )
    replica.run("transfer")
    stream = replica.stream()
    replica.wait_until_applied(stream)
    if is_mariadb:
        replica.on_primary("CREATE SEQUENCE numbers", "ALTER TABLE plain ADD c INT DEFAULT NEXTVAL(numbers)")
    replica.on_primary(
        "ALTER TABLE moments ADD day DATE AS (DATE(ts)) STORED",
        "ALTER TABLE keyless ADD id SERIAL",
        # Tied by a foreign key: copied while the stream holds.
        "ALTER TABLE child ADD moment TIMESTAMP(6) NULL, ADD day DATE AS (DATE(moment)) STORED",
        "INSERT INTO moments (id) VALUES (2)",
        "INSERT INTO child (id) VALUES (7)",
        "INSERT INTO parent VALUES (7)",
        "INSERT INTO keyless (word) VALUES ('d')",
        "DELETE FROM plain WHERE id = 1",
    )
    replica.wait_until_applied(stream)
    assert stream.end(signal.SIGTERM).code == 0
    # Copying it as it is would be refused for the same reason: the advice says what has to change first.
    assert "after you correct that, `replica transfer --table" in stream.stderr
    replica.catch_up(code=3)
    noted = dict(replica.state("SELECT table_name, reason FROM table_state WHERE state = 'quarantined'"))
    assert set(noted) == {"moments", "child"}
    assert "column day is computed when a row is written" in noted["moments"]
    assert replica.state("SELECT table_name FROM table_state WHERE state <> 'quarantined'") == []
    for table in ("moments", "child"):
        replica.on_primary(f"DROP TABLE {table}")
        replica.on_secondary(f"DROP TABLE {table}")
    if is_mariadb:
        replica.on_primary("ALTER TABLE plain ALTER c DROP DEFAULT", "DROP SEQUENCE numbers")
        replica.on_secondary("ALTER TABLE plain ALTER c DROP DEFAULT")
        replica.on_secondary("DROP SEQUENCE numbers")
    replica.assert_equal()


def test_the_first_statement_after_a_first_copy_may_quarantine_its_table(replica: Replica) -> None:
    replica.on_primary(*BASE)
    replica.run("transfer")
    with replica.primary.session(replica.schema) as session:  # nothing else is in the log
        session.execute("ALTER TABLE plain ADD moment TIMESTAMP NULL, ADD day DATE AS (DATE(moment)) STORED")
    replica.catch_up(code=3)
    assert replica.state("SELECT table_name, state FROM table_state") == [("plain", "quarantined")]


def test_killed_around_the_copies_that_they_ask_for_nothing_differs(replica: Replica) -> None:
    tables = [f"t{number}" for number in range(4)]
    replica.on_primary(
        *(s for t in tables for s in (f"CREATE TABLE {t} (id INT PRIMARY KEY)", f"INSERT INTO {t} VALUES (1), (2)"))
    )
    replica.run("transfer")
    for table in tables:
        replica.on_primary(
            f"ALTER TABLE {table} ADD c VARCHAR(40) DEFAULT UUID(), ADD k SERIAL",
            f"UPDATE {table} SET c = CONCAT(c, k) WHERE k = 2",
            f"INSERT INTO {table} (id) VALUES (3)",
        )
    for number in range(5):
        stream = replica.start("stream")
        stream.wait_for_log("streaming from")
        threading.Event().wait(0.2 * number)
        stream.kill_all()
    replica.catch_up()
    replica.assert_equal()
    replica.assert_nothing_is_noted()
