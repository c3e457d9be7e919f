"""`replica verify` with a table whose engine on the primary has no transactions, so that no snapshot of it exists."""

from __future__ import annotations

import random
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from tests.flow.test_verify import run
from tests.support.command import Load, wait_until

if TYPE_CHECKING:
    from replica_cli.mysql.session import Session
    from tests.support.command import Replica
    from tests.support.servers import ServerFactory

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


_SEMI_SYNC = {
    True: (
        "SET GLOBAL rpl_semi_sync_master_timeout=15000",
        "SET GLOBAL rpl_semi_sync_master_wait_no_slave=1",
        "SET GLOBAL rpl_semi_sync_master_enabled=1",
    ),
    False: (
        "INSTALL PLUGIN rpl_semi_sync_source SONAME 'semisync_source.so'",
        "SET GLOBAL rpl_semi_sync_source_timeout=15000",
        "SET GLOBAL rpl_semi_sync_source_wait_no_replica=1",
        "SET GLOBAL rpl_semi_sync_source_enabled=1",
    ),
}


def test_rows_that_are_in_the_log_and_not_shown_yet_are_not_called_extra(
    replica: Replica, server_factory: ServerFactory
) -> None:
    flavour, _, version = str(replica.primary.binary).partition(":")
    replica.primary = server_factory(flavour, version)
    replica.on_primary("CREATE TABLE a (id INT PRIMARY KEY AUTO_INCREMENT, n INT) ENGINE=MyISAM")
    replica.on_primary("INSERT INTO a (n) VALUES " + ",".join(f"({i})" for i in range(3000)))
    replica.run("transfer")
    stream = replica.stream()
    replica.wait_until_applied(stream)
    with replica.primary.session() as session:
        for statement in _SEMI_SYNC[session.is_mariadb]:
            session.execute(statement)

    def is_applied() -> bool:
        with replica.secondaries["db1"].session(replica.schema) as session:
            return session.row("SELECT COUNT(*) FROM a") == (3003,)

    with ThreadPoolExecutor() as pool:
        # It waits for the answer of a replica that does not exist. Meanwhile other sessions do not see its rows.
        inserted = pool.submit(replica.on_primary, "INSERT INTO a (n) VALUES (7), (8), (9)")
        wait_until(is_applied, "the rows on the secondary")
        for words in ((), ("--count-only",)):
            ended = replica.start("verify", "run", "--json", *words).end()
            (secondary,) = ended.lines[-1]["secondaries"]
            assert [t for t in secondary["tables"] if t["extra"]] == [], ended
        inserted.result(60)
    run(replica, code=0)
    stream.end(signal.SIGTERM)
