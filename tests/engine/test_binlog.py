"""Where the binary log ends, and which GTIDs belong there, on a file that the server itself reads badly."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from replica_cli.core.errors import PrimaryError
from replica_cli.core.position import Position
from replica_cli.mysql.binlog import current_position, end_of_log, visible_position
from replica_cli.mysql.boundary import check_gtid_set, locate
from replica_cli.mysql.facts import read_facts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fix_servers import ServerFactory

    from replica_cli.mysql.session import Session


@pytest.fixture
def blind(server_factory: ServerFactory) -> Iterator[Session]:
    """Give a session on a primary whose file holds an event larger than max_allowed_packet: BINLOG_GTID_POS is NULL."""
    with server_factory("mariadb", max_allowed_packet=1 << 20).session() as session:
        session.execute("CREATE DATABASE d")
        session.execute("CREATE TABLE d.t (id INT PRIMARY KEY, v LONGTEXT)")
        session.execute("INSERT INTO d.t VALUES (1, REPEAT('a', 900000))")
        session.execute("UPDATE d.t SET v = REPEAT('b', 900000)")
        file, pos = (session.row("SHOW MASTER STATUS") or ())[:2]
        assert session.row("SELECT BINLOG_GTID_POS(%s, %s)", file, pos) == (None,)
        yield session


def test_the_gtid_set_of_a_file_with_a_huge_event(blind: Session) -> None:
    facts = read_facts(blind)
    executed = blind.rows("SELECT @@GLOBAL.gtid_binlog_pos")[0][0]
    assert executed.endswith("-4")
    for position in (current_position(blind, facts), visible_position(blind, facts), end_of_log(blind, facts)):
        assert position.gtid == executed
    assert check_gtid_set(blind, facts, executed).gtid == executed


def test_a_place_whose_gtid_set_cannot_be_told_is_refused_with_what_to_do(blind: Session) -> None:
    facts = read_facts(blind)
    here = current_position(blind, facts)
    blind.execute("INSERT INTO d.t VALUES (2, '')")
    with pytest.raises(PrimaryError, match="cannot be told") as refused:
        locate(blind, facts, here)
    assert "`FLUSH BINARY LOGS`" in refused.value.hint
    blind.execute("FLUSH BINARY LOGS")
    file = current_position(blind, facts).file
    assert locate(blind, facts, Position(file, 4)).gtid == blind.rows("SELECT @@GLOBAL.gtid_binlog_pos")[0][0]
