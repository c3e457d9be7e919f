"""Errors of a secondary that go away: tried again, waited for, or checked; each with a real cause."""

from __future__ import annotations

import contextlib
import re
import signal
from typing import TYPE_CHECKING

import pytest

from replica_cli.core.errors import ReplicaError
from replica_cli.core.settings import Network
from replica_cli.mysql.session import connect
from tests.support.command import Load, Replica, wait_until, wait_until_locked_out

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from replica_cli.mysql.session import Session
    from replica_cli.sandbox.server import SandboxServer
    from tests.support.command import Running
    from tests.support.proxy import Proxy

_RIGHTS = "SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, ALTER, INDEX, REFERENCES, TRIGGER"


@pytest.fixture
def ledger(replica: Replica) -> Replica:
    # `applications` counts how often a row was changed: what is applied twice differs from the primary.
    replica.on_primary(
        "CREATE TABLE ledger (id INT PRIMARY KEY, applications INT NOT NULL)",
        "INSERT INTO ledger VALUES " + ",".join(f"({n}, 0)" for n in range(50)),
    )
    replica.run("transfer")
    return replica


@pytest.fixture
def ordinary(ledger: Replica) -> Iterator[Replica]:
    """Let the command log in on the secondary as a user whom read_only and max_connections concern."""
    server, user = ledger.secondaries["db1"], f"u_{ledger.schema}"
    with server.session() as session:
        session.execute(f"CREATE USER {user}@'%' IDENTIFIED BY 'a-Long-enough-1'")
        session.execute(f"GRANT {_RIGHTS} ON `{ledger.schema}`.* TO {user}@'%'")
        session.execute(f"GRANT {_RIGHTS} ON `{ledger.state_schema}`.* TO {user}@'%'")
        ledger.settings |= {"MARIA_SECONDARY_USERS": user, "MARIA_SECONDARY_PASSWORDS": "a-Long-enough-1"}
        yield ledger
        session.execute(f"DROP USER {user}@'%'")


def change(replica: Replica) -> None:
    replica.on_primary("UPDATE ledger SET applications = applications + 1")


def finish(replica: Replica, stream: Running) -> None:
    replica.wait_until_applied(stream)
    assert stream.end(signal.SIGTERM).code == 0
    replica.assert_equal()
    replica.assert_nothing_is_noted()


@contextlib.contextmanager
def variable(server: SandboxServer, name: str, value: str) -> Iterator[None]:
    with server.session() as session:
        ((before,),) = session.rows(f"SELECT @@GLOBAL.{name}")
        session.execute(f"SET GLOBAL {name} = {value}")
        try:
            yield
        finally:
            session.execute(f"SET GLOBAL {name} = {before}")


def test_a_lock_wait_rolls_the_whole_batch_back_and_does_it_again(ledger: Replica) -> None:
    # It takes the 50 s that our sessions wait, whatever the server's own value is: on one server only.
    stream = ledger.stream()
    ledger.wait_until_applied(stream)
    with ledger.secondaries["db1"].session(database=ledger.schema) as other:
        other.begin()
        other.execute("SELECT * FROM ledger WHERE id = 40 FOR UPDATE")
        change(ledger)
        wait_until(lambda: re.search(r"\[RETRY\].*1205", stream.stderr), "the lock wait to end", 150)
        other.rollback()
    finish(ledger, stream)


@pytest.mark.every_flavour
def test_a_deadlock_rolls_the_whole_batch_back_and_does_it_again(ledger: Replica) -> None:
    stream = ledger.stream()
    ledger.wait_until_applied(stream)
    with ledger.secondaries["db1"].session(database=ledger.schema) as other:
        other.begin()
        other.execute("SELECT * FROM ledger WHERE id = 49 FOR UPDATE")
        # Heavier than the batch, so that the server chooses the batch to die.
        other.execute("CREATE TEMPORARY TABLE weight (id INT PRIMARY KEY, word CHAR(50)) ENGINE=InnoDB")
        other.execute("INSERT INTO ledger VALUES " + ",".join(f"({n}, 0)" for n in range(1000, 1500)))
        change(ledger)
        wait_until_locked_out(other)
        other.execute("SELECT * FROM ledger WHERE id = 0 FOR UPDATE")
        stream.wait_for_log(r"\[RETRY\].*1213")
        other.rollback()
    finish(ledger, stream)


@pytest.mark.every_flavour
def test_a_secondary_that_is_read_only_is_waited_for(ordinary: Replica) -> None:
    stream = ordinary.stream()
    ordinary.wait_until_applied(stream)
    with variable(ordinary.secondaries["db1"], "read_only", "1"):
        change(ordinary)
        stream.wait_for_log(r"\[RETRY\].*waits until the error clears.*\((error )?1290\)")
    finish(ordinary, stream)


@pytest.mark.servers("mysql")
@pytest.mark.every_flavour
def test_super_read_only_and_offline_mode_are_waited_for(ordinary: Replica) -> None:
    stream = ordinary.stream()
    ordinary.wait_until_applied(stream)
    with variable(ordinary.secondaries["db1"], "super_read_only", "1"):
        change(ordinary)
        stream.wait_for_log(r"\[RETRY\].*1290")
    with ordinary.secondaries["db1"].session() as session:
        session.execute("SET GLOBAL read_only = 0")
    ordinary.wait_until_applied(stream)
    with variable(ordinary.secondaries["db1"], "offline_mode", "1"):
        change(ordinary)
        stream.wait_for_log(r"\[RETRY\].*3032")
    finish(ordinary, stream)


def test_a_secondary_with_too_many_connections_is_waited_for(ordinary: Replica, proxy: Callable[[int], Proxy]) -> None:
    server = ordinary.secondaries["db1"]
    link = proxy(server.port)
    ordinary.settings |= {"MARIA_SECONDARY_PORTS": str(link.port)}
    user = ordinary.settings["MARIA_SECONDARY_USERS"]
    stream = ordinary.stream()
    ordinary.wait_until_applied(stream)
    crowd: list[Session] = []
    with variable(server, "max_connections", "10"):
        link.cut()
        address = server.address(user, password="a-Long-enough-1")
        with contextlib.suppress(ReplicaError):
            while len(crowd) < 20:
                crowd.append(connect(address, Network()))
        change(ordinary)
        stream.wait_for_log(r"\[RETRY\].*1040")
        for session in crowd:
            session.close()
    finish(ordinary, stream)


def test_connections_killed_again_and_again_lose_and_double_nothing(ledger: Replica) -> None:
    stream = ledger.stream()
    ledger.wait_until_applied(stream)

    def work(session: Session) -> None:
        session.execute("UPDATE ledger SET applications = applications + 1 WHERE id = CAST(RAND() * 49 AS UNSIGNED)")

    load = Load(ledger.primary, ledger.schema, work)
    with ledger.secondaries["db1"].session() as session:
        for times in range(1, 5):
            # All of the stream's, the writer's among them, whatever they are doing.
            for (number,) in session.rows("SELECT id FROM information_schema.processlist WHERE id <> CONNECTION_ID()"):
                with contextlib.suppress(ReplicaError):
                    session.execute(f"KILL {number}")
            stream.wait_for_log("streaming from", times=times + 1)
    load.stop()
    finish(ledger, stream)


def test_a_connection_cut_within_any_answer_loses_and_doubles_nothing(
    ledger: Replica, proxy: Callable[[int], Proxy]
) -> None:
    link = proxy(ledger.secondaries["db1"].port)
    ledger.settings |= {"MARIA_SECONDARY_PORTS": str(link.port)}
    stream = ledger.stream()
    ledger.wait_until_applied(stream)
    for times, size in enumerate((1, 7, 8, 11, 18, 22, 33), start=1):
        # An answer to COMMIT is eleven bytes: some of these end right before one, some within it.
        link.cut_after(size)
        change(ledger)
        stream.wait_for_log("streaming from", times=times + 1)
        ledger.wait_until_applied(stream)
    finish(ledger, stream)
