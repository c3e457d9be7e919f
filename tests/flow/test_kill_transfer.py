"""The first copy is killed, resumed and restarted; `transfer` without options says what can be done."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from replica_cli.sandbox.shop import TABLES, load_shop
from replica_cli.sandbox.writer import ShopWriter
from tests.support.command import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.command import Replica


@pytest.fixture
def writer(replica: Replica) -> Iterator[ShopWriter]:
    replica.settings |= {"TRANSFER_BATCH_SIZE": "200", "REPLICA_TRANSFER_WORKERS": "1"}
    with replica.primary.session() as session:
        load_shop(session, replica.schema)
    made = ShopWriter(replica.primary.address(), replica.schema, seed=11, pause_seconds=0.01)
    made.start()
    yield made
    made.stop()


def total(replica: Replica) -> int:
    return sum(map(replica.copied, TABLES))


def kill_after(replica: Replica, rows: int, *words: str) -> None:
    """Start a transfer and end it when it has committed a number of rows more than before."""
    before = total(replica)
    running = replica.start("transfer", *words)
    wait_until(lambda: total(replica) >= before + rows or not running.is_running, f"{rows} rows")
    running.kill_all()


def test_killed_at_several_moments_it_is_resumed_to_the_end(replica: Replica, writer: ShopWriter) -> None:
    chance = random.Random(4)
    kill_after(replica, 1000)
    refused = replica.run("transfer", code=11)
    assert "--resume" in refused.stderr
    assert "--restart" not in refused.stderr
    assert replica.run("transfer", "--json", code=11).error["error"] == "unfinished_transfer"
    for _ in range(4):
        kept = total(replica)
        kill_after(replica, chance.randrange(500, 10_000), "--resume")
        # Nothing is copied a second time.
        assert total(replica) >= kept
    replica.run("transfer", "--resume", patience_seconds=120)
    writer.wait_for(20)
    writer.stop()
    replica.catch_up()
    replica.assert_equal()
    replica.assert_nothing_is_noted()


def test_a_stream_without_leave_to_transfer_refuses_an_unfinished_one(replica: Replica, writer: ShopWriter) -> None:
    kill_after(replica, 1000)
    refused = replica.run("stream", "--no-transfer", code=11)
    assert "replica transfer --resume --secondary db1" in refused.stderr
    # With leave it finishes what was begun by itself.
    writer.wait_for(20)
    writer.stop()
    replica.catch_up()
    replica.assert_equal()
    replica.assert_nothing_is_noted()


def test_restart_discards_the_rows_of_the_former_copy(replica: Replica, writer: ShopWriter) -> None:
    kill_after(replica, 30_000)
    # Rows that are gone although their chunks were copied: only a copy from the beginning brings them back.
    begun = next(table for table in TABLES if replica.copied(table) > 100)
    replica.on_secondary(f"DELETE FROM {begun} LIMIT 50")
    writer.wait_for(20)
    replica.run("transfer", "--restart", "--secondary", "db1", "--yes", patience_seconds=120)
    writer.wait_for(20)
    writer.stop()
    replica.catch_up()
    replica.assert_equal()
    replica.assert_nothing_is_noted()


def test_restart_over_rows_needs_yes_without_a_terminal(replica: Replica) -> None:
    replica.on_primary("CREATE TABLE t (id INT PRIMARY KEY)", "INSERT INTO t VALUES (1), (2)")
    replica.run("transfer")
    replica.on_secondary("DELETE FROM t WHERE id = 1")
    asked = replica.run("transfer", "--restart", code=2)
    assert "--yes" in asked.stderr
    assert replica.on_secondary("SELECT id FROM t") == [(2,)]
    replica.run("transfer", "--restart", "--yes", code=2)
    replica.run("transfer", "--restart", "--yes", "--all")
    replica.assert_equal()
