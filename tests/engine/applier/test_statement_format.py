"""Changes of rows that are logged as statements: refused unless they can only be of the server's own tables."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from replica_cli.applier.window import TableChangedInWindow
from replica_cli.core.errors import ApplyRefused
from replica_cli.core.selection import Selection

if TYPE_CHECKING:
    from collections.abc import Iterator

    from engine.applier.bench import Bench
    from fix_coverage import Refused

    from replica_cli.mysql.session import Session


@pytest.fixture
def table(bench: Bench) -> Bench:
    other = f"{bench.schema}_other"
    bench.on_both("CREATE TABLE t (id INT PRIMARY KEY, n INT)")
    bench.on_primary(
        "INSERT INTO t VALUES (1, 1), (2, 2)",
        "SET GLOBAL log_bin_trust_function_creators = 1",
        f"CREATE DATABASE {other}",
        f"CREATE TABLE {other}.base (id INT)",
        f"CREATE VIEW {other}.seen AS SELECT * FROM {bench.schema}.t",
        f"CREATE TABLE {other}.told (id INT)",
        f"CREATE TRIGGER {other}.tells AFTER INSERT ON {other}.told FOR EACH ROW"
        f" INSERT INTO {bench.schema}.t VALUES (NEW.id, 9)",
        f"CREATE FUNCTION {other}.f(a INT) RETURNS INT BEGIN INSERT INTO {bench.schema}.t VALUES (a, 9); RETURN a; END",
    )
    bench.copy("t")
    bench.begin_here()
    return bench


@pytest.fixture
def session(table: Bench) -> Iterator[Session]:
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
    "a function and the server's own tables": ("USE mysql", "DELETE FROM servers WHERE Server_name = {other}.f(51)"),
    "a view of the default schema mysql": ("USE mysql", "UPDATE {other}.seen SET n = 51"),
    "no table of ours, which cannot be known": ("DELETE FROM base",),
}
MARIADB_THROUGH = {
    "ANALYZE": ("ANALYZE UPDATE {other}.seen SET n = 51",),
    "EXECUTE IMMEDIATE": ("EXECUTE IMMEDIATE 'UPDATE seen SET n = 51'",),
    "SET STATEMENT": ("SET STATEMENT max_statement_time = 9 FOR UPDATE seen SET n = 51",),
}


@pytest.mark.covers("statement format: rows changed through views, triggers and functions")
@pytest.mark.parametrize("takes_all", [False, True], ids=["one schema", "all schemas"])
def test_a_statement_whose_tables_are_not_all_known_is_refused(
    table: Bench, session: Session, refused: Refused, *, takes_all: bool
) -> None:
    if takes_all:
        # All of one server's tests: whatever is not this test's stays out.
        table.settings = replace(
            table.settings,
            selection=Selection(
                (), takes_all_schemas=True, tables=(f"{table.schema}.*",), state_schema=table.settings.state_schema
            ),
        )
    place = table.begin_here()
    for what, statements in {**THROUGH, **(MARIADB_THROUGH if table.is_mariadb else {})}.items():
        session.execute(f"USE {table.schema}_other")
        for statement in statements:
            words = statement.replace("{other}", f"{table.schema}_other")
            session.rows(words) if words.startswith("SELECT") else session.execute(words)
        with refused(ApplyRefused, "logged as a statement") as raised:
            table.stream()
        assert str(place) in raised.value.message, what
        assert raised.value.table is None, what
        hint = str(raised.value.hint)
        assert "--restart" not in hint
        assert f"`replica position reset --secondary db1 --to {table.here()}`" in hint
        assert table.rows("SELECT * FROM t ORDER BY id") == [(1, 1), (2, 2)]
        table.on_primary("DELETE FROM t WHERE id = 51", "UPDATE t SET n = id")
        place = table.begin_here()


def test_statements_on_the_servers_own_tables_pass(table: Bench, session: Session) -> None:
    session.execute("USE mysql")
    session.execute("INSERT INTO time_zone_leap_second VALUES (77, 1)")
    session.execute("DELETE FROM mysql.time_zone_leap_second WHERE Transition_time = 77")
    table.on_primary("UPDATE t SET n = 8")
    table.stream()
    table.assert_equal()


@pytest.mark.covers("CREATE TABLE … SELECT in statement format")
@pytest.mark.parametrize("binlog_format", ["MIXED", "STATEMENT"])
def test_a_table_made_of_a_query_asks_for_a_copy(table: Bench, session: Session, binlog_format: str) -> None:
    session.execute(f"SET SESSION binlog_format = {binlog_format}")
    for number, query in enumerate(("SELECT 1 AS a", "SELECT UUID() AS a", "SELECT id, n FROM t")):
        session.execute(f"USE {table.schema}")
        session.execute(f"CREATE TABLE made_{number} {query}")
        if binlog_format == "MIXED" and "UUID" in query:
            table.stream()  # logged as a definition and rows
            assert table.rows(f"SELECT * FROM made_{number}") == table.source.rows(f"SELECT * FROM made_{number}")
            continue
        with pytest.raises(TableChangedInWindow, match="logged as a statement without its rows") as raised:
            table.stream()
        assert raised.value.tables == (table.name(f"made_{number}"),)
        assert table.rows(f"SHOW TABLES LIKE 'made_{number}'") == []
        table.begin_here()
