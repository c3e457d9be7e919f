"""The lines of a busy stream about rows: few, and exact to the last row also if a signal ends the stream."""

from __future__ import annotations

import re
import signal
import time
from typing import TYPE_CHECKING

from tests.support.command import Load, wait_until

if TYPE_CHECKING:
    from replica_cli.mysql.session import Session
    from tests.support.command import Replica

TABLES = 30
_INSERTED = re.compile(r"\[INSERT\] \[db1\] \S+\.t\d+ (\d+) row\(s\) affected")


def test_a_busy_stream_writes_ten_lines_a_second_at_most_and_misses_no_row(replica: Replica) -> None:
    replica.on_primary(*(f"CREATE TABLE t{number} (id INT PRIMARY KEY AUTO_INCREMENT)" for number in range(TABLES)))
    replica.run("transfer")
    stream = replica.stream()
    started_at = time.monotonic()

    def insert(session: Session) -> None:
        for number in range(TABLES):
            session.execute(f"INSERT INTO t{number} VALUES (), ()")
            session.commit()

    load = Load(replica.primary, replica.schema, insert)
    wait_until(lambda: len(_INSERTED.findall(stream.stderr)) > 2 * TABLES, "a third report")
    # The load goes on while the stream ends.
    ended = stream.end(signal.SIGTERM)
    seconds = time.monotonic() - started_at
    load.stop()
    assert ended.code == 0
    lines = _INSERTED.findall(ended.stderr)
    # What is logged first and last waits for nothing.
    assert len(lines) <= 10 * seconds + 2 * TABLES
    applied = sum(replica.on_secondary(f"SELECT COUNT(*) FROM t{number}")[0][0] for number in range(TABLES))
    assert sum(map(int, lines)) == applied
    assert load.rounds > 5


def test_sighup_makes_a_line_of_each_batch(replica: Replica) -> None:
    replica.on_primary("CREATE TABLE t1 (id INT PRIMARY KEY)")
    replica.run("transfer")
    replica.settings["REPLICA_BATCH_TRANSACTIONS"] = "1"
    stream = replica.stream()
    (replica.folder / ".env").write_text("REPLICA_LOG_ROWS=batch\n")
    stream.process.send_signal(signal.SIGHUP)
    stream.wait_for_log("SIGHUP: new values in use: REPLICA_LOG_ROWS")
    stream.wait_for_log("streaming from", times=2)
    replica.on_primary(*(f"INSERT INTO t1 VALUES ({number})" for number in range(20)))
    replica.wait_until_applied(stream)
    ended = stream.end(signal.SIGTERM)
    assert _INSERTED.findall(ended.stderr) == ["1"] * 20
