"""Tables without an index: many changes take a few looks at the table, and only rows that are equal to the byte go."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from replica_cli.applier.engines import keyless_engine
from replica_cli.applier.engines.keyless_engine import LEAST_ROWS
from replica_cli.core.errors import ReplicaError, RowMissing
from replica_cli.core.settings import Apply, Batching, EngineChoice

if TYPE_CHECKING:
    from tests.engine.applier.harness import Harness

ROWS = 500
WHOLE = Batching(transactions=10_000)
TABLE = "CREATE TABLE t (a INT, b VARCHAR(20), c DOUBLE)"
# From the last on: a scan that begins at the first does not count those that are gone already.
CHANGES = {
    "delete": [f"DELETE FROM t WHERE a = {n}" for n in reversed(range(ROWS))],
    "update": [f"UPDATE t SET b = 'new' WHERE a = {n}" for n in range(ROWS)],
    "delete all at once": ["DELETE FROM t ORDER BY a DESC"],
    "update all at once": ["UPDATE t SET a = a + 1"],
}


@pytest.fixture(params=["auto", "sql"], autouse=True)
def _engine(harness: Harness, request: pytest.FixtureRequest) -> None:
    harness.settings = replace(harness.settings, apply=Apply(engine=EngineChoice(request.param)), batching=WHOLE)


def _fill(harness: Harness, rows: int = ROWS) -> None:
    harness.on_both(f"INSERT INTO t VALUES {', '.join(f'({n}, NULL, {n / 7!r})' for n in range(rows))}")


def _looked_at(harness: Harness) -> int:
    """Stream, and return how many rows of the table that looked at."""
    before = _count(harness)
    harness.stream()
    return _count(harness) - before


def _begin(harness: Harness) -> None:
    """Begin to stream from here, and let the secondary count by table: what a stream asks the catalog is not meant."""
    harness.begin_here()
    if harness.other.is_mariadb:
        harness.other.execute("SET GLOBAL userstat = 1")


def _count(harness: Harness) -> int:
    columns, table = ("rows_read", "information_schema.table_statistics")
    schema, name = ("table_schema", "table_name")
    if not harness.other.is_mariadb:
        columns, table = ("count_read", "performance_schema.table_io_waits_summary_by_table")
        schema, name = ("object_schema", "object_name")
    found = harness.rows(f"SELECT {columns} FROM {table} WHERE {schema} = '{harness.schema}' AND {name} = 't'")
    return sum(int(str(row[0])) for row in found)


@pytest.mark.parametrize("change", CHANGES)
def test_changes_of_many_rows_take_a_few_looks_at_the_table(harness: Harness, change: str) -> None:
    harness.on_both(TABLE)
    _fill(harness)
    _begin(harness)
    harness.source.begin()
    harness.on_primary(*CHANGES[change])
    harness.source.commit()
    # Each row for itself takes looks at half of them.
    assert _looked_at(harness) < 6 * ROWS
    harness.assert_equal()
    assert harness.saved().row_count == ROWS


@pytest.mark.parametrize("column", ["a", "b"])
@pytest.mark.parametrize("change", ["UPDATE t SET c = 0", "DELETE FROM t ORDER BY a DESC"])
def test_an_index_that_is_not_unique_is_used(harness: Harness, column: str, change: str) -> None:
    harness.on_both(f"CREATE TABLE t (a INT, b VARCHAR(20) COLLATE utf8mb4_general_ci, c DOUBLE, KEY ({column}))")
    values = ((n, f"{'aA'[n % 2]}{n // 4}") for n in range(ROWS))
    harness.on_both(f"INSERT INTO t VALUES {', '.join(f'({n // 2}, {b!r}, {n})' for n, b in values)}")
    harness.on_both("INSERT INTO t VALUES (NULL, NULL, NULL)", "ANALYZE TABLE t")
    _begin(harness)
    harness.source.begin()
    harness.on_primary(change)
    harness.source.commit()
    assert _looked_at(harness) < 6 * ROWS
    harness.assert_equal()


ALIKE = ("(1, 'x', 0.5)", "(1, 'X', 0.5)", "(1, 'x ', 0.5)", "(1, NULL, 0.5)", "(NULL, NULL, NULL)", "(1, '1', 1)",
         "(11, '', 1)", "(1, 'it''s', -1e300)", "(1, '\\\\', 1e-300)", "(2, 'x', 0)")  # fmt: skip


@pytest.mark.parametrize("again_bytes", [1 << 20, 40, -1], ids=["again", "some again", "by number"])
def test_of_equal_rows_as_many_go_as_on_the_primary(
    harness: Harness, again_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keyless_engine, "_AGAIN_BYTES", again_bytes)
    harness.on_both(TABLE)
    harness.on_both(*(f"INSERT INTO t VALUES {', '.join(ALIKE * 3)}" for _ in range(4)))
    harness.begin_here()
    dice = random.Random(again_bytes)
    harness.source.begin()
    for _ in range(150):
        a, b = dice.choice(("1", "NULL", "2", "11")), dice.choice(("'x'", "'X'", "'x '", "NULL", "''", "'\\\\'"))
        harness.on_primary(
            dice.choice(
                (
                    f"DELETE FROM t WHERE a <=> {a} AND CAST(b AS BINARY) <=> {b} LIMIT {dice.randrange(1, 4)}",
                    f"UPDATE t SET b = {b} WHERE a <=> {a} LIMIT {dice.randrange(1, 3)}",
                    f"UPDATE t SET c = -c WHERE a <=> {a} LIMIT 1",
                    f"INSERT INTO t VALUES ({a}, {b}, {dice.randrange(3)}), ({a}, {b}, NULL)",
                )
            )
        )
    harness.source.commit()
    harness.stream()
    harness.assert_equal()


@pytest.mark.parametrize("change", ["DELETE FROM t WHERE a = 77", "UPDATE t SET a = -1 WHERE a = 77"])
@pytest.mark.parametrize("there", ["DELETE FROM t WHERE a = 77", "UPDATE t SET b = 'A' WHERE a = 77"])
def test_a_row_that_is_missing_is_named_and_what_was_before_is_kept(harness: Harness, change: str, there: str) -> None:
    harness.on_both(TABLE)
    _fill(harness)
    harness.on_both("UPDATE t SET b = 'a'")
    harness.begin_here()
    harness.on_primary(*CHANGES["delete"][:LEAST_ROWS])
    place = harness.here()
    harness.on_primary(change, *CHANGES["delete"][100 : 100 + LEAST_ROWS])
    harness.on_secondary(there)
    count = harness.rows("SELECT COUNT(*) FROM t")[0][0]
    with pytest.raises(RowMissing, match=r"1 row not found.*all columns") as raised:
        harness.stream()
    assert raised.value.table == harness.name("t")
    assert str(place) in raised.value.message
    saved = harness.saved()
    assert (saved.position.file, saved.position.pos, saved.row_count) == (place.file, place.pos, LEAST_ROWS)
    assert harness.rows("SELECT COUNT(*) FROM t") == [(int(str(count)) - LEAST_ROWS,)]


def test_a_row_that_goes_and_comes_back_must_have_been_there(harness: Harness) -> None:
    harness.on_both(TABLE)
    _fill(harness)
    harness.begin_here()
    harness.source.begin()
    harness.on_primary(*CHANGES["delete"][:LEAST_ROWS], f"INSERT INTO t VALUES (495, NULL, {495 / 7!r})")
    harness.source.commit()
    harness.on_secondary("DELETE FROM t WHERE a = 495")
    with pytest.raises(RowMissing, match="t: DELETE: 1 row not found"):
        harness.stream()


def test_a_row_that_comes_and_goes_need_not_have_been_there(harness: Harness) -> None:
    harness.on_both(TABLE)
    _fill(harness)
    harness.begin_here()
    harness.source.begin()
    for number in range(LEAST_ROWS):
        harness.on_primary(
            f"INSERT INTO t VALUES ({number}, 'new', 2.5)", f"DELETE FROM t WHERE a = {number} AND c = 2.5"
        )
    harness.on_primary(*CHANGES["delete"][:5])
    harness.source.commit()
    harness.stream()
    harness.assert_equal()
    assert harness.saved().row_count == 2 * LEAST_ROWS + 5


TYPES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "integers": (("TINYINT", "SMALLINT UNSIGNED", "MEDIUMINT", "INT(9) ZEROFILL", "BIGINT", "BIGINT UNSIGNED"), (
        "-128, 65535, -8388608, 7, -9223372036854775808, 18446744073709551615", "0, 0, 0, 0, 0, 0")),
    "decimals": (("DECIMAL(65,30)", "DECIMAL(9,2)", "DECIMAL(5,0) UNSIGNED"), (
        "-0.000000000000000000000000000001, 1.50, 3",
        "99999999999999999999999999999999999.999999999999999999999999999999, -0.01, 0")),
    "reals": (("FLOAT", "DOUBLE", "FLOAT(9,2)", "DOUBLE(20,3)"), (
        "0.1, -1.7665254769326153e-123, 1.5, 2.125", "-3.4e38, 1017554834493971.5, 0, -0e0", "16777216, 1e15, 1, 1",
        "1.1754944e-38, 1.5e16, 1, 1", "0.3, 3.8409980565845195e-07, 1, 1", "-0e0, 2.2250738585072014e-308, 1, 1",
        "1e-14, -8.383572094652968e-14, 1, 1", "1, 1.2e-14, 1, 1e15")),
    "times": (("DATE", "TIME(3)", "DATETIME(6)", "TIMESTAMP(2) NULL", "YEAR"), (
        "'2024-02-29', '-838:59:59', '9999-12-31 23:59:59.999999', '2038-01-01 00:00:00.25', 1901",
        "'0000-00-00', '100:00:00.001', '2024-00-00', '0000-00-00', 0")),
    "whole seconds": (("TIME", "DATETIME", "TIMESTAMP NULL"), (
        "'-00:00:01', '1000-01-01', '1971-01-01'", "'838:59:59', '0000-00-00', '2024-06-30 23:00'")),
    "texts": (("CHAR(9)", "VARCHAR(20) CHARACTER SET latin1", "TEXT", "LONGTEXT", "VARCHAR(9) CHARACTER SET utf16"), (
        "'a  ', 'é''\\\\', REPEAT('ß', 300), '', 'ä'", "'', 'a ', 'A', 'a\\0b', ' '", "'A', 'A ', 'a', 'a\\0B', ''")),
    "bytes": (("BINARY(9)", "VARBINARY(20)", "BLOB", "LONGBLOB"), (
        "x'6100', x'6100', x'275C00FF', REPEAT('x', 70000)", "x'61', x'61', '', x'00'", "'', '', x'00', ''")),
    "members": (("ENUM('5', 'b')", "SET('x', 'y')", "BIT(1)", "BIT(64)"), (
        "'5', 'x,y', b'1', 18446744073709551615", "1, '', b'0', 0", "'b', 'y', b'1', 9223372036854775808")),
}  # fmt: skip


@pytest.mark.parametrize("types", TYPES)
def test_values_of_all_types_are_found(harness: Harness, types: str) -> None:
    kinds, rows = TYPES[types]
    harness.on_both(f"CREATE TABLE t (id INT, {', '.join(f'c{n} {kind}' for n, kind in enumerate(kinds))})")
    nulls = ", ".join("NULL" for _ in kinds)
    values = [f"({n}, {row})" for n in range(LEAST_ROWS) for row in (*rows, nulls)]
    harness.on_both("SET SESSION sql_mode = 'ALLOW_INVALID_DATES'", f"INSERT INTO t VALUES {', '.join(values)}")
    _begin(harness)
    harness.source.begin()
    harness.on_primary("UPDATE t SET id = id + 1", f"DELETE FROM t WHERE id > {LEAST_ROWS // 2}")
    harness.source.commit()
    assert _looked_at(harness) < 6 * len(values)
    harness.assert_equal()


@pytest.mark.parametrize("table", [
    "CREATE TABLE t (a INT, b VARCHAR(20), c DOUBLE, KEY (a))",
    "CREATE TABLE t (a INT, b VARCHAR(20), c DOUBLE, UNIQUE KEY (a))",
    "CREATE TABLE t (a INT, b VARCHAR(20), c DOUBLE, g INT AS (a + 1) STORED)",
    "CREATE TABLE t (a INT, b VARCHAR(20), c DOUBLE) ENGINE=MyISAM",
])  # fmt: skip
def test_a_table_with_more_than_its_values_goes_the_way_of_all_others(harness: Harness, table: str) -> None:
    harness.on_both(table)
    harness.on_both("INSERT INTO t (a, b, c) VALUES " + ", ".join(f"({n}, 'x', 1)" for n in range(100)))
    harness.begin_here()
    harness.source.begin()
    harness.on_primary(*(f"DELETE FROM t WHERE a = {n}" for n in range(0, 80, 2)), "UPDATE t SET c = 2 WHERE a > 80")
    harness.source.commit()
    harness.stream()
    harness.assert_equal()


def test_among_other_tables_in_the_order_of_each(harness: Harness) -> None:
    harness.on_both(TABLE, "CREATE TABLE k (id INT PRIMARY KEY, v INT)", "CREATE TABLE u (a INT, b JSON)")
    _fill(harness)
    harness.begin_here()
    dice = random.Random(5)
    for number in range(200):
        one, other = dice.randrange(ROWS), dice.randrange(50)
        try:
            harness.on_primary(
                f"REPLACE INTO k VALUES ({other}, {number})",
                f"UPDATE t SET c = c + 1 WHERE a = {one}",
                f"INSERT INTO u VALUES ({other}, '[{number}]')",
                f"DELETE FROM u WHERE a = {one % 50}",
                f"DELETE FROM t WHERE a = {one - 1}",
                f"UPDATE k SET id = id + 50 WHERE id = {other}",
            )
        except ReplicaError:
            continue
    harness.stream()
    harness.assert_equal()
