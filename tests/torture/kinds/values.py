"""Statements whose rows depend on the server or the session that runs them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.torture.kinds.kind import Fails, Kind, columns_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from random import Random

    from replica_cli.mysql.session import Session

_UNSAFE = frozenset({1674, 3772})  # MySQL refuses some defaults that a replica could not repeat
_DUPLICATE = frozenset({1062})
_DEFAULTS = (
    "CHAR(36) NOT NULL DEFAULT (uuid())", "DOUBLE NOT NULL DEFAULT (rand())", "DOUBLE NULL DEFAULT (1 + rand())",
    "DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6)", "VARCHAR(90) NOT NULL DEFAULT (user())",
    "BIGINT NOT NULL DEFAULT (connection_id())", "BIGINT NOT NULL DEFAULT (unix_timestamp())",
    "VARCHAR(99) NULL DEFAULT (concat('a', @@hostname, @@port))", "INT NOT NULL DEFAULT (1 + 2)",
)  # fmt: skip
_ZONES = ("+09:00", "-03:30", "SYSTEM", "+00:00")


def _add_default(session: Session, chance: Random, number: int) -> Iterator[str | Fails]:
    columns = columns_of(session, "k_default")
    if len(columns) > 3 or (columns and chance.random() < 0.3):
        yield f"ALTER TABLE k_default DROP COLUMN {chance.choice(columns)}"
        return
    yield Fails(f"ALTER TABLE k_default ADD COLUMN c_{number} {chance.choice(_DEFAULTS)}", _UNSAFE)


def _change_default(chance: Random, number: int) -> list[str]:
    return [
        f"INSERT INTO k_default (word) VALUES ('by {number}'), ('again')",
        f"UPDATE k_default SET word = 'changed {number}' ORDER BY id DESC LIMIT {chance.randint(1, 3)}",
        "DELETE FROM k_default ORDER BY id LIMIT 1",
    ]


def _number_rows(session: Session, chance: Random, number: int) -> Iterator[str]:  # noqa: ARG001
    if columns_of(session, "k_counter", "id"):
        yield "ALTER TABLE k_counter DROP COLUMN id"
    # Rows are where they were put: what follows numbers them in that order, which is each server's own.
    if chance.random() < 0.5:
        yield f"ALTER TABLE k_counter ORDER BY {chance.choice(('word', 'n DESC', 'n, word'))}"
    key = chance.choice(("PRIMARY KEY", "UNIQUE", "PRIMARY KEY FIRST"))
    yield f"ALTER TABLE k_counter ADD COLUMN id INT NOT NULL AUTO_INCREMENT {key}"


def _change_counter(chance: Random, number: int) -> list[str]:
    return [
        f"INSERT INTO k_counter (word, n) VALUES ('twice', {number % 7}), ('twice', {number % 7}), ('{number}', 1)",
        f"UPDATE k_counter SET word = 'changed {number}' WHERE n = {chance.randrange(7)} LIMIT 2",
        "DELETE FROM k_counter ORDER BY n LIMIT 2",
    ]


def _ignore_duplicates(session: Session, chance: Random, number: int) -> Iterator[str | Fails]:  # noqa: ARG001
    found = session.row("SELECT 1 FROM information_schema.statistics WHERE table_schema = DATABASE()"
                        " AND table_name = 'k_ignore' AND index_name = 'only_one'")  # fmt: skip
    if found:
        yield "ALTER TABLE k_ignore DROP INDEX only_one"
    else:
        yield f"ALTER IGNORE TABLE k_ignore ADD UNIQUE KEY only_one ({chance.choice(('n', 'n, word', 'word'))})"


def _change_ignored(chance: Random, number: int) -> list[str]:
    return [
        f"INSERT IGNORE INTO k_ignore VALUES ({number % 9}, 'first {number}'), ({number % 9}, 'second {number}')",
        f"UPDATE IGNORE k_ignore SET word = 'changed {number}' WHERE n = {chance.randrange(9)} LIMIT 1",
        f"DELETE FROM k_ignore WHERE n = {chance.randrange(9)} LIMIT 2",
    ]


def _convert_times(session: Session, chance: Random, number: int) -> Iterator[str]:  # noqa: ARG001
    found = session.row("SELECT data_type FROM information_schema.columns WHERE table_schema = DATABASE()"
                        " AND table_name = 'k_zone' AND column_name = 'at'")  # fmt: skip
    other = "DATETIME(3)" if found and str(found[0]).lower() == "timestamp" else "TIMESTAMP(3)"
    yield f"SET SESSION time_zone = '{chance.choice(_ZONES)}'"
    yield f"ALTER TABLE k_zone MODIFY at {other} NULL"


def _change_times(chance: Random, number: int) -> list[str]:
    return [
        f"INSERT INTO k_zone (at, word) VALUES ('2026-06-01 12:00:00.{number % 1000:03}', 'by {number}')",
        "INSERT INTO k_zone (at, word) VALUES (NOW(3), 'now')",
        f"UPDATE k_zone SET word = 'changed' ORDER BY id DESC LIMIT {chance.randint(1, 3)}",
        "DELETE FROM k_zone ORDER BY id LIMIT 1",
    ]


VALUE_KINDS = (
    Kind(
        "default-of-server",
        ("CREATE TABLE k_default (id INT AUTO_INCREMENT PRIMARY KEY, word VARCHAR(30))",
         "INSERT INTO k_default (word) SELECT n FROM digits WHERE n < 20"),
        "k_default", _add_default, _change_default,
    ),
    Kind(
        "counter",
        ("CREATE TABLE k_counter (word VARCHAR(30), n INT)",
         "INSERT INTO k_counter SELECT 'first', n MOD 7 FROM digits WHERE n < 20"),
        "k_counter", _number_rows, _change_counter,
    ),
    Kind(
        "ignore-duplicates",
        ("CREATE TABLE k_ignore (n INT, word VARCHAR(30))",
         "INSERT INTO k_ignore SELECT n MOD 9, n FROM digits WHERE n < 20"),
        "k_ignore", _ignore_duplicates, _change_ignored, is_mariadb_only=True,
    ),
    Kind(
        "time-zone",
        ("CREATE TABLE k_zone (id INT AUTO_INCREMENT PRIMARY KEY, at TIMESTAMP(3) NULL, word VARCHAR(30))",
         "INSERT INTO k_zone (at, word) SELECT '2026-01-01 00:00:00' + INTERVAL n DAY, n FROM digits WHERE n < 20"),
        "k_zone", _convert_times, _change_times,
    ),
)  # fmt: skip
