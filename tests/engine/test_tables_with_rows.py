"""The check if tables hold rows, while other transactions write to them."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import pytest

from replica_cli.mysql.tables_with_rows import have_rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from replica_cli.sandbox.server import SandboxServer


@pytest.fixture
def schema(primary: SandboxServer) -> Iterator[str]:
    name = f"t_{secrets.token_hex(4)}"
    digits = " UNION ALL ".join(f"SELECT {n} n" for n in range(10))
    with primary.session() as session:
        session.execute(f"CREATE DATABASE {name}")
        session.execute(f"CREATE TABLE {name}.digit AS SELECT n FROM ({digits}) d")
        for table in ("empty", "filling", "emptied"):
            session.execute(f"CREATE TABLE {name}.{table} (id INT PRIMARY KEY AUTO_INCREMENT, n INT)")
        session.execute(f"INSERT INTO {name}.emptied (n) VALUES (1)")
        yield name
        session.execute(f"DROP DATABASE {name}")


def test_rows_that_another_transaction_inserts_or_deletes_count_as_rows(primary: SandboxServer, schema: str) -> None:
    numbers = ", ".join(f"{schema}.digit d{n}" for n in range(5))
    tables = ("empty", "filling", "emptied", "digit")
    queries = [f"SELECT 1 FROM {schema}.{table} LIMIT 1" for table in tables]
    with primary.session() as writer, primary.session() as session:
        writer.begin()
        writer.execute(f"INSERT INTO {schema}.filling (n) SELECT d0.n FROM {numbers} LIMIT 20000")
        writer.execute(f"DELETE FROM {schema}.emptied")
        assert have_rows(session, queries) == [False, True, True, True]
        # The session reads as before.
        assert session.rows(f"SELECT COUNT(*) FROM {schema}.filling") == [(0,)]
        writer.rollback()
        assert have_rows(session, queries) == [False, False, True, True]
