"""Statements on schemas: what goes with them on the secondary, under the schema's own name and under another one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from replica_cli.applier.ddl import statement_applier
from replica_cli.applier.quarantine import end_quarantines
from replica_cli.checkpoint.table_records import TableRecord
from replica_cli.core.errors import ApplyRefused, ReplicaError, TableChangedInWindow
from replica_cli.core.settings import DdlPolicy
from replica_cli.core.status import TableState
from tests.support.equality import assert_equal
from tests.support.table_records import put

if TYPE_CHECKING:
    from tests.engine.applier.harness import Harness

TABLES = (
    "CREATE TABLE parent (id INT PRIMARY KEY)",
    "CREATE TABLE child (id INT PRIMARY KEY, up INT, FOREIGN KEY (up) REFERENCES parent (id))",
    "INSERT INTO parent VALUES (1), (2)",
    "INSERT INTO child VALUES (1, 1)",
)


@pytest.fixture(params=["same", "routed"])
def here(request: pytest.FixtureRequest, harness: Harness) -> str:
    """Give the secondary's name of the schema; two tables are there on both sides."""
    name = harness.schema + ("_r" if request.param == "routed" else "")
    harness.other.execute(f"CREATE DATABASE IF NOT EXISTS `{name}` {harness.default_charset}")
    selection = replace(
        harness.settings.selection, schemas=((harness.schema, name),), excluded_tables=(f"{harness.schema}.out*",)
    )
    harness.settings = replace(harness.settings, selection=selection)
    harness.begin_here()
    harness.on_primary(*TABLES)
    if harness.is_mariadb:
        harness.on_primary("CREATE SEQUENCE numbers")
    harness.stream()
    harness.other.execute(f"USE `{name}`")
    return name


def names(harness: Harness, schema: str) -> set[str]:
    sql = f"SELECT table_name FROM information_schema.tables WHERE table_schema = '{schema}'"
    return {str(name) for (name,) in harness.rows(sql)}


def schemas(harness: Harness) -> set[str]:
    return {str(name) for (name,) in harness.rows("SHOW DATABASES")}


def replaced(harness: Harness) -> tuple[str, ...]:
    """Return CREATE OR REPLACE, or what it is short for, and tables that come afterwards."""
    options = "CHARACTER SET latin1"
    create = (
        [f"CREATE OR REPLACE DATABASE {harness.schema} {options}"]
        if harness.is_mariadb
        else [f"DROP DATABASE {harness.schema}", f"CREATE DATABASE {harness.schema} {options}"]
    )
    return (*create, f"USE {harness.schema}", "CREATE TABLE child (id INT PRIMARY KEY)", "INSERT INTO child VALUES (7)")


def test_a_replaced_schema_begins_empty(harness: Harness, here: str) -> None:
    harness.on_primary(*replaced(harness))
    harness.stream()
    assert names(harness, here) == {"child"}
    assert_equal(harness.primary, harness.secondary, harness.schema, here)
    charset = f"SELECT default_character_set_name FROM information_schema.schemata WHERE schema_name = '{here}'"
    assert harness.rows(charset) == [("latin1",)]


def test_a_dropped_schema_is_gone_with_its_tables(harness: Harness, here: str) -> None:
    record = TableRecord(harness.name("child"), TableState.QUARANTINED, "a test", stopped_at=harness.here())
    put(harness.tables, record)
    harness.on_primary(f"DROP DATABASE {harness.schema}")
    harness.stream()
    assert here not in schemas(harness)
    assert harness.tables.load() == {}
    # One that both sides have without it is nothing.
    harness.on_primary(f"DROP DATABASE IF EXISTS {harness.schema}")
    harness.stream()


def test_a_quarantined_table_is_followed_once_its_schema_is_made_again(harness: Harness, here: str) -> None:
    put(harness.tables, TableRecord(harness.name("child"), TableState.QUARANTINED, "a test", stopped_at=harness.here()))
    harness.on_primary("DELETE FROM child", f"DROP DATABASE {harness.schema}")
    harness.on_primary(f"CREATE DATABASE {harness.schema} CHARACTER SET latin1", f"USE {harness.schema}")
    harness.on_primary("CREATE TABLE child (id INT PRIMARY KEY, word CHAR(5))", "INSERT INTO child VALUES (7, 'x')")
    harness.stream()
    assert harness.tables.load() == {}
    assert_equal(harness.primary, harness.secondary, harness.schema, here)


def test_what_is_not_the_primarys_stays(harness: Harness, here: str, caplog: pytest.LogCaptureFixture) -> None:
    harness.on_secondary("CREATE TABLE out_of_it (id INT PRIMARY KEY)", "CREATE VIEW seen AS SELECT id FROM out_of_it")
    harness.on_primary(*replaced(harness))
    harness.stream()
    assert names(harness, here) == {"child", "out_of_it", "seen"}
    assert "out_of_it" in caplog.text


def test_a_table_whose_copy_began_later_stays(harness: Harness, here: str) -> None:
    harness.on_primary(*replaced(harness))
    later = harness.here()
    harness.save_window("child", later, later)
    harness.on_secondary("DROP TABLE child", "CREATE TABLE child (id INT PRIMARY KEY)", "INSERT INTO child VALUES (7)")
    harness.stream()
    assert names(harness, here) == {"child"}
    assert_equal(harness.primary, harness.secondary, harness.schema, here)


def test_a_table_that_is_copied_is_copied_again(harness: Harness, here: str) -> None:
    start = harness.here()
    harness.on_primary(*replaced(harness))
    harness.save_window("child", start, harness.here())
    with pytest.raises(TableChangedInWindow) as changed:
        harness.stream()
    assert changed.value.tables == (harness.name("child"),)
    assert "child" in names(harness, here)


def test_killed_behind_it(harness: Harness, here: str, monkeypatch: pytest.MonkeyPatch) -> None:
    harness.on_primary(*replaced(harness), f"DROP DATABASE {harness.schema}")

    def die(*_: object) -> None:
        raise ReplicaError("killed")

    monkeypatch.setattr(statement_applier, "end_quarantines", die)
    for _ in range(2):
        with pytest.raises(ReplicaError, match="killed"):
            harness.stream()
    monkeypatch.setattr(statement_applier, "end_quarantines", end_quarantines)
    harness.stream()
    assert here not in schemas(harness)


@pytest.mark.parametrize("policy", [DdlPolicy.STOP, DdlPolicy.QUARANTINE])
def test_the_policy_counts_for_schemas_too(harness: Harness, here: str, policy: DdlPolicy) -> None:
    harness.on_primary(f"DROP DATABASE {harness.schema}")
    apply = replace(harness.settings.apply, ddl=policy)
    if policy is DdlPolicy.STOP:
        with pytest.raises(ApplyRefused, match="REPLICA_DDL=stop"):
            harness.stream(apply=apply)
    else:
        harness.stream(apply=apply)
        assert {r.name.table for r in harness.tables.load().values()} >= {"parent", "child"}
    assert names(harness, here) >= {"parent", "child"}


@pytest.mark.servers("mysql")
def test_what_the_secondary_refuses_of_a_schema_does_not_stop_the_others(
    harness: Harness, here: str, caplog: pytest.LogCaptureFixture
) -> None:
    harness.on_primary("CREATE TABLE last (id INT PRIMARY KEY)")
    harness.stream()
    harness.on_secondary(f"ALTER DATABASE {here} READ ONLY = 1")
    harness.on_primary(f"ALTER DATABASE {harness.schema} CHARACTER SET latin1")
    harness.stream()
    assert "each CREATE TABLE still carries the primary's default charset" in caplog.text
    caplog.clear()
    place = harness.here()
    harness.on_primary(f"DROP DATABASE {harness.schema}", f"CREATE DATABASE {harness.schema} CHARACTER SET latin1")
    harness.stream()
    assert "its tables are quarantined, and the stream goes on" in caplog.text
    assert {n.table for n in harness.tables.load()} == {"parent", "child", "last"}
    assert {r.stopped_at for r in harness.tables.load().values()} == {place}
    harness.on_secondary(f"ALTER DATABASE {here} READ ONLY = 0")
    harness.on_primary(
        f"USE {harness.schema}", "CREATE TABLE last (word CHAR(5) PRIMARY KEY)", "INSERT INTO last VALUES ('x')"
    )
    harness.stream()
    assert {n.table for n in harness.tables.load()} == {"parent", "child"}
    assert harness.rows("SELECT word FROM last") == [("x",)]
    columns = "SELECT character_set_name FROM information_schema.columns WHERE column_name = 'word'"
    assert harness.rows(f"{columns} AND table_schema = '{here}'") == [("latin1",)]
