"""Servers restart and logs rotate in mid-stream: the stream comes back by itself."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from tests.support.command import wait_until

if TYPE_CHECKING:
    from tests.support.command import Replica, Running


@pytest.fixture
def stream(replica: Replica) -> Running:
    replica.on_primary("CREATE TABLE t (id INT PRIMARY KEY)", "CREATE TABLE bare (id INT)")
    replica.run("transfer")
    running = replica.stream()
    replica.wait_until_applied(running)
    return running


def insert(replica: Replica, first: int) -> None:
    numbers = range(first, first + 20)
    replica.on_primary(
        *(f"INSERT INTO t VALUES ({number})" for number in numbers),
        *(f"INSERT INTO bare VALUES ({number % 5})" for number in numbers),
    )


def test_both_sides_restart_and_die_while_rows_come(replica: Replica, stream: Running) -> None:
    insert(replica, 0)
    replica.primary.restart()
    stream.wait_for_log(r"\[RECONNECT\]")
    insert(replica, 100)
    replica.wait_until_applied(stream)
    insert(replica, 200)
    replica.secondaries["db1"].restart()
    insert(replica, 300)
    replica.wait_until_applied(stream)
    assert stream.stderr.count("[RECONNECT]") >= 2
    insert(replica, 400)
    replica.secondaries["db1"].kill()
    replica.secondaries["db1"].start()
    insert(replica, 500)
    replica.wait_until_applied(stream)
    assert stream.end(signal.SIGTERM).code == 0
    replica.assert_equal()


def test_logs_rotate_in_mid_stream(replica: Replica, stream: Running) -> None:
    before, _ = replica.saved()
    for first in range(0, 300, 100):
        insert(replica, first)
        replica.on_primary("FLUSH BINARY LOGS")
    insert(replica, 900)
    replica.wait_until_applied(stream)
    assert replica.saved()[0] > before
    assert "[RECONNECT]" not in stream.stderr
    assert stream.end(signal.SIGTERM).code == 0
    replica.assert_equal()
    # The position after a rotation is one to go on from.
    replica.on_primary("FLUSH BINARY LOGS")
    replica.catch_up()
    insert(replica, 1000)
    replica.catch_up()
    replica.assert_equal()


def test_a_purged_position_says_what_to_type(replica: Replica, stream: Running) -> None:
    assert stream.end(signal.SIGTERM).code == 0
    before = "{}:{}".format(*replica.saved())
    replica.on_primary("INSERT INTO t VALUES (1)", "FLUSH BINARY LOGS", "INSERT INTO t VALUES (2)")
    file, _ = replica.primary_end()

    def is_purged() -> bool:
        # The server keeps what a connection reads, and takes a moment to notice that the reader's is gone.
        replica.on_primary(f"PURGE BINARY LOGS TO '{file}'")
        with replica.primary.session() as session:
            return str(session.rows("SHOW BINARY LOGS")[0][0]) == file

    wait_until(is_purged, "the logs to be purged")
    lost = replica.run("stream", "--json", code=11)
    assert lost.error["error"] == "position_lost"
    assert "replica transfer" in lost.error["hint"]
    assert f"the changes between {before} and {file}:4 are missing" in lost.error["message"]
    replica.run("transfer", "--restart", "--all", "--yes")
    replica.catch_up()
    replica.assert_equal()
