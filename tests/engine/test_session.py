"""A session whose connection goes while answers are on their way."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from replica_cli.applier.writer import Writer
from replica_cli.mysql.errnos import ServerError

if TYPE_CHECKING:
    from replica_cli.sandbox.server import SandboxServer


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
