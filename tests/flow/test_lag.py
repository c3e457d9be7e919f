"""Lag and phase while a batch waits: they change, and the connection that blocks it is named."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.command import wait_until

if TYPE_CHECKING:
    from tests.support.command import Replica

pytestmark = pytest.mark.every_flavour
# What somebody does on the secondary, what the primary changes then, and what is waited for.
WAITS = {
    "row": ("SELECT * FROM t WHERE id = 1 FOR UPDATE", "UPDATE t SET v = 2 WHERE id = 1", "a row lock"),
    "definition": ("SELECT * FROM t", "ALTER TABLE t ADD COLUMN w INT", "a table metadata lock"),
}


def snapshot(replica: Replica) -> dict[str, Any]:
    ((text,),) = replica.state("SELECT snapshot FROM stream_status WHERE instance = 'db1'")
    found: dict[str, Any] = json.loads(text)
    return found


@pytest.mark.parametrize("kind", WAITS)
def test_lag_grows_while_a_batch_waits_for_a_lock(replica: Replica, kind: str) -> None:
    locking, changing, waits = WAITS[kind]
    replica.on_primary("CREATE TABLE t (id INT PRIMARY KEY, v INT)", "INSERT INTO t VALUES (1, 1)")
    replica.run("transfer")
    stream = replica.stream()
    replica.wait_until_applied(stream)
    wait_until(lambda: snapshot(replica)["phase"] == "caught_up", "the stream to catch up")
    with replica.secondaries["db1"].session(database=replica.schema) as session:
        session.begin()
        session.rows(locking)
        replica.on_primary(changing)
        batch = "" if kind == "definition" else f" with changes of {replica.schema}.t"
        stream.wait_for_log(rf"\[WARN\] \[db1\] waits{batch} for {waits}")
        wait_until(lambda: snapshot(replica)["lag_seconds"] > 4, "lag that grows")
        words = f"s{batch} for {waits}"
        wait_until(lambda: words in snapshot(replica)["message"], "a message that names the table and the lock")
        assert snapshot(replica)["phase"] == "streaming"
        assert words in replica.run("position", "show").stdout
        session.rollback()
    replica.wait_until_applied(stream)
    # Below a second it counts as caught up, a moment before nothing is left.
    wait_until(lambda: snapshot(replica)["lag_seconds"] == 0.0, "the stream to catch up")
    assert (snapshot(replica)["phase"], snapshot(replica)["message"]) == ("caught_up", "")
    assert stream.end(signal.SIGTERM).code == 0
    replica.assert_equal()


def test_a_comparison_waits_while_the_stream_is_behind(replica: Replica) -> None:
    replica.on_primary("CREATE TABLE t (id INT PRIMARY KEY, v INT)", "INSERT INTO t VALUES (1, 1)")
    replica.run("transfer")
    stream = replica.stream()
    replica.wait_until_applied(stream)
    with replica.secondaries["db1"].session(database=replica.schema) as session:
        session.begin()
        session.rows("SELECT * FROM t WHERE id = 1 FOR UPDATE")
        replica.on_primary("UPDATE t SET v = 2 WHERE id = 1")
        wait_until(lambda: (snapshot(replica)["lag_seconds"] or 0) > 4, "lag that grows")
        run = replica.start("verify", "run", "--json", "--max-lag", "2s")
        wait_until(lambda: any("behind" in str(x.get("waits_for")) for x in run.lines), "a comparison that waits")
        session.rollback()
    assert run.end().code == 0
    assert stream.end(signal.SIGTERM).code == 0


def test_silence_grows_during_an_outage(replica: Replica) -> None:
    replica.on_primary("CREATE TABLE t (id INT PRIMARY KEY)")
    replica.run("transfer")
    stream = replica.stream()
    replica.wait_until_applied(stream)
    replica.primary.stop()
    try:
        wait_until(lambda: (snapshot(replica)["seconds_since_event"] or 0) > 4, "silence that grows")
        assert snapshot(replica)["phase"] == "reconnecting"
        assert snapshot(replica)["lag_seconds"] is None
    finally:
        replica.primary.start()
    replica.wait_until_applied(stream)
    assert stream.end(signal.SIGTERM).code == 0


def test_a_large_transaction_after_a_quiet_time_moves_and_shows_its_own_lag(replica: Replica) -> None:
    digits = " CROSS JOIN ".join(f"(SELECT 0 n {'UNION SELECT {} ' * 9}) d{i}".format(*range(1, 10)) for i in range(4))
    replica.on_primary(
        "CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, v VARCHAR(4000))",
        "INSERT INTO t (v) VALUES ('')",
    )
    replica.run("transfer")
    stream = replica.stream()
    # The last change before the quiet time, by the primary's clock an hour ago.
    replica.on_primary("SET timestamp = UNIX_TIMESTAMP() - 3600", "INSERT INTO t (v) VALUES ('')")
    wait_until(lambda: replica.on_secondary("SELECT COUNT(*) FROM t") == [(2,)], "the change")
    wait_until(lambda: snapshot(replica)["phase"] == "caught_up", "the stream to catch up")
    with replica.secondaries["db1"].session(database=replica.schema) as session:
        session.begin()
        session.rows("SELECT * FROM t WHERE id = 1 FOR UPDATE")
        # Its rows are applied in pieces; the last one waits for the row.
        replica.on_primary(
            "BEGIN",
            f"INSERT INTO t (v) SELECT REPEAT('x', 4000) FROM {digits}",
            "UPDATE t SET v = 'last' WHERE id = 1",
            "COMMIT",
        )
        wait_until(lambda: snapshot(replica)["rows_uncommitted"] >= 5000, "rows that are not committed yet")
        # A stream whose changes have waited for less than a second counts as caught up.
        wait_until(lambda: snapshot(replica)["lag_seconds"] >= 1, "a lag of a second")
        seen = snapshot(replica)
        assert (seen["phase"], seen["rows_total"]) == ("streaming", 1)
        assert 0 < seen["lag_seconds"] < 1800
        assert " rows of a transaction that is not committed yet" in replica.run("position", "show").stdout
        (said,) = [c for c in replica.run("health", "--json").document["checks"] if "moving" in c["name"]]
        assert " rows of a transaction that is not committed yet" in said["message"]
        session.rollback()
    replica.wait_until_applied(stream)
    wait_until(lambda: snapshot(replica)["phase"] == "caught_up", "the stream to catch up")
    assert snapshot(replica)["rows_uncommitted"] == 0
    assert stream.end(signal.SIGTERM).code == 0
    replica.assert_equal()
