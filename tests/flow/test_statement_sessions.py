"""Statements whose session the secondary does not have: their tables are re-synced."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from tests.support.command import wait_until

if TYPE_CHECKING:
    from replica_cli.sandbox.binaries import ServerBinary
    from replica_cli.sandbox.server import SandboxServer
    from tests.support.command import Replica
    from tests.support.servers import ServerFactory

BASE = (
    "CREATE TABLE t (id INT PRIMARY KEY, moment TIMESTAMP NULL)",
    "CREATE TABLE u (id INT PRIMARY KEY, v INT)",
    "INSERT INTO t VALUES (1, '2024-01-01 12:00'), (2, '2024-07-01 12:00')",
    "INSERT INTO u VALUES (1, 1)",
)


@pytest.fixture
def primary(
    server_factory: ServerFactory, server_binary: ServerBinary, monkeypatch: pytest.MonkeyPatch
) -> SandboxServer:
    """Give a server whose own zone has summer time; the secondary is in UTC."""
    version = str(server_binary).partition(":")[2]
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
        return server_factory(server_binary.flavour, version, default_time_zone="SYSTEM")


def change(replica: Replica, setting: str, *statements: str) -> None:
    with replica.primary.session(database=replica.schema) as session:
        session.execute(f"SET SESSION {setting}")
        for statement in statements:
            session.execute(statement)


@pytest.mark.every_flavour
def test_a_time_zone_that_the_secondary_does_not_have(replica: Replica) -> None:
    replica.on_primary(*BASE)
    replica.run("transfer")
    stream = replica.stream()
    # One that is not in the log is noticed after the statement.
    untold = "old_mode = ''" if replica.primary.binary.flavour == "mariadb" else "default_week_format = 3"
    column = "w TEXT CHARACTER SET utf8" if "old" in untold else "w INT AS (WEEK('2024-01-07')) VIRTUAL"
    change(replica, "time_zone = 'SYSTEM'", "ALTER TABLE t MODIFY moment DATETIME NULL", "INSERT INTO u VALUES (2, 2)")
    change(replica, untold, f"CREATE TABLE later (id INT PRIMARY KEY, {column})", "INSERT INTO later (id) VALUES (1)")
    stream.wait_for_log(r"\[TRANSFER\].*t: alter table in the time zone SYSTEM.*copied again")
    stream.wait_for_log(r"\[TRANSFER\].*later: (charset|generated).* w: .* on the primary, .*copied again")
    replica.on_primary("INSERT INTO t VALUES (3, '2025-07-01')", "INSERT INTO u VALUES (3, 3)")
    replica.wait_until_applied(stream)
    wait_until(lambda: replica.state("SELECT * FROM table_state") == [], "the tables to join")
    assert stream.end(signal.SIGTERM).code == 0
    replica.assert_equal()
    replica.assert_nothing_is_noted()
    assert replica.on_secondary("SELECT moment FROM t WHERE id = 1") == [("2024-01-01 13:00:00",)]
    replica.run("drift", "check")
