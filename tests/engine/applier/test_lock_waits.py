"""Data definition that waits for locks of other connections on the secondary: for a while, and never for our own."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from replica_cli.applier.ddl.statement_runner import StatementRunner
from replica_cli.core.settings import EngineChoice, TableFailurePolicy
from replica_cli.core.status import Phase, TableState
from replica_cli.mysql.errnos import Remedy, ServerError
from replica_cli.runtime.status_publisher import StatusPublisher
from replica_cli.stop import StopToken
from tests.engine.applier.harness import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from replica_cli.core.reports.stream import WorkerReport
    from replica_cli.mysql.session import Session
    from tests.engine.applier.harness import Harness

_PARTS = "PARTITION BY RANGE (id) (PARTITION p0 VALUES LESS THAN (10), PARTITION p1 VALUES LESS THAN (20))"
AFTER_ROWS = (
    "ALTER TABLE parts EXCHANGE PARTITION p0 WITH TABLE part",
    "ALTER TABLE parts TRUNCATE PARTITION p0",
    "ALTER TABLE parts REORGANIZE PARTITION p0, p1 INTO (PARTITION p2 VALUES LESS THAN (20))",
    "ALTER TABLE parts ADD PARTITION (PARTITION p3 VALUES LESS THAN (30))",
    "ALTER TABLE parts DROP PARTITION p3",
    "ALTER TABLE t ADD FOREIGN KEY (up) REFERENCES part (id)",
    "ALTER TABLE t ADD n INT, ALGORITHM=COPY",
    "CREATE INDEX by_n ON t (n)",
    "DROP INDEX by_n ON t",
    "RENAME TABLE t TO u, u TO t",
    "CREATE TABLE alike LIKE t",
    "TRUNCATE TABLE alike",
    "ALTER TABLE alike RENAME TO moved, ADD m INT",
    "DROP TABLE t, moved",
    "DROP DATABASE {schema}",
)


@pytest.fixture
def table(harness: Harness) -> Harness:
    """Give a table with a row on both sides, and a place to stream from."""
    harness.on_both(
        "CREATE TABLE t (id INT PRIMARY KEY)", "INSERT INTO t VALUES (1)", "CREATE TABLE last (id INT PRIMARY KEY)"
    )
    harness.begin_here()
    return harness


@pytest.fixture
def reader(table: Harness) -> Iterator[Session]:
    """Give somebody's session on the secondary that has read the table in a transaction which is still open."""
    with table.secondary.session(database=table.schema) as session:
        session.begin()
        session.rows("SELECT * FROM t")
        yield session


def work(harness: Harness, seconds: float) -> WorkerReport:
    return harness.work(apply=replace(harness.settings.apply, ddl_lock_wait=seconds))


@pytest.mark.parametrize("engine", [EngineChoice.AUTO, EngineChoice.SQL])
def test_no_statement_waits_for_a_lock_that_we_hold(harness: Harness, engine: EngineChoice) -> None:
    harness.begin_here()
    apply = replace(harness.settings.apply, engine=engine, ddl_lock_wait=1.0)
    harness.on_primary(
        f"CREATE TABLE parts (id INT PRIMARY KEY) {_PARTS}",
        "CREATE TABLE part (id INT PRIMARY KEY)",
        "CREATE TABLE t (id INT PRIMARY KEY, up INT)",
    )
    for number, statement in enumerate(AFTER_ROWS):
        # Rows of all tables are written right before it, in one batch.
        rows = [f"INSERT IGNORE INTO {name} (id) VALUES ({number})" for name in ("parts", "part", "t")]
        has_tables = not statement.startswith("DROP DATABASE")
        harness.on_primary(*(rows if has_tables else rows[:2]), statement.replace("{schema}", harness.schema))
    harness.stream(apply=apply)
    assert harness.tables.load() == {}


@pytest.mark.parametrize(
    "statement", ["ALTER TABLE t ADD n INT", "DROP TABLE t, other", "RENAME TABLE t TO u", "TRUNCATE TABLE t"]
)
def test_a_lock_that_is_never_given_back_sets_the_table_aside(table: Harness, reader: Session, statement: str) -> None:
    assert not reader.is_answered  # its transaction is open
    table.on_both("CREATE TABLE other (id INT PRIMARY KEY)")
    table.begin_here()
    table.on_primary(statement, "INSERT INTO last VALUES (1)")
    table.follow(apply=replace(table.settings.apply, ddl_lock_wait=1.0))
    assert table.rows("SELECT id FROM last") == [(1,)]
    records = table.tables.load()
    assert records[table.name("t")].state is TableState.QUARANTINED
    assert "waits for a lock that another connection holds on db1" in records[table.name("t")].reason
    assert "error 1205" in records[table.name("t")].reason
    # What a statement would have done to the others of its tables is not done, so they are quarantined as well.
    if "other" in statement:
        assert records[table.name("other")].state is TableState.QUARANTINED
    assert not table.rows(f"SELECT 1 FROM {table.settings.state_schema}.ddl_intent")


def test_a_connection_that_ends_in_each_attempt_sets_the_table_aside(
    table: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut(*_: object) -> None:
        StopToken().wait(0.6)
        raise ServerError(2013, "lost connection", "db1", remedy=Remedy.RECONNECT)

    monkeypatch.setattr(StatementRunner, "run", cut)
    table.on_primary("ALTER TABLE t ADD n INT", "INSERT INTO t VALUES (2, 2)", "INSERT INTO last VALUES (1)")
    retry = replace(table.settings.retry, reconnect_attempts=0)
    table.follow(apply=replace(table.settings.apply, ddl_lock_wait=1.0), retry=retry)
    (record,) = table.tables.load().values()
    assert (record.name, record.state) == (table.name("t"), TableState.QUARANTINED)
    assert "lost its connection to db1 in 2 attempts" in record.reason
    assert table.rows("SELECT id FROM last") == [(1,)]


def test_a_lock_that_is_given_back_lets_the_statement_run(
    table: Harness, reader: Session, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    phases: list[object] = []
    change = StatusPublisher.set

    def noted(publisher: StatusPublisher, **changes: object) -> None:
        phases.append(changes.get("phase"))
        change(publisher, **changes)

    monkeypatch.setattr(StatusPublisher, "set", noted)
    table.on_primary("ALTER TABLE t ADD n INT", "INSERT INTO t VALUES (2, 2)")
    reports: list[WorkerReport] = []
    thread = threading.Thread(target=lambda: reports.append(work(table, 8.0)), daemon=True)
    thread.start()
    wait_until(lambda: "waits for a lock" in caplog.text)
    reader.rollback()
    thread.join(30)
    assert [r.failure for r in reports] == [None]
    assert table.tables.load() == {}
    assert Phase.RECONNECTING not in phases
    table.assert_equal()


def test_a_counter_that_moves_meanwhile_is_no_sign_that_the_statement_ran(table: Harness) -> None:
    table.on_both(
        f"CREATE TABLE parts (id INT AUTO_INCREMENT PRIMARY KEY) {_PARTS}", "INSERT INTO parts VALUES (1), (2)"
    )
    table.begin_here()
    table.on_primary("ALTER TABLE parts TRUNCATE PARTITION p0")
    intents = f"SELECT 1 FROM {table.settings.state_schema}.ddl_intent"
    apply = replace(table.settings.apply, ddl_lock_wait=3.0, on_table_failure=TableFailurePolicy.STOP)
    reports: list[WorkerReport] = []
    with table.secondary.session(database=table.schema) as writer:
        writer.begin()
        writer.execute("INSERT INTO parts VALUES (NULL)")
        thread = threading.Thread(target=lambda: reports.append(table.work(apply=apply)), daemon=True)
        thread.start()
        wait_until(lambda: bool(table.rows(intents)))
        writer.execute("INSERT INTO parts VALUES (NULL)")
        thread.join(30)
        assert [r.failure and r.failure.code for r in reports] == ["lock_wait"]
        writer.rollback()
    table.stream()
    assert table.rows("SELECT id FROM parts") == []


def test_a_schema_whose_tables_are_locked_has_them_set_aside(table: Harness, reader: Session) -> None:
    assert not reader.is_answered
    place = table.here()
    table.on_primary(f"DROP DATABASE {table.schema}")
    apply = replace(table.settings.apply, ddl_lock_wait=1.0)
    failure = table.work(apply=replace(apply, on_table_failure=TableFailurePolicy.STOP)).failure
    assert failure is not None
    assert (failure.code, failure.exit_code) == ("lock_wait", 14)
    assert str(place) in failure.message
    table.follow(apply=apply)
    # Both are dropped by one statement, which keeps what it has done.
    records = table.tables.load()
    assert {n.table for n, r in records.items() if r.state is TableState.QUARANTINED} >= {"t"}
    assert all(r.stopped_at == place and "waits for a lock" in r.reason for r in records.values())
    reader.rollback()
    options = table.default_charset
    table.on_primary(f"CREATE DATABASE {table.schema} {options}", f"USE {table.schema}")
    table.on_primary("CREATE TABLE t (id INT PRIMARY KEY, n INT)", "INSERT INTO t VALUES (3, 3)")
    table.on_primary("CREATE TABLE last (id INT PRIMARY KEY)")
    table.follow(apply=apply)
    assert table.tables.load() == {}
    table.assert_equal()
