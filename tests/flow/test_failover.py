"""Another server answers as the primary: one that has the applied transactions, and one that does not."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from tests.support.command import wait_until

if TYPE_CHECKING:
    from replica_cli.sandbox.server import SandboxServer
    from tests.support.command import Replica
    from tests.support.servers import ServerFactory

NAMES = {
    True: ("CHANGE MASTER TO", "MASTER", "START SLAVE"),
    False: ("CHANGE REPLICATION SOURCE TO", "SOURCE", "START REPLICA"),
}


def follow(replica: SandboxServer, primary: SandboxServer) -> None:
    """Make a server the other one's own replica, by GTID."""
    address = primary.address()
    with replica.session() as session:
        change, word, start = NAMES[session.is_mariadb]
        how = "MASTER_USE_GTID=slave_pos" if session.is_mariadb else "SOURCE_AUTO_POSITION=1, GET_SOURCE_PUBLIC_KEY=1"
        session.execute(
            f"{change} {word}_HOST='{address.host}', {word}_PORT={address.port}, {word}_USER='{address.user}',"
            f" {word}_PASSWORD='{address.password.reveal()}', {how}"
        )
        session.execute(start)


def wait_until_followed(server: SandboxServer, schema: str) -> None:
    """Wait until a server has the last row of the table, the one with the id 3."""

    def has_followed() -> bool:
        with server.session() as session:
            there = session.rows("SELECT 1 FROM information_schema.tables WHERE table_schema = %s", schema)
            return bool(there) and bool(session.rows(f"SELECT 1 FROM {schema}.t WHERE id = 3"))

    wait_until(has_followed, "the second server to have it all")


@pytest.mark.every_flavour
def test_a_promoted_replica_is_streamed_from_by_gtid_and_one_that_lacks_rows_is_not(
    replica: Replica, server_factory: ServerFactory
) -> None:
    flavour, _, version = str(replica.primary.binary).partition(":")
    first = server_factory(flavour, version, server_id=81, **{"log-slave-updates": None})
    second = server_factory(flavour, version, server_id=82, **{"log-slave-updates": None})
    lacking = server_factory(flavour, version, server_id=83)
    replica.primary = first
    follow(second, first)
    replica.on_primary("CREATE TABLE t (id INT PRIMARY KEY, n INT NOT NULL)", "INSERT INTO t VALUES (1, 0), (2, 0)")
    replica.run("transfer")
    stream = replica.stream()
    replica.wait_until_applied(stream)
    assert stream.end(signal.SIGTERM).code == 0
    replica.on_primary("UPDATE t SET n = n + 1", "INSERT INTO t VALUES (3, 0)")
    wait_until_followed(second, replica.schema)
    first.kill()

    replica.primary = lacking
    assert replica.run("stream", "--json", code=11).error["error"] == "primary_replaced"

    replica.primary = second
    stream = replica.stream()
    replica.on_primary("UPDATE t SET n = n + 10")
    replica.wait_until_applied(stream)
    assert "going on by GTID" in stream.stderr
    assert stream.end(signal.SIGTERM).code == 0
    replica.assert_equal()
    # The saved position is the second server's from here on.
    again = replica.stream()
    replica.wait_until_applied(again)
    assert "going on by GTID" not in again.stderr
    assert again.end(signal.SIGTERM).code == 0


@pytest.mark.every_flavour
def test_rows_are_compared_and_repaired_only_with_the_primary_of_the_position(
    replica: Replica, server_factory: ServerFactory
) -> None:
    flavour, _, version = str(replica.primary.binary).partition(":")
    first = server_factory(flavour, version, server_id=86, **{"log-slave-updates": None})
    second = server_factory(flavour, version, server_id=87, **{"log-slave-updates": None})
    other = server_factory(flavour, version, server_id=88)
    create = "CREATE TABLE t (id INT PRIMARY KEY, n INT NOT NULL)"
    replica.primary = other
    replica.on_primary(create, "INSERT INTO t VALUES (8, 0)")
    replica.primary = first
    follow(second, first)
    replica.on_primary(create, "INSERT INTO t VALUES (1, 0), (2, 0), (3, 0)")
    replica.run("transfer")
    wait_until_followed(second, replica.schema)
    with replica.secondaries["db1"].session(replica.schema) as session:
        session.execute("UPDATE t SET n = 7 WHERE id = 2")
    replica.run("verify", "run", code=3)

    for replica.primary in (other, second):
        for words in (("run", "--restart"), ("run", "--count-only"), ("repair", "--yes", "--all")):
            ended = replica.start("verify", *words, "--json").end()
            assert "belongs to" in ended.stdout, ended
    assert replica.state("SELECT 1 FROM repair_log") == []
    first.kill()

    # No transaction came since the failover, so the position has only a GTID set.
    stream = replica.stream()
    wait_until(lambda: replica.state("SELECT file FROM binlog_position") == [("",)], "the stream to accept it")
    replica.run("verify", "run", "--restart", code=3)
    replica.run("verify", "repair", "--yes", "--all")
    replica.run("verify", "run")
    replica.run("verify", "run", "--count-only")
    replica.on_primary("UPDATE t SET n = n + 1")
    replica.run("verify", "run")
    assert stream.end(signal.SIGTERM).code == 0
    replica.assert_equal()


@pytest.mark.every_flavour
def test_no_file_position_of_the_former_primary_counts_on_the_next_one(
    replica: Replica, server_factory: ServerFactory
) -> None:
    flavour, _, version = str(replica.primary.binary).partition(":")
    first = server_factory(flavour, version, server_id=84, **{"log-slave-updates": None})
    second = server_factory(flavour, version, server_id=85, **{"log-slave-updates": None})
    replica.primary = first
    follow(second, first)
    with first.session() as session:
        # Every file and offset of the second server's log is before those of the first one.
        for _ in range(3):
            session.execute("FLUSH BINARY LOGS")
    replica.on_primary("CREATE TABLE t (id INT PRIMARY KEY, n INT NOT NULL)", "INSERT INTO t VALUES (1, 0), (2, 0)")
    replica.run("transfer")
    # The replay window of the copy is still open.
    assert replica.state("SELECT copy_start_file <> '' FROM table_state") == [(1,)]
    replica.on_primary("INSERT INTO t VALUES (3, 0)")
    wait_until_followed(second, replica.schema)
    first.kill()
    replica.primary = second
    # Accepted and stopped before any transaction came: the file and the offset of the first server must not be left.
    stream = replica.stream()
    stream.kill_all()
    assert replica.saved() in {("", 0), replica.primary_end()}
    replica.on_primary("UPDATE t SET n = n + 10", "DELETE FROM t WHERE id = 2")
    replica.catch_up()
    replica.assert_equal()
    replica.assert_nothing_is_noted()
