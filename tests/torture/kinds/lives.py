"""Tables that come, go and change places: made from a SELECT, failed, renamed, exchanged, dropped with their schema."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.torture.kinds.kind import Fails, Kind, has_table
from tests.torture.tables import OTHER_SCHEMA

if TYPE_CHECKING:
    from collections.abc import Iterator
    from random import Random

    from replica_cli.mysql.session import Session

_DUPLICATE = frozenset({1062})


def _replace_and_fail(session: Session, chance: Random, number: int) -> Iterator[str | Fails]:
    if has_table(session, "k_replaced"):
        yield Fails(
            "CREATE OR REPLACE TABLE k_replaced (PRIMARY KEY (id)) SELECT 1 AS id, 'x' AS word UNION ALL SELECT 1, 'y'",
            _DUPLICATE,
        )
        if chance.random() < 0.3:
            return  # gone until the next time
    yield f"CREATE OR REPLACE TABLE k_replaced (id INT PRIMARY KEY, word VARCHAR({chance.randint(30, 60)}))"
    yield f"INSERT INTO k_replaced SELECT n, {number} FROM digits WHERE n < 10"


def _change_replaced(chance: Random, number: int) -> list[str]:
    return [f"REPLACE INTO k_replaced VALUES ({chance.randrange(50)}, 'by {number}')"]


def _replace_database(session: Session, chance: Random, number: int) -> Iterator[str]:
    if session.is_mariadb:
        yield f"CREATE OR REPLACE DATABASE {OTHER_SCHEMA} CHARACTER SET utf8mb4"
    else:
        yield f"DROP DATABASE IF EXISTS {OTHER_SCHEMA}"
        yield f"CREATE DATABASE {OTHER_SCHEMA} CHARACTER SET utf8mb4"
    yield f"CREATE TABLE {OTHER_SCHEMA}.guest (id INT PRIMARY KEY, word VARCHAR(30))"
    yield f"INSERT INTO {OTHER_SCHEMA}.guest SELECT n, {number} FROM torture.digits WHERE n < 10"
    if chance.random() < 0.5:
        yield f"CREATE TABLE {OTHER_SCHEMA}.room_{number} LIKE {OTHER_SCHEMA}.guest"
        yield f"INSERT INTO {OTHER_SCHEMA}.room_{number} SELECT * FROM {OTHER_SCHEMA}.guest"


def _change_other(chance: Random, number: int) -> list[str]:
    return [f"REPLACE INTO {OTHER_SCHEMA}.guest VALUES ({chance.randrange(50)}, 'by {number}')"]


def _exchange(session: Session, chance: Random, number: int) -> Iterator[str]:  # noqa: ARG001
    yield "ALTER TABLE k_parts EXCHANGE PARTITION p1 WITH TABLE k_part"
    if chance.random() < 0.3:
        yield "ALTER TABLE k_parts TRUNCATE PARTITION p0"


def _change_parts(chance: Random, number: int) -> list[str]:
    return [
        f"REPLACE INTO k_parts VALUES ({chance.randrange(200)}, 'by {number}')",
        f"REPLACE INTO k_part VALUES ({chance.randrange(100, 200)}, 'apart {number}')",
        f"DELETE FROM k_parts WHERE id = {chance.randrange(200)}",
    ]


def _convert(session: Session, chance: Random, number: int) -> Iterator[str]:
    if has_table(session, "k_converted"):
        if chance.random() < 0.6:
            yield "ALTER TABLE k_convert CONVERT TABLE k_converted TO PARTITION p1 VALUES LESS THAN (200)"
            return
        yield "DROP TABLE k_converted"
        yield "ALTER TABLE k_convert ADD PARTITION (PARTITION p1 VALUES LESS THAN (200))"
    yield f"REPLACE INTO k_convert SELECT n + 100, {number} FROM digits WHERE n < 10"
    yield "ALTER TABLE k_convert CONVERT PARTITION p1 TO TABLE k_converted"


def _change_converted(chance: Random, number: int) -> list[str]:
    table, least = chance.choice((("k_convert", 0), ("k_converted", 100)))
    return [f"REPLACE INTO {table} VALUES ({least + chance.randrange(100)}, 'by {number}')"]


def _select_into(session: Session, chance: Random, number: int) -> Iterator[str]:  # noqa: ARG001
    key = chance.choice(("", "(PRIMARY KEY (id)) "))
    yield f"CREATE TABLE k_select_{number} {key}SELECT id, n, note, uuid() AS own, rand() AS r, now() AS t FROM plain"
    yield f"UPDATE k_select_{number} SET note = 'changed' WHERE id MOD 3 = 0"
    yield f"RENAME TABLE k_select_{number} TO k_selected_{number}"
    yield f"DROP TABLE IF EXISTS k_select_{number}, k_selected_{number}" if chance.random() < 0.6 else "DO 1"


def _rename(session: Session, chance: Random, number: int) -> Iterator[str]:  # noqa: ARG001
    if chance.random() < 0.5:
        yield "RENAME TABLE k_left TO k_middle, k_right TO k_left, k_middle TO k_right"
        return
    yield "RENAME TABLE k_left TO k_one"
    yield (
        "ALTER TABLE k_right RENAME TO k_left, ADD COLUMN IF NOT EXISTS more INT"
        if session.is_mariadb
        else ("ALTER TABLE k_right RENAME TO k_left")
    )
    yield f"RENAME TABLE k_one TO {OTHER_SCHEMA}.k_away"
    yield f"RENAME TABLE {OTHER_SCHEMA}.k_away TO k_right"


def _change_renamed(chance: Random, number: int) -> list[str]:
    table = chance.choice(("k_left", "k_right"))
    return [
        f"REPLACE INTO {table} (id, word) VALUES ({chance.randrange(100)}, 'by {number}')",
        f"DELETE FROM {table} WHERE id = {chance.randrange(100)}",
    ]


def _same_name(session: Session, chance: Random, number: int) -> Iterator[str]:  # noqa: ARG001
    if chance.random() < 0.4:
        yield "TRUNCATE TABLE k_same"
    else:
        more = chance.choice(("", ", n INT NOT NULL DEFAULT 5", ", word2 TEXT", ", KEY (word)"))
        yield "DROP TABLE IF EXISTS k_same"
        yield f"CREATE TABLE k_same (id INT PRIMARY KEY, word VARCHAR({chance.randint(30, 90)}){more})"
    yield f"INSERT INTO k_same (id, word) SELECT n + 1000, {number} FROM digits WHERE n < 10"


def _change_same(chance: Random, number: int) -> list[str]:
    return [
        f"REPLACE INTO k_same (id, word) VALUES ({chance.randrange(100)}, 'by {number}')",
        f"DELETE FROM k_same WHERE id = {chance.randrange(100)}",
    ]


_ROWS = "SELECT n, n FROM digits WHERE n < 20"
_PLAIN = "(id INT PRIMARY KEY, word VARCHAR(30))"
_HALVES = "PARTITION BY RANGE (id) (PARTITION p0 VALUES LESS THAN (100), PARTITION p1 VALUES LESS THAN (200))"

LIFE_KINDS = (
    Kind(
        "failed-replace", (f"CREATE TABLE k_replaced {_PLAIN}", f"INSERT INTO k_replaced {_ROWS}"),
        "k_replaced", _replace_and_fail, _change_replaced, is_mariadb_only=True,
    ),
    Kind("replace-database", (), "guest|room_.*", _replace_database, _change_other),
    Kind(
        "exchange-partition",
        (f"CREATE TABLE k_parts {_PLAIN} {_HALVES}", f"CREATE TABLE k_part {_PLAIN}", f"INSERT INTO k_parts {_ROWS}"),
        "k_parts?", _exchange, _change_parts,
    ),
    Kind(
        "convert-partition", (f"CREATE TABLE k_convert {_PLAIN} {_HALVES}", f"INSERT INTO k_convert {_ROWS}"),
        "k_convert(ed)?", _convert, _change_converted, is_mariadb_only=True,
    ),
    Kind("create-select", (), "k_select(ed)?_.*", _select_into),
    Kind(
        "rename-chain",
        (f"CREATE TABLE k_left {_PLAIN}", "CREATE TABLE k_right (id INT PRIMARY KEY, word VARCHAR(60), n INT)",
         f"INSERT INTO k_left {_ROWS}"),
        "k_(left|right|middle|one|away)", _rename, _change_renamed,
    ),
    Kind(
        "same-name", (f"CREATE TABLE k_same {_PLAIN}", f"INSERT INTO k_same {_ROWS}"),
        "k_same", _same_name, _change_same,
    ),
)  # fmt: skip
