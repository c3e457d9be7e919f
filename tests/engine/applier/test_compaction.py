"""Many small changes in one batch: the same rows are left, each change is counted, and no conflict is overlooked."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from replica_cli.applier.engines.compaction import LEAST_EVENTS
from replica_cli.core.errors import ReplicaError, RowExists, RowMissing
from replica_cli.core.settings import Apply, Batching, EngineChoice

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.engine.applier.harness import Harness

TABLES = {
    "plain": "CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(20), w INT)",
    "three bytes": "CREATE TABLE t (id MEDIUMINT PRIMARY KEY, v VARCHAR(20), w INT)",
    "two columns": "CREATE TABLE t (v VARCHAR(20), w INT, id INT, k DATE DEFAULT '2024-02-03', PRIMARY KEY (id, k))",
    "text key": "CREATE TABLE t (id VARCHAR(9) COLLATE utf8mb4_general_ci PRIMARY KEY, v VARCHAR(20), w INT)",
    "decimal key": "CREATE TABLE t (v VARCHAR(20), w INT, id DECIMAL(9,2) PRIMARY KEY)",
    "prefix key": "CREATE TABLE t (id VARCHAR(9), v VARCHAR(20), w INT, PRIMARY KEY (id(3)))",
    "unique": "CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(20), w INT UNIQUE)",
    "two uniques": "CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(20), w INT UNIQUE, UNIQUE (v, w))",
    "unique text": "CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(20) COLLATE utf8mb4_general_ci UNIQUE, w INT)",
    "unique prefix": "CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(20), w INT, UNIQUE (v(2)))",
    "unique and generated": "CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(20), w INT, g INT AS (w + 1) STORED UNIQUE)",
    "generated": "CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(20), w INT, g INT AS (w + 1) STORED, h INT AS (w + 2))",
    "partitioned": "CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(20), w INT) PARTITION BY HASH (id) PARTITIONS 3",
    "no key": "CREATE TABLE t (id INT, v VARCHAR(20), w INT, KEY (id))",
    "unique alone": "CREATE TABLE t (id INT NOT NULL UNIQUE, v VARCHAR(20), w INT)",
    "parent": "CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(20), w INT)",
}
CHILD = "CREATE TABLE child (id INT PRIMARY KEY, up INT, FOREIGN KEY (up) REFERENCES t (id) ON DELETE CASCADE)"
WHOLE = Batching(transactions=10_000)


@pytest.fixture(params=["auto", "sql"], autouse=True)
def _engine(harness: Harness, request: pytest.FixtureRequest) -> None:
    harness.settings = replace(harness.settings, apply=Apply(engine=EngineChoice(request.param)), batching=WHOLE)


def _changes(dice: random.Random, table: str) -> Iterator[str]:
    """Yield statements that change a handful of rows again and again; they may fail on the primary."""
    ids = range(100, 112)
    while True:
        one, other, value = dice.choice(ids), dice.choice(ids), dice.randrange(40)
        yield dice.choice((
            f"INSERT INTO t (id, v, w) VALUES ({one}, 'v{value}', {value})",
            f"INSERT INTO t (id, v, w) VALUES ({one}, NULL, NULL), ({other}, 'it''s', {value})",
            f"UPDATE t SET v = 'u{value}' WHERE id = {one}",
            f"UPDATE t SET w = {value} WHERE id = {one}",
            f"UPDATE t SET id = {one} WHERE id = {other}",
            f"UPDATE t SET w = NULL WHERE id IN ({one}, {other})",
            f"DELETE FROM t WHERE id = {one}",
            f"DELETE FROM t WHERE id IN ({one}, {other})",
            f"REPLACE INTO t (id, v, w) VALUES ({one}, 'r', {value})",
            *([f"INSERT INTO child VALUES ({value}, {one})", f"DELETE FROM child WHERE id = {value}"]
              if table == "parent" else ()),
        ))  # fmt: skip


@pytest.mark.parametrize("table", TABLES)
def test_the_same_rows_are_left(harness: Harness, table: str) -> None:
    harness.on_both(TABLES[table], *([CHILD] if table == "parent" else ()))
    start = harness.begin_here()
    dice = random.Random(table)
    changes = _changes(dice, table)
    for _ in range(200):
        harness.source.begin()
        for _ in range(dice.randrange(1, 6)):
            try:
                harness.source.execute(next(changes))
            except ReplicaError:
                continue
        harness.source.rollback() if dice.randrange(8) == 0 else harness.source.commit()
    harness.stream()
    harness.assert_equal()
    folded = harness.saved().row_count
    # Each change counts, however few statements it took: one transaction at a time makes as many.
    harness.begin_here(start)
    harness.on_secondary("DELETE FROM t", *(["DELETE FROM child"] if table == "parent" else ()))
    harness.stream(batching=Batching(transactions=1))
    assert harness.saved().row_count == folded > 200


@pytest.mark.parametrize("compacts", [True, False])
def test_many_changes_become_few(harness: Harness, *, compacts: bool) -> None:
    harness.on_both("CREATE TABLE t (id INT PRIMARY KEY, v INT)")
    harness.on_both(f"INSERT INTO t VALUES {', '.join(f'({n}, 0)' for n in range(1, 51))}")
    harness.begin_here()
    # One transaction is in one batch for certain.
    harness.source.begin()
    for number in range(1, 51):
        harness.on_primary(f"UPDATE t SET v = v + 1 WHERE id = {number}", f"UPDATE t SET v = v + 1 WHERE id = {number}")
    harness.source.commit()
    begin = _rows_updated(harness)
    harness.stream(apply=replace(harness.settings.apply, compacts=compacts))
    harness.assert_equal()
    assert harness.saved().row_count == 100
    # Each row once, or as a delete and an insert; our own tables take a few.
    assert (_rows_updated(harness) - begin < 70) is compacts


def test_null_and_the_text_of_that_name_change_places(harness: Harness) -> None:
    harness.on_both("CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(20) UNIQUE, w INT)")
    harness.on_both("INSERT INTO t VALUES (1, NULL, 0), (2, 'NULL', 0), (3, 'c', 0)")
    harness.begin_here()
    harness.source.begin()
    # The row that takes the value is changed first, so its folded update comes before the one that gives the value up.
    harness.on_primary("UPDATE t SET w = 1 WHERE id = 1", "UPDATE t SET v = NULL WHERE id = 2")
    harness.on_primary("UPDATE t SET v = 'NULL' WHERE id = 1")
    harness.on_primary(*("UPDATE t SET w = w + 1 WHERE id = 3" for _ in range(LEAST_EVENTS)))
    harness.source.commit()
    rolled_back = _counter(harness, "Handler_rollback")
    harness.stream()
    harness.assert_equal()
    # Nor was the batch refused first, and then applied change by change.
    assert _counter(harness, "Handler_rollback") == rolled_back


PLAIN = {
    "bigint unsigned": ["0", "18446744073709551615", "9223372036854775808"],
    "bigint": ["-9223372036854775808", "9223372036854775807"],
    "tinyint": ["-128", "127"],
    "mediumint unsigned zerofill": ["0", "16777215"],
    "decimal(65,30)": [f"-{'9' * 35}.{'9' * 30}", "0.000000000000000000000000000001", "1"],
    "decimal(65,0)": ["9" * 65, "-1"],
    "float": ["0.1", "3.402823466e38", "1.4e-45", "-1"],
    "double": ["0.1", "1.7976931348623157e308", "5e-324", "1"],
    "date": ["'0000-00-00'", "'2024-02-31'", "'9999-12-31'"],
    "time(6)": ["'-838:59:59'", "'-00:00:00.000001'", "'838:59:58.999999'"],
    "datetime(6)": ["'2024-00-15 01:02:03.000001'", "'9999-12-31 23:59:59.999999'"],
    "timestamp(3) null": ["'1970-01-01 00:00:01'", "'2038-01-19 03:14:07.999'", "0"],
    "year": ["0", "2155"],
    "enum('a','é','') character set latin1": ["'é'", "''", "'a'"],
    "varchar(30) character set utf16": ["''", "'é𝄞 '"],
    "varchar(400) character set sjis": [r"REPEAT('ソ\\', 100)", "'''%s'"],
    "char(9) character set latin1": ["'é '", r"'\\'"],
    "text character set utf8mb4": ["REPEAT('𝄞', 9000)", "'x'"],
    "varbinary(40)": ["x'00ff2700'", "''"],
    "binary(5)": ["x'00'", "x'ff00ff'"],
    "blob": ["REPEAT(x'00ff', 900)", "''"],
}


@pytest.mark.parametrize("key", ["id INT PRIMARY KEY", "a BIGINT UNSIGNED DEFAULT 7, id INT, PRIMARY KEY (id, a)"])
def test_values_come_out_of_one_statement_as_they_went_in(harness: Harness, key: str) -> None:
    harness.on_primary("SET SESSION sql_mode = 'ALLOW_INVALID_DATES,NO_AUTO_VALUE_ON_ZERO', time_zone = '+00:00'")
    names = {f"c{n}": kind for n, kind in enumerate(PLAIN)}
    harness.on_both(f"CREATE TABLE t ({key}, {', '.join(f'{name} {kind} NULL' for name, kind in names.items())})")
    harness.on_both(f"INSERT INTO t (id) VALUES {', '.join(f'({n})' for n in range(80))}")
    harness.begin_here()
    harness.source.begin()
    for number in range(80):
        chosen = {name: PLAIN[kind][number % len(PLAIN[kind])] for name, kind in names.items()}
        if number % 7 == 0:
            chosen[f"c{number % len(names)}"] = "NULL"
        assigned = ", ".join(f"{name} = {value}" for name, value in chosen.items())
        harness.on_primary(f"UPDATE t SET {assigned} WHERE id = {number}")
    # As it was before: found all the same.
    harness.on_primary(f"UPDATE t SET {', '.join(f'{name} = NULL' for name in names)} WHERE id = 79")
    harness.source.commit()
    before = _counter(harness, "Com_update_multi")
    harness.stream()
    harness.assert_equal()
    is_sql = harness.settings.apply.engine is EngineChoice.SQL
    assert (_counter(harness, "Com_update_multi") > before) is is_sql


def _rows_updated(harness: Harness) -> int:
    return _counter(harness, "Handler_update")


def _counter(harness: Harness, name: str) -> int:
    return int(str(harness.other.rows(f"SHOW GLOBAL STATUS LIKE '{name}'")[0][1]))


def _fill(harness: Harness, first: int) -> None:
    """Make one batch of more than a few changes, none of which is in the way of anything."""
    harness.on_primary(*(f"INSERT INTO t VALUES ({n}, 'filled', {n})" for n in range(first, first + LEAST_EVENTS)))


CONFLICTS = {
    "update of a row that is gone": (["UPDATE t SET v = 'x' WHERE id = 1"], "DELETE FROM t WHERE id = 1", RowMissing),
    "delete of a row that is gone": (["DELETE FROM t WHERE id = 1"], "DELETE FROM t WHERE id = 1", RowMissing),
    "delete and insert of a row that is gone": (
        ["DELETE FROM t WHERE id = 1", "INSERT INTO t VALUES (1, 'x', 7)"], "DELETE FROM t WHERE id = 1", RowMissing,
    ),
    "insert of a row that is there": (
        ["INSERT INTO t VALUES (9, 'x', 7)"], "INSERT INTO t VALUES (9, 'hidden', 8)", RowExists,
    ),
    "insert and delete of a row that is there": (
        ["INSERT INTO t VALUES (9, 'x', 7)", "DELETE FROM t WHERE id = 9"],
        "INSERT INTO t VALUES (9, 'hidden', 8)", RowExists,
    ),
    "a row is moved to where one is": (
        ["UPDATE t SET id = 9 WHERE id = 1"], "INSERT INTO t VALUES (9, 'hidden', 8)", RowExists,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CONFLICTS)
def test_no_conflict_is_overlooked(harness: Harness, name: str) -> None:
    changes, alone, error = CONFLICTS[name]
    harness.on_both(TABLES["plain"], "INSERT INTO t VALUES (1, 'hidden', 1)")
    harness.begin_here()
    _fill(harness, 100)
    before = harness.here()
    harness.source.begin()
    harness.on_primary(*changes)
    harness.source.commit()
    _fill(harness, 300)
    harness.on_secondary(alone)
    with pytest.raises(error) as raised:
        harness.stream()
    assert raised.value.table == harness.name("t")
    assert str(before) in raised.value.message
    assert "hidden" not in raised.value.message
    assert (harness.saved().position.file, harness.saved().position.pos) == (before.file, before.pos)
    assert harness.rows("SELECT COUNT(*) FROM t WHERE id >= 100") == [(LEAST_EVENTS,)]


@pytest.fixture
def _names(harness: Harness) -> Iterator[None]:
    harness.on_primary("SET GLOBAL binlog_row_metadata = FULL")
    yield
    harness.on_primary("SET GLOBAL binlog_row_metadata = DEFAULT")


@pytest.mark.usefixtures("_names")
def test_a_column_of_its_own_keeps_what_it_holds(harness: Harness) -> None:
    harness.on_both("CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(20), w INT)")
    harness.on_secondary("ALTER TABLE t ADD own VARCHAR(20) DEFAULT 'default'")
    harness.begin_here()
    _fill(harness, 100)
    harness.stream(batching=Batching(transactions=1))
    harness.on_secondary("UPDATE t SET own = 'kept'")
    harness.on_primary(*(f"UPDATE t SET w = 0 WHERE id = {n}" for n in range(100, 100 + LEAST_EVENTS)))
    harness.stream()
    assert harness.rows("SELECT own, w, COUNT(*) FROM t GROUP BY 1, 2") == [("kept", 0, LEAST_EVENTS)]


@pytest.mark.parametrize("image", ["MINIMAL", "NOBLOB"])
def test_images_that_are_not_whole_among_whole_ones(harness: Harness, image: str) -> None:
    harness.on_both("CREATE TABLE t (id INT PRIMARY KEY, v TEXT, w INT)")
    harness.begin_here()
    _fill(harness, 100)
    for number in range(100, 100 + LEAST_EVENTS):
        wanted = image if number % 2 else "FULL"
        harness.on_primary(f"SET SESSION binlog_row_image = {wanted}", f"UPDATE t SET w = -w WHERE id = {number}")
        harness.on_primary(
            f"DELETE FROM t WHERE id = {number}" if number % 3 else f"UPDATE t SET v = 'x', w = {number}"
        )
    harness.on_primary("SET SESSION binlog_row_image = FULL")
    harness.stream()
    harness.assert_equal()


def test_a_table_that_becomes_a_parent(harness: Harness) -> None:
    harness.on_both("CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(20), w INT)")
    harness.begin_here()
    _fill(harness, 100)
    harness.on_primary(CHILD)
    for number in range(100, 100 + LEAST_EVENTS):
        harness.on_primary(f"INSERT INTO t VALUES ({number + 100}, 'x', 0)")
        harness.on_primary(f"INSERT INTO child VALUES ({number}, {number + 100})")
        harness.on_primary(f"UPDATE t SET w = 1 WHERE id = {number + 100}")
    harness.stream()
    harness.assert_equal()
    assert harness.rows("SELECT COUNT(*) FROM child") == [(LEAST_EVENTS,)]
