"""A primary whose binary log was reset: a saved position means other transactions now."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from replica_cli.mysql.session import Session
    from tests.support.command import Replica
    from tests.support.servers import ServerFactory

pytestmark = pytest.mark.every_flavour
_TABLE = "CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, v VARCHAR(8000) NOT NULL)"


@pytest.fixture
def reset(replica: Replica, server_factory: ServerFactory) -> Replica:
    """Give a replica whose primary is a server of the test's own, with a copied table."""
    flavour, _, version = str(replica.primary.binary).partition(":")
    replica.primary = server_factory(flavour, version, server_id=21)
    replica.on_primary(_TABLE)
    replica.run("transfer")
    return replica


def reset_log(session: Session) -> None:
    session.execute("RESET MASTER" if session.is_mariadb else "RESET BINARY LOGS AND GTIDS")


def log_end(session: Session) -> int:
    row = session.row("SHOW MASTER STATUS" if session.is_mariadb else "SHOW BINARY LOG STATUS")
    assert row is not None
    return int(row[1])


def write(session: Session, *, size: int = 1, times: int = 1) -> None:
    # The length is no part of the statement: the log grows by it exactly once.
    session.execute(f"SET @size = {size}")
    for _ in range(times):
        session.execute("INSERT INTO t (v) VALUES (REPEAT('x', @size))")


def write_up_to(session: Session, end: int, times: int) -> None:
    """Write transactions of which the last one ends at an offset of the log's current file."""
    write(session, times=times - 2)
    before = log_end(session)
    write(session)
    least = log_end(session) - before
    write(session, size=1 + end - log_end(session) - least)
    assert log_end(session) == end


def test_the_same_file_and_offset_in_a_log_that_began_again_is_not_the_saved_position(reset: Replica) -> None:
    with reset.primary.session(database=reset.schema) as source:
        reset_log(source)
        write(source, times=12, size=300)
        reset.run("transfer", "--restart", "--secondary", "db1", "--yes")
        write(source)
        reset.catch_up()
        file, pos = reset.saved()
        assert pos == log_end(source)
        reset_log(source)
        write_up_to(source, pos, times=16)
        write(source, times=5)
    ended = reset.run("stream", "--until-caught-up", "--json", code=11)
    assert ended.error["error"] == "position_lost"
    assert f"{file}:{pos}" in ended.error["message"]
    assert reset.saved() == (file, pos)
    health = reset.run("health", "--json", code=2).document
    (check,) = (c for c in health["checks"] if c["name"] == "position")
    assert check["status"] == "critical"
    shown = reset.run("position", "show", "--json", code=11).document["secondaries"][0]
    assert shown["distance_bytes"] is None
    assert shown["lost"] is not None
    plan = reset.run("position", "reset", "--to-current", "--secondary", "db1", "--dry-run", "--json").document
    assert any("not one of the primary's log" in w for w in plan["plans"][0]["warnings"])
    for words in (("--resume",), ("--table", f"{reset.schema}.t")):
        refused = reset.run("transfer", *words, "--secondary", "db1", "--yes", "--json", code=11)
        assert refused.error["error"] == "position_lost"
