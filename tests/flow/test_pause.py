"""`replica pause` and `replica resume` act on streams and transfers from another process."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from tests.support.command import wait_until

if TYPE_CHECKING:
    from tests.support.command import Replica, Running


@pytest.fixture
def stream(replica: Replica) -> Running:
    replica.settings |= {"REPLICA_HEARTBEAT": "500ms", "REPLICA_READ_TIMEOUT": "2s"}
    replica.on_primary("CREATE TABLE t (id INT PRIMARY KEY)")
    replica.run("transfer")
    running = replica.stream()
    replica.wait_until_applied(running)
    return running


def count(replica: Replica) -> int:
    return int(replica.on_secondary("SELECT COUNT(*) FROM t")[0][0])


def test_a_stream_pauses_keeps_its_lock_and_heartbeat_and_goes_on(replica: Replica, stream: Running) -> None:
    answer = replica.run("pause", "--secondary", "db1", "--json").document["secondaries"][0]
    assert (answer["phase"], answer["is_pause_wanted"]) == ("paused", True)
    assert "paused" in stream.stderr
    before = count(replica)
    replica.on_primary("INSERT INTO t VALUES (1), (2), (3)")
    (beat,) = replica.state("SELECT beat_at FROM stream_status")
    # Longer than the silence after which a connection to the primary counts as dead.
    wait_until(
        lambda: replica.state(f"SELECT TIMESTAMPDIFF(SECOND, '{beat[0]}', beat_at) >= 4 FROM stream_status") == [(1,)],
        "four seconds of heartbeats",
    )
    assert count(replica) == before
    assert "[RECONNECT]" not in stream.stderr
    replica.run("stream", code=15)
    shown = replica.run("position", "show", "--json").document["secondaries"][0]
    assert (shown["phase"], shown["is_paused"]) == ("paused", True)
    assert "paused" in replica.run("position", "show").stdout
    assert "is paused" in replica.run("health", code=1).stdout
    assert replica.run("resume").stdout.startswith("db1: not paused")
    replica.wait_until_applied(stream)
    assert stream.end(signal.SIGTERM).code == 0
    replica.assert_equal()


def test_a_pause_outlives_a_restart(replica: Replica, stream: Running) -> None:
    replica.run("pause")
    assert stream.end(signal.SIGTERM).code == 0
    replica.on_primary("INSERT INTO t VALUES (1)")
    again = replica.start("stream")
    again.wait_for_log("paused; `replica resume --secondary db1` goes on")
    assert count(replica) == 0
    replica.run("resume")
    replica.wait_until_applied(again)
    assert again.end(signal.SIGTERM).code == 0
    replica.assert_equal()


def test_a_copy_that_a_paused_stream_is_asked_for_says_that_it_waits(replica: Replica, stream: Running) -> None:
    replica.on_primary("INSERT INTO t VALUES (1)")
    replica.wait_until_applied(stream)
    replica.run("pause")
    replica.on_secondary("DELETE FROM t")
    copy = replica.start("transfer", "--secondary", "db1", "--table", f"{replica.schema}.t", "--yes")
    copy.wait_for_log("the stream is paused: it copies the tables after `replica resume --secondary db1`")
    assert count(replica) == 0
    replica.run("resume")
    assert copy.end().code == 0
    assert stream.end(signal.SIGTERM).code == 0
    replica.assert_equal()


def test_a_paused_stream_stops_at_a_signal(replica: Replica, stream: Running) -> None:
    replica.run("pause")
    assert stream.end(signal.SIGTERM).code == 0
    # No process notices it: the request stays for the next one.
    assert "no process is running" in replica.run("resume").stdout
    replica.catch_up()
    replica.assert_equal()


def test_a_transfer_pauses_between_chunks(replica: Replica) -> None:
    replica.settings |= {"TRANSFER_BATCH_SIZE": "5", "REPLICA_TRANSFER_WORKERS": "1"}
    digits = ",".join(f"({n})" for n in range(100))
    replica.on_primary(
        "CREATE TABLE digits (id INT PRIMARY KEY)",
        f"INSERT INTO digits VALUES {digits}",
        "CREATE TABLE t (id INT PRIMARY KEY)",
        "INSERT INTO t SELECT a.id * 10000 + b.id * 100 + c.id FROM digits a, digits b, digits c WHERE a.id < 30",
    )
    transfer = replica.start("transfer")
    replica.wait_until_copied("t")
    with replica.secondaries["db1"].session(database=replica.schema) as session:
        # So that it cannot be done before it has heard.
        session.execute("LOCK TABLES t WRITE")
        asking = replica.start("pause")
        transfer.wait_for_log("paused")
    assert asking.end().code == 0

    def is_still() -> bool:
        before = replica.copied("t")
        (beat,) = replica.state("SELECT beat_at FROM stream_status")
        wait_until(lambda: replica.state("SELECT beat_at FROM stream_status") != [beat], "a heartbeat")
        return replica.copied("t") == before

    wait_until(is_still, "the transfer to pause")
    assert transfer.is_running
    assert replica.copied("t") < 300_000
    replica.run("resume")
    assert transfer.end().code == 0
    replica.catch_up()
    replica.assert_equal()


def test_nothing_to_pause_is_an_error_that_says_so(replica: Replica) -> None:
    ended = replica.run("pause", "--json", code=1)
    assert ended.error["error"] == "never_ran"


def test_a_secondary_that_is_down_is_an_error_of_its_own(two_secondaries: Replica) -> None:
    replica = two_secondaries
    replica.on_primary("CREATE TABLE t (id INT PRIMARY KEY)")
    replica.run("transfer")
    replica.settings |= {"MARIA_SECONDARY_PORTS": f"{replica.secondaries['db1'].port},1"}
    ended = replica.run("pause", "--json", code=13)
    first, second = ended.document["secondaries"]
    assert (first["is_pause_wanted"], first["failure"]) == (True, None)
    assert second["failure"]
