"""The version of the state schema: written with a new one, brought up from an older one, and refused if it is newer."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from replica_cli.checkpoint import migration_3, versions
from replica_cli.checkpoint.lock import WriterLock
from replica_cli.checkpoint.schema import create_state_schema, existing_state_tables, state_tables
from replica_cli.core.errors import OlderWriter, StateBroken, StateTooNew

if TYPE_CHECKING:
    from collections.abc import Iterator

    from replica_cli.mysql.session import Session
    from replica_cli.sandbox.server import SandboxServer

pytestmark = pytest.mark.every_release


@pytest.fixture
def session(secondary: SandboxServer) -> Iterator[Session]:
    with secondary.session() as made:
        yield made


@pytest.fixture
def older(session: Session, schema: str) -> str:
    """Give a state schema as version 1 left it."""
    create_state_schema(session, schema)
    session.execute(f"DROP TABLE {schema}.state_version, {schema}.table_state")
    session.execute(f"CREATE TABLE {schema}.table_status ({migration_3.FORMER_COLUMNS}) ENGINE=InnoDB")
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
    monkeypatch.setattr(versions, "MIGRATIONS", {n: lambda *_, n=n: step(n) for n in (1, 2, 3)})
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
    monkeypatch.setattr(versions, "MIGRATIONS", {1: lambda *_: (), 2: lambda *_: statements})
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

    def once(_: Session, schema: str) -> list[str]:
        calls.append(schema)
        return ["DO SLEEP(0.2)"]

    monkeypatch.setattr(versions, "MIGRATIONS", {1: lambda *_: (), 2: once})

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
    session.execute(f"ALTER TABLE {schema}.table_state ADD COLUMN shard INT NOT NULL")
    for use in (create_state_schema, existing_state_tables):
        with pytest.raises(StateTooNew, match=rf"version {versions.VERSION + 1}.*up to {versions.VERSION}") as refused:
            use(session, schema)
        assert refused.value.hint


def _save_instances(session: Session, schema: str, *names: str) -> None:
    for name in names:
        session.execute(
            f"INSERT INTO {schema}.binlog_position (instance, file, pos, gtid, source_identity, filters, filters_text,"
            " updated_at) VALUES (%s, 'binlog.000001', 4, '', '', '', '', NOW(6))", name,
        )  # fmt: skip


def test_it_waits_for_no_writer_and_names_each_of_them(
    secondary: SandboxServer, session: Session, older: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _save_instances(session, older, "db1", "db2")
    monkeypatch.setattr(versions, "_WRITERS_SECONDS", 0.2)
    with secondary.session() as writer:
        lock = WriterLock(writer, older, "db2")
        assert lock.try_acquire()
        with pytest.raises(OlderWriter, match=r"db2: .* older release, .* upgrade the state schema") as refused:
            create_state_schema(session, older)
        assert "stop each process that writes to db2" in str(refused.value.hint)
        assert versions.read_version(session, older) == 2
        assert session.rows(f"SELECT * FROM {older}.table_status") == []
        # A command that only reads is not refused.
        assert "table_status" in existing_state_tables(session, older)
        lock.release()
        create_state_schema(session, older)
        assert versions.read_version(session, older) == versions.VERSION
        # The migration keeps no lock, and with nothing to migrate a writer is no hindrance.
        assert lock.try_acquire()
        create_state_schema(session, older)


def test_a_writer_that_ends_meanwhile_is_waited_for(secondary: SandboxServer, session: Session, older: str) -> None:
    _save_instances(session, older, "db1")
    with secondary.session() as writer, secondary.session() as killing:
        assert WriterLock(writer, older, "db1").try_acquire()
        thread = threading.Timer(0.5, lambda: killing.execute(f"KILL {writer.connection_id}"))
        thread.start()
        create_state_schema(session, older)
        thread.join()
    assert versions.read_version(session, older) == versions.VERSION


def test_states_that_an_older_release_writes_afterwards_are_noticed(session: Session, older: str) -> None:
    _save_instances(session, older, "db1")
    create_state_schema(session, older)
    create_state_schema(session, older)
    session.execute(f"UPDATE {older}.table_status SET state = 'quarantined'")
    with pytest.raises(StateBroken, match=r"older release .* as db1") as broken:
        create_state_schema(session, older)
    hint = str(broken.value.hint)
    session.execute(hint[hint.index("DELETE") : hint.index(";  --")])
    create_state_schema(session, older)


def test_a_schema_whose_version_was_lost_keeps_its_records(session: Session, schema: str) -> None:
    create_state_schema(session, schema)
    _save_instances(session, schema, "db1")
    session.execute(f"DROP TABLE {schema}.state_version")
    assert existing_state_tables(session, schema) == state_tables() - {"state_version"}
    create_state_schema(session, schema)
    assert versions.read_version(session, schema) == versions.VERSION
