"""A session whose connection goes while answers are on their way."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from replica_cli.applier.writer import Writer
from replica_cli.core.settings import Network, Secret
from replica_cli.mysql.errnos import ServerError
from replica_cli.mysql.session import connect

if TYPE_CHECKING:
    from replica_cli.sandbox.server import SandboxServer


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
        writer = Writer(session, max_packet=1 << 20)
        writer.send(b"DO 1")
        writer.send(b"DO 2")
        session.abort()
        with pytest.raises(ServerError):
            writer.send(b"DO 3")
        writer.forget()
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
