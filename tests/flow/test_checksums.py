"""Bytes that change on the network: read again once, and never applied."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.command import Replica
    from tests.support.proxy import Proxy


@pytest.fixture
def falsifier(replica: Replica, proxy: Callable[[int], Proxy]) -> Proxy:
    """A proxy to the primary that sees what passes; one table is copied already."""
    replica.on_primary("CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(40))", "INSERT INTO t VALUES (1, 'first')")
    replica.run("transfer")
    made = proxy(replica.primary.port)
    replica.settings |= {"MARIA_PRIMARY_PORT": str(made.port), "MARIA_PRIMARY_TLS": "off"}
    return made


@pytest.mark.covers("a bad checksum")
def test_a_bad_checksum_is_read_again(replica: Replica, falsifier: Proxy) -> None:
    running = replica.stream()
    for number in range(2, 5):
        # Each time alone: what was applied between proves that the connection is good.
        falsifier.falsify(b"to be falsified", 1)
        replica.on_primary(f"INSERT INTO t VALUES ({number}, 'to be falsified')")
        running.wait_for_log(r"checksum is wrong", times=number - 1)
        replica.wait_until_applied(running)
    assert running.end(15).code == 0
    replica.assert_equal()
    replica.assert_nothing_is_noted()


@pytest.mark.covers("a bad checksum")
def test_a_checksum_that_stays_bad_stops_the_stream(replica: Replica, falsifier: Proxy) -> None:
    running = replica.stream()
    place = replica.primary_end()
    falsifier.falsify(b"to be falsified", 1000)
    with replica.primary.session(database=replica.schema) as session:
        session.execute("INSERT INTO t VALUES (2, 'to be falsified')")
        session.execute("INSERT INTO t VALUES (3, 'behind')")
    ended = running.end()
    assert ended.code == 14, ended.stderr
    assert f"checksum is wrong, after {place[0]}:{place[1]}" in ended.stderr
    assert replica.saved() <= place
    assert replica.on_secondary("SELECT id FROM t") == [(1,)]
    # Over a good line it goes on from there.
    falsifier.falsify(b"", 0)
    replica.catch_up()
    replica.assert_equal()
