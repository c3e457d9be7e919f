"""Names and values that other tools trip over, applied strictly and over a copy."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from replica_cli.core.settings import Apply, EngineChoice

if TYPE_CHECKING:
    from tests.engine.applier.harness import Harness

ODD = "o`dd 'na\"me' %s %% \n\\n é"


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


TABLE = _quoted(ODD)
KEY = _quoted("k`'\"%d\n'")
OTHER = _quoted("v`%b %(x)s")


@pytest.fixture(params=["auto", "sql"], autouse=True)
def _engine(harness: Harness, request: pytest.FixtureRequest) -> None:
    harness.settings = replace(harness.settings, apply=Apply(engine=EngineChoice(request.param)))


@pytest.fixture(params=["strict", "window"])
def mode(request: pytest.FixtureRequest) -> str:
    kind: str = request.param
    return kind


def _check(harness: Harness, mode: str, create: list[str], changes: list[str], tables: list[str]) -> None:
    harness.on_both(*create)
    start = harness.begin_here()
    harness.on_primary("SET SESSION sql_mode='ALLOW_INVALID_DATES,NO_AUTO_VALUE_ON_ZERO'", *changes)
    if mode == "window":
        for table in tables:
            harness.save_window(table, start, harness.here())
    harness.stream()
    harness.assert_equal()
    count = sum(int(str(harness.rows(f"SELECT COUNT(*) FROM {_quoted(t)}")[0][0])) for t in tables)
    assert count, "nothing was compared"


def test_names(harness: Harness, mode: str) -> None:
    changes = [
        f"INSERT INTO {TABLE} VALUES (1, 'a%s'), (2, '%'), (3, NULL)",
        f"UPDATE {TABLE} SET {OTHER} = '\\\\\\'\"`%%' WHERE {KEY} = 1",
        f"UPDATE {TABLE} SET {KEY} = 9 WHERE {KEY} = 2",
        f"DELETE FROM {TABLE} WHERE {KEY} = 3",
    ]
    create = [f"CREATE TABLE {TABLE} ({KEY} INT PRIMARY KEY, {OTHER} VARCHAR(50))"]
    _check(harness, mode, create, changes, [ODD])


def test_names_in_a_table_without_a_key(harness: Harness) -> None:
    changes = [
        f"INSERT INTO {TABLE} VALUES (1, 'a%s'), (1, 'a%s'), (2, '%'), (NULL, NULL), (NULL, NULL)",
        f"UPDATE {TABLE} SET {OTHER} = '%d' WHERE {KEY} = 1 LIMIT 1",
        f"DELETE FROM {TABLE} WHERE {KEY} IS NULL LIMIT 1",
    ]
    _check(harness, "strict", [f"CREATE TABLE {TABLE} ({KEY} INT, {OTHER} VARCHAR(50))"], changes, [ODD])


def test_the_error_value_of_an_enum(harness: Harness, mode: str) -> None:
    create = ["CREATE TABLE e (id INT PRIMARY KEY, e ENUM('a', '', 'b'), s SET('x', 'y'), v VARCHAR(3))"]
    changes = [
        "INSERT INTO e VALUES (1, 'nonsense', 'x', 'v'), (2, '', 'x,y', 'v'), (3, 'b', '', 'v'), (4, NULL, NULL, '')",
        "UPDATE e SET e = 0 WHERE id = 3",
        "UPDATE e SET v = 'w'",
        "UPDATE e SET e = 'a' WHERE id = 1",
    ]
    _check(harness, mode, create, changes, ["e"])


def test_zero_in_an_auto_increment(harness: Harness, mode: str) -> None:
    create = ["CREATE TABLE z (id INT AUTO_INCREMENT PRIMARY KEY, v INT)"]
    changes = [
        "INSERT INTO z VALUES (0, 1), (-5, 2), (7, 3)",
        "UPDATE z SET v = 9 WHERE id = 0",
        "UPDATE z SET id = 0 - id",
    ]
    _check(harness, mode, create, changes, ["z"])


def test_generated_and_invisible_columns(harness: Harness, mode: str) -> None:
    invisible = "secret INT INVISIBLE DEFAULT 4"
    create = [
        f"""CREATE TABLE g (id INT PRIMARY KEY, a INT, s INT GENERATED ALWAYS AS (a * 2) STORED,
        v INT GENERATED ALWAYS AS (a * 3) VIRTUAL, {invisible}, u INT GENERATED ALWAYS AS (a + 1) STORED UNIQUE)""",
    ]
    changes = [
        "INSERT INTO g (id, a) VALUES (1, 10), (2, 20)",
        "INSERT INTO g (id, a, secret) VALUES (3, 30, 77)",
        "UPDATE g SET a = a + 100",
        "UPDATE g SET secret = 5 WHERE id = 1",
        "DELETE FROM g WHERE id = 2",
    ]
    _check(harness, mode, create, changes, ["g"])


def test_generated_columns_in_a_table_without_a_key(harness: Harness) -> None:
    create = ["CREATE TABLE g (a INT, s INT GENERATED ALWAYS AS (a * 2) STORED, v INT AS (a * 3), b INT INVISIBLE)"]
    changes = [
        "INSERT INTO g (a) VALUES (1), (1), (2)",
        "INSERT INTO g (a, b) VALUES (1, 5)",
        "UPDATE g SET a = 7 WHERE a = 1 LIMIT 1",
        "DELETE FROM g WHERE a = 1 LIMIT 1",
    ]
    _check(harness, "strict", create, changes, ["g"])


def test_dates_that_are_none(harness: Harness, mode: str) -> None:
    create = ["CREATE TABLE d (id INT PRIMARY KEY, a DATE, b DATETIME(6), c TIMESTAMP NULL, e TIME(3), y YEAR)"]
    changes = [
        "INSERT INTO d VALUES (1, '0000-00-00', '0000-00-00', 0, '-838:59:58.9', 0)",
        "INSERT INTO d VALUES (2, '2024-02-31', '2024-00-15 01:02:03.5', '1970-01-01 00:00:01', '-00:00:00.1', 1901)",
        "UPDATE d SET y = 2155",
    ]
    _check(harness, mode, create, changes, ["d"])


def test_whole_rows_with_values_that_do_not_compare(harness: Harness) -> None:
    create = ["CREATE TABLE w (f FLOAT, d DOUBLE, t TEXT, b BLOB, j JSON, c CHAR(5), bi BINARY(4), e ENUM('a'))"]
    changes = [
        "INSERT INTO w VALUES (0.1, 0.1, 'text', x'00ff', '{\"a\": 1.0}', 'c ', x'61', 'zz')",
        "INSERT INTO w VALUES (1e10, 1e-300, '', '', NULL, '', '', 'a')",
        "INSERT INTO w VALUES (NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)",
        "INSERT INTO w VALUES (0.1, 0.1, 'TEXT', x'00ff', '{\"a\": 1.0}', 'C', x'61', 'zz')",
        "UPDATE w SET f = 0.3, t = 'other' WHERE c = 'c' COLLATE utf8mb4_bin OR f > 1",
        "DELETE FROM w WHERE f IS NULL",
        "DELETE FROM w WHERE BINARY t = 'TEXT'",
    ]
    _check(harness, "strict", create, changes, ["w"])


def test_case_and_trailing_spaces_in_keys(harness: Harness, mode: str) -> None:
    create = ["CREATE TABLE s (k VARCHAR(20) COLLATE utf8mb4_general_ci PRIMARY KEY, b VARBINARY(9) UNIQUE, v INT)"]
    changes = [
        "INSERT INTO s VALUES ('a', 'x', 1), ('b ', 'X', 2), ('É', 'x ', 3)",
        "UPDATE s SET k = 'A' WHERE k = 'a'",
        "UPDATE s SET k = 'B' WHERE k = 'b '",
        "UPDATE s SET v = 9 WHERE k = 'e'",
        "DELETE FROM s WHERE k = 'A '",
    ]
    _check(harness, mode, create, changes, ["s"])


def test_many_rows_in_few_statements_and_pieces(harness: Harness) -> None:
    digits = " UNION ALL ".join(f"SELECT {d} AS d" for d in range(10))
    places = ", ".join(f"({digits}) {name}" for name in "abce")
    numbers = f"SELECT a.d + 10 * b.d + 100 * c.d + 1000 * e.d AS n FROM {places}"
    create = ["CREATE TABLE m (id INT PRIMARY KEY, pad VARCHAR(2000))"]
    changes = [
        f"INSERT INTO m SELECT n, REPEAT('x', 900) FROM ({numbers}) AS numbers",
        "UPDATE m SET pad = REPEAT('y', 500) WHERE id % 2",
        "UPDATE m SET id = id + 100000 WHERE id < 5000",
        "DELETE FROM m WHERE id % 3 = 0",
    ]
    _check(harness, "strict", create, changes, ["m"])
    assert harness.saved().transaction_count == 4
