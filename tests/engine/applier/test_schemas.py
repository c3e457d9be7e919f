"""Statements on schemas: what goes with them on the secondary, under the schema's own name and under another one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from replica_cli.applier import applier as applier_module
from replica_cli.applier.window import TableChangedInWindow
from replica_cli.checkpoint.tables import TableRecord
from replica_cli.core.errors import ApplyRefused, ReplicaError
from replica_cli.core.settings import DdlPolicy
from replica_cli.core.status import TableState
from tests.support.equality import assert_equal

if TYPE_CHECKING:
    from tests.engine.applier.harness import Bench

TABLES = (
    "CREATE TABLE parent (id INT PRIMARY KEY)",
    "CREATE TABLE child (id INT PRIMARY KEY, up INT, FOREIGN KEY (up) REFERENCES parent (id))",
    "INSERT INTO parent VALUES (1), (2)",
    "INSERT INTO child VALUES (1, 1)",
)


@pytest.fixture(params=["same", "routed"])
def here(request: pytest.FixtureRequest, bench: Bench) -> str:
    """Give the secondary's name of the schema; two tables are there on both sides."""
    name = bench.schema + ("_r" if request.param == "routed" else "")
    bench.other.execute(f"CREATE DATABASE IF NOT EXISTS `{name}` {bench.default_charset}")
    selection = replace(
        bench.settings.selection, schemas=((bench.schema, name),), excluded_tables=(f"{bench.schema}.out*",)
    )
    bench.settings = replace(bench.settings, selection=selection)
    bench.begin_here()
    bench.on_primary(*TABLES)
    if bench.is_mariadb:
        bench.on_primary("CREATE SEQUENCE numbers")
    bench.stream()
    bench.other.execute(f"USE `{name}`")
    return name


def names(bench: Bench, schema: str) -> set[str]:
    sql = f"SELECT table_name FROM information_schema.tables WHERE table_schema = '{schema}'"
    return {str(name) for (name,) in bench.rows(sql)}


def schemas(bench: Bench) -> set[str]:
    return {str(name) for (name,) in bench.rows("SHOW DATABASES")}


def replaced(bench: Bench) -> tuple[str, ...]:
    """Return CREATE OR REPLACE, or what it is short for, and tables that come afterwards."""
    options = "CHARACTER SET latin1"
    create = (
        [f"CREATE OR REPLACE DATABASE {bench.schema} {options}"]
        if bench.is_mariadb
        else [f"DROP DATABASE {bench.schema}", f"CREATE DATABASE {bench.schema} {options}"]
    )
    return (*create, f"USE {bench.schema}", "CREATE TABLE child (id INT PRIMARY KEY)", "INSERT INTO child VALUES (7)")


def test_a_replaced_schema_begins_empty(bench: Bench, here: str) -> None:
    bench.on_primary(*replaced(bench))
    bench.stream()
    assert names(bench, here) == {"child"}
    assert_equal(bench.primary, bench.secondary, bench.schema, here)
    charset = f"SELECT default_character_set_name FROM information_schema.schemata WHERE schema_name = '{here}'"
    assert bench.rows(charset) == [("latin1",)]


def test_a_dropped_schema_is_gone_with_its_tables(bench: Bench, here: str) -> None:
    record = TableRecord(bench.name("child"), TableState.QUARANTINED, bench.here(), reason="a test")
    bench.tables.save(record)
    bench.on_primary(f"DROP DATABASE {bench.schema}")
    bench.stream()
    assert here not in schemas(bench)
    assert bench.tables.load() == {}
    # One that both sides have without it is nothing.
    bench.on_primary(f"DROP DATABASE IF EXISTS {bench.schema}")
    bench.stream()


def test_a_quarantined_table_is_followed_once_its_schema_is_made_again(bench: Bench, here: str) -> None:
    bench.tables.save(TableRecord(bench.name("child"), TableState.QUARANTINED, bench.here(), reason="a test"))
    bench.on_primary("DELETE FROM child", f"DROP DATABASE {bench.schema}")
    bench.on_primary(f"CREATE DATABASE {bench.schema} CHARACTER SET latin1", f"USE {bench.schema}")
    bench.on_primary("CREATE TABLE child (id INT PRIMARY KEY, word CHAR(5))", "INSERT INTO child VALUES (7, 'x')")
    bench.stream()
    assert bench.tables.load() == {}
    assert_equal(bench.primary, bench.secondary, bench.schema, here)


def test_what_is_not_the_primarys_stays(bench: Bench, here: str, caplog: pytest.LogCaptureFixture) -> None:
    bench.on_secondary("CREATE TABLE out_of_it (id INT PRIMARY KEY)", "CREATE VIEW seen AS SELECT id FROM out_of_it")
    bench.on_primary(*replaced(bench))
    bench.stream()
    assert names(bench, here) == {"child", "out_of_it", "seen"}
    assert "out_of_it" in caplog.text


def test_a_table_whose_copy_began_later_stays(bench: Bench, here: str) -> None:
    bench.on_primary(*replaced(bench))
    later = bench.here()
    bench.save_window("child", later, later)
    bench.on_secondary("DROP TABLE child", "CREATE TABLE child (id INT PRIMARY KEY)", "INSERT INTO child VALUES (7)")
    bench.stream()
    assert names(bench, here) == {"child"}
    assert_equal(bench.primary, bench.secondary, bench.schema, here)


def test_a_table_that_is_copied_is_copied_again(bench: Bench, here: str) -> None:
    start = bench.here()
    bench.on_primary(*replaced(bench))
    bench.save_window("child", start, bench.here())
    with pytest.raises(TableChangedInWindow) as changed:
        bench.stream()
    assert changed.value.tables == (bench.name("child"),)
    assert "child" in names(bench, here)


def test_killed_behind_it(bench: Bench, here: str, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.on_primary(*replaced(bench), f"DROP DATABASE {bench.schema}")

    def die(*_: object) -> None:
        raise ReplicaError("killed")

    forget = applier_module.forget_dropped
    monkeypatch.setattr(applier_module, "forget_dropped", die)
    for _ in range(2):
        with pytest.raises(ReplicaError, match="killed"):
            bench.stream()
    monkeypatch.setattr(applier_module, "forget_dropped", forget)
    bench.stream()
    assert here not in schemas(bench)


@pytest.mark.parametrize("policy", [DdlPolicy.STOP, DdlPolicy.QUARANTINE])
def test_the_policy_counts_for_schemas_too(bench: Bench, here: str, policy: DdlPolicy) -> None:
    bench.on_primary(f"DROP DATABASE {bench.schema}")
    apply = replace(bench.settings.apply, ddl=policy)
    if policy is DdlPolicy.STOP:
        with pytest.raises(ApplyRefused, match="REPLICA_DDL=stop"):
            bench.stream(apply=apply)
    else:
        bench.stream(apply=apply)
        assert {r.name.table for r in bench.tables.load().values()} >= {"parent", "child"}
    assert names(bench, here) >= {"parent", "child"}


@pytest.mark.servers("mysql")
def test_what_the_secondary_refuses_of_a_schema_does_not_stop_the_others(
    bench: Bench, here: str, caplog: pytest.LogCaptureFixture
) -> None:
    bench.on_primary("CREATE TABLE last (id INT PRIMARY KEY)")
    bench.stream()
    bench.on_secondary(f"ALTER DATABASE {here} READ ONLY = 1")
    bench.on_primary(f"ALTER DATABASE {bench.schema} CHARACTER SET latin1")
    bench.stream()
    assert "each CREATE TABLE still carries the primary's default charset" in caplog.text
    caplog.clear()
    place = bench.here()
    bench.on_primary(f"DROP DATABASE {bench.schema}", f"CREATE DATABASE {bench.schema} CHARACTER SET latin1")
    bench.stream()
    assert "its tables are quarantined, and the stream goes on" in caplog.text
    assert {n.table for n in bench.tables.load()} == {"parent", "child", "last"}
    assert {r.start for r in bench.tables.load().values()} == {place}
    bench.on_secondary(f"ALTER DATABASE {here} READ ONLY = 0")
    bench.on_primary(
        f"USE {bench.schema}", "CREATE TABLE last (word CHAR(5) PRIMARY KEY)", "INSERT INTO last VALUES ('x')"
    )
    bench.stream()
    assert {n.table for n in bench.tables.load()} == {"parent", "child"}
    assert bench.rows("SELECT word FROM last") == [("x",)]
    columns = "SELECT character_set_name FROM information_schema.columns WHERE column_name = 'word'"
    assert bench.rows(f"{columns} AND table_schema = '{here}'") == [("latin1",)]
