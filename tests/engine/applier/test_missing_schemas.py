"""Schemas that have no table on the primary: a copy makes them, and the stream makes one that the secondary misses."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.support.equality import assert_equal

if TYPE_CHECKING:
    from tests.engine.applier.harness import Bench

STATEMENTS = {
    "create": ("USE {empty}", "CREATE TABLE made (id INT PRIMARY KEY, word VARCHAR(9))"),
    "create from elsewhere": ("CREATE TABLE {empty}.made (id INT PRIMARY KEY, word VARCHAR(9))",),
    "create like": ("CREATE TABLE {empty}.made LIKE model",),
    "rename": ("RENAME TABLE model TO {empty}.made",),
    "alter": ("ALTER TABLE model RENAME TO {empty}.made, COMMENT 'moved'",),
    "alter schema": ("ALTER DATABASE {empty} CHARACTER SET utf8mb3", "CREATE TABLE {empty}.made LIKE model"),
}


@pytest.fixture
def empty(bench: Bench) -> str:
    """Give a schema that only the primary has, without a table, and that the filters route into one of another name."""
    name = f"{bench.schema}_e"
    bench.on_primary(
        f"CREATE DATABASE {name} CHARACTER SET latin1", "CREATE TABLE model (id INT PRIMARY KEY, word VARCHAR(9))"
    )
    schemas = ((bench.schema, bench.schema), (name, f"{name}_here"))
    bench.settings = replace(bench.settings, selection=replace(bench.settings.selection, schemas=schemas))
    return name


def charset(bench: Bench, schema: str) -> list[tuple[object, ...]]:
    return bench.rows(
        f"SELECT default_character_set_name FROM information_schema.schemata WHERE schema_name = '{schema}'"
    )


def test_a_copy_makes_it(bench: Bench, empty: str) -> None:
    bench.on_primary("INSERT INTO model VALUES (1, 'x')")
    bench.follow()
    assert charset(bench, f"{empty}_here") == [("latin1",)]


@pytest.mark.parametrize("kind", STATEMENTS)
def test_the_stream_makes_it_before_the_first_table_in_it(bench: Bench, empty: str, kind: str) -> None:
    bench.on_secondary("CREATE TABLE model (id INT PRIMARY KEY, word VARCHAR(9))")
    bench.begin_here()
    bench.on_primary(*(statement.replace("{empty}", empty) for statement in STATEMENTS[kind]))
    bench.on_primary(f"INSERT INTO {empty}.made VALUES (1, 'x')")
    bench.follow()
    assert bench.tables.load() == {}
    assert_equal(bench.primary, bench.secondary, empty, f"{empty}_here")
    assert charset(bench, f"{empty}_here") == [("utf8mb3" if kind == "alter schema" else "latin1",)]
