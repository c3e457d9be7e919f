"""Links that go silent, and a server id that another replica takes: noticed, named, and not tried without end."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from replica_cli.core.position import Position
from replica_cli.core.settings import Network
from replica_cli.reader.dump import open_dump
from tests.support.command import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.command import Replica
    from tests.support.proxy import Proxy
    from tests.support.servers import ServerFactory


@pytest.fixture
def copied(replica: Replica) -> Replica:
    replica.settings |= {
        "REPLICA_HEARTBEAT": "500ms", "REPLICA_READ_TIMEOUT": "2s", "REPLICA_CONNECT_TIMEOUT": "2s",
    }  # fmt: skip
    replica.on_primary("CREATE TABLE t (id INT PRIMARY KEY)")
    replica.run("transfer")
    return replica


@pytest.mark.parametrize("side", ["primary", "secondary"])
def test_a_half_open_connection_is_noticed(copied: Replica, proxy: Callable[[int], Proxy], side: str) -> None:
    link = proxy(copied.primary.port if side == "primary" else copied.secondaries["db1"].port)
    variable = "MARIA_PRIMARY_PORT" if side == "primary" else "MARIA_SECONDARY_PORTS"
    copied.settings |= {variable: str(link.port)}
    stream = copied.stream()
    copied.wait_until_applied(stream)
    # No packet and no reset, while there is something to apply; new connections get no word either.
    link.freeze()
    copied.on_primary("INSERT INTO t VALUES (1)")
    stream.wait_for_log(r"\[RECONNECT\]")
    link.thaw()
    copied.wait_until_applied(stream)
    assert stream.end(signal.SIGTERM).code == 0
    copied.assert_equal()


@pytest.mark.parametrize("side", ["primary", "secondary"])
def test_a_stop_ends_a_wait_on_a_half_open_connection(
    copied: Replica, proxy: Callable[[int], Proxy], side: str
) -> None:
    link = proxy(copied.primary.port if side == "primary" else copied.secondaries["db1"].port)
    variable = "MARIA_PRIMARY_PORT" if side == "primary" else "MARIA_SECONDARY_PORTS"
    copied.settings |= {variable: str(link.port), "REPLICA_READ_TIMEOUT": "1m", "REPLICA_CONNECT_TIMEOUT": "1m"}
    stream = copied.stream()
    copied.wait_until_applied(stream)
    link.freeze()
    copied.on_primary("INSERT INTO t VALUES (1)")
    # Ten seconds at most, with room for a busy machine.
    assert stream.end(signal.SIGTERM, patience_seconds=15).code == 0


@pytest.mark.servers("mariadb")
def test_a_server_id_that_another_replica_takes_is_named_and_not_fought_for_ever(copied: Replica) -> None:
    stream = copied.stream("--json")
    copied.wait_until_applied(stream)
    file, pos = copied.primary_end()

    def has_given_up() -> bool:
        other = open_dump(
            copied.primary.address(), Network(), server_id=700, start=Position(file, pos), by_gtid=False,
            is_mariadb=True,
        )  # fmt: skip
        assert other.read()
        other.close()
        return not stream.is_running

    wait_until(has_given_up, "the stream to give up")
    ended = stream.end()
    assert ended.code == 12
    assert ended.error["error"] == "server_id_taken"
    assert f":{os.getpid()}" in ended.error["message"]
    assert "MARIA_SERVER_ID" in ended.error["hint"]
    copied.catch_up()
    copied.assert_equal()


def test_another_server_at_the_primarys_address_stops_the_stream(
    copied: Replica, server_factory: ServerFactory
) -> None:
    stream = copied.stream()
    copied.wait_until_applied(stream)
    assert stream.end(signal.SIGTERM).code == 0
    copied.primary = server_factory(str(copied.primary.binary).partition(":")[0], server_id=77)
    copied.on_primary("CREATE TABLE t (id INT PRIMARY KEY)")
    replaced = copied.run("stream", "--json", code=11)
    assert replaced.error["error"] == "primary_replaced"
