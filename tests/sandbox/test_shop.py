from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from replica_cli.mysql.errnos import ServerError
from replica_cli.sandbox.compare import compare
from replica_cli.sandbox.purchases import WEIGHTS
from replica_cli.sandbox.shop import TABLES, create_shop, load_shop
from replica_cli.sandbox.writer import ShopWriter
from tests.support.equality import assert_equal

if TYPE_CHECKING:
    from replica_cli.sandbox.binaries import ServerBinary
    from replica_cli.sandbox.server import SandboxServer
    from tests.support.servers import ServerFactory


def test_the_shop_loads_in_seconds_and_alike_and_its_writer_sees_no_error(
    primary: SandboxServer, secondary: SandboxServer, schema: str
) -> None:
    began = time.monotonic()
    with primary.session() as session:
        size = load_shop(session, schema)
    assert time.monotonic() - began < 30
    assert size.tables == len(TABLES) >= 6
    assert 190_000 < size.rows < 210_000
    with secondary.session() as session:
        load_shop(session, schema)
    results = assert_equal(primary, secondary, schema)
    assert sum(r.rows_a or 0 for r in results) == size.rows
    writer = ShopWriter(primary.address(), schema, seed=1)
    writer.start()
    writer.wait_for(600)
    counts = writer.stop()
    assert counts.transactions >= 600
    assert counts.rows > counts.transactions
    assert counts.rollbacks > 0
    assert (counts.retries, counts.reconnects) == (0, 0)
    changed = {r.table for r in compare(primary.address(), secondary.address(), schema) if not r.is_equal}
    assert changed == set(TABLES) - {"country"}


def test_every_action_runs_on_an_empty_shop(primary: SandboxServer, schema: str) -> None:
    with primary.session() as session:
        create_shop(session, schema)
    writer = ShopWriter(primary.address(), schema, seed=2)
    writer.start()
    writer.wait_for(10 * len(WEIGHTS))
    writer.stop()


def test_the_writer_raises_what_is_no_lost_connection(primary: SandboxServer, schema: str) -> None:
    with primary.session() as session:
        create_shop(session, schema)
        session.execute(f"DROP TABLE `{schema}`.visit")
    writer = ShopWriter(primary.address(), schema, seed=3)
    writer.start()
    with pytest.raises(ServerError, match="visit"):
        writer.wait_for(1000)


def test_the_writer_goes_on_after_a_kill(server_factory: ServerFactory, server_binary: ServerBinary) -> None:
    server = server_factory(server_binary.flavour, server_binary.version)
    with server.session() as session:
        create_shop(session)
    writer = ShopWriter(server.address())
    writer.start()
    writer.wait_for(20)
    server.kill()
    server.start()
    writer.wait_for(20)
    assert writer.stop().reconnects >= 1
