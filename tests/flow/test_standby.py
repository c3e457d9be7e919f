"""One writer: a standby waits, takes over from a dead or frozen process, and the frozen one cannot write any more."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from tests.support.command import Load, wait_until, wait_until_locked_out

if TYPE_CHECKING:
    from replica_cli.mysql.session import Session
    from tests.support.command import Replica, Running


@pytest.fixture
def ledger(replica: Replica) -> Replica:
    replica.settings |= {"REPLICA_LEASE": "3s"}
    # `applications` counts how often a row was changed: applied twice, it would differ from the primary's.
    replica.on_primary(
        "CREATE TABLE ledger (id INT PRIMARY KEY, applications INT NOT NULL)",
        "INSERT INTO ledger VALUES " + ",".join(f"({n}, 0)" for n in range(50)),
    )
    replica.run("transfer")
    return replica


def stand_by(replica: Replica) -> Running:
    standby = replica.start("stream", "--standby")
    standby.wait_for_log("standing by")
    return standby


def work(session: Session) -> None:
    session.execute("UPDATE ledger SET applications = applications + 1 WHERE id = CAST(RAND() * 49 AS UNSIGNED)")


def freeze(running: Running) -> None:
    os.killpg(running.process.pid, signal.SIGSTOP)


def wake(running: Running) -> None:
    os.killpg(running.process.pid, signal.SIGCONT)


def test_a_standby_waits_and_takes_over_from_a_dead_holder_within_seconds(ledger: Replica) -> None:
    holder = ledger.stream()
    standby = stand_by(ledger)
    load = Load(ledger.primary, ledger.schema, work)
    ledger.wait_until_applied(holder)
    assert "streaming from" not in standby.stderr
    holder.kill_all()
    standby.wait_for_log("streaming from")
    load.stop()
    ledger.wait_until_applied(standby)
    assert standby.end(signal.SIGTERM).code == 0
    ledger.assert_equal()


def test_a_standby_takes_over_at_once_if_the_holder_ends_by_itself(ledger: Replica) -> None:
    holder = ledger.stream()
    standby = stand_by(ledger)
    assert holder.end(signal.SIGTERM).code == 0
    standby.wait_for_log("streaming from")
    assert "has been silent" not in standby.stderr
    assert standby.end(signal.SIGTERM).code == 0


def test_a_standby_that_never_had_its_turn_ends_politely(ledger: Replica) -> None:
    holder = ledger.stream()
    standby = stand_by(ledger)
    assert standby.end(signal.SIGTERM).code == 0
    ledger.wait_until_applied(holder)
    assert holder.end(signal.SIGTERM).code == 0


def test_a_frozen_holder_that_wakes_up_after_a_takeover_cannot_commit_one_row(ledger: Replica) -> None:
    holder = ledger.stream()
    standby = stand_by(ledger)
    load = Load(ledger.primary, ledger.schema, work)
    ledger.wait_until_applied(holder)
    freeze(holder)
    standby.wait_for_log("streaming from")
    ledger.wait_until_applied(standby)
    load.stop()
    ledger.wait_until_applied(standby)
    before = ledger.state("SELECT token, row_count FROM binlog_position")
    wake(holder)
    ended = holder.end()
    assert ended.code == 16, ended.stderr
    assert "took over" in ended.stderr
    assert ledger.state("SELECT token, row_count FROM binlog_position") == before
    ledger.assert_equal()
    # The new one never noticed, and is the one that everybody sees.
    ledger.on_primary("UPDATE ledger SET applications = applications + 1")
    ledger.wait_until_applied(standby)
    (pid,) = standby.worker_pids()
    assert ledger.state("SELECT holder FROM stream_status")[0][0].endswith(f":{pid}")
    assert standby.end(signal.SIGTERM).code == 0
    ledger.assert_equal()


def test_a_frozen_holder_does_not_take_the_lock_back_when_it_is_free_again(ledger: Replica) -> None:
    # The one that took over lets go of the lock for a moment at each new connection; here it has ended.
    holder = ledger.stream()
    standby = stand_by(ledger)
    freeze(holder)
    standby.wait_for_log("streaming from")
    assert standby.end(signal.SIGTERM).code == 0
    before = ledger.state("SELECT token FROM binlog_position")
    wake(holder)
    ended = holder.end(patience_seconds=60)
    assert ended.code == 16
    assert "another process took over" in ended.stderr
    assert ledger.state("SELECT token FROM binlog_position") == before


def test_a_holder_frozen_with_a_batch_in_hand_loses_it(ledger: Replica) -> None:
    holder = ledger.stream()
    standby = stand_by(ledger)
    ledger.wait_until_applied(holder)
    with ledger.secondaries["db1"].session(database=ledger.schema) as other:
        # The batch waits for this row: rows before it are written and not committed when the process freezes.
        other.begin()
        other.execute("UPDATE ledger SET applications = applications WHERE id = 7")
        ledger.on_primary("UPDATE ledger SET applications = applications + 1")
        wait_until_locked_out(other)
        freeze(holder)
        other.rollback()
    standby.wait_for_log("streaming from")
    ledger.wait_until_applied(standby)
    wake(holder)
    assert holder.end().code == 16
    assert standby.end(signal.SIGTERM).code == 0
    ledger.assert_equal()


def test_a_raised_fencing_token_stops_a_batch_even_if_the_connection_lives(ledger: Replica) -> None:
    holder = ledger.stream()
    ledger.wait_until_applied(holder)
    # A takeover that did not reach the old connection: the token in the position row is the last line.
    with ledger.secondaries["db1"].session(database=ledger.state_schema) as session:
        session.execute("UPDATE binlog_position SET token = token + 1")
    ledger.on_primary("UPDATE ledger SET applications = applications + 1")
    assert holder.end().code == 16
    assert ledger.on_secondary("SELECT SUM(applications) FROM ledger")[0][0] in (0, "0")
    ledger.catch_up()
    ledger.assert_equal()


def test_a_copy_that_was_frozen_drops_no_table_that_another_process_has_copied(replica: Replica) -> None:
    replica.settings |= {"REPLICA_LEASE": "3s", "TRANSFER_BATCH_SIZE": "20", "REPLICA_TRANSFER_WORKERS": "1"}
    names = [f"t{n}" for n in range(8)]
    replica.on_primary(
        "CREATE TABLE t0 (id INT PRIMARY KEY, n INT NOT NULL)",
        "INSERT INTO t0 VALUES " + ",".join(f"({n}, 0)" for n in range(4000)),
        *(f"CREATE TABLE {n} LIKE t0" for n in names[1:]),
        *(f"INSERT INTO {n} SELECT * FROM t0" for n in names[1:]),
    )
    replica.run("transfer")
    waiting = "SELECT id FROM information_schema.processlist WHERE state LIKE 'Waiting for table metadata lock%'"
    with replica.secondaries["db1"].session(database=replica.schema) as other:
        other.execute("LOCK TABLES t5 READ")
        copying = replica.start("transfer", "--restart", "--secondary", "db1", "--yes")
        wait_until(lambda: replica.on_secondary(waiting), "the copy to come to a table that is locked")
        ((number,),) = replica.on_secondary(waiting)
        named = f"SELECT 1 FROM stream_status WHERE JSON_CONTAINS(snapshot, '{number}', '$.connections')"
        wait_until(lambda: replica.state(named), "its connections to be known")
        freeze(copying)
    standby = replica.start("stream", "--standby")
    standby.wait_for_log("streaming from")
    replica.wait_until_applied(standby)
    wake(copying)
    ended = copying.end()
    assert ended.code == 16, ended.stderr
    replica.on_primary(*(f"UPDATE {n} SET n = n + 1" for n in names))
    replica.wait_until_applied(standby)
    assert standby.end(signal.SIGTERM).code == 0
    replica.assert_equal()
