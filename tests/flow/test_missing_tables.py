"""A position is saved, and tables are missing on the secondary: the log makes some of them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from replica_cli.config.loading import load_settings
from replica_cli.core.requests.stream import StreamRequest
from replica_cli.mysql.errnos import ServerError
from replica_cli.reader.reader import Reader
from replica_cli.runtime.status_publisher import StatusPublisher
from replica_cli.stop import StopToken
from replica_cli.worker import streaming
from replica_cli.worker.missing_tables import MissingTables
from replica_cli.worker.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable

    from replica_cli.core.events import Transaction
    from replica_cli.core.reports.stream import WorkerReport
    from tests.support.command import Replica


@pytest.fixture
def copied(replica: Replica) -> Replica:
    replica.on_primary(
        *(s for t in ("one", "two") for s in (f"CREATE TABLE {t} (id INT PRIMARY KEY)", f"INSERT INTO {t} VALUES (1)"))
    )
    replica.run("transfer")
    return replica


def test_tables_that_were_all_renamed_while_the_stream_was_stopped_come_by_the_log(copied: Replica) -> None:
    copied.catch_up()
    copied.on_primary(
        "RENAME TABLE one TO first_one, two TO second_one",
        "INSERT INTO first_one VALUES (2)",
        "CREATE TABLE late (id INT PRIMARY KEY)",
        "INSERT INTO late VALUES (1)",
    )
    ended = copied.catch_up()
    assert "to copy" not in ended.stderr
    copied.assert_equal()


def test_tables_of_a_primary_that_had_none_at_the_copy_come_by_the_log(replica: Replica) -> None:
    replica.on_primary()
    replica.run("transfer")
    replica.on_primary("CREATE TABLE t (id INT PRIMARY KEY)", "INSERT INTO t VALUES (1)")
    ended = replica.catch_up()
    assert "to copy" not in ended.stderr
    replica.assert_equal()


@pytest.mark.parametrize("dropped", ["DROP DATABASE {schema}", "DROP TABLE {schema}.two"])
def test_tables_that_were_dropped_on_the_secondary_are_named_and_not_copied(copied: Replica, dropped: str) -> None:
    copied.catch_up()
    with copied.secondaries["db1"].session() as session:
        session.execute(dropped.format(schema=copied.schema))
    copied.on_primary("INSERT INTO one VALUES (3)")
    ended = copied.catch_up(code=3)
    assert "to copy" not in ended.stderr
    set_aside = copied.state("SELECT table_name FROM table_state WHERE state = 'quarantined' ORDER BY table_name")
    assert set_aside == ([("one",), ("two",)] if "DATABASE" in dropped else [("two",)])
    assert re.search(r"two.*is not on the secondary, and the primary's log did not create it", ended.stderr)
    options = [word for (name,) in set_aside for word in ("--table", f"{copied.schema}.{name}")]
    copied.run("transfer", *options, "--secondary", "db1", "--yes")
    copied.catch_up()
    copied.assert_equal()


def test_a_stream_goes_on_with_a_copy_that_failed_before_its_first_table(replica: Replica) -> None:
    replica.on_primary("CREATE TABLE t (id INT PRIMARY KEY)", "INSERT INTO t VALUES (1)")
    # What keeps every table from being made.
    with replica.secondaries["db1"].session() as session:
        session.execute(f"CREATE DATABASE `{replica.schema}`")
        session.execute(f"USE `{replica.schema}`")
        session.execute("CREATE VIEW t AS SELECT 1 AS id")
    replica.run("transfer", code=1)
    with replica.secondaries["db1"].session(replica.schema) as session:
        session.execute("DROP VIEW t")
        with pytest.raises(ServerError):
            session.execute("SELECT 1 FROM t")
    replica.catch_up()
    replica.assert_equal()


def _catch_up_here(replica: Replica) -> WorkerReport:
    """Stream until the primary's end in this process, where a test can change the primary at a moment of its choice."""
    settings = load_settings(None, replica.environment(), replica.folder / "no.env")
    (server,) = settings.secondaries
    request = StreamRequest((server,), until_caught_up=True)
    publisher = StatusPublisher(server.name, lambda _: None)
    return Worker(settings, request, server, server_id=settings.server_id, publisher=publisher, stop=StopToken()).run()


def _after(monkeypatch: pytest.MonkeyPatch, owner: object, name: str, *actions: Callable[[], None]) -> None:
    """Let each call of a function begin with the next action."""
    real, rest = getattr(owner, name), iter(actions)

    def acting(*args: object, **named: object) -> object:
        next(rest, lambda: None)()
        return real(*args, **named)

    monkeypatch.setattr(owner, name, acting)


def test_a_table_that_is_renamed_or_made_while_the_stream_connects_is_not_missing(
    copied: Replica, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied.catch_up()
    # As a tool for online changes ends: after the end of the log is read, before the tables are listed.
    change = ("CREATE TABLE late (id INT PRIMARY KEY)", "RENAME TABLE one TO one_old, two TO one")
    _after(monkeypatch, streaming, "DefinitionCheck", lambda: copied.on_primary(*change))
    take, is_late = Reader.take, [True]
    monkeypatch.setattr(Reader, "take", lambda self, timeout: [] if is_late and is_late.pop() else take(self, timeout))
    assert _catch_up_here(copied).failure is None
    assert copied.state("SELECT table_name, reason FROM table_state") == []
    copied.assert_equal()


def test_a_name_that_is_made_again_beyond_the_end_is_not_missing(
    copied: Replica, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied.catch_up()
    copied.on_primary("CREATE TABLE one_new (id INT PRIMARY KEY)")
    made = ("CREATE TABLE one_new (id INT PRIMARY KEY)",)
    renamed = ("RENAME TABLE one TO one_old, one_new TO one",)
    # Missing at the connect; renamed beyond the end that was read; made again as the stream looks a second time.
    _after(monkeypatch, MissingTables, "_missing", lambda: None, lambda: copied.on_primary(*made))
    _after(monkeypatch, Reader, "start", lambda: copied.on_primary(*renamed))
    take, count = Reader.take, [0]

    def take_both(self: Reader, timeout: float) -> list[Transaction]:
        found = take(self, timeout)
        while count[0] + len(found) < 2:
            found += take(self, timeout)
        count[0] += len(found)
        return found

    monkeypatch.setattr(Reader, "take", take_both)
    assert _catch_up_here(copied).failure is None
    assert copied.state("SELECT table_name, reason FROM table_state") == []
    copied.assert_equal()
