"""The end of the binary log and its GTID set, on a file that the server itself reads badly."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from replica_cli.core.errors import UsageError
from replica_cli.core.position import Position
from replica_cli.core.settings import Network
from replica_cli.mysql.binlog.log_state import current_position, end_of_log
from replica_cli.mysql.binlog.purged_gtids import check_gtid_set
from replica_cli.mysql.binlog.snapshots import visible_position
from replica_cli.mysql.facts import read_facts
from replica_cli.reader.boundary import locate
from tests.support.command import Load

if TYPE_CHECKING:
    from replica_cli.mysql.session import Session
    from replica_cli.sandbox.server import SandboxServer
    from tests.support.servers import ServerFactory

pytestmark = pytest.mark.every_release

NETWORK = Network()


@pytest.fixture
def blind(server_factory: ServerFactory) -> SandboxServer:
    """Give a primary whose file holds an event larger than max_allowed_packet: BINLOG_GTID_POS is NULL after it."""
    server = server_factory("mariadb", max_allowed_packet=1 << 20)
    _write_huge_event(server)
    with server.session() as session:
        file, pos = (session.row("SHOW MASTER STATUS") or ())[:2]
        assert session.row("SELECT BINLOG_GTID_POS(%s, %s)", file, pos) == (None,)
    return server


def _write_huge_event(server: SandboxServer) -> None:
    with server.session() as session:
        session.execute("CREATE DATABASE d")
        session.execute("CREATE TABLE d.t (id INT PRIMARY KEY, v LONGTEXT)")
        session.execute("INSERT INTO d.t VALUES (1, REPEAT('a', 900000))")
        session.execute("UPDATE d.t SET v = REPEAT('b', 900000)")


def test_the_gtid_set_of_a_file_with_a_huge_event(blind: SandboxServer) -> None:
    with blind.session() as session:
        facts = read_facts(session)
        executed = session.rows("SELECT @@GLOBAL.gtid_binlog_pos")[0][0]
        assert executed.endswith("-4")
        for find in (current_position, visible_position, end_of_log):
            assert find(session, facts).gtid == executed
        assert check_gtid_set(session, facts, executed).gtid == executed


def test_the_gtid_set_at_an_end_that_moves(blind: SandboxServer) -> None:
    numbers = itertools.count(100)

    def write(session: Session) -> None:
        session.execute(f"INSERT INTO t VALUES ({next(numbers)}, '')")

    load = Load(blind, "d", write)
    with blind.session() as session:
        facts = read_facts(session)
        for find in (current_position, visible_position) * 5:
            found = find(session, facts)
            events = f"SHOW BINLOG EVENTS IN '{found.file}' FROM {found.pos} LIMIT 1"
            while not (following := session.rows(events)):
                continue
            # The next transaction begins at the position.
            number = int(found.gtid.rpartition("-")[2])
            assert following[0][5].partition(" GTID ")[2] == f"0-{facts.server_id}-{number + 1}"
    load.stop()


@pytest.mark.parametrize(("flavour", "version"), [("mariadb", "10.11"), ("mariadb", "11.8"), ("mysql", None)])
def test_a_position_after_an_event_that_the_server_itself_cannot_read(
    server_factory: ServerFactory, flavour: str, version: str | None
) -> None:
    server = server_factory(flavour, version, max_allowed_packet=1 << 20)
    _write_huge_event(server)
    with server.session() as session:
        facts = read_facts(session)
        here = current_position(session, facts)
        assert here.gtid
        session.execute("INSERT INTO d.t VALUES (2, '')")
        file, end = current_position(session, facts), Position(here.file, here.pos)
        assert locate(session, facts, NETWORK, end) == here
        assert locate(session, facts, NETWORK, Position(file.file, file.pos)) == file
        with pytest.raises(UsageError):
            locate(session, facts, NETWORK, Position(here.file, here.pos - 1))
        session.execute("FLUSH BINARY LOGS")
        head = Position(current_position(session, facts).file, 4)
        assert locate(session, facts, NETWORK, head) == replace(head, gtid=file.gtid)


@pytest.mark.parametrize("domains", [(7, 0, 3), (0, 3, 7), (12, 5, 300, 1)])
def test_every_query_returns_the_same_gtid_set(server_factory: ServerFactory, domains: tuple[int]) -> None:
    server = server_factory("mariadb")
    with server.session() as session:
        facts = read_facts(session)
        for domain in domains:
            session.execute(f"SET gtid_domain_id = {domain}")
            session.execute(f"CREATE DATABASE in_{domain}")
        ends = [find(session, facts) for find in (current_position, visible_position, end_of_log)]
        expected = ",".join(f"{domain}-{facts.server_id}-1" for domain in sorted(domains))
        assert {end.gtid for end in ends} == {expected}
        assert locate(session, facts, NETWORK, ends[0]).gtid == expected
        assert check_gtid_set(session, facts, expected).gtid == expected
        session.execute("FLUSH BINARY LOGS")
        file = current_position(session, facts).file
        assert locate(session, facts, NETWORK, Position(file, 4)).gtid == expected
