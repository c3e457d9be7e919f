"""Statements sent together with the next one, and a LOAD DATA that gets its text only if those before succeed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from replica_cli.core.settings import Network
from replica_cli.mysql.errnos import ER_NO_SUCH_TABLE, ServerError
from replica_cli.mysql.session import connect
from tests.support.proxy import Proxy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from replica_cli.mysql.session import Session
    from replica_cli.sandbox.server import SandboxServer

LOAD = b"LOAD DATA LOCAL INFILE 'chunk' INTO TABLE t CHARACTER SET binary FIELDS TERMINATED BY ','"
FIRST = b"START TRANSACTION"


@pytest.fixture
def session(primary: SandboxServer, schema: str) -> Iterator[Session]:
    with primary.session() as admin:
        ((is_on,),) = admin.rows("SELECT @@GLOBAL.local_infile")
        admin.execute("SET GLOBAL local_infile = 1")
        admin.execute(f"CREATE DATABASE {schema}")
        with connect(primary.address(), Network(), database=schema, may_load=True) as found:
            found.execute("CREATE TABLE t (id INT PRIMARY KEY, v INT)")
            found.execute("INSERT INTO t VALUES (1, 1)")
            yield found
        admin.execute(f"SET GLOBAL local_infile = {is_on}")


def test_what_is_posted_runs_before_the_next_statement_in_one_round_trip(primary: SandboxServer) -> None:
    proxy = Proxy(primary.port)
    try:
        with connect(replace(primary.address(), port=proxy.port), Network()) as session:
            # All statements that are sent together are in flight before the first answer comes.
            proxy.delay(0.05)
            before = proxy.turns
            session.post("SET @a = 1")
            session.post("SET @b = @a + 1")
            assert session.rows("SELECT @a, @b") == [(1, 2)]
            assert session.rows_of_each(["SELECT @b", "SELECT @a"]) == [[(2,)], [(1,)]]
            assert proxy.turns - before == 2
    finally:
        proxy.close()


def test_answers_to_what_is_posted_are_no_answers_to_what_is_sent(session: Session) -> None:
    session.begin()
    session.send([b"UPDATE t SET v = 2 WHERE id = 1", b"UPDATE t SET v = 3 WHERE id = 2"])
    assert [session.receive(is_first=True), session.receive(is_first=False)] == [1, 0]
    session.post("SET @a = 5")
    assert session.execute_ones(["DO 1", "no statement", "SET @b = @a"])[::2] == [0, 0]
    session.rollback()
    assert session.rows("SELECT v, @b FROM t") == [(1, 5)]


def test_a_posted_statement_that_fails_ends_the_session(session: Session) -> None:
    session.post("DELETE FROM not_there")
    with pytest.raises(ServerError) as failed:
        session.rows("SELECT 1")
    assert failed.value.errno == ER_NO_SUCH_TABLE
    with pytest.raises(ServerError) as lost:
        session.rows("SELECT 1")
    assert lost.value.is_connection_lost


@pytest.mark.parametrize("size", [10, 3_000_000])
def test_a_text_is_loaded_after_a_statement_that_found_its_row(session: Session, size: int) -> None:
    text = b"".join(b"%d,7\n" % n for n in range(2, size // 8 + 3))
    loaded = session.load(LOAD, text, first=[FIRST, b"UPDATE t SET v = 2 WHERE id = 1"])
    assert loaded == (text.count(b"\n"), 0)
    session.commit()
    assert session.rows("SELECT COUNT(*), MIN(v) FROM t") == [(text.count(b"\n") + 1, 2)]


def test_no_text_is_sent_if_the_statement_found_no_row(session: Session) -> None:
    assert session.load(LOAD, b"2,7\n", first=[FIRST, b"UPDATE t SET v = 2 WHERE id = 9"]) is None
    assert session.rows("SELECT COUNT(*) FROM t") == [(1,)]


@pytest.mark.parametrize("first", [[FIRST, b"UPDATE not_there SET v = 2"], [FIRST, b"UPDATE t SET v = 2 WHERE id = 1"]])
def test_after_a_refusal_the_session_goes_on(session: Session, first: list[bytes]) -> None:
    statement = LOAD.replace(b"TABLE t", b"TABLE nor_there")
    with pytest.raises(ServerError) as refused:
        session.load(statement, b"2,7\n", first=first)
    assert refused.value.errno == ER_NO_SUCH_TABLE
    session.rollback()
    assert session.rows("SELECT id, v FROM t") == [(1, 1)]
