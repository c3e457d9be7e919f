"""Signals of a running stream: reload, status, a second one at once, and never longer than ten seconds."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.command import wait_until, wait_until_locked_out, wait_until_written

if TYPE_CHECKING:
    from replica_cli.mysql.session import Session
    from tests.support.command import Replica, Running


@pytest.fixture
def copied(replica: Replica) -> Replica:
    replica.on_primary(
        "CREATE TABLE t (id INT PRIMARY KEY, n INT)",
        "INSERT INTO t VALUES (1, 0), (2, 0)",
        "CREATE TABLE other (id INT PRIMARY KEY)",
    )
    replica.run("transfer")
    return replica


def write_settings(replica: Replica, **values: str) -> None:
    (replica.folder / ".env").write_text("".join(f"{name}={value}\n" for name, value in values.items()))


def test_sighup_takes_what_can_be_taken_and_says_what_could_not(copied: Replica) -> None:
    write_settings(copied, REPLICA_BATCH_TRANSACTIONS="100")
    stream = copied.stream()
    copied.wait_until_applied(stream)
    write_settings(
        copied, REPLICA_BATCH_TRANSACTIONS="7", REPLICA_MAX_LAG="5m", REPLICA_ENGINE="sql", REPLICA_LOG_LEVEL="DEBUG"
    )
    stream.process.send_signal(signal.SIGHUP)
    stream.wait_for_log(
        r"SIGHUP: new values in use: REPLICA_BATCH_TRANSACTIONS 100 -> 7, REPLICA_MAX_LAG 60s -> 5m, "
        r"REPLICA_LOG_LEVEL INFO -> DEBUG\n"
    )
    stream.wait_for_log(r"\[WARN\] .*in use only after a new start: REPLICA_ENGINE auto -> sql")
    copied.wait_until_applied(stream)
    # Wrong settings change nothing, and end nothing.
    write_settings(copied, REPLICA_BATCH_TRANSACTIONS="many")
    stream.process.send_signal(signal.SIGHUP)
    stream.wait_for_log("SIGHUP: the settings are wrong, the old ones stay in use: REPLICA_BATCH_TRANSACTIONS")
    copied.wait_until_applied(stream)
    assert stream.end(signal.SIGTERM).code == 0
    copied.assert_equal()


def test_sighup_takes_filters_that_only_shrink(copied: Replica) -> None:
    stream = copied.stream()
    copied.wait_until_applied(stream)
    write_settings(copied, REPLICA_EXCLUDE_TABLES=f"{copied.schema}.other")
    stream.process.send_signal(signal.SIGHUP)
    stream.wait_for_log("streaming from", times=2)
    copied.on_primary("INSERT INTO other VALUES (1)", "INSERT INTO t VALUES (3, 3)")
    copied.wait_until_applied(stream)
    assert copied.on_secondary("SELECT COUNT(*) FROM other") == [(0,)]
    # With the same filters, a second name for the server is refused from now on.
    copied.settings["MARIA_SECONDARY_NAMES"] = "second"
    refused = copied.run("transfer", "--restart", "--all", "--yes", code=15)
    assert "second: another process writes the same tables on this server" in refused.stderr
    del copied.settings["MARIA_SECONDARY_NAMES"]
    write_settings(copied)
    stream.process.send_signal(signal.SIGHUP)
    stream.wait_for_log("they select more tables")
    copied.on_primary("INSERT INTO other VALUES (2)")
    copied.wait_until_applied(stream)
    assert copied.on_secondary("SELECT COUNT(*) FROM other") == [(0,)]
    assert stream.end(signal.SIGTERM).code == 0
    # The filters that were taken are those of the state: others are a change.
    assert "filters" in copied.run("stream", code=10).stderr


def test_sigusr1_prints_one_status_line_for_each_secondary(copied: Replica) -> None:
    stream = copied.stream()
    copied.wait_until_applied(stream)
    stream.process.send_signal(signal.SIGUSR1)
    counts = r"\d+ rows? and \d+ transactions? in all"
    stream.wait_for_log(rf"\[db1\] (caught up|streaming) at \S+:\d+.*, lag .*, .* rows/s, {counts}")
    assert stream.end(signal.SIGTERM).code == 0


def test_a_terminal_that_goes_away_does_not_kill_the_workers(copied: Replica) -> None:
    stream = copied.stream()
    copied.wait_until_applied(stream)
    os.killpg(stream.process.pid, signal.SIGHUP)
    os.killpg(stream.process.pid, signal.SIGUSR1)
    stream.wait_for_log("SIGHUP: settings unchanged")
    copied.wait_until_applied(stream)
    assert stream.end(signal.SIGTERM).code == 0


def blocked(copied: Replica) -> tuple[Running, Session]:
    """Start a stream whose batch waits for a row that another session holds."""
    stream = copied.stream()
    copied.wait_until_applied(stream)
    session = copied.secondaries["db1"].session(database=copied.schema)
    session.begin()
    session.execute("UPDATE t SET n = 9 WHERE id = 2")
    copied.on_primary("UPDATE t SET n = 5")
    wait_until_locked_out(session)
    return stream, session


@pytest.mark.parametrize("signals", [1, 2], ids=["one signal", "a second one"])
def test_a_batch_that_cannot_end_is_rolled_back(copied: Replica, signals: int) -> None:
    stream, session = blocked(copied)
    for _ in range(signals):
        stream.process.send_signal(signal.SIGTERM)
        stream.wait_for_log("stopping")
    # Ten seconds at most, or at once; and room for a busy machine. Without a cut the row would be waited for for 50 s.
    ended = stream.end(patience_seconds=15 if signals == 1 else 7)
    assert ended.code == 0, ended.stderr
    assert ended.stderr.count("what was not committed is rolled back, and the next start reads it again") == 1
    assert "[RECONNECT]" not in ended.stderr
    session.rollback()
    session.close()
    assert copied.on_secondary("SELECT COUNT(*) FROM t WHERE n <> 0") == [(0,)]
    copied.catch_up()
    copied.assert_equal()


def test_sigterm_inside_a_big_transaction_rolls_it_back(copied: Replica) -> None:
    digits = ",".join(f"({n})" for n in range(100))
    copied.on_primary(
        "CREATE TABLE digits (id INT PRIMARY KEY)",
        f"INSERT INTO digits VALUES {digits}",
        "CREATE TABLE big (id INT PRIMARY KEY, filler CHAR(200) NOT NULL)",
    )
    copied.settings |= {"REPLICA_QUEUE_BYTES": "1MiB"}
    stream = copied.stream()
    copied.wait_until_applied(stream)
    copied.on_primary(
        "INSERT INTO big SELECT a.id * 10000 + b.id * 100 + c.id, REPEAT('x', 200) FROM digits a, digits b, digits c"
        " WHERE a.id < 30"
    )
    with copied.secondaries["db1"].session() as session:
        wait_until_written(session, 1000)
    ended = stream.end(signal.SIGTERM, patience_seconds=20)
    assert ended.code == 0, ended.stderr
    ((rows,),) = copied.on_secondary("SELECT COUNT(*) FROM big")
    assert rows in (0, 300_000)
    rolled_back = re.findall(r"[0-9]+ rows of a transaction .* were applied: they are rolled back, and", ended.stderr)
    assert len(rolled_back) == (0 if rows else 1)
    copied.catch_up()
    copied.assert_equal()


def test_a_stream_without_signal_handlers_yet_does_not_die_of_a_signal(replica: Replica) -> None:
    replica.on_primary("CREATE TABLE t (id INT PRIMARY KEY)")
    replica.run("transfer")
    stream = replica.start("stream")
    # The first worker is started before all else.
    wait_until(lambda: stream.worker_pids() or not stream.is_running, "the first worker")
    for number in (signal.SIGHUP, signal.SIGUSR1):
        assert heeds(stream.process.pid, number), number.name
        os.killpg(stream.process.pid, number)
    stream.wait_for_log("streaming from")
    assert stream.end(signal.SIGTERM).code == 0


def heeds(pid: int, number: signal.Signals) -> bool:
    """Return True if a process ignores or catches a signal, which would end it by default."""
    text = Path(f"/proc/{pid}/status").read_text()
    masks = re.findall(r"^Sig(?:Ign|Cgt):\s*([0-9a-f]+)$", text, re.MULTILINE)
    return any(int(mask, 16) >> (number - 1) & 1 for mask in masks)
