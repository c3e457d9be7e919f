"""Which connection holds the lock that another one waits for, as the servers report it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from replica_cli.mysql.lock_holders import what_blocks
from tests.support.command import wait_until

if TYPE_CHECKING:
    from replica_cli.mysql.session import Session
    from replica_cli.sandbox.binaries import ServerBinary
    from tests.support.servers import ServerFactory

pytestmark = pytest.mark.every_release


@pytest.mark.parametrize("tells_all", [True, False])
def test_what_a_connection_waits_for(
    server_factory: ServerFactory, server_binary: ServerBinary, *, tells_all: bool
) -> None:
    flavour, _, version = str(server_binary).partition(":")
    server = server_factory(flavour, version, **{"performance-schema": "ON" if tells_all else "OFF"})
    is_named = tells_all or flavour == "mariadb"
    with server.session() as asking, server.session() as holding, server.session() as waiting:
        for statement in ("CREATE DATABASE d", "CREATE TABLE d.t (id INT PRIMARY KEY)", "INSERT INTO d.t VALUES (1)"):
            asking.execute(statement)
        number = waiting.connection_id
        assert what_blocks(asking, number) == ""
        held = f", held by connection {holding.connection_id}, {server.address().user}@"
        unknown = " (see SHOW PROCESSLIST on the secondary)"
        for statement, expected in (
            ("DELETE FROM d.t", "a row lock" + (held if is_named else unknown)),
            (
                "ALTER TABLE d.t ADD v INT",
                "a table metadata lock" + (held if is_named and flavour == "mysql" else unknown),
            ),
        ):
            holding.begin()
            holding.rows("SELECT * FROM d.t FOR UPDATE")
            thread = threading.Thread(target=waiting.execute, args=(statement,))
            thread.start()
            try:
                wait_until(lambda: _blocks(asking, number), f"{statement} to wait")
                found = _blocks(asking, number)
            finally:
                holding.rollback()
                thread.join()
            assert found.startswith(expected)


def _blocks(asking: Session, number: int) -> str:
    # The server refreshes its tables of locks only if no session has read them for a tenth of a second.
    asking.row("SELECT SLEEP(0.2)")
    return what_blocks(asking, number)
