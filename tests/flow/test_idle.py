"""An idle stream: its cost on both servers and its machine, and how soon it notices requests."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from replica_cli.checkpoint.status_reader import StatusReader
from tests.support.command import wait_until

if TYPE_CHECKING:
    from replica_cli.mysql.session import Session
    from tests.support.command import Replica, Running

# Long enough for a few looks and beats; what the watch asks every half minute may fall into it.
_IDLE_SECONDS = 20.0
_WATCH_STATEMENTS = 15


@pytest.fixture
def idle(replica: Replica) -> Running:
    replica.on_primary("CREATE TABLE t (id INT PRIMARY KEY, n INT)", "INSERT INTO t VALUES (1, 0)")
    replica.run("transfer")
    stream = replica.stream()
    replica.wait_until_applied(stream)

    def rests() -> bool:
        (before,) = replica.state("SELECT beat_at, phase FROM stream_status")
        time.sleep(3)  # noqa: TID251 - longer than from one beat to the next while something changes
        return before[1] == "caught_up" and replica.state("SELECT beat_at, phase FROM stream_status") == [before]

    wait_until(rests, "the stream to have nothing to say")
    return stream


def wakeups(stream: Running) -> int:
    """Return how often the threads of all processes of a stream have waited for something."""
    texts = (
        (task / "status").read_text()
        for pid in (stream.process.pid, *stream.worker_pids())
        for task in Path(f"/proc/{pid}/task").iterdir()
    )
    return sum(int(text.split("\nvoluntary_ctxt_switches:")[1].split()[0]) for text in texts)


def counters(session: Session) -> tuple[int, int, int]:
    """Return statements and connections that a server has counted, and the bytes of its binary log."""
    found: dict[str, str] = dict(session.rows("SHOW GLOBAL STATUS WHERE Variable_name IN ('Questions', 'Connections')"))
    log = session.row("SHOW MASTER STATUS" if session.is_mariadb else "SHOW BINARY LOG STATUS")
    assert log is not None
    return int(found["Questions"]), int(found["Connections"]), int(log[1])


@pytest.mark.every_flavour
def test_what_nothing_to_do_costs(replica: Replica, idle: Running) -> None:
    with replica.primary.session() as primary, replica.secondaries["db1"].session() as secondary:
        secondary_counts, primary_counts, waits = counters(secondary), counters(primary), wakeups(idle)
        time.sleep(_IDLE_SECONDS)  # noqa: TID251 - the queries of an idle stream are counted
        waits = wakeups(idle) - waits
        primary_counts_after = counters(primary)
        statements, connections, log = (b - a for a, b in zip(secondary_counts, counters(secondary), strict=True))
    assert statements <= 0.5 * _IDLE_SECONDS + _WATCH_STATEMENTS
    # A beat each ten seconds, and one that tells what the watch saw.
    assert log <= 400 * _IDLE_SECONDS
    # The watch opens its own once, half a minute after the start.
    assert connections <= 1
    assert primary_counts_after[1] - primary_counts[1] <= 1
    assert waits <= 5 * _IDLE_SECONDS
    assert idle.end(signal.SIGTERM).code == 0


def test_an_idle_stream_answers_requests_before_long(replica: Replica, idle: Running) -> None:
    # The command itself waits for half a minute, and says what the stream does then.
    assert replica.run("pause", "--json").document["secondaries"][0]["phase"] == "paused"
    assert replica.run("resume", "--json").document["secondaries"][0]["phase"] != "paused"
    idle.wait_for_log("streaming from", times=2)
    replica.run("transfer", "--table", f"{replica.schema}.t", "--secondary", "db1", "--yes")
    assert idle.end(signal.SIGTERM).code == 0
    replica.assert_equal()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_waits_for_nothing(replica: Replica, number: int) -> None:
    # Nothing comes by itself that would end a wait in time.
    replica.settings |= {"REPLICA_HEARTBEAT": "20s", "REPLICA_READ_TIMEOUT": "60s"}
    replica.on_primary("CREATE TABLE t (id INT PRIMARY KEY, n INT)")
    replica.run("transfer")
    stream = replica.stream()
    replica.wait_until_applied(stream)
    stream.process.send_signal(number)
    assert stream.end(patience_seconds=4).code in {0, 130}


def test_an_idle_holder_lives_as_long_as_its_standby_waits(replica: Replica, idle: Running) -> None:
    replica.settings |= {"REPLICA_LEASE": "3s"}
    standby = replica.start("stream", "--standby")
    standby.wait_for_log("standing by")
    beats: set[object] = set()

    def has_beaten() -> bool:
        beats.update(replica.state("SELECT beat_at FROM stream_status"))
        return len(beats) > 10

    wait_until(has_beaten, "ten beats of an idle holder")
    assert "taking over" not in standby.stderr
    assert idle.is_running
    assert standby.end(signal.SIGTERM).code == 0
    assert idle.end(signal.SIGTERM).code == 0


def test_an_idle_stream_takes_its_lock_again_if_its_connection_was_lost(replica: Replica, idle: Running) -> None:
    with replica.secondaries["db1"].session() as session:
        status_reader = StatusReader(session, replica.state_schema, "db1")
        writer = status_reader.read_notices().writer_id
        assert writer is not None
        session.execute(f"KILL {writer}")
        wait_until(lambda: status_reader.read_notices().writer_id not in {None, writer}, "the lock to be taken again")
    idle.wait_for_log("streaming from", times=2)
    replica.wait_until_applied(idle)
    assert idle.end(signal.SIGTERM).code == 0
    replica.assert_equal()
