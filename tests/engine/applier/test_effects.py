"""Statements that do something else here than on the primary: none is run, or taken for done, for that."""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from replica_cli.core.errors import ApplyRefused, RowMissing, TableChangedInWindow
from replica_cli.core.settings import Apply, DdlPolicy

if TYPE_CHECKING:
    from tests.engine.applier.harness import Harness


@pytest.fixture
def table(harness: Harness) -> Harness:
    for name in ("t", "u"):
        harness.on_both(f"CREATE TABLE {name} (id INT PRIMARY KEY, n INT)")
        harness.on_primary(f"INSERT INTO {name} VALUES (1, 1), (2, 2)")
        harness.copy(name)
    harness.begin_here()
    return harness


def test_a_table_whose_file_was_imported_asks_for_a_copy(table: Harness) -> None:
    folder = table.primary.data_path / table.schema
    table.on_primary("FLUSH TABLES t FOR EXPORT")
    for end in ("ibd", "cfg"):
        shutil.copy(folder / f"t.{end}", table.primary.folder / f"kept.{end}")
    table.on_primary("UNLOCK TABLES", "DELETE FROM t WHERE id = 2")
    table.on_primary("ALTER TABLE t DISCARD TABLESPACE", "INSERT INTO u VALUES (3, 3)")
    table.stream()
    # Nothing can be read on the primary now: the rows of before stay.
    assert table.rows("SELECT id FROM t") == [(1,)]
    assert table.rows("SELECT COUNT(*) FROM u") == [(3,)]
    for end in ("ibd", "cfg"):
        shutil.copy(table.primary.folder / f"kept.{end}", folder / f"t.{end}")
    table.on_primary("ALTER TABLE t IMPORT TABLESPACE")
    with pytest.raises(TableChangedInWindow, match="took its rows from a file of the primary") as raised:
        table.stream()
    assert raised.value.tables == (table.name("t"),)
    assert table.rows("SELECT id FROM t") == [(1,)]


@pytest.mark.servers("mariadb")
def test_a_replacement_that_the_secondary_refuses_is_never_taken_for_done(table: Harness) -> None:
    table.on_primary("CREATE TABLE parent (id INT PRIMARY KEY)")
    table.stream()
    table.on_secondary("DROP TABLE parent")
    table.on_primary("CREATE OR REPLACE TABLE t (id INT PRIMARY KEY, FOREIGN KEY (id) REFERENCES parent (id))")
    # It drops first and fails then; the next attempt finds another definition than the first one found.
    for _ in range(3):
        with pytest.raises(TableChangedInWindow, match="refuses a statement") as raised:
            table.stream()
        assert raised.value.tables == (table.name("t"),)
    table.on_secondary("CREATE TABLE parent (id INT PRIMARY KEY)")
    table.stream()
    table.assert_equal()


@pytest.mark.servers("mariadb")
def test_a_table_that_was_replaced_while_it_was_copied_is_copied_again(table: Harness) -> None:
    start = table.here()
    table.on_primary("CREATE OR REPLACE TABLE t (id INT PRIMARY KEY, n INT)")
    table.save_window("t", start, table.here())
    # The copy had read the rows of before.
    with pytest.raises(TableChangedInWindow, match="while it was copied") as raised:
        table.stream()
    assert raised.value.tables == (table.name("t"),)


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE t ADD COLUMN more INT",
        "DROP TABLE t",
        "RENAME TABLE t TO v",
        "CREATE TABLE v (id INT PRIMARY KEY)",
        "CREATE TABLE v LIKE t",
        "ALTER DATABASE {schema} CHARACTER SET latin1",
        "DROP DATABASE {schema}",
    ],
)
def test_ddl_stop_stops_at_every_kind_and_names_no_table(table: Harness, statement: str) -> None:
    table.settings = replace(table.settings, apply=Apply(ddl=DdlPolicy.STOP))
    table.on_primary("INSERT INTO t VALUES (3, 3)", f"CREATE DATABASE IF NOT EXISTS {table.schema}")
    place = table.here()
    with table.primary.session(table.schema) as session:
        session.execute(statement.replace("{schema}", table.schema))
    end = table.here()
    with pytest.raises(ApplyRefused, match="REPLICA_DDL=stop") as raised:
        table.stream()
    assert str(place) in raised.value.message
    # With a table it would be tried again, and the table quarantined.
    assert raised.value.table is None
    assert f"--to {end}`" in str(raised.value.hint)
    assert table.rows("SELECT id FROM t ORDER BY id") == [(1,), (2,), (3,)]


def test_what_fails_behind_a_statement_that_is_ignored_is_named_exactly(table: Harness) -> None:
    table.stream()
    table.on_secondary("DELETE FROM t WHERE id = 2")
    with table.primary.session(table.schema) as session:
        session.execute("XA START 'x'")
        session.execute("UPDATE t SET n = 9 WHERE id = 2")
        session.execute("XA END 'x'")
        session.execute("XA PREPARE 'x'")
        # Ignored, with no position saved behind it.
        table.on_primary(f"CREATE DATABASE IF NOT EXISTS {table.schema}")
        session.execute("XA COMMIT 'x'")
    with pytest.raises(RowMissing) as raised:
        table.stream()
    assert raised.value.table == table.name("t")
