"""A session whose connection is lost while answers are in flight."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from replica_cli.applier.writer import Writer
from replica_cli.core.settings import Network, Secret
from replica_cli.measures import PartClock
from replica_cli.mysql.errnos import ServerError
from replica_cli.mysql.session import connect

if TYPE_CHECKING:
    from replica_cli.sandbox.server import SandboxServer

pytestmark = pytest.mark.every_release


@pytest.mark.parametrize("password", ["pässword", "пароль", "密码'\"\\ #%{}`,"])
def test_a_password_of_any_letters_logs_in(primary: SandboxServer, schema: str, password: str) -> None:
    server = replace(primary.address(), user=schema, password=Secret(password))
    with primary.session() as admin:
        admin.execute(f"CREATE USER {schema}@'%%' IDENTIFIED BY %s", password)
        try:
            with connect(server, Network()) as session:
                assert session.rows("SELECT 1") == [(1,)]
        finally:
            admin.execute(f"DROP USER {schema}@'%'")


def test_answers_of_a_lost_connection(primary: SandboxServer) -> None:
    with primary.session() as session:
        session.send([b"DO 1"])
        session.send([b"DO 1"])
        session.abort()
        with pytest.raises(ServerError) as lost:
            session.send([b"DO 1"])
        assert lost.value.is_connection_lost
        with pytest.raises(ServerError) as lost:
            session.receive(is_first=True)
        assert lost.value.is_connection_lost


def test_a_writer_forgets_what_a_lost_connection_will_never_answer(primary: SandboxServer) -> None:
    with primary.session() as session:
        writer = Writer(session, max_packet=1 << 20, parts=PartClock())
        writer.send(b"DO 1")
        writer.send(b"DO 2")
        session.abort()
        with pytest.raises(ServerError):
            writer.send(b"DO 3")
        writer.discard()
        assert not writer.is_begun


def test_text_of_another_server_is_one_statement(primary: SandboxServer, schema: str) -> None:
    with primary.session() as session:
        session.execute(f"CREATE DATABASE {schema}")
        with pytest.raises(ServerError) as refused:
            session.execute_one(f"DO 1; DROP DATABASE {schema}".encode())
        assert refused.value.errno == 1064
        assert session.execute_one(b"DO 1;") == 0
        assert (schema,) in session.rows("SHOW DATABASES")
        # Packets of many statements go as before.
        assert session.rows_of_each(["SELECT 1", "SELECT 2"]) == [[(1,)], [(2,)]]


def test_texts_that_are_run_together_fail_alone(primary: SandboxServer, schema: str) -> None:
    with primary.session() as session:
        session.execute(f"CREATE DATABASE {schema}")
        texts = [f"CREATE TABLE {schema}.{name} (id INT)" for name in ("a", "a", "b")]
        made, again, other, two = session.execute_ones([*texts, f"DO 1; DROP DATABASE {schema}"])
        assert (made, other) == (0, 0)
        assert isinstance(again, ServerError)
        assert again.errno == 1050
        assert isinstance(two, ServerError)
        assert two.errno == 1064
        assert session.rows_of_each(["SELECT 1", "SELECT 2"]) == [[(1,)], [(2,)]]
        assert len(session.rows(f"SHOW TABLES FROM {schema}")) == 2


def test_answers_to_texts_that_are_lost_are_not_taken_for_those_of_others(primary: SandboxServer) -> None:
    with primary.session() as session:
        with pytest.raises(ServerError) as lost:
            session.execute_ones(["DO 1", f"KILL {session.connection_id}", "DO 2"])
        assert lost.value.is_connection_lost
        with pytest.raises(ServerError) as lost:
            session.execute("DO 3")
        assert lost.value.is_connection_lost


def test_statements_in_one_packet_end_at_the_first_that_fails(primary: SandboxServer, schema: str) -> None:
    with primary.session() as session:
        session.execute(f"CREATE DATABASE {schema}")
        session.execute(f"CREATE TABLE {schema}.t (id INT PRIMARY KEY)")
        insert = f"INSERT INTO {schema}.t VALUES ".encode()
        assert session.execute_each([b"BEGIN", insert + b"(1), (2)", b"COMMIT"]) == [0, 2, 0]
        with pytest.raises(ServerError) as refused:
            session.execute_each([b"BEGIN", insert + b"(3)", insert + b"(1)", b"COMMIT"])
        assert refused.value.errno == 1062
        session.rollback()
        assert session.rows(f"SELECT id FROM {schema}.t") == [(1,), (2,)]
