"""The grants of docs/accounts.md are enough for copy, streaming, DDL and health: the accounts have nothing else."""

from __future__ import annotations

import itertools
import secrets
import signal
from typing import TYPE_CHECKING

import pytest

from tests.support.command import Load
from tests.support.grants import make_accounts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from replica_cli.mysql.session import Session
    from tests.support.command import Replica


@pytest.fixture
def account(replica: Replica) -> Iterator[str]:
    name = f"r_{secrets.token_hex(4)}"
    make_accounts(replica, name)
    yield name
    for server in (replica.primary, replica.secondaries["db1"]):
        with server.session() as session:
            session.execute(f"DROP USER '{name}'@'%'")


def test_copy_stream_and_health_with_the_grants_of_the_page(replica: Replica, account: str) -> None:
    replica.on_primary(
        "CREATE TABLE parent (id INT PRIMARY KEY, name VARCHAR(20))",
        "CREATE TABLE child (id INT PRIMARY KEY, parent INT, FOREIGN KEY (parent) REFERENCES parent (id))",
        "CREATE TABLE keyless (v INT)",
        "INSERT INTO parent VALUES (1, 'a'), (2, 'b')",
        "INSERT INTO child VALUES (1, 1), (2, 2)",
        "INSERT INTO keyless VALUES (1), (1), (2)",
    )
    replica.catch_up()
    replica.assert_equal()
    replica.on_primary(
        "UPDATE parent SET name = 'c' WHERE id = 1",
        "ALTER TABLE parent ADD COLUMN extra INT DEFAULT 3, ADD INDEX (extra)",
        "INSERT INTO parent VALUES (3, 'd', 4)",
        "CREATE TABLE late (id INT PRIMARY KEY, parent INT, FOREIGN KEY (parent) REFERENCES parent (id))",
        "INSERT INTO late VALUES (1, 3)",
        "DELETE FROM keyless WHERE v = 2",
        "RENAME TABLE keyless TO renamed",
        "TRUNCATE TABLE child",
    )
    stream = replica.stream()
    replica.wait_until_applied(stream)
    replica.run("transfer", "--table", f"{replica.schema}.parent", "--secondary", "db1", "--yes")
    health = replica.start("health", "--json").end().document
    checks = {c["name"]: c for c in health["checks"]}
    for name in ("primary-grants", "secondary-grants"):
        assert checks[name]["level"] == 0, checks[name]
        assert account in checks[name]["message"]
    replica.run("drift", "check")
    assert stream.end(signal.SIGTERM).code == 0
    replica.assert_equal()


@pytest.mark.parametrize("way", ["streaming", "stopped"])
def test_verify_and_repair_with_the_grants_of_the_page(replica: Replica, account: str, way: str) -> None:
    assert account
    replica.on_primary(
        "CREATE TABLE item (id INT PRIMARY KEY, n INT)",
        "CREATE TABLE parent (id INT PRIMARY KEY)",
        "CREATE TABLE child (id INT PRIMARY KEY, parent INT,"
        " FOREIGN KEY (parent) REFERENCES parent (id) ON DELETE CASCADE)",
        "CREATE TABLE keyless (v INT)",
        *(f"INSERT INTO item VALUES ({n}, {n})" for n in range(50)),
        "INSERT INTO parent VALUES (1), (2)",
        "INSERT INTO child VALUES (1, 1), (2, 2)",
        "INSERT INTO keyless VALUES (1), (1), (2)",
    )
    replica.run("transfer")
    stream = replica.stream()
    replica.wait_until_applied(stream)
    if way == "stopped":
        stream.end(signal.SIGTERM)
    with replica.secondaries["db1"].session(replica.schema) as session:
        session.execute("UPDATE item SET n = -1 WHERE id = 5")
        session.execute("DELETE FROM child WHERE id = 2")
        session.execute("DELETE FROM keyless LIMIT 1")
    numbers = itertools.count(100)

    def write(session: Session) -> None:
        n = next(numbers)
        session.execute(f"INSERT INTO item VALUES ({n}, {n})")
        session.execute(f"UPDATE item SET n = n + 1 WHERE id = {n % 50 + 10}")

    load = Load(replica.primary, replica.schema, write)
    try:
        (report,) = replica.run("verify", "run", "--json", code=3).lines[-1]["secondaries"]
        found = {t["table"].partition(".")[2]: t["missing"] + t["differs"] for t in report["tables"]}
        assert (found["item"], found["child"], found["keyless"], found["parent"]) == (1, 1, 1, 0)
        assert not [t for t in report["tables"] if t["undecided"]]
        replica.run("verify", "repair", "--yes", "--all")
        replica.run("verify", "run")
    finally:
        load.stop()
    if way == "streaming":
        assert stream.end(signal.SIGTERM).code == 0
    replica.catch_up()
    replica.assert_equal()
