"""`replica verify` with a table whose engine on the primary has no transactions, so that no snapshot of it exists."""

from __future__ import annotations

import random
import signal
import time
from typing import TYPE_CHECKING

import pytest

from tests.flow.test_verify import run
from tests.support.command import Load

if TYPE_CHECKING:
    from replica_cli.mysql.session import Session
    from tests.support.command import Replica

pytestmark = pytest.mark.every_flavour

_ROWS = 20_000


def fill(replica: Replica) -> None:
    replica.on_primary(
        "CREATE TABLE item (id INT PRIMARY KEY, n INT) ENGINE=MyISAM",
        "CREATE TABLE note (n INT, text VARCHAR(20)) ENGINE=MyISAM",
    )
    with replica.primary.session(replica.schema) as session:
        for table in ("item", "note"):
            values = ",".join(f"({i},{i})" for i in range(_ROWS))
            session.execute(f"INSERT INTO {table} VALUES {values}")


def test_what_was_changed_while_it_was_read_is_not_called_a_difference(replica: Replica) -> None:
    fill(replica)
    replica.run("transfer")
    stream = replica.stream()

    def write(session: Session) -> None:
        session.execute(f"UPDATE item SET n = n + 1 WHERE id = {random.randrange(_ROWS)}")
        session.execute(f"UPDATE note SET text = CONCAT(n, 'x') WHERE n = {random.randrange(_ROWS)}")
        time.sleep(random.choice((0, 0, 0, 0.3)))  # noqa: TID251 - the pauses of a writer

    load = Load(replica.primary, replica.schema, write)
    try:
        for _ in range(3):
            lines = replica.start("verify", "run", "--json").end().lines
            assert not [line for line in lines if line["type"] == "difference"]
            (secondary,) = lines[-1]["secondaries"]
            assert all(t["is_equal"] or "no transactions" in t["undecided"] for t in secondary["tables"]), secondary
    finally:
        load.stop()
    run(replica, code=0)
    stream.end(signal.SIGTERM)


def test_differences_are_found_and_mended(replica: Replica) -> None:
    fill(replica)
    replica.run("transfer")
    stream = replica.stream()
    replica.wait_until_applied(stream)
    with replica.secondaries["db1"].session(replica.schema) as session:
        session.execute("UPDATE item SET n = -1 WHERE id >= 7000 AND id < 9500")
        session.execute("DELETE FROM item WHERE id = 3")
        session.execute("DELETE FROM note WHERE n IN (5, 6)")
    run(replica, "--max-differences", "0", code=3)
    replica.run("verify", "repair", "--yes", "--all")
    run(replica, code=0)
    stream.end(signal.SIGTERM)
    replica.assert_equal()


def test_an_engine_without_transactions_on_the_secondary_is_refused_by_name(replica: Replica) -> None:
    replica.on_primary("CREATE TABLE item (id INT PRIMARY KEY)", "INSERT INTO item VALUES (1)")
    replica.run("transfer")
    with replica.secondaries["db1"].session(replica.schema) as session:
        session.execute("ALTER TABLE item ENGINE=MyISAM")
    lines = replica.start("verify", "run", "--json").end().lines
    (secondary,) = lines[-1]["secondaries"]
    assert "MyISAM, which has no transactions: `replica drift check --sql" in secondary["tables"][0]["undecided"]
