"""Temporary tables with the names of real ones: what the log says of them never changes a real one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from replica_cli.core.errors import TableChangedInWindow
from replica_cli.core.settings import Apply

if TYPE_CHECKING:
    from collections.abc import Iterator

    from replica_cli.core.settings import EngineChoice
    from replica_cli.mysql.session import Session
    from tests.engine.applier.harness import Harness


@pytest.fixture
def table(harness: Harness) -> Harness:
    for name in ("t", "u"):
        harness.on_both(f"CREATE TABLE {name} (id INT PRIMARY KEY, n INT)")
        harness.on_primary(f"INSERT INTO {name} VALUES (1, 1), (2, 2)")
        harness.copy(name)
    harness.begin_here()
    return harness


@pytest.fixture
def session(table: Harness) -> Iterator[Session]:
    """An application's session whose settings go with it."""
    with table.primary.session(table.schema) as made:
        yield made


HIDING = {
    "TRUNCATE TABLE t": "t",
    "ALTER TABLE t ADD COLUMN more INT": "t",
    "CREATE INDEX by_n ON t (n)": "t",
    "ALTER TABLE t RENAME TO v": "t v",
    "CREATE TABLE v LIKE t": "v",
}


def hide(table: Harness, statement: str, binlog_format: str) -> None:
    """Run a statement on the primary while a temporary table hides the real one of its name."""
    table.begin_here()
    with table.primary.session(table.schema) as session:
        session.execute(f"SET SESSION binlog_format = {binlog_format}")
        session.execute("CREATE TEMPORARY TABLE t (id INT, n INT)")
        session.execute(statement)


def asks_for_a_copy(table: Harness, names: str) -> None:
    with pytest.raises(TableChangedInWindow, match="a temporary table of that name") as raised:
        table.stream()
    assert " ".join(t.table for t in raised.value.tables) == names
    assert table.rows("SELECT id, n FROM t ORDER BY id") == [(1, 1), (2, 2)]


@pytest.mark.covers("temporary tables that hide others")
def test_a_statement_that_may_mean_a_temporary_table_asks_for_a_copy(
    table: Harness, engine_choice: EngineChoice
) -> None:
    table.settings = replace(table.settings, apply=Apply(engine=engine_choice))
    for statement, names in HIDING.items():
        hide(table, statement, "STATEMENT")
        asks_for_a_copy(table, names)
    table.on_primary("DROP TABLE v")
    table.begin_here()
    table.on_primary("INSERT INTO t VALUES (3, 3)", "CREATE INDEX by_n ON t (n)")
    table.stream()
    table.assert_equal()


def test_in_mixed_format_mysql_logs_no_temporary_tables_and_mariadb_does(table: Harness) -> None:
    for statement, names in HIDING.items():
        hide(table, statement, "MIXED")
        if table.is_mariadb:
            asks_for_a_copy(table, names)
        else:
            table.stream()
            table.assert_equal()


@pytest.mark.servers("mariadb")
def test_a_rename_that_meant_a_temporary_table_asks_for_a_copy(table: Harness) -> None:
    for binlog_format in ("ROW", "MIXED", "STATEMENT"):
        hide(table, "RENAME TABLE t TO v", binlog_format)
        asks_for_a_copy(table, "t v")


@pytest.mark.parametrize("binlog_format", ["ROW", "MIXED", "STATEMENT"])
def test_statements_on_temporary_tables_that_hide_nothing_pass(
    table: Harness, session: Session, binlog_format: str
) -> None:
    session.execute(f"SET SESSION binlog_format = {binlog_format}")
    for statement in (
        "CREATE TEMPORARY TABLE a (id INT, n INT)", "TRUNCATE TABLE a", "ALTER TABLE a ADD COLUMN more INT",
        "CREATE INDEX by_n ON a (n)", "DROP INDEX by_n ON a", "ALTER TABLE a RENAME TO b", "OPTIMIZE TABLE b",
        "RENAME TABLE b TO c" if table.is_mariadb else "DO 0", "DROP TABLE IF EXISTS b, c",
        "CREATE TEMPORARY TABLE t (id INT)", "DROP TABLE IF EXISTS t",
        "CREATE TEMPORARY TABLE t (id INT)", "DROP TABLE t",
    ):  # fmt: skip
        session.execute(statement)
    # And one that ends with its connection.
    session.execute("CREATE TEMPORARY TABLE u (id INT)")
    session.close()
    table.on_primary("INSERT INTO t VALUES (3, 3)", "INSERT INTO u VALUES (3, 3)")
    table.stream()
    table.assert_equal()


REAL = (
    "TRUNCATE TABLE t",
    "ALTER TABLE t ADD COLUMN more INT",
    "CREATE INDEX by_n ON t (n)",
    "CREATE TABLE v LIKE t",
    "RENAME TABLE t TO w, v TO t",
    "RENAME TABLE w TO w2, t TO w, w2 TO t",
    "ALTER TABLE w RENAME TO x",
    "DROP TABLE x",
    "RENAME TABLE u TO y",
    "CREATE TABLE u (id INT PRIMARY KEY)",
)


@pytest.mark.parametrize("binlog_format", ["ROW", "MIXED", "STATEMENT"])
def test_statements_on_real_tables_are_run_also_while_a_temporary_one_of_their_name_was_there(
    table: Harness, session: Session, binlog_format: str
) -> None:
    session.execute(f"SET SESSION binlog_format = {binlog_format}")
    session.execute("CREATE TEMPORARY TABLE a (id INT)")
    session.execute("CREATE TEMPORARY TABLE t (id INT)")
    session.execute("DROP TEMPORARY TABLE t")
    for statement in REAL:
        session.execute(statement)
        # A stream that is behind meets them all at once, one that is not meets each by itself.
        if binlog_format == "ROW":
            table.stream()
    table.on_primary("INSERT INTO u VALUES (7)", "INSERT INTO y VALUES (7, 7)")
    table.stream()
    table.assert_equal()


@pytest.mark.servers("mariadb")
@pytest.mark.parametrize("binlog_format", ["ROW", "STATEMENT"])
def test_a_sequence_that_a_temporary_one_hides_is_set_aside(
    table: Harness, session: Session, binlog_format: str
) -> None:
    if not table.is_one_flavour:
        pytest.skip("MySQL has no sequences")
    session.execute("CREATE SEQUENCE hidden START 1")
    session.execute("CREATE SEQUENCE free START 1")
    table.stream()
    session.execute(f"SET SESSION binlog_format = {binlog_format}")
    session.execute("CREATE TEMPORARY SEQUENCE other START 1")
    session.execute("CREATE TEMPORARY SEQUENCE hidden START 500")
    session.execute("ALTER SEQUENCE hidden INCREMENT 30")
    session.execute("ALTER SEQUENCE free INCREMENT 20")
    session.execute("DROP SEQUENCE hidden")
    table.stream()
    ((step, start),) = table.rows("SELECT increment, start_value FROM hidden")
    assert (step, start) == (1, 1)
    assert table.rows("SELECT increment FROM free") == [(20,)]
    (record,) = table.tables.load().values()
    assert (record.name.table, record.state.value) == ("hidden", "quarantined")
    assert "a temporary sequence of that name" in record.reason
