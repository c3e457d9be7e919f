"""Whole runs under a write load: copy, then stream, and every table equal."""

from __future__ import annotations

import re
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from replica_cli.sandbox.shop import load_shop
from replica_cli.sandbox.writer import ShopWriter
from tests.support.command import wait_until_locked_out

if TYPE_CHECKING:
    from tests.support.command import Replica, Running

BIG = "CREATE TABLE big (id INT PRIMARY KEY, a VARCHAR(200) NOT NULL, b DOUBLE)"
# One transaction: 60 MB in the binary log, and more as statements.
FILLED = "INSERT INTO big SELECT seq, REPEAT(MD5(seq), 6), seq / 7 FROM seq_1_to_300000"


def load(replica: Replica, seed: int) -> ShopWriter:
    with replica.primary.session() as session:
        load_shop(session, replica.schema)
    return ShopWriter(replica.primary.address(), replica.schema, seed=seed, pause_seconds=0.005)


@pytest.mark.every_flavour
def test_two_secondaries_are_copied_and_streamed_under_load(two_secondaries: Replica) -> None:
    replica = two_secondaries
    writer = load(replica, seed=1)
    writer.start()
    try:
        writer.wait_for(10)
        replica.run("transfer", patience_seconds=120)
        writer.wait_for(50)
        stream = replica.stream()
        writer.wait_for(100)
    finally:
        counts = writer.stop()
    assert counts.transactions > 150
    replica.wait_until_applied(stream)
    assert stream.end(signal.SIGTERM).code == 0
    replica.assert_equal()
    # What came while streaming was counted where it was saved.
    for name in replica.secondaries:
        ((rows, transactions),) = replica.state(
            f"SELECT row_count, transaction_count FROM binlog_position WHERE instance = '{name}'", name
        )
        assert rows >= transactions >= 150


def test_a_stream_alone_copies_first_and_leaves_progress_to_watch(replica: Replica) -> None:
    writer = load(replica, seed=2)
    writer.start()
    try:
        writer.wait_for(5)
        stream = replica.stream()
        writer.wait_for(50)
    finally:
        writer.stop()
    replica.wait_until_applied(stream)
    assert stream.end(signal.SIGTERM).code == 0
    replica.assert_equal()
    assert {p.name for p in replica.folder.glob("transfer_progress_*.json")} == {"transfer_progress_db1.json"}


def test_a_stopped_secondary_does_not_slow_the_other_and_catches_up(two_secondaries: Replica) -> None:
    replica = two_secondaries
    writer = load(replica, seed=3)
    replica.run("transfer", patience_seconds=120)
    stream = replica.stream()
    replica.wait_until_applied(stream)
    writer.start()
    try:
        writer.wait_for(20)
        replica.secondaries["db2"].stop()
        writer.wait_for(100)
        stream.wait_for_log(r"\[RECONNECT\] \[db2\]")
        replica.wait_until_applied(stream, "db1")
        assert not re.search(r"\[RECONNECT\] \[db1\]", stream.stderr)
        replica.secondaries["db2"].start()
        writer.wait_for(20)
    finally:
        writer.stop()
        replica.secondaries["db2"].start()
    replica.wait_until_applied(stream)
    assert stream.end(signal.SIGTERM).code == 0
    replica.assert_equal()


@pytest.mark.servers("mariadb")
def test_a_transaction_larger_than_memory_streams_within_bounds(replica: Replica) -> None:
    replica.on_primary(BIG)
    replica.run("transfer")
    stream = replica.stream()
    replica.on_primary(FILLED)
    replica.wait_until_applied(stream)
    assert peak_memory(stream) < 200_000_000
    assert stream.end(signal.SIGTERM).code == 0
    replica.assert_equal()


@pytest.mark.servers("mariadb")
def test_connections_that_are_lost_leave_nothing_in_memory(replica: Replica) -> None:
    replica.on_primary(BIG)
    replica.run("transfer")
    stream = replica.stream()
    peaks = []
    with replica.secondaries["db1"].session(database=replica.schema) as other:
        # The transaction waits for this row of another session each time that it is applied.
        other.begin()
        other.execute("INSERT INTO big VALUES (40000, '', 0)")
        replica.on_primary(FILLED)
        for count in range(1, 5):
            wait_until_locked_out(other)
            peaks.append(peak_memory(stream))
            ((waiting,),) = other.rows(
                "SELECT trx_mysql_thread_id FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'"
            )
            other.execute(f"KILL {waiting}")
            stream.wait_for_log(r"\[RECONNECT\] \[db1\]", times=count)
        other.rollback()
    replica.wait_until_applied(stream)
    peaks.append(peak_memory(stream))
    # Each attempt held 20 MB.
    assert peaks[-1] - peaks[0] < 20_000_000, peaks
    assert stream.end(signal.SIGTERM).code == 0
    replica.assert_equal()


def peak_memory(stream: Running) -> int:
    """Return the most memory that the only worker of a stream has had, bytes."""
    (pid,) = stream.worker_pids()
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) * 1024
