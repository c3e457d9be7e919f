"""Definitions that come with the stream from the other flavour: collations go by the name that they have here."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from replica_cli.core.charsets import UCA1400_COLLATIONS
from replica_cli.core.errors import ApplyRefused
from replica_cli.core.settings import EngineChoice
from replica_cli.core.status import TableState
from replica_cli.mysql.catalog.collations import read_collations
from tests.engine.applier.harness import Harness

if TYPE_CHECKING:
    from collections.abc import Iterator

    from replica_cli.sandbox.server import SandboxServer
    from tests.support.servers import ServerFactory

STATEMENTS = {
    "CREATE TABLE t (id INT PRIMARY KEY, a VARCHAR(9) CHARACTER SET utf8mb4, b TEXT CHARACTER SET latin1)": "bare",
    "CREATE TABLE t (id INT PRIMARY KEY, a VARCHAR(9)) CHARSET=utf8mb4": "bare",
    "CREATE TABLE t (id INT PRIMARY KEY, a VARCHAR(9)) DEFAULT CHARSET=utf8mb4 COLLATE={own}": "own",
    "CREATE TABLE t (id INT PRIMARY KEY, a VARCHAR(60) COLLATE {own} NOT NULL DEFAULT 'COLLATE {own}')": "own",
    "CREATE TABLE t (id INT PRIMARY KEY, a VARCHAR(9) COLLATE utf8mb4_bin)": "utf8mb4_bin",
    "CREATE TABLE t (id INT PRIMARY KEY, a VARCHAR(9) COLLATE `utf8mb4_general_ci`)": "utf8mb4_general_ci",
}
# Primary and secondary; what a charset without a collation means there, and what that and another are called here.
CROSSINGS = {
    "mysql to mariadb": (
        ("mysql", None), ("mariadb", "10.11"), "utf8mb4_uca1400_nopad_ai_ci",
        ("utf8mb4_0900_as_cs", "utf8mb4_uca1400_nopad_as_cs"),
    ),
    "mariadb to mysql": (
        ("mariadb", "11.8"), ("mysql", None), "utf8mb4_0900_ai_ci", ("utf8mb4_uca1400_as_ci", "utf8mb4_0900_as_ci"),
    ),
}  # fmt: skip


@pytest.fixture(params=CROSSINGS)
def crossing(request: pytest.FixtureRequest, server_factory: ServerFactory) -> Iterator[tuple[Harness, str, str, str]]:
    source, target, bare, (own, there) = CROSSINGS[request.param]
    harness = Harness(server_factory(*source), server_factory(*target), "crossed")
    yield harness, bare, own, there
    harness.close()


def test_collations_go_by_the_name_that_they_have_here(crossing: tuple[Harness, str, str, str]) -> None:
    harness, bare, own, there = crossing
    for statement, meant in STATEMENTS.items():
        harness.on_primary("DROP TABLE IF EXISTS t")
        harness.on_secondary("DROP TABLE IF EXISTS t")
        harness.begin_here()
        harness.on_primary(statement.format(own=own), "INSERT INTO t (id, a) VALUES (1, 'é')")
        harness.stream()
        asked = "SELECT collation_name FROM information_schema.columns WHERE table_schema = 'crossed' "
        found = harness.rows(asked + "AND table_name = 't' AND column_name = 'a'")
        assert found == [({"bare": bare, "own": there}.get(meant, meant),)], statement
        assert harness.rows("SELECT a FROM t") == [("é",)]
        default = harness.rows("SELECT column_default FROM information_schema.columns WHERE table_schema = 'crossed' "
                             "AND table_name = 't' AND column_name = 'a'")  # fmt: skip
        assert ("COLLATE" in str(default[0][0])) is ("DEFAULT 'COLLATE" in statement)


def test_what_has_no_equal_here_is_refused_by_name(server_factory: ServerFactory) -> None:
    harness = Harness(server_factory("mariadb", "11.8"), server_factory("mysql"), "crossed")
    for charset in ("utf8mb3", "ucs2"):
        harness.begin_here()
        harness.on_primary(f"CREATE TABLE {charset} (id INT PRIMARY KEY, a VARCHAR(9) CHARACTER SET {charset})")
        with pytest.raises(ApplyRefused, match=f"CHARACTER SET {charset}"):
            harness.stream()
    harness.close()


@pytest.mark.servers("mariadb")
@pytest.mark.every_release
def test_the_numbers_of_collations_that_one_flavour_has(primary: SandboxServer) -> None:
    with primary.session() as session:
        known = {number: name for number, (name, _) in read_collations(session).items()}
    assert {number: known[number] for number in UCA1400_COLLATIONS} == UCA1400_COLLATIONS


ESCAPES = (r"CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(9) DEFAULT 'a\', w VARCHAR(9) DEFAULT '\n')",
           "INSERT INTO t (id) VALUES (1)")  # fmt: skip
# What a session's mode decides. Statements that convert values are not run across flavours.
MODES = (
    ("", ("CREATE TABLE t (id INT PRIMARY KEY, v DATE DEFAULT '2024-01-01')", "INSERT INTO t (id) VALUES (1)")),
    ("NO_BACKSLASH_ESCAPES", ESCAPES),
    ("STRICT_ALL_TABLES", ("CREATE TABLE t (id INT PRIMARY KEY, v DATE)", "INSERT INTO t VALUES (1, '2024-01-01')")),
)


@pytest.mark.parametrize("name", CROSSINGS)
def test_a_statement_means_what_it_meant_in_its_mode(server_factory: ServerFactory, name: str) -> None:
    source, target, *_ = CROSSINGS[name]
    harness = Harness(server_factory(*source), server_factory(*target), "crossed")
    for mode, statements in MODES:
        harness.begin_here()
        with harness.primary.session("crossed") as session:
            session.execute(f"SET SESSION sql_mode = '{mode}'")
            for statement in statements:
                session.execute(statement)
        harness.stream()
        harness.assert_equal()
        harness.on_primary("DROP TABLE t")
        harness.stream()
    harness.close()


def test_utf8_is_what_it_is_on_the_primary(server_factory: ServerFactory) -> None:
    harness = Harness(server_factory("mariadb", "11.8", old_mode=""), server_factory("mysql"), "crossed")
    harness.begin_here()
    harness.on_primary(
        "CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(9) CHARACTER SET utf8 COLLATE utf8_bin, w TEXT CHARSET utf8)",
        "INSERT INTO t VALUES (1, '🙂', '🙂')",
    )
    harness.stream()
    asked = (
        "SELECT character_set_name FROM information_schema.columns WHERE table_schema = 'crossed' AND table_name = 't'"
    )
    assert harness.rows(f"{asked} AND character_set_name IS NOT NULL") == [("utf8mb4",), ("utf8mb4",)]
    assert harness.rows("SELECT v, w FROM t") == [("🙂", "🙂")]
    harness.close()


@pytest.mark.parametrize("engine", EngineChoice)
def test_a_value_that_an_older_release_cannot_hold_fails_its_table(
    server_factory: ServerFactory, engine: EngineChoice
) -> None:
    """The older server says of a row image with a TIMESTAMP after 2038 that its engine failed, as of a full disk."""
    harness = Harness(server_factory("mariadb", "11.8"), server_factory("mariadb", "10.11"), "crossed")
    harness.on_both("CREATE TABLE t (id INT PRIMARY KEY, at TIMESTAMP NULL)", "CREATE TABLE u (id INT PRIMARY KEY)")
    harness.begin_here()
    harness.on_primary("INSERT INTO t VALUES (1, '2038-01-01')", "INSERT INTO t VALUES (2, '2050-01-01')")
    harness.on_primary("INSERT INTO u VALUES (1)")
    harness.follow(apply=replace(harness.settings.apply, engine=engine, table_failures=2))
    assert harness.tables.load()[harness.name("t")].state is TableState.QUARANTINED
    assert harness.rows("SELECT id FROM t") == [(1,)]
    assert harness.rows("SELECT id FROM u") == [(1,)]
    harness.close()


# What the other flavour does not know of a schema.
OPTIONS = {
    "mariadb to mysql": (("mariadb", "11.8"), ("mysql", None), "COMMENT 'of replica'"),
    "mysql to mariadb": (("mysql", None), ("mariadb", "10.11"), "DEFAULT ENCRYPTION = 'N'"),
}


@pytest.mark.parametrize("crossing", OPTIONS)
def test_an_option_of_a_schema_that_this_flavour_lacks_does_not_stop_the_stream(
    server_factory: ServerFactory, crossing: str, caplog: pytest.LogCaptureFixture
) -> None:
    source, target, option = OPTIONS[crossing]
    harness = Harness(server_factory(*source), server_factory(*target), "crossed")
    schemas = (*harness.settings.selection.schemas, ("made", "made"))
    harness.settings = replace(harness.settings, selection=replace(harness.settings.selection, schemas=schemas))
    harness.begin_here()
    harness.on_primary(f"CREATE DATABASE made CHARACTER SET latin1 {option}")
    harness.stream()
    assert "nothing else of the statement, and the stream goes on" in caplog.text
    assert _charset(harness) == [("latin1",)]
    harness.on_primary(f"ALTER DATABASE made CHARACTER SET ascii {option}", "CREATE TABLE made.t (word CHAR(5))")
    harness.stream()
    assert _charset(harness) == [("ascii",)]
    harness.close()


def _charset(harness: Harness) -> list[tuple[object, ...]]:
    return harness.rows("SELECT default_character_set_name FROM information_schema.schemata WHERE schema_name = 'made'")


# Defaults of schemas that the other flavour lacks: a collation, or the charset itself; and what comes in their place.
DEFAULTS = {
    "mariadb": {
        "utf8mb3 COLLATE utf8mb3_uca1400_ai_ci": "utf8mb3_bin",
        "latin1 COLLATE latin1_swedish_nopad_ci": "latin1_bin",
        "binary": "binary",
    },
    "mysql": {"gb18030": "utf8mb4_bin", "utf8mb4 COLLATE utf8mb4_de_pb_0900_ai_ci": "utf8mb4_bin"},
}


@pytest.mark.parametrize("way", ["create", "replace", "alter", "copy"])
def test_a_schema_whose_default_is_not_there_has_one_that_is(crossing: tuple[Harness, str, str, str], way: str) -> None:
    harness = crossing[0]
    defaults = DEFAULTS["mariadb" if harness.is_mariadb else "mysql"]
    names = {f"crossed_{number}": text for number, text in enumerate(defaults)}
    selection = replace(harness.settings.selection, schemas=tuple((n, n) for n in ("crossed", *names)))
    harness.settings = replace(harness.settings, selection=selection)
    harness.on_primary("CREATE TABLE t (id INT PRIMARY KEY)")
    if way == "replace" and not harness.is_mariadb:
        pytest.skip("MySQL has no CREATE OR REPLACE DATABASE")
    if way in ("alter", "replace"):
        harness.on_both(*(f"CREATE DATABASE {name}" for name in names))
    if way != "copy":
        harness.on_secondary("CREATE TABLE t (id INT PRIMARY KEY)")
        harness.begin_here()
    verb = {"alter": "ALTER", "replace": "CREATE OR REPLACE"}.get(way, "CREATE")
    harness.on_primary(*(f"{verb} DATABASE {name} CHARACTER SET {text}" for name, text in names.items()))
    harness.on_primary("INSERT INTO t VALUES (1)")
    harness.follow()
    assert harness.rows("SELECT id FROM t") == [(1,)]
    made = harness.rows(
        "SELECT default_collation_name FROM information_schema.schemata WHERE schema_name IN "
        f"({', '.join(map(repr, names))}) ORDER BY schema_name"
    )
    assert [str(collation) for (collation,) in made] == list(defaults.values())
