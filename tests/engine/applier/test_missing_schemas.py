"""Schemas that have no table on the primary: a copy makes them, and the stream makes one that the secondary misses."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.support.equality import assert_equal

if TYPE_CHECKING:
    from tests.engine.applier.harness import Harness

STATEMENTS = {
    "create": ("USE {empty}", "CREATE TABLE made (id INT PRIMARY KEY, word VARCHAR(9))"),
    "create from elsewhere": ("CREATE TABLE {empty}.made (id INT PRIMARY KEY, word VARCHAR(9))",),
    "create like": ("CREATE TABLE {empty}.made LIKE model",),
    "rename": ("RENAME TABLE model TO {empty}.made",),
    "alter": ("ALTER TABLE model RENAME TO {empty}.made, COMMENT 'moved'",),
    "alter schema": ("ALTER DATABASE {empty} CHARACTER SET utf8mb3", "CREATE TABLE {empty}.made LIKE model"),
}


@pytest.fixture
def empty(harness: Harness) -> str:
    """Give a schema that only the primary has, without a table, and that the filters route into one of another name."""
    name = f"{harness.schema}_e"
    harness.on_primary(
        f"CREATE DATABASE {name} CHARACTER SET latin1", "CREATE TABLE model (id INT PRIMARY KEY, word VARCHAR(9))"
    )
    schemas = ((harness.schema, harness.schema), (name, f"{name}_here"))
    harness.settings = replace(harness.settings, selection=replace(harness.settings.selection, schemas=schemas))
    return name


def charset(harness: Harness, schema: str) -> list[tuple[object, ...]]:
    return harness.rows(
        f"SELECT default_character_set_name FROM information_schema.schemata WHERE schema_name = '{schema}'"
    )


def test_a_copy_makes_it(harness: Harness, empty: str) -> None:
    harness.on_primary("INSERT INTO model VALUES (1, 'x')")
    harness.follow()
    assert charset(harness, f"{empty}_here") == [("latin1",)]


@pytest.mark.parametrize("kind", STATEMENTS)
def test_the_stream_makes_it_before_the_first_table_in_it(harness: Harness, empty: str, kind: str) -> None:
    harness.on_secondary("CREATE TABLE model (id INT PRIMARY KEY, word VARCHAR(9))")
    harness.begin_here()
    harness.on_primary(*(statement.replace("{empty}", empty) for statement in STATEMENTS[kind]))
    harness.on_primary(f"INSERT INTO {empty}.made VALUES (1, 'x')")
    harness.follow()
    assert harness.tables.load() == {}
    assert_equal(harness.primary, harness.secondary, empty, f"{empty}_here")
    assert charset(harness, f"{empty}_here") == [("utf8mb3" if kind == "alter schema" else "latin1",)]
