"""MySQL from 9.6 on with innodb_native_foreign_keys on either side: which side cascades, and what the log has of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.command import Replica

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.servers import ServerFactory

TABLES = (
    "CREATE TABLE p (id INT PRIMARY KEY, v INT)",
    """CREATE TABLE c (id INT PRIMARY KEY, p INT,
        FOREIGN KEY (p) REFERENCES p (id) ON DELETE CASCADE ON UPDATE CASCADE)""",
    """CREATE TABLE n (id INT PRIMARY KEY, c INT,
        FOREIGN KEY (c) REFERENCES c (id) ON DELETE SET NULL ON UPDATE CASCADE)""",
    "CREATE TABLE alone (id INT PRIMARY KEY)",
)


def changes(first: int) -> tuple[str, ...]:
    rows = range(first, first + 5)
    return (
        "INSERT INTO p VALUES " + ", ".join(f"({n}, 0)" for n in rows),
        "INSERT INTO c VALUES " + ", ".join(f"({n}, {n})" for n in rows),
        "INSERT INTO n VALUES " + ", ".join(f"({n}, {n})" for n in rows),
        f"INSERT INTO alone VALUES ({first})",
        f"DELETE FROM p WHERE id = {first}",
        f"UPDATE p SET id = {first + 900} WHERE id = {first + 1}",
        f"UPDATE c SET id = {first + 900} WHERE id = {first + 2}",
        f"REPLACE INTO p VALUES ({first + 3}, 9)",
        "SET SESSION foreign_key_checks = 0",
        f"DELETE FROM p WHERE id = {first + 4}",
        "SET SESSION foreign_key_checks = 1",
    )


@pytest.mark.servers("mysql", "9.7")
@pytest.mark.every_flavour
@pytest.mark.usefixtures("server_binary")
def test_a_cascade_happens_once_on_whichever_side_it_runs_or_is_logged(
    server_factory: ServerFactory, schema: str, state_schema: str, tmp_path: Path
) -> None:
    primary = server_factory("mysql", "9.7", innodb_native_foreign_keys="ON")
    secondaries = {
        name: server_factory("mysql", "9.7", innodb_native_foreign_keys=value)
        for name, value in (("native", "ON"), ("logged", "OFF"))
    }
    replicas = [
        Replica(primary, secondaries, f"{schema}_{e}", f"{state_schema}_{e}", tmp_path, {"REPLICA_ENGINE": e})
        for e in ("auto", "sql")
    ]
    for replica in replicas:
        replica.on_primary(*TABLES, *changes(1))
    elsewhere = f"{schema}_elsewhere"
    replica.on_primary(
        f"CREATE DATABASE {elsewhere}",
        f"CREATE TABLE {elsewhere}.p (id INT PRIMARY KEY)",
        f"CREATE TABLE odd (p INT PRIMARY KEY, FOREIGN KEY (p) REFERENCES {elsewhere}.p (id) ON DELETE CASCADE)",
    )
    health = replica.start("health", "--json").end().document
    messages = {c["name"]: c["message"] for c in health["checks"] if c["level"] == 2}
    assert f"{replica.schema}.odd by {elsewhere}.p" in messages["cascades"]
    replica.on_primary("DROP TABLE odd")
    plan = replica.run("transfer", "--secondary", "native", "--dry-run", "--json").document
    methods = {table["table"].split(".")[1]: table["method"] for table in plan["plans"][0]["tables"]}
    # What a cascade does to a child is not in this primary's log: a family is of one moment.
    assert methods == {"p": "snapshot", "c": "snapshot", "n": "snapshot", "alone": "ranges"}
    for replica in replicas:
        replica.run("transfer")
        replica.on_primary(*changes(101))
    # One backlog of both kinds: its events say for themselves whether the cascade is in the log.
    primary.restart({"innodb-native-foreign-keys": "OFF"})
    for replica in replicas:
        replica.on_primary(*changes(201), "DELETE FROM p WHERE id > 900")
        replica.catch_up()
        replica.assert_equal()
        replica.assert_nothing_is_noted()
