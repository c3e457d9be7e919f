"""DDL and death: killed before the statement, behind it, or half-way through; carried out once in the end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from replica_cli.applier.ddl import execution as execution_module
from replica_cli.core.errors import ApplyRefused, ReplicaError
from replica_cli.mysql.errnos import Remedy, ServerError
from replica_cli.mysql.session import Session
from tests.engine.applier.killer import ORIGINAL, KilledError, Killer, die_behind

if TYPE_CHECKING:
    from tests.engine.applier.harness import Harness

STATEMENTS = {
    "add": ("ALTER TABLE a ADD COLUMN w INT DEFAULT 4",),
    "drop column": ("ALTER TABLE a DROP COLUMN v",),
    "index": ("CREATE UNIQUE INDEX i ON a (v)",),
    "create": ("CREATE TABLE d (id INT PRIMARY KEY, v INT)",),
    "create like": ("CREATE TABLE d LIKE a",),
    "drop": ("DROP TABLE a",),
    "drop several": ("DROP TABLE a, b, c",),
    "drop if exists": ("DROP TABLE IF EXISTS a, nothing, b",),
    "rename": ("RENAME TABLE a TO x",),
    "rename swap": ("RENAME TABLE a TO x, b TO a, x TO b",),
    "alter rename": ("ALTER TABLE a RENAME TO x",),
    "truncate": ("TRUNCATE TABLE a",),
    "add twice": ("ALTER TABLE a ADD COLUMN w INT", "ALTER TABLE a DROP COLUMN w", "ALTER TABLE a ADD COLUMN w INT"),
}
TABLES = tuple(f"CREATE TABLE {t} (id INT PRIMARY KEY, v INT{more})" for t, more in
               (("a", ""), ("b", ", w INT"), ("c", "")))  # fmt: skip


@pytest.fixture
def altered(harness: Harness) -> Harness:
    harness.on_both(*TABLES, "INSERT INTO a VALUES (1, 10), (2, 20)", "INSERT INTO b VALUES (1, 1, 1)")
    harness.begin_here()
    return harness


@pytest.mark.parametrize("place", ["before", "behind"])
@pytest.mark.parametrize("name", STATEMENTS)
def test_killed_around_a_statement(altered: Harness, name: str, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = altered.here()
    altered.on_primary(*STATEMENTS[name], "CREATE TABLE rest (id INT PRIMARY KEY)", "INSERT INTO rest VALUES (1)")
    killer = Killer(place)
    killer.arm(monkeypatch)
    with pytest.raises(KilledError):
        altered.stream()
    assert altered.saved().position.order == before.order
    assert altered.rows(_intents(altered)) == [(before.pos,)]
    runs = _counted(monkeypatch)
    altered.stream()
    altered.assert_equal()
    done_before = 1 if place == "behind" and name != "truncate" else 0
    assert len(runs) == len(STATEMENTS[name]) + 1 - done_before
    assert altered.rows(_intents(altered)) == []


@pytest.mark.parametrize("place", ["before", "behind"])
@pytest.mark.parametrize("passed_over", ["CREATE DATABASE IF NOT EXISTS `{}`", "ANALYZE TABLE a"])
def test_killed_around_a_statement_behind_one_that_is_passed_over(
    altered: Harness, passed_over: str, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    altered.on_primary(passed_over.format(altered.schema), "ALTER TABLE a ADD COLUMN w INT DEFAULT 4")
    before = altered.saved().position.order
    killer = Killer(place)
    killer.arm(monkeypatch)
    with pytest.raises(KilledError):
        altered.stream()
    # The position of what was passed over is not worth a commit, so it comes again, before the statement.
    assert altered.saved().position.order == before
    runs = _counted(monkeypatch)
    altered.stream()
    altered.assert_equal()
    assert len(runs) == (1 if place == "before" else 0)
    assert altered.rows(_intents(altered)) == []


@pytest.mark.parametrize("gone", [("a",), ("b",), ("a", "b"), ("a", "b", "c")], ids=" ".join)
def test_killed_half_way_through_a_drop(
    altered: Harness, gone: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    altered.on_primary("DROP TABLE a, b, c", "CREATE TABLE rest (id INT PRIMARY KEY)")
    killer = Killer("before")
    killer.arm(monkeypatch)
    with pytest.raises(KilledError):
        altered.stream()
    # The server drops one table after the other: so far it came.
    altered.on_secondary(*(f"DROP TABLE {table}" for table in gone))
    monkeypatch.setattr(execution_module.DdlExecution, "_run", ORIGINAL)
    altered.stream()
    altered.assert_equal()


def test_half_of_a_drop_with_foreign_keys(altered: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    altered.on_both("CREATE TABLE kid (id INT PRIMARY KEY, up INT, FOREIGN KEY (up) REFERENCES a (id))")
    altered.begin_here()
    altered.on_primary("DROP TABLE kid, a", "INSERT INTO c VALUES (1, 1)")
    killer = Killer("before")
    killer.arm(monkeypatch)
    with pytest.raises(KilledError):
        altered.stream()
    altered.on_secondary("DROP TABLE kid")
    monkeypatch.setattr(execution_module.DdlExecution, "_run", ORIGINAL)
    altered.stream()
    altered.assert_equal()


def test_the_connection_dies_between_the_statement_and_the_position(altered: Harness) -> None:
    altered.on_primary("ALTER TABLE a ADD COLUMN w INT DEFAULT 4", "INSERT INTO a VALUES (3, 30, 300)")
    with altered.open() as sessions:
        streaming = altered.streaming(sessions)
        die_behind(sessions.writer, altered, "ALTER TABLE")
        with pytest.raises(ReplicaError):
            streaming.run(until_caught_up=True)
    altered.stream()
    altered.assert_equal()


def test_what_was_done_so_that_a_refused_statement_can_run_is_not_its_outcome(altered: Harness) -> None:
    altered.on_secondary("ALTER TABLE a ADD COLUMN w INT DEFAULT 4")
    altered.on_primary("ALTER TABLE a ADD COLUMN w INT DEFAULT 4", "INSERT INTO a VALUES (3, 30, 300)")
    with pytest.raises(ApplyRefused):
        altered.stream()
    altered.on_secondary("ALTER TABLE a DROP COLUMN w")
    altered.stream()
    altered.assert_equal()


def test_a_statement_that_was_carried_out_in_spite_of_an_error_is_not_repeated(
    altered: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    altered.on_primary("ALTER TABLE a ADD COLUMN w INT DEFAULT 4", "INSERT INTO a VALUES (3, 30, 300)")
    execute = Session.execute_one

    def failing(session: Session, sql: str | bytes) -> int:
        execute(session, sql)
        # As a server says it that could not write the statement into its own log.
        raise ServerError(1026, "error writing a file", "db1", remedy=Remedy.WAIT)

    with monkeypatch.context() as patched:
        patched.setattr(Session, "execute_one", failing)
        with pytest.raises(ServerError):
            altered.stream()
    altered.stream()
    altered.assert_equal()


def test_a_truncate_runs_whatever_somebody_did_to_the_table_meanwhile(
    altered: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    altered.on_primary("TRUNCATE TABLE a", "INSERT INTO a VALUES (3, 30)")
    with monkeypatch.context() as patched:
        Killer("before").arm(patched)
        with pytest.raises(KilledError):
            altered.stream()
    altered.on_secondary("ALTER TABLE a ADD KEY mine (v)")
    altered.stream()
    assert altered.rows("SELECT id FROM a") == [(3,)]


def test_ddl_and_rows_in_turn(altered: Harness) -> None:
    altered.on_primary(
        "INSERT INTO a VALUES (3, 30)",
        "ALTER TABLE a ADD COLUMN w VARCHAR(9) DEFAULT 'é' FIRST",
        "INSERT INTO a VALUES ('x', 4, 40)",
        "ALTER TABLE a MODIFY COLUMN v BIGINT UNSIGNED, DROP COLUMN w",
        "INSERT INTO a VALUES (5, 18446744073709551615)",
        "RENAME TABLE a TO x, b TO a, x TO b",
        "INSERT INTO a VALUES (7, 1, 1)",
        "INSERT INTO b VALUES (8, 9223372036854775808)",
        "TRUNCATE TABLE c",
        "CREATE TABLE n AS SELECT id, v FROM b",
        "DROP TABLE c",
        "CREATE TABLE c (k VARCHAR(9) PRIMARY KEY)",
        "INSERT INTO c VALUES ('new')",
    )
    altered.stream()
    altered.assert_equal()
    assert not altered.tables.load()


def _intents(harness: Harness) -> str:
    return f"SELECT pos FROM `{harness.settings.state_schema}`.ddl_intent"


def _counted(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    runs: list[object] = []

    def run(self: execution_module.DdlExecution, *args: Any) -> None:
        runs.append(args)
        ORIGINAL(self, *args)

    monkeypatch.setattr(execution_module.DdlExecution, "_run", run)
    return runs
