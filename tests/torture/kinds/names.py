"""Statements whose text is hard to read: odd names, qualified names, strings under another sql_mode, shadowed names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.torture.kinds.kind import Kind, columns_of
from tests.torture.tables import OTHER_SCHEMA, SCHEMA

if TYPE_CHECKING:
    from collections.abc import Iterator
    from random import Random

    from replica_cli.mysql.session import Session


def _use_digits(session: Session, chance: Random, number: int) -> Iterator[str]:  # noqa: ARG001
    yield f"USE {chance.choice((SCHEMA, OTHER_SCHEMA))}"
    kind = chance.randrange(3)
    if kind == 0:
        yield f"TRUNCATE {SCHEMA}.2024"
    elif kind == 1:
        yield f"DROP TABLE IF EXISTS {SCHEMA}.2024"
        yield f"CREATE TABLE {SCHEMA}.2024 (id INT PRIMARY KEY, word VARCHAR({chance.randint(30, 60)}))"
    else:
        yield f"RENAME TABLE {SCHEMA}.2024 TO {SCHEMA}.2025"
        yield f"ALTER TABLE {SCHEMA}.2025 RENAME TO {SCHEMA}.2024"
    yield f"INSERT INTO {SCHEMA}.2024 VALUES ({number % 1000 + 5000}, 'after {number}')"


def _change_digits(chance: Random, number: int) -> list[str]:
    return [
        f"REPLACE INTO `2024` VALUES ({number % 1000}, 'by {number}')",
        f"DELETE FROM `2024` WHERE id = {chance.randrange(1000)}",
    ]


def _qualify(session: Session, chance: Random, number: int) -> Iterator[str]:
    columns = columns_of(session, "k_qualified")
    table = f"{SCHEMA}.k_qualified"
    if len(columns) > 2:
        yield f"ALTER TABLE {table} DROP COLUMN {columns[0]}"
    name = f"{table}.v" if session.is_mariadb else "v"
    yield f"ALTER TABLE {table} MODIFY COLUMN {name} {chance.choice(('BIGINT', 'INT', 'DECIMAL(12,1)'))}"
    if session.is_mariadb:
        yield f"ALTER TABLE .k_qualified ADD COLUMN c_{number} INT DEFAULT {number % 9}"
    yield f"USE {OTHER_SCHEMA}"
    yield f"ALTER TABLE {SCHEMA} . `k_qualified` ADD c_{number}0 INT /* {SCHEMA}.plain */ DEFAULT 1 -- , DROP v\n"


def _change_qualified(chance: Random, number: int) -> list[str]:
    return [
        f"REPLACE INTO k_qualified (id, v) VALUES ({number % 500}, {number % 1000})",
        f"DELETE FROM k_qualified WHERE id = {chance.randrange(500)}",
    ]


def _use_modes(session: Session, chance: Random, number: int) -> Iterator[str]:
    columns = columns_of(session, "k_modes")
    table = "k_modes"
    if len(columns) > 4:
        drops = ", ".join(f"DROP COLUMN `{c.replace('`', '``')}`" for c in columns)
        yield f"ALTER TABLE {table} {drops}"
    kind = chance.randrange(4)
    if kind == 0:
        yield "SET SESSION sql_mode = 'ANSI_QUOTES'"
        yield (
            f'ALTER TABLE "{table}" ADD "c_{number}" VARCHAR(40) DEFAULT \'"; drop table torture.plain; --\','
            f' ADD "c_""{number}" INT COMMENT \'a "b\''
        )
    elif kind == 1:
        yield "SET SESSION sql_mode = 'NO_BACKSLASH_ESCAPES'"
        yield (
            f"ALTER TABLE {table} ADD c_{number} VARCHAR(40) DEFAULT 'x\\', ADD c_{number}0 VARCHAR(40)"
            " DEFAULT ';y\\' COMMENT 'a\\'"
        )
    elif kind == 2:
        yield "SET SESSION sql_mode = 'PIPES_AS_CONCAT,IGNORE_SPACE'"
        yield f"ALTER TABLE {table} ADD c_{number} VARCHAR(40) DEFAULT ('a' || 'b')"
    else:
        yield "SET SESSION sql_mode = ''"
        yield (
            f"ALTER TABLE {table} ADD c_{number} VARCHAR(60) DEFAULT 'a\\'); drop table torture.plain; -- \\\\'"
            f' COMMENT "it\'s \\"so\\""'
        )


def _change_modes(chance: Random, number: int) -> list[str]:
    return [
        f"INSERT INTO k_modes (word) VALUES ('by {number}')",
        f"UPDATE k_modes SET word = 'changed {number}' ORDER BY id DESC LIMIT {chance.randint(1, 3)}",
        "DELETE FROM k_modes ORDER BY id LIMIT 1",
    ]


def _shadow(session: Session, chance: Random, number: int) -> Iterator[str]:  # noqa: ARG001
    yield "CREATE TEMPORARY TABLE k_shadow (id INT PRIMARY KEY, word VARCHAR(30), own INT)"
    yield f"INSERT INTO k_shadow VALUES ({number % 1000}, 'temporary', 1)"
    if chance.random() < 0.5:
        yield "TRUNCATE k_shadow"
    yield f"ALTER TABLE k_shadow ADD COLUMN c_{number} INT"
    if chance.random() < 0.5:
        yield "ALTER TABLE k_shadow RENAME TO k_shadowed"
        yield f"DROP {chance.choice(('TEMPORARY TABLE', 'TABLE'))} k_shadowed"
    else:
        yield f"DROP {chance.choice(('TEMPORARY TABLE', 'TABLE IF EXISTS', 'TABLE'))} k_shadow"
    # The real one again.
    yield f"REPLACE INTO k_shadow VALUES ({number % 1000}, 'real {number}')"


def _change_shadowed(chance: Random, number: int) -> list[str]:
    return [
        f"REPLACE INTO k_shadow VALUES ({number % 1000}, 'by {number}')",
        f"DELETE FROM k_shadow WHERE id = {chance.randrange(1000)}",
    ]


_ROWS = "SELECT n, n FROM digits WHERE n < 20"
_PLAIN = "(id INT PRIMARY KEY, word VARCHAR(30))"

NAME_KINDS = (
    Kind(
        "digits", (f"CREATE TABLE `2024` {_PLAIN}", f"INSERT INTO `2024` {_ROWS}"),
        "202[45]", _use_digits, _change_digits,
    ),
    Kind(
        "qualified",
        ("CREATE TABLE k_qualified (id INT PRIMARY KEY, v INT)", f"INSERT INTO k_qualified {_ROWS}"),
        "k_qualified", _qualify, _change_qualified,
    ),
    Kind(
        "sql-mode", ("CREATE TABLE k_modes (id INT AUTO_INCREMENT PRIMARY KEY, word VARCHAR(30))",
                     f"INSERT INTO k_modes {_ROWS} AND n > 0"),
        "k_modes", _use_modes, _change_modes,
    ),
    Kind(
        "temporary", (f"CREATE TABLE k_shadow {_PLAIN}", f"INSERT INTO k_shadow {_ROWS}"),
        "k_shadow(ed)?", _shadow, _change_shadowed,
    ),
)  # fmt: skip
