"""The stream is killed at random moments under load: nothing is lost and nothing is applied twice.

Row events set values, so a second application of an UPDATE would not show. `ledger` shows it: it has no key, each
transaction adds one row to it, and applying one twice leaves a row more. The counters in the position row show it too.
"""

from __future__ import annotations

import itertools
import os
import random
import signal
import threading
from typing import TYPE_CHECKING

import pytest

from tests.support.command import Load, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from replica_cli.mysql.session import Session
    from tests.support.command import Replica, Running

KILLS = 30
ACCOUNTS = 50


TABLES = (
    "CREATE TABLE account (id INT PRIMARY KEY, balance BIGINT NOT NULL, moves INT NOT NULL DEFAULT 0)",
    "CREATE TABLE ledger (number BIGINT NOT NULL, source INT, target INT, amount INT)",
    *(f"INSERT INTO account (id, balance) VALUES ({n}, 1000)" for n in range(ACCOUNTS)),
)


@pytest.fixture
def bank(replica: Replica) -> Iterator[Load]:
    """Move money between accounts, each transaction noted in the ledger."""
    # Small commits: more moments between them.
    replica.settings |= {"REPLICA_BATCH_TRANSACTIONS": "20", "REPLICA_BATCH_AGE": "10ms"}
    replica.on_primary(*TABLES)
    chance = random.Random(5)
    numbers = itertools.count()

    def transaction(session: Session) -> None:
        source, target = chance.sample(range(ACCOUNTS), 2)
        amount = chance.randrange(100)
        session.begin()
        session.execute(f"UPDATE account SET balance = balance - {amount}, moves = moves + 1 WHERE id = {source}")
        session.execute(f"UPDATE account SET balance = balance + {amount}, moves = moves + 1 WHERE id = {target}")
        session.execute(f"INSERT INTO ledger VALUES ({next(numbers)}, {source}, {target}, {amount})")
        session.commit()

    made = Load(replica.primary, replica.schema, transaction)
    yield made
    made.stop()


def check_applied_once(replica: Replica, bank: Load, before: int) -> None:
    replica.assert_equal()
    assert replica.on_secondary("SELECT COUNT(*), COUNT(DISTINCT number) FROM ledger") == [(bank.rounds, bank.rounds)]
    assert replica.on_secondary("SELECT SUM(moves) FROM account") == [(str(2 * bank.rounds),)]
    ((rows, transactions),) = replica.state("SELECT row_count, transaction_count FROM binlog_position")
    # What was copied before the stream is not counted by it, but for the few transactions inside the window.
    missing = bank.rounds - transactions
    assert 0 <= missing <= before
    assert 0 <= 3 * bank.rounds - rows <= 3 * before


def applied(replica: Replica) -> int:
    rows = replica.state("SELECT transaction_count FROM binlog_position")
    return int(rows[0][0]) if rows else 0


def test_killed_thirty_times_under_load_each_change_is_applied_once(replica: Replica, bank: Load) -> None:
    chance = random.Random(30)
    replica.run("transfer")
    copied = bank.rounds
    for number in range(KILLS):
        stream = replica.start("stream")
        stream.wait_for_log("streaming from")
        if number % 3:
            seen = applied(replica)
            wait_until(lambda: applied(replica) > seen, "the stream to move")  # noqa: B023 - waited for here
        threading.Event().wait(chance.uniform(0, 0.3))
        # In turn: everything at once, and the supervisor alone, whose workers have to notice.
        stream.kill_all() if number % 2 else stream.kill_supervisor()
    bank.stop()
    replica.catch_up()
    check_applied_once(replica, bank, copied)


def test_a_killed_worker_is_started_again_by_the_supervisor(replica: Replica, bank: Load) -> None:
    replica.run("transfer")
    copied = bank.rounds
    stream = replica.stream()
    for number in range(1, 4):
        (pid,) = wait_for_worker(stream)
        seen = applied(replica)
        wait_until(lambda: applied(replica) > seen, "the stream to move")  # noqa: B023 - waited for here
        os.kill(pid, signal.SIGKILL)
        stream.wait_for_log(r"\[PANIC\] \[db1\] the worker process died", times=number)
        stream.wait_for_log("streaming from", times=number + 1)
    bank.stop()
    replica.wait_until_applied(stream)
    assert stream.end(signal.SIGTERM).code == 0
    replica.on_primary("DROP TABLE marker")
    replica.catch_up()
    check_applied_once(replica, bank, copied)


def wait_for_worker(stream: Running) -> list[int]:
    wait_until(stream.worker_pids, "a worker process")
    return stream.worker_pids()


def test_killed_after_a_swap_of_equal_tables_they_are_copied_and_not_swapped_again(replica: Replica) -> None:
    replica.on_primary(
        "CREATE TABLE a (id INT PRIMARY KEY, v INT)", "CREATE TABLE b LIKE a",
        "INSERT INTO a VALUES (1, 1)", "INSERT INTO b VALUES (2, 2)",
    )  # fmt: skip
    replica.catch_up()
    running = replica.stream()
    server = replica.secondaries["db1"]
    with server.session(replica.schema) as reader, server.session(replica.state_schema) as holder:
        reader.begin()
        reader.rows("SELECT * FROM a")
        replica.on_primary("RENAME TABLE a TO x, b TO a, x TO b")
        wait_until(lambda: replica.state("SELECT 1 FROM ddl_intent"), "the statement to wait for the reader")
        holder.begin()
        holder.rows("SELECT * FROM binlog_position FOR UPDATE")
        reader.rollback()
        wait_until(lambda: replica.on_secondary("SELECT id FROM a") == [(2,)], "the tables to be swapped")
        running.kill_all()
        holder.rollback()
    ended = replica.catch_up()
    replica.assert_equal()
    assert "it is not known whether it ran" in ended.stderr
    assert replica.state("SELECT * FROM ddl_intent") == []
    replica.assert_nothing_is_noted()
