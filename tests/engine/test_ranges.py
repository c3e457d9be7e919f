"""Large tables are cut at existing keys, into ranges of about the same size, and without reading the table."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest

from replica_cli.core.table import TableName
from replica_cli.mysql.catalog.table_definitions import read_table
from replica_cli.sqlbuilder.rows.chunks import after, both, paging_key, up_to
from replica_cli.transfer.rows.ranges import find_cuts

if TYPE_CHECKING:
    from replica_cli.mysql.session import Session
    from replica_cli.sandbox.server import SandboxServer

ROWS = 20_000
COUNT = 6
_DIGITS = " CROSS JOIN ".join(f"(SELECT 0 d {'UNION SELECT {} ' * 9}) t{p}".format(*range(1, 10)) for p in range(5))
_NUMBERS = f"(SELECT t0.d + 10*t1.d + 100*t2.d + 1000*t3.d + 10000*t4.d AS n FROM {_DIGITS}) numbers WHERE n < {ROWS}"
HASH = "SHA2(n, 256)"
UUID = f"CONCAT_WS('-', LEFT({HASH}, 8), MID({HASH}, 9, 4), MID({HASH}, 13, 4), MID({HASH}, 17, 4), RIGHT({HASH}, 12))"
# The table's columns, its key, and the row of a number.
EVEN = {
    "counter": ("id INT", "id", "n"),
    "sparse": ("id BIGINT UNSIGNED", "id", f"CAST(CONV(LEFT({HASH}, 16), 16, 10) AS UNSIGNED)"),
    "negative": ("id INT", "id", "-7 * n"),
    "descending": ("id INT, b INT", "id DESC, b", "n, n % 5"),
    "second column": ("a INT, b INT", "a, b", "n DIV 7, n"),
    "bytes": ("id BINARY(16)", "id", f"UNHEX(LEFT({HASH}, 32))"),
    "uuid": ("id CHAR(36)", "id", UUID),
    "uuid in capitals": ("id CHAR(36)", "id", f"UPPER({UUID})"),
    "uuid of ascii_bin": ("id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin", "id", UUID),
    "with a prefix": ("id VARCHAR(30)", "id", "CONCAT('user_', LPAD(n, 5, '0'))"),
}
# Their index is walked along instead.
OTHER = {
    "one tenant": ("a INT, b INT", "a, b", "7, n"),
    "skewed": ("id BIGINT", "id", "IF(n = 0, 9000000000000000, n)"),
    "a date": ("id DATETIME", "id", "'2020-01-01' + INTERVAL n MINUTE"),
    "words": ("id VARCHAR(40) CHARACTER SET utf16", "id", "n"),
}


def fill(session: Session, schema: str, columns: str, key: str, row: str) -> None:
    session.execute(f"CREATE DATABASE {schema}")
    session.execute(f"USE {schema}")
    session.execute(f"CREATE TABLE t ({columns}, pad CHAR(100), PRIMARY KEY ({key}))")
    session.execute(f"INSERT INTO t SELECT {row}, REPEAT('x', 100) FROM {_NUMBERS}")
    session.execute("ANALYZE TABLE t")


def rows_read(session: Session) -> int:
    return sum(int(count) for _, count in session.rows("SHOW SESSION STATUS LIKE 'Handler_read_%'"))


@pytest.mark.parametrize("kind", EVEN)
def test_ranges_are_even_and_cost_few_reads(primary: SandboxServer, schema: str, kind: str) -> None:
    with primary.session() as session:
        fill(session, schema, *EVEN[kind])
        name = TableName(schema, "t")
        definition = read_table(session, name)
        assert definition is not None
        key = paging_key(definition)
        assert key is not None
        session.execute("SET NAMES binary")
        before = rows_read(session)
        cuts = find_cuts(session, definition, key, COUNT)
        assert rows_read(session) - before < 1000
        assert cuts is not None
        assert len(cuts) == COUNT - 1
        ends = [None, *cuts, None]
        counts = []
        for low, high in itertools.pairwise(ends):
            condition = both(after(key, low) if low else "", up_to(key, high) if high else "")
            (row,) = session.rows(f"SELECT COUNT(*) FROM t{f' WHERE {condition}' if condition else ''}")
            counts.append(int(row[0]))
        assert sum(counts) == ROWS
        assert max(counts) < ROWS / COUNT * 2, counts


@pytest.mark.parametrize("kind", OTHER)
def test_what_is_not_known_to_be_even_is_left_to_a_walk(primary: SandboxServer, schema: str, kind: str) -> None:
    with primary.session() as session:
        fill(session, schema, *OTHER[kind])
        definition = read_table(session, TableName(schema, "t"))
        assert definition is not None
        key = paging_key(definition)
        assert key is not None
        session.execute("SET NAMES binary")
        assert find_cuts(session, definition, key, COUNT) is None


def test_an_empty_table_has_no_cuts(primary: SandboxServer, schema: str) -> None:
    with primary.session() as session:
        session.execute(f"CREATE DATABASE {schema}")
        session.execute(f"CREATE TABLE {schema}.t (id INT PRIMARY KEY)")
        definition = read_table(session, TableName(schema, "t"))
        assert definition is not None
        key = paging_key(definition)
        assert key is not None
        assert find_cuts(session, definition, key, COUNT) is None
