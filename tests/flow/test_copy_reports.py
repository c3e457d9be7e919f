"""How a copy is reported: while it runs, from another process, and at each kind of end."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from tests.support.command import wait_until

if TYPE_CHECKING:
    from tests.support.command import Replica

# A copy of fewer may be over before it is looked at: its chunks grow.
ROWS = 400_000


@pytest.fixture
def filled(replica: Replica) -> Replica:
    """Give a primary with a table whose copy takes its time, and a small one."""
    replica.settings |= {"TRANSFER_BATCH_SIZE": "10", "REPLICA_TRANSFER_WORKERS": "1"}
    replica.on_primary(
        "CREATE TABLE digits (id INT PRIMARY KEY)",
        "INSERT INTO digits VALUES " + ",".join(f"({n})" for n in range(100)),
        "CREATE TABLE large (id INT PRIMARY KEY, n INT NOT NULL)",
        "INSERT INTO large SELECT a.id * 10000 + b.id * 100 + c.id, 0 FROM digits a, digits b, digits c"
        f" WHERE a.id < {ROWS // 10_000}",
        "ANALYZE TABLE large",
    )
    return replica


def has_rate(replica: Replica) -> bool:
    """Return True if the last heartbeat was written after rows had been counted."""
    copy = replica.run("position", "show", "--json").document["secondaries"][0]["copy"]
    return bool(copy and copy["rows_estimated"] and copy["rows_per_second"])


def test_a_copy_is_seen_from_another_process_and_its_endings_have_their_names(filled: Replica) -> None:
    copying = filled.start("transfer")
    # Some chunks: the rows of the last one may be counted only after the next one.
    filled.wait_until_copied("large", 500)
    with filled.secondaries["db1"].session(database=filled.schema) as session:
        # So that it cannot end before all commands were run.
        session.execute("LOCK TABLES large WRITE")
        wait_until(lambda: has_rate(filled), "a heartbeat after the first rows")
        text = filled.run("position", "show").stdout
        shown = filled.run("position", "show", "--json").document["secondaries"][0]
        health = filled.run("health", "--json", code=1).document
    assert text.startswith("db1  transferring\n")
    assert "lag      unknown until the copy is done" in text
    copy = shown["copy"]
    assert (shown["phase"], shown["distance_bytes"], copy["tables"]) == ("transferring", None, 2)
    assert 500 <= copy["rows_copied"] < ROWS
    assert copy["rows_copied"] < copy["rows_estimated"]
    assert copy["rows_per_second"] > 0
    assert copy["eta_seconds"] > 0
    (large,) = (t for t in shown["tables"] if t["table"].endswith(".large"))
    assert (large["state"], large["step"]) == ("copying", "rows")
    checks = {c["name"]: c for c in health["checks"]}
    assert " rows/s, ETA " in checks["unfinished-transfer"]["message"]
    assert (checks["lag"]["status"], checks["lag"]["value"]) == ("warning", None)
    stopped = copying.end(signal.SIGINT)
    assert stopped.code == 130
    assert stopped.stdout.splitlines()[1].startswith("db1        stopped")
    # The result of a killed or stopped copy is shown without any process.
    rest = filled.run("position", "show").stdout
    assert rest.startswith("db1  stopped\n")
    assert " of about " in rest
    assert "rows/s" not in rest
    finished = filled.run("transfer", "--resume")
    assert finished.stdout.splitlines()[1].startswith("db1        finished")
    assert filled.run("position", "show").stdout.startswith("db1  finished\n")
    ended = filled.catch_up()
    assert ended.stdout.splitlines()[1].startswith("db1        finished")
    filled.assert_equal()
