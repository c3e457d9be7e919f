"""Changes of rows that are logged as statements: refused unless they can only be of the server's own tables."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from replica_cli.core.errors import ApplyRefused, TableChangedInWindow
from replica_cli.core.selection import Selection
from replica_cli.core.settings import Apply

if TYPE_CHECKING:
    from collections.abc import Iterator

    from replica_cli.core.settings import EngineChoice
    from replica_cli.mysql.session import Session
    from tests.engine.applier.harness import Harness
    from tests.support.coverage import Refused


@pytest.fixture
def table(harness: Harness) -> Harness:
    other = f"{harness.schema}_other"
    harness.on_both("CREATE TABLE t (id INT PRIMARY KEY, n INT)")
    harness.on_primary(
        "INSERT INTO t VALUES (1, 1), (2, 2)",
        "SET GLOBAL log_bin_trust_function_creators = 1",
        f"CREATE DATABASE {other}",
        f"CREATE TABLE {other}.base (id INT)",
        f"CREATE VIEW {other}.seen AS SELECT * FROM {harness.schema}.t",
        f"CREATE TABLE {other}.told (id INT)",
        f"CREATE TRIGGER {other}.tells AFTER INSERT ON {other}.told FOR EACH ROW"
        f" INSERT INTO {harness.schema}.t VALUES (NEW.id, 9)",
        f"CREATE FUNCTION {other}.f(a INT) RETURNS INT"
        f" BEGIN INSERT INTO {harness.schema}.t VALUES (a, 9); RETURN a; END",
    )
    harness.copy("t")
    harness.begin_here()
    return harness


@pytest.fixture
def session(table: Harness) -> Iterator[Session]:
    """An application's session in statement format, whose default schema is outside of the filters."""
    with table.primary.session(f"{table.schema}_other") as made:
        made.execute("SET SESSION binlog_format = STATEMENT")
        yield made


THROUGH = {
    "a view": ("INSERT INTO seen VALUES (51, 1)",),
    "a trigger": ("INSERT INTO told VALUES (51)",),
    "a function in a query": ("SELECT f(51)",),
    "a function in DO": ("DO f(51)",),
    "a function in SET": ("SET @x = f(51)",),
    "a function in an INSERT": ("INSERT INTO base VALUES (f(51))",),
    "a view of the default schema mysql": ("USE mysql", "UPDATE {other}.seen SET n = 51"),
    "no selected table, which cannot be known": ("DELETE FROM base",),
}
MARIADB_THROUGH = {
    "ANALYZE": ("ANALYZE UPDATE {other}.seen SET n = 51",),
    "EXECUTE IMMEDIATE": ("EXECUTE IMMEDIATE 'UPDATE seen SET n = 51'",),
    "SET STATEMENT": ("SET STATEMENT max_statement_time = 9 FOR UPDATE seen SET n = 51",),
}


def run(session: Session, statements: tuple[str, ...], other: str) -> None:
    session.execute(f"USE {other}")
    for statement in statements:
        words = statement.replace("{other}", other)
        session.rows(words) if words.startswith("SELECT") else session.execute(words)


@pytest.mark.covers("statement format: rows changed through views, triggers and functions")
def test_rows_changed_through_another_schema_are_refused(
    table: Harness, session: Session, refused: Refused, engine_choice: EngineChoice
) -> None:
    table.settings = replace(table.settings, apply=Apply(engine=engine_choice))
    for what in ("a view", "a trigger", "a function in a query"):
        place = table.begin_here()
        run(session, THROUGH[what], f"{table.schema}_other")
        with refused(ApplyRefused, "logged as a statement") as raised:
            table.stream()
        assert str(place) in raised.value.message, what
        table.on_primary("DELETE FROM t WHERE id = 51")
    assert table.rows("SELECT * FROM t ORDER BY id") == [(1, 1), (2, 2)]


@pytest.mark.parametrize("takes_all", [False, True], ids=["one schema", "all schemas"])
def test_a_statement_whose_tables_are_not_all_known_is_refused(
    table: Harness, session: Session, *, takes_all: bool
) -> None:
    if takes_all:
        # What other tests write on these servers stays out.
        selection = Selection(
            (), takes_all_schemas=True, tables=(f"{table.schema}.*",), state_schema=table.settings.state_schema
        )
        table.settings = replace(table.settings, selection=selection)
    for what, statements in {**THROUGH, **(MARIADB_THROUGH if table.is_mariadb else {})}.items():
        place = table.begin_here()
        run(session, statements, f"{table.schema}_other")
        with pytest.raises(ApplyRefused, match="logged as a statement") as raised:
            table.stream()
        assert str(place) in raised.value.message, what
        assert raised.value.table is None, what
        hint = str(raised.value.hint)
        assert "--restart" not in hint
        assert f"`replica position reset --secondary db1 --to {table.here()}`" in hint
        table.on_primary("DELETE FROM t WHERE id = 51", "UPDATE t SET n = id")
    assert table.rows("SELECT * FROM t ORDER BY id") == [(1, 1), (2, 2)]


def test_statements_on_the_servers_own_tables_pass(table: Harness, session: Session) -> None:
    session.execute("USE mysql")
    session.execute("INSERT INTO time_zone_leap_second VALUES (77, 1)")
    session.execute("DELETE FROM mysql.time_zone_leap_second WHERE Transition_time = 77")
    table.on_primary("UPDATE t SET n = 8")
    table.stream()
    table.assert_equal()


@pytest.mark.covers("CREATE TABLE … SELECT in statement format")
def test_a_table_made_of_a_query_asks_for_a_copy(table: Harness, session: Session, engine_choice: EngineChoice) -> None:
    table.settings = replace(table.settings, apply=Apply(engine=engine_choice))
    session.execute(f"USE {table.schema}")
    for number, query in enumerate(("SELECT 1 AS a", "SELECT UUID() AS a", "SELECT id, n FROM t")):
        table.begin_here()
        session.execute(f"CREATE TABLE made_{number} {query}")
        with pytest.raises(TableChangedInWindow, match="logged as a statement without its rows") as raised:
            table.stream()
        assert raised.value.tables == (table.name(f"made_{number}"),)
        assert table.rows(f"SHOW TABLES LIKE 'made_{number}'") == []


def test_a_table_made_of_a_query_in_mixed_format(table: Harness, session: Session) -> None:
    session.execute(f"USE {table.schema}")
    session.execute("SET SESSION binlog_format = MIXED")
    session.execute("CREATE TABLE rows_logged SELECT UUID() AS a")
    table.stream()
    table.assert_equal()
    session.execute("CREATE TABLE query_logged SELECT 1 AS a")
    with pytest.raises(TableChangedInWindow, match="logged as a statement without its rows"):
        table.stream()


@pytest.mark.covers("engines that keep no rows of their own")
def test_a_table_of_an_engine_without_rows_of_its_own_is_set_aside(table: Harness, engine_choice: EngineChoice) -> None:
    table.settings = replace(table.settings, apply=Apply(engine=engine_choice))
    table.on_primary(
        *(f"CREATE TABLE part_{n} (id INT, n INT) ENGINE=MyISAM" for n in range(3)),
        "CREATE TABLE lost (id INT) ENGINE=BLACKHOLE",
        "INSERT INTO lost VALUES (1)",
        f"CREATE TABLE {table.schema}_other.whole (id INT, n INT) ENGINE=MERGE"
        f" UNION=({table.schema}.part_0, {table.schema}.part_1) INSERT_METHOD=LAST",
        f"INSERT INTO {table.schema}_other.whole VALUES (7, 7)",
        "INSERT INTO part_2 VALUES (9, 9)",
    )
    table.stream()
    assert sorted(name.table for name in table.tables.load()) == ["lost", "part_0", "part_1"]
    assert table.rows("SELECT * FROM part_2") == [(9, 9)]
