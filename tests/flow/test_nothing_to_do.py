"""What a stream does if it has nothing to do, and what it never does."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.command import wait_until

if TYPE_CHECKING:
    from tests.support.command import Replica

_LISTENING = "0A"
_TEXTS = ("Annotate_rows", "Rows_query")


def saves(replica: Replica) -> int:
    """Return how many UPDATE statements the secondary ran: a stream makes them for its position alone."""
    with replica.secondaries["db1"].session() as session:
        return int(session.rows("SHOW GLOBAL STATUS LIKE 'Com_update'")[0][1])


def test_the_position_moves_without_selected_changes_once_a_second_at_most(replica: Replica) -> None:
    replica.settings |= {"REPLICA_TABLES": f"{replica.schema}.selected"}
    replica.on_primary("CREATE TABLE selected (id INT PRIMARY KEY)", "CREATE TABLE excluded (id INT PRIMARY KEY)")
    replica.run("transfer")
    stream = replica.stream()
    begun, before = time.monotonic(), saves(replica)
    number = 0
    with replica.primary.session(database=replica.schema) as session:
        for _ in range(3):
            place = replica.saved()
            while replica.saved() == place:
                number += 1
                session.execute(f"INSERT INTO excluded VALUES ({number})")
    # Idle after it: the rest is saved too.
    end = replica.primary_end()
    wait_until(lambda: replica.saved() >= end, "the position to be saved")
    assert number > 4
    assert saves(replica) - before <= time.monotonic() - begun + 1
    assert stream.end(signal.SIGTERM).code == 0


def test_no_socket_listens(replica: Replica) -> None:
    replica.on_primary("CREATE TABLE t (id INT PRIMARY KEY)")
    replica.run("transfer")
    stream = replica.stream()
    replica.wait_until_applied(stream)
    sockets = {
        str(entry.readlink())
        for pid in (stream.process.pid, *stream.worker_pids())
        for entry in Path(f"/proc/{pid}/fd").iterdir()
        if entry.is_symlink() and str(entry.readlink()).startswith("socket:")
    }
    assert sockets
    lines = [line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()]
    assert [line for line in lines if line[3] == _LISTENING and f"socket:[{line[9]}]" in sockets] == []
    assert stream.end(signal.SIGTERM).code == 0


@pytest.mark.parametrize("engine", ["auto", "sql"])
def test_the_secondary_logs_the_rows_and_not_their_statements(replica: Replica, engine: str) -> None:
    replica.settings["REPLICA_ENGINE"] = engine
    replica.on_primary("CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(200))")
    replica.run("transfer")
    with replica.secondaries["db1"].session() as session:
        file, before, *_ = session.rows("SHOW MASTER STATUS" if session.is_mariadb else "SHOW BINARY LOG STATUS")[0]
        replica.on_primary(*(f"INSERT INTO t VALUES ({n}, REPEAT('x', 200))" for n in range(40)))
        replica.catch_up()
        events = [(str(row[2]), str(row[5])) for row in session.rows(f"SHOW BINLOG EVENTS IN '{file}' FROM {before}")]
    assert [kind for kind, _ in events if kind.startswith("Write_rows")]
    # The other session writes little: heartbeats and fencing tokens.
    rows = f"`{replica.schema}`.`t`"
    assert [text for kind, text in events if kind in _TEXTS and (text.startswith("BINLOG") or rows in text)] == []
