"""The version of the state schema: written with a new one, brought up from an older one, and refused if it is newer."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from replica_cli.checkpoint import versions
from replica_cli.checkpoint.schema import create_state_schema, existing_state_tables, state_tables
from replica_cli.core.errors import StateTooNew

if TYPE_CHECKING:
    from collections.abc import Iterator

    from replica_cli.mysql.session import Session
    from replica_cli.sandbox.server import SandboxServer


@pytest.fixture
def session(secondary: SandboxServer) -> Iterator[Session]:
    with secondary.session() as made:
        yield made


@pytest.fixture
def older(session: Session, schema: str) -> str:
    """Give a state schema as version 1 left it."""
    create_state_schema(session, schema)
    session.execute(f"DROP TABLE {schema}.state_version")
    return schema


def test_a_new_schema_has_this_version(session: Session, schema: str) -> None:
    create_state_schema(session, schema)
    assert versions.read_version(session, schema) == versions.VERSION
    assert existing_state_tables(session, schema) == state_tables()


def test_an_older_one_is_brought_up_in_order(session: Session, older: str, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[int] = []

    def step(number: int) -> list[str]:
        order.append(number)
        return [f"CREATE TABLE IF NOT EXISTS {older}.step{number} (id INT)"]

    monkeypatch.setattr(versions, "VERSION", 4)
    monkeypatch.setattr("replica_cli.checkpoint.schema.VERSION", 4)
    monkeypatch.setattr(versions, "MIGRATIONS", {n: lambda _, n=n: step(n) for n in (1, 2, 3)})
    create_state_schema(session, older)
    assert order == [1, 2, 3]
    assert versions.read_version(session, older) == 4
    create_state_schema(session, older)
    assert order == [1, 2, 3]


@pytest.mark.parametrize("where", ["before the table", "before the row", "between two steps"])
def test_a_migration_that_was_killed_is_done_again(
    session: Session, older: str, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    statements = [
        f"CREATE TABLE IF NOT EXISTS {older}.one (id INT)",
        f"CREATE TABLE IF NOT EXISTS {older}.two (id INT)",
    ]
    monkeypatch.setattr(versions, "MIGRATIONS", {1: lambda _: statements})
    if where != "before the table":
        session.execute(f"CREATE TABLE {older}.state_version ({versions.STATE_VERSION})")
    if where == "between two steps":
        session.execute(statements[0])
    create_state_schema(session, older)
    assert versions.read_version(session, older) == versions.VERSION
    assert {"one", "two"} <= {str(name) for (name,) in session.rows(f"SHOW TABLES FROM {older}")}


def test_two_processes_migrate_once(
    secondary: SandboxServer, session: Session, older: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []

    def once(schema: str) -> list[str]:
        calls.append(schema)
        return ["DO SLEEP(0.2)"]

    monkeypatch.setattr(versions, "MIGRATIONS", {1: once})

    def start() -> None:
        with secondary.session() as other:
            create_state_schema(other, older)

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(calls) == 1
    assert versions.read_version(session, older) == versions.VERSION


def test_a_newer_one_is_refused_by_name(session: Session, schema: str) -> None:
    create_state_schema(session, schema)
    session.execute(versions.version_statement(schema, versions.VERSION + 1))
    # A later version may have another layout too.
    session.execute(f"ALTER TABLE {schema}.table_status ADD COLUMN shard INT NOT NULL")
    for use in (create_state_schema, existing_state_tables):
        with pytest.raises(StateTooNew, match=rf"version {versions.VERSION + 1}.*up to {versions.VERSION}") as refused:
            use(session, schema)
        assert refused.value.hint
