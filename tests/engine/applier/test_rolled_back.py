"""What a transaction that was rolled back leaves behind on the primary: its statements count, its rows do not."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from replica_cli.core.errors import ApplyRefused, TableChangedInWindow
from replica_cli.core.settings import Apply
from replica_cli.mysql.errnos import ServerError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from replica_cli.core.settings import EngineChoice
    from replica_cli.mysql.session import Session
    from tests.engine.applier.harness import Harness

pytestmark = pytest.mark.servers("mariadb")
# It fails at its last row: by then the table that it replaces is gone.
FAILS = "SELECT 1 AS id UNION ALL SELECT 2 UNION ALL SELECT 1"


@pytest.fixture
def table(harness: Harness) -> Harness:
    harness.on_both("CREATE TABLE t (id INT PRIMARY KEY, n INT)", "CREATE TABLE gone (id INT PRIMARY KEY)")
    harness.on_primary("INSERT INTO t VALUES (1, 1)", "INSERT INTO gone VALUES (1)")
    harness.copy("t")
    harness.copy("gone")
    harness.begin_here()
    return harness


@pytest.fixture
def session(table: Harness) -> Iterator[Session]:
    """An application's session whose settings go with it."""
    with table.primary.session(table.schema) as made:
        yield made


@pytest.mark.covers("DDL in a rolled-back group (MariaDB)")
def test_a_table_that_a_failed_replacement_dropped_is_dropped(
    table: Harness, session: Session, engine_choice: EngineChoice
) -> None:
    table.settings = replace(table.settings, apply=Apply(engine=engine_choice))
    for number, engine in enumerate(("InnoDB", "MyISAM"), 2):
        with pytest.raises(ServerError, match="Duplicate"):
            session.execute(f"CREATE OR REPLACE TABLE gone (id INT PRIMARY KEY) ENGINE={engine} {FAILS}")
        session.execute(f"INSERT INTO t VALUES ({number}, 2)")
        table.stream()
        table.assert_equal()
        assert table.rows("SHOW TABLES LIKE 'gone'") == []
        session.execute("CREATE TABLE gone (id INT PRIMARY KEY, n INT)")
        session.execute("INSERT INTO gone VALUES (1, 1)")
    table.stream()
    table.assert_equal()


def test_rows_before_and_after_a_dropped_table_in_one_transaction_are_undone(table: Harness, session: Session) -> None:
    session.execute("CREATE TABLE my (id INT PRIMARY KEY) ENGINE=MyISAM")
    session.begin()
    session.execute("INSERT INTO t VALUES (5, 5)")
    session.execute("SAVEPOINT a")
    session.execute("INSERT INTO t VALUES (6, 6)")
    session.execute("CREATE TEMPORARY TABLE t (id INT)")
    session.execute("INSERT INTO my VALUES (1)")
    session.execute("DROP TEMPORARY TABLE t")
    session.execute("ROLLBACK TO a")
    session.rollback()
    table.stream()
    assert table.rows("SELECT id FROM t") == [(1,)]
    assert table.rows("SELECT id FROM my") == [(1,)]


def test_rows_of_an_engine_without_transactions_in_statement_format_are_refused(
    table: Harness, session: Session
) -> None:
    session.execute("CREATE TABLE my (id INT PRIMARY KEY) ENGINE=MyISAM")
    session.execute("SET SESSION binlog_format = STATEMENT")
    before = table.here()
    session.begin()
    session.execute("INSERT INTO t VALUES (5, 5)")
    session.execute("INSERT INTO my VALUES (1)")
    session.rollback()
    with pytest.raises(ApplyRefused, match="logged as a statement") as raised:
        table.stream()
    assert str(before) in raised.value.message


@pytest.mark.parametrize("binlog_format", ["ROW", "MIXED", "STATEMENT"])
def test_a_statement_that_failed_after_it_had_begun_asks_for_a_copy(
    table: Harness, session: Session, binlog_format: str
) -> None:
    session.execute(f"SET SESSION binlog_format = {binlog_format}")
    with pytest.raises(ServerError, match="Key column"):
        session.execute("CREATE OR REPLACE TABLE gone (id INT, KEY k (nothing))")
    with pytest.raises(TableChangedInWindow, match="failed on the primary with error 1072") as raised:
        table.stream()
    assert raised.value.tables == (table.name("gone"),)
    # Not run: the table is as it was until it is copied.
    assert table.rows("SELECT id FROM gone") == [(1,)]
