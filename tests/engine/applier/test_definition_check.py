"""What a statement made is compared with what it made on the primary: no event tells all of its session."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from replica_cli.applier.ddl.altered import AlteredTables
from replica_cli.core.errors import ReplicaError, TableChangedInWindow
from replica_cli.core.settings import EngineChoice
from replica_cli.mysql.errnos import Remedy, ServerError
from replica_cli.runtime.copying import ask_for_copies
from replica_cli.worker import worker as worker_module
from tests.engine.applier.killer import KilledError, Killer, die_behind

if TYPE_CHECKING:
    from tests.engine.applier.harness import Harness

# A setting of one session that is not in the log, and a statement that it changes.
UNTOLD = {
    "mariadb": ("old_mode = ''", "CREATE TABLE t (id INT PRIMARY KEY, v TEXT CHARACTER SET utf8)", "charset v"),
    "mysql": (
        "default_week_format = 3",
        "CREATE TABLE t (id INT PRIMARY KEY, v INT AS (WEEK('2024-01-07')) VIRTUAL)",
        "generated v",
    ),
}


def in_session(harness: Harness, setting: str, *statements: str) -> None:
    with harness.primary.session(harness.schema) as session:
        session.execute(f"SET SESSION {setting}")
        for statement in statements:
            session.execute(statement)


def test_a_table_that_became_another_is_copied_again_and_once(harness: Harness) -> None:
    setting, statement, difference = UNTOLD[harness.primary.binary.flavour]
    harness.begin_here()
    in_session(harness, setting, statement)
    with pytest.raises(TableChangedInWindow, match=f"{difference}: .* on the primary, .* on the secondary") as met:
        harness.stream()
    assert met.value.tables == (harness.name("t"),)
    # As long as it is not altered again: a copy with the same result is not repeated without end.
    harness.altered.forget(harness.name("t"))
    harness.on_primary("CREATE TABLE other (id INT PRIMARY KEY)")
    harness.stream()
    assert harness.altered.before == {}


def test_a_table_that_was_renamed_meanwhile(harness: Harness) -> None:
    setting, statement, _ = UNTOLD[harness.primary.binary.flavour]
    harness.begin_here()
    in_session(harness, setting, statement, "ALTER TABLE t RENAME TO u, ADD x INT", "ALTER TABLE u RENAME TO w")
    with pytest.raises(TableChangedInWindow) as met:
        harness.stream()
    assert met.value.tables == (harness.name("w"),)


@pytest.mark.parametrize("place", ["before", "behind", "renamed"])
def test_a_process_that_was_killed_leaves_it_to_the_next_one(
    harness: Harness, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    setting, statement, _ = UNTOLD[harness.primary.binary.flavour]
    harness.begin_here()
    in_session(harness, setting, statement, "RENAME TABLE t TO u")
    killer = Killer("before" if place == "before" else "behind", left=2 if place == "renamed" else 1)
    with monkeypatch.context() as patched:
        killer.arm(patched)
        with pytest.raises(KilledError):
            harness.stream()
    harness.altered = AlteredTables()
    with pytest.raises(TableChangedInWindow) as met:
        harness.stream()
    assert met.value.tables == (harness.name("u"),)
    harness.altered.forget(harness.name("u"))
    harness.on_primary("CREATE TABLE other (id INT PRIMARY KEY)")
    harness.stream()
    assert harness.rows(f"SELECT table_name FROM `{harness.settings.state_schema}`.uncompared_table") == []


@pytest.mark.parametrize("place", ["CREATE TABLE", "RENAME TABLE"])
def test_a_connection_that_was_lost_behind_the_statement(harness: Harness, place: str) -> None:
    setting, statement, _ = UNTOLD[harness.primary.binary.flavour]
    harness.begin_here()
    in_session(harness, setting, statement, "RENAME TABLE t TO u")
    with harness.open() as sessions:
        streaming = harness.streaming(sessions)
        die_behind(sessions.writer, harness, place, before_its_answer=True)
        with pytest.raises(ReplicaError):
            streaming.run(until_caught_up=True)
    with pytest.raises(TableChangedInWindow) as met:
        harness.stream()
    assert met.value.tables == (harness.name("u"),)


def test_a_copy_that_could_not_be_asked_for_is_asked_for_again(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    setting, statement, _ = UNTOLD[harness.primary.binary.flavour]
    harness.on_both("CREATE TABLE live (id INT PRIMARY KEY)")
    harness.begin_here()
    in_session(harness, setting, statement)
    asked: list[object] = []

    def failing(*args: Any) -> None:
        asked.append(args)
        if len(asked) == 1:
            raise ServerError(2013, "lost", "primary", remedy=Remedy.RECONNECT)
        ask_for_copies(*args)

    monkeypatch.setattr(worker_module, "ask_for_copies", failing)
    assert harness.work().failure is None
    assert len(asked) == 2
    harness.assert_equal()


@pytest.mark.servers("mariadb")
@pytest.mark.parametrize("engine", ["auto", "sql"])
def test_rows_that_do_not_fit_what_a_statement_made_are_no_drift(harness: Harness, engine: str) -> None:
    harness.begin_here()
    in_session(
        harness, "old_mode = ''", "CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(9) CHARACTER SET utf8)",
        "INSERT INTO t VALUES (1, 'x')", "CREATE TABLE u (id INT PRIMARY KEY)", "INSERT INTO u VALUES (1)",
    )  # fmt: skip
    with pytest.raises(TableChangedInWindow, match="after a statement of the stream") as met:
        harness.stream(apply=replace(harness.settings.apply, engine=EngineChoice(engine)))
    assert met.value.tables == (harness.name("t"),)


def test_what_somebody_changed_on_the_secondary_is_left_alone(harness: Harness) -> None:
    harness.on_both("CREATE TABLE t (id INT PRIMARY KEY, v INT NOT NULL, w VARCHAR(9))")
    harness.on_secondary("ALTER TABLE t MODIFY v BIGINT NULL, ADD KEY mine (v)")
    harness.begin_here()
    harness.on_primary("ALTER TABLE t ADD x VARCHAR(9) NOT NULL DEFAULT 'é'", "CREATE INDEX by_w ON t (w)")
    harness.stream()
    assert harness.altered.before == {}


def test_statements_that_are_on_their_way_are_no_difference(harness: Harness) -> None:
    harness.begin_here()
    for number in range(12):
        harness.on_primary(
            f"CREATE TABLE t{number} (id INT PRIMARY KEY, v VARCHAR(9))",
            f"ALTER TABLE t{number} MODIFY v TEXT NOT NULL",
            f"ALTER TABLE t{number} ADD UNIQUE KEY (id), ADD w INT",
            f"ALTER TABLE t{number} DROP w, DROP PRIMARY KEY",
        )
    harness.on_primary("DROP TABLE t1", "RENAME TABLE t2 TO moved")
    harness.stream()
    assert harness.altered.before == {}
    harness.assert_equal()


def test_a_schemas_default_that_a_later_statement_changed(harness: Harness) -> None:
    # Of a default of then the primary tells nothing: the wrong guess is noticed.
    harness.begin_here()
    harness.on_primary(
        "CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(9))", f"ALTER DATABASE `{harness.schema}` CHARACTER SET latin1"
    )
    with pytest.raises(TableChangedInWindow, match="t: table collation"):
        harness.stream()


@pytest.mark.servers("mariadb", "10.11")
def test_a_statement_that_changed_nothing_here(harness: Harness) -> None:
    harness.on_both("CREATE TABLE t (id INT PRIMARY KEY, v TEXT CHARACTER SET utf8mb3)")
    harness.begin_here()
    in_session(harness, "old_mode = ''", "ALTER TABLE t MODIFY v TEXT CHARACTER SET utf8")
    with pytest.raises(TableChangedInWindow, match="t: charset v: utf8mb4 on the primary"):
        harness.stream()


@pytest.mark.servers("mariadb")
def test_row_versions_that_are_written_in_doubt_are_compared_after_a_kill(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    harness.on_both("CREATE TABLE t (id INT PRIMARY KEY) WITH SYSTEM VERSIONING")
    harness.begin_here()
    harness.on_primary(
        "INSERT INTO t VALUES (1)",
        "SET SESSION system_versioning_alter_history = 'KEEP'",
        "ALTER TABLE t ADD n INT DEFAULT 5",
    )

    def die(*_: object, **__: object) -> None:
        raise KilledError("here")

    with monkeypatch.context() as patch:
        patch.setattr("replica_cli.applier.ddl.decisions.DdlDecisions.decide", die)
        with pytest.raises(KilledError):
            harness.stream()
    assert harness.rows("SELECT id FROM t") == [(1,)]
    assert harness.rows(f"SELECT table_name FROM {harness.settings.state_schema}.uncompared_table") == [("t",)]
    harness.altered = AlteredTables()
    harness.stream()
    assert harness.altered.before == {}
    assert harness.rows(f"SELECT table_name FROM {harness.settings.state_schema}.uncompared_table") == []
