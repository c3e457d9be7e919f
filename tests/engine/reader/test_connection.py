"""The dump connection: idle, half-open, cut, killed, or one of two with the same server id."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

import pytest

from replica_cli.core.errors import PrimaryError, ReplicaError
from replica_cli.core.settings import Server
from replica_cli.mysql.errnos import ServerError
from tests.engine.reader.log import NETWORK, Log, changing, read_to, shown
from tests.support.command import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from replica_cli.core.events import Transaction
    from replica_cli.reader.reader import Reader
    from tests.support.proxy import Proxy

pytestmark = pytest.mark.every_release


@pytest.fixture
def table(log: Log) -> Log:
    log.run("CREATE TABLE t (id INT PRIMARY KEY, v LONGTEXT)")
    log.start = log.here()
    return log


def _through(log: Log, proxy: Proxy) -> Server:
    direct = log.server.address()
    return Server(direct.name, "127.0.0.1", proxy.port, direct.user, direct.password)


def _take_until_error(reader: Reader) -> tuple[list[Transaction], ReplicaError]:
    found: list[Transaction] = []
    deadline = time.monotonic() + 20
    while True:
        assert time.monotonic() < deadline, "no error came"
        try:
            found.extend(reader.take(0.1))
        except ReplicaError as error:
            return found, error


@pytest.mark.covers("heartbeats")
def test_an_idle_connection_lives_on_heartbeats(table: Log) -> None:
    reader = table.reader()
    reader.start()
    try:
        table.run("INSERT INTO t VALUES (1, 'x')")
        read_to(reader, table.here())
        # Longer than the read timeout: without heartbeats it would have ended.
        quiet_until = time.monotonic() + NETWORK.read_timeout * 1.5
        while time.monotonic() < quiet_until:
            assert not changing(reader.take(0.1))
            assert time.monotonic() - reader.heard_at < NETWORK.read_timeout
        table.run("INSERT INTO t VALUES (2, 'y')")
        assert shown(read_to(reader, table.here())) == ["INSERT t"]
    finally:
        reader.stop()


def test_a_half_open_connection_ends_within_the_read_timeout(table: Log, proxy: Callable[[int], Proxy]) -> None:
    middle = proxy(table.server.port)
    reader = table.reader(address=_through(table, middle))
    reader.start()
    try:
        table.run("INSERT INTO t VALUES (1, 'x')")
        read_to(reader, table.here())
        middle.freeze()
        table.run("INSERT INTO t VALUES (2, 'y')")
        found, error = _take_until_error(reader)
        assert not changing(found)
        assert isinstance(error, ServerError)
        assert error.is_connection_lost
    finally:
        middle.thaw()
        reader.stop()


@pytest.mark.parametrize("count", [1, 20, 60, 300, 5000, 70000])
def test_a_connection_cut_anywhere_leaves_whole_transactions(
    table: Log, proxy: Callable[[int], Proxy], count: int
) -> None:
    middle = proxy(table.server.port)
    reader = table.reader(address=_through(table, middle))
    reader.start()
    # Before the rows: all of them together are more than any of the cuts lets pass.
    middle.cut_after(count)
    for key in range(5):
        table.run(f"INSERT INTO t VALUES ({key}, REPEAT('x', 20000))")
    try:
        found, error = _take_until_error(reader)
    finally:
        reader.stop()
    assert isinstance(error, ServerError)
    assert all(t.is_end for t in found)
    rest = table.read(found[-1].end if found else table.start)
    assert shown(found) + shown(rest) == ["INSERT t"] * 5


def test_the_primary_ends_the_dump(table: Log) -> None:
    reader = table.reader()
    reader.start()
    table.run("INSERT INTO t VALUES (1, 'x')")
    read_to(reader, table.here())
    for (thread,) in table.session.rows(
        "SELECT id FROM information_schema.processlist WHERE command LIKE 'Binlog Dump%'"
    ):
        table.run(f"KILL {thread}")
    found, error = _take_until_error(reader)
    reader.stop()
    assert not changing(found)
    assert isinstance(error, ServerError)
    assert error.is_connection_lost


def test_two_readers_with_one_server_id(table: Log) -> None:
    first, second = table.reader(), table.reader()
    first.start()
    try:
        table.run("INSERT INTO t VALUES (1, 'x')")
        read_to(first, table.here())
        second.start()
        read_to(second, table.here())
        _, error = _take_until_error(first)
    finally:
        first.stop()
        second.stop()
    # MariaDB says whose id it is; MySQL's word for it is the one for everything.
    assert isinstance(error, PrimaryError if table.is_mariadb else ReplicaError)
    if table.is_mariadb:
        assert "MARIA_SERVER_ID" in str(error.hint)


def test_the_primary_notices_a_stop_while_it_sends(table: Log) -> None:
    for number in range(60):
        table.run(f"INSERT INTO t VALUES ({number}, REPEAT('x', 400000))")
    for _ in range(10):
        # The primary sends as much as the sockets hold. It waits long for a client that does not read, and a later dump
        # with the same server id waits for this one.
        reader = table.reader()
        reader.start()
        wait_until(partial(reader.take, 0.1), "a transaction")
        reader.stop()
        wait_until(lambda: not _dump_states(table), "the end of the dump", 5)


def _dump_states(log: Log) -> list[str]:
    commands = "'Binlog Dump', 'Binlog Dump GTID', 'Killed'"
    rows = log.session.rows(f"SELECT state FROM information_schema.processlist WHERE command IN ({commands})")
    return [str(state) for (state,) in rows]


def test_a_stop_wakes_a_waiting_consumer(table: Log) -> None:
    reader = table.reader()
    reader.start()
    table.run("INSERT INTO t VALUES (1, 'x')")
    read_to(reader, table.here())
    reader.stop()
    assert reader._thread is not None
    assert not reader._thread.is_alive()


def test_a_wrong_password_is_an_error_of_the_primary(table: Log) -> None:
    with pytest.raises(ServerError) as raised:
        table.reader(address=table.server.address(password="no")).start()
    assert "password" in str(raised.value.hint)
