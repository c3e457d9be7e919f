"""A snapshot of the primary shows exactly the transactions before its position in the log."""

from __future__ import annotations

import itertools
import threading
import time
from typing import TYPE_CHECKING

import pytest

from replica_cli.core.errors import PrimaryError
from replica_cli.core.settings import Network, Retry
from replica_cli.core.table import TableName
from replica_cli.mysql.binlog import snapshots
from replica_cli.mysql.binlog.mariadb_snapshots import open_snapshot
from replica_cli.mysql.binlog.snapshots import table_snapshot, visible_position
from replica_cli.mysql.errnos import Remedy, ServerError
from replica_cli.mysql.facts import read_facts
from replica_cli.mysql.session import connect
from replica_cli.stop import StopToken
from tests.support.command import Load, wait_until

if TYPE_CHECKING:
    from replica_cli.core.position import Position
    from replica_cli.mysql.session import Session
    from replica_cli.sandbox.server import SandboxServer
    from tests.support.servers import ServerFactory

BOTH = pytest.mark.parametrize("version", ["10.11", "11.8"])
XA_DOMAIN = 5
PLAIN, XA = TableName("d", "plain"), TableName("d", "xa")


def load_context(server: SandboxServer) -> int:
    """Make the tables and return the number of the last transaction: each later one adds a row to one of them."""
    with server.session() as session:
        session.execute("CREATE DATABASE d")
        session.execute("CREATE TABLE d.plain (id BIGINT AUTO_INCREMENT PRIMARY KEY)")
        session.execute("CREATE TABLE d.xa (id INT PRIMARY KEY)")
        return number_of(str(session.rows("SELECT @@GLOBAL.gtid_binlog_pos")[0][0]), 0)


def number_of(gtids: str, domain: int) -> int:
    return next((int(gtid.split("-")[2]) for gtid in gtids.split(",") if gtid.split("-")[0] == str(domain)), 0)


def add_row(session: Session) -> None:
    for _ in range(5):
        session.execute("INSERT INTO plain VALUES ()")


def ask_for_status(session: Session) -> None:
    for _ in range(20):
        session.rows("SHOW GLOBAL STATUS LIKE 'binlog%'")


class XaWriter:
    """Commits by XA in a GTID domain of its own: a prepare and a commit each."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)

    def __call__(self, session: Session) -> None:
        number = next(self._numbers)
        session.execute(f"SET SESSION gtid_domain_id = {XA_DOMAIN}")
        session.execute(f"XA START 'x{number}'")
        session.execute(f"INSERT INTO xa VALUES ({number})")
        session.execute(f"XA END 'x{number}'")
        session.execute(f"XA PREPARE 'x{number}'")
        session.execute(f"XA COMMIT 'x{number}'")


def differences(server: SandboxServer, first: int, seconds: float) -> list[str]:
    """Take snapshots for some seconds and return those that show other rows than the log has before their position."""
    found, deadline = [], time.monotonic() + seconds
    with server.session(database="d") as session, server.session() as locker:
        facts = read_facts(session)
        while time.monotonic() < deadline:
            with table_snapshot(session, locker, facts, [PLAIN, XA]) as position:
                ((plain,),), ((xa,),) = session.rows_of_each(["SELECT COUNT(*) FROM plain", "SELECT COUNT(*) FROM xa"])
            logged = number_of(position.gtid, 0) - first, number_of(position.gtid, XA_DOMAIN) // 2
            if (plain, xa) != logged:
                found.append(f"{position}: {plain} and {xa} rows, the log has {logged}")
    return found


@BOTH
@pytest.mark.parametrize("is_locked", [False, True], ids=["without-lock", "under-lock"])
def test_it_is_exact_while_files_begin_and_others_ask_for_the_status(
    server_factory: ServerFactory, version: str, monkeypatch: pytest.MonkeyPatch, *, is_locked: bool
) -> None:
    if is_locked:
        monkeypatch.setattr(snapshots, "_settled_position", lambda *_: None)
    server = server_factory("mariadb", version, max_binlog_size=16384)
    first = load_context(server)
    work = (add_row, add_row, add_row, ask_for_status, ask_for_status, XaWriter())
    loads = [Load(server, "d", each) for each in work]
    assert differences(server, first, seconds=8) == []
    for load in loads:
        load.stop()
        assert load.rounds


@BOTH
def test_it_is_settled_if_no_transaction_can_be_in_flight(server_factory: ServerFactory, version: str) -> None:
    server = server_factory("mariadb", version)
    load_context(server)
    seen: set[tuple[str, bool]] = set()
    with server.session(database="d") as session:
        session.execute("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        assert open_snapshot(session).is_settled
        for has_rows in (False, True):
            session.execute("FLUSH BINARY LOGS")
            if has_rows:
                session.execute("INSERT INTO plain VALUES ()")
            deadline = time.monotonic() + 10
            while time.monotonic() < deadline:
                position, is_settled = last_event(session)
                seen.add((position, is_settled))
                if position.endswith("names this file"):
                    break
                StopToken().wait(0.01)
        session.execute("INSERT INTO plain VALUES ()")
        seen.add(last_event(session))
    assert seen <= {
        ("the head names another file", False),
        ("the head names this file", True),
        ("a transaction", True),
        ("a checkpoint names this file", False),
    }
    assert {("the head names this file", True), ("a transaction", True)} <= seen


def last_event(session: Session) -> tuple[str, bool]:
    """Return the events before the end of the log, and True if a snapshot there is settled."""
    while True:
        found = open_snapshot(session)
        events = session.rows("SHOW BINLOG EVENTS IN %s", found.position.file)
        if events[-1][4] == found.position.pos:
            break
    if events[-1][2] != "Binlog_checkpoint":
        return "a transaction", found.is_settled
    where = "a checkpoint" if any(event[2] == "Xid" for event in events) else "the head"
    which = "this file" if events[-1][5] == found.position.file else "another file"
    return f"{where} names {which}", found.is_settled


def prepare_xa(session: Session) -> None:
    for statement in ("XA START 'left'", "INSERT INTO xa VALUES (-1)", "XA END 'left'", "XA PREPARE 'left'"):
        session.execute(statement)


@BOTH
def test_a_prepared_transaction_that_was_left_keeps_no_other_table_from_being_read(
    server_factory: ServerFactory, version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshots, "_LOCKING", Retry(attempts=2, delay=0.01))
    server = server_factory("mariadb", version)
    first = load_context(server)
    with server.session(database="d") as owner, server.session(database="d") as session, server.session() as locker:
        owner.execute(f"SET SESSION gtid_domain_id = {XA_DOMAIN}")
        prepare_xa(owner)
        add_row(session)
        facts = read_facts(session)
        with table_snapshot(session, locker, facts, [PLAIN]) as position:
            assert session.rows("SELECT COUNT(*) FROM plain") == [(number_of(position.gtid, 0) - first,)]
        assert visible_position(session, facts) == position
        # Its own table is another matter: those who write to it must not wait with us for long.
        with pytest.raises(ServerError, match=r"d\.xa can be copied only under a read lock now") as caught:
            open_one(session, locker, XA)
        assert caught.value.remedy is Remedy.RETRY
        owner.execute("XA ROLLBACK 'left'")


@BOTH
def test_an_xa_commit_whose_rows_are_not_visible_yet_is_counted_and_still_prepared(
    server_factory: ServerFactory, version: str
) -> None:
    """`open_snapshot` relies on this. A replica that never answers holds the commit after it is in the log."""
    server = server_factory("mariadb", version)
    load_context(server)
    with server.session(database="d") as session, server.session(database="d") as owner:
        prepare_xa(owner)
        for name, value in (("timeout", "60000"), ("wait_point", "'AFTER_SYNC'"), ("enabled", "1")):
            session.execute(f"SET GLOBAL rpl_semi_sync_master_{name} = {value}")
        committing = threading.Thread(target=owner.execute, args=("XA COMMIT 'left'",))
        committing.start()
        wait_until(lambda: bool(session.rows(WAITING_FOR_REPLICA)), "the commit to wait for a replica")
        assert session.rows("SELECT id FROM xa") == []
        assert session.rows("SHOW BINLOG EVENTS IN 'binlog.000001'")[-1][5] == "XA COMMIT X'6c656674',X'',1"
        assert session.rows("SHOW GLOBAL STATUS LIKE 'com_xa_commit'") == [("Com_xa_commit", "1")]
        assert [name for *_, name in session.rows("XA RECOVER")] == [b"left"]
        session.execute("SET GLOBAL rpl_semi_sync_master_enabled = 0")
        committing.join(60)
        assert session.rows("SELECT id FROM xa") == [(-1,)]
        assert session.rows("XA RECOVER") == []


WAITING_FOR_REPLICA = "SELECT 1 FROM information_schema.processlist WHERE state LIKE 'Waiting for semi-sync ACK%'"


def test_without_the_right_to_lock_it_says_which_right(server_factory: ServerFactory) -> None:
    server = server_factory("mariadb")
    load_context(server)
    with server.session(database="d") as owner:
        owner.execute("CREATE USER reader@'%' IDENTIFIED BY 'r'")
        owner.execute("GRANT BINLOG MONITOR ON *.* TO reader@'%'")
        owner.execute("GRANT SELECT ON d.* TO reader@'%'")
        prepare_xa(owner)
        try:
            with connect(server.address("reader", password="r"), Network()) as session:
                with pytest.raises(PrimaryError, match="only under a read lock now") as caught:
                    open_one(session, session, PLAIN)
                assert caught.value.hint == "GRANT LOCK TABLES ON `d`.* TO this user;"
        finally:
            owner.execute("XA ROLLBACK 'left'")


def open_one(session: Session, locker: Session, name: TableName) -> Position:
    with table_snapshot(session, locker, read_facts(session), [name]) as position:
        return position


@pytest.mark.parametrize("flavour", ["mariadb", "mysql"])
def test_who_writes_to_a_table_in_use_waits_with_us_for_a_few_seconds_only(
    server_factory: ServerFactory, flavour: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshots, "_LOCKING", Retry(attempts=1))
    server = server_factory(flavour)
    with server.session() as owner:
        owner.execute("CREATE DATABASE d")
        owner.execute("CREATE TABLE d.t (id INT)")
        owner.begin()
        owner.execute("INSERT INTO d.t VALUES (1)")
        locker = Locker(server, TableName("d", "t"))
        with server.session() as observer, server.session() as writer:
            while locker.is_alive() and not observer.rows(WAITING):
                StopToken().wait(0.01)
            began = time.monotonic()
            writer.execute("INSERT INTO d.t VALUES (2)")
            assert time.monotonic() - began < 10
        locker.join(60)
        assert locker.error is not None
        assert locker.error.remedy is Remedy.RETRY


WAITING = "SELECT 1 FROM information_schema.processlist WHERE info LIKE 'LOCK TABLES%' AND state LIKE 'Waiting%'"


class Locker(threading.Thread):
    """Locks a table of the primary as a copy does."""

    def __init__(self, server: SandboxServer, name: TableName) -> None:
        super().__init__(daemon=True)
        self.address = server.address()
        self.name_of_table = name
        self.error: ServerError | None = None
        self.start()

    def run(self) -> None:
        with connect(self.address, Network()) as session:
            try:
                snapshots.lock_tables(session, [self.name_of_table])
            except ServerError as error:
                self.error = error
