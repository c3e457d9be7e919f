from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from replica_cli.sandbox.binaries import find_binaries
from replica_cli.sandbox.compare import compare
from tests.support.equality import assert_equal

if TYPE_CHECKING:
    from replica_cli.sandbox.server import SandboxServer
    from tests.support.servers import ServerFactory

pytestmark = pytest.mark.every_release

_TABLE = """
    CREATE TABLE t (
        n INT UNSIGNED, word VARCHAR(20) COLLATE utf8mb4_unicode_ci, latin VARCHAR(20) CHARACTER SET latin1,
        data BLOB, fixed BINARY(4), f FLOAT, d DOUBLE, price DECIMAL(30,10), kind ENUM('', 'a', 'b'),
        flags SET('x','y'), bits BIT(12), day DATE, moment DATETIME(6), stamp TIMESTAMP(3) NULL, span TIME(2),
        doc JSON, place POINT
    )"""
_ROW = (
    "INSERT INTO t VALUES (4000000000, 'ça', 'ça', X'00FF', X'00', 0.1, 1e-300, 1.5, 'a', 'x,y', b'101', '2024-02-29',"
    " '2024-02-29 01:02:03.000004', '2024-02-29 01:02:03.004', '-12:00:00.5', '{\"a\": [1, null]}', POINT(1, 2))"
)


def _fill(server: SandboxServer, schema: str, *more: str) -> None:
    with server.session() as session:
        session.execute(f"CREATE DATABASE `{schema}` CHARACTER SET utf8mb4")
        session.execute(f"USE `{schema}`")
        for statement in (_TABLE, _ROW, *more):
            session.execute(statement)


@pytest.mark.parametrize(
    ("here", "there"),
    [
        ("UPDATE t SET word = ''", "UPDATE t SET word = NULL"),
        ("UPDATE t SET data = ''", "UPDATE t SET data = NULL"),
        ("UPDATE t SET word = 'a', latin = 'bc'", "UPDATE t SET word = 'ab', latin = 'c'"),
        ("UPDATE t SET word = 'Ca'", "UPDATE t SET word = 'ca'"),
        ("UPDATE t SET word = 'ca '", "UPDATE t SET word = 'ca'"),
        ("UPDATE t SET latin = 'e'", "UPDATE t SET latin = 'é'"),
        ("UPDATE t SET data = X'00FE'", ""),
        ("UPDATE t SET data = CONCAT(REPEAT('x', 60000), 'y')", "UPDATE t SET data = CONCAT(REPEAT('x', 60000), 'z')"),
        ("UPDATE t SET fixed = X'0001'", ""),
        ("UPDATE t SET f = 0.10000001", ""),
        ("UPDATE t SET d = 1.0000000000000002e-300", ""),
        ("UPDATE t SET price = 1.5000000001", ""),
        ("UPDATE t SET kind = ''", "UPDATE IGNORE t SET kind = 0"),
        ("UPDATE t SET flags = 'x'", ""),
        ("UPDATE t SET bits = b'111'", ""),
        ("UPDATE t SET moment = '2024-02-29 01:02:03.000005'", ""),
        ("UPDATE t SET stamp = '2024-02-29 01:02:03.005'", ""),
        ("UPDATE t SET doc = '{\"a\": [1, 0]}'", ""),
        ("UPDATE t SET place = POINT(1, 3)", ""),
        (_ROW, ""),
        (f"{_ROW.replace('4000000000', '1')}; {_ROW.replace('4000000000', '1')}", _ROW + ";" + _ROW),
        ("DELETE FROM t", ""),
    ],
)
def test_a_planted_difference_is_found(
    primary: SandboxServer, secondary: SandboxServer, schema: str, here: str, there: str
) -> None:
    _fill(primary, schema, *filter(None, here.split("; ")))
    _fill(secondary, schema, *filter(None, there.split(";")))
    (result,) = compare(primary.address(), secondary.address(), schema)
    assert not result.is_equal
    assert "only on" in result.detail
    with pytest.raises(AssertionError, match="rows only on A"):
        assert_equal(primary, secondary, schema)


def test_equal_rows_in_another_order_and_schema_are_equal(
    primary: SandboxServer, secondary: SandboxServer, schema: str
) -> None:
    other = _ROW.replace("4000000000", "2")
    _fill(primary, schema, other, other)
    _fill(secondary, f"{schema}_b", "DELETE FROM t", other, _ROW, other)
    (result,) = assert_equal(primary, secondary, schema, f"{schema}_b")
    assert (result.rows_a, result.rows_b) == (3, 3)


def test_missing_tables_and_columns_are_found(primary: SandboxServer, secondary: SandboxServer, schema: str) -> None:
    _fill(primary, schema, "CREATE TABLE only_a (n INT)", "CREATE TABLE wide (a INT, b INT)")
    _fill(secondary, schema, "CREATE TABLE only_b (n INT)", "CREATE TABLE wide (a INT, b INT, c INT)")
    results = {r.table: r for r in compare(primary.address(), secondary.address(), schema)}
    assert results["t"].is_equal
    assert (results["only_a"].rows_a, results["only_a"].rows_b) == (0, None)
    assert (results["only_b"].rows_a, results["only_b"].rows_b) == (None, 0)
    assert not results["wide"].is_equal
    wider = compare(primary.address(), secondary.address(), schema, may_have_more_columns=True)
    assert {r.table for r in wider if r.is_equal} == {"t", "wide"}


def test_nothing_is_not_equal_to_nothing(primary: SandboxServer, secondary: SandboxServer, schema: str) -> None:
    with pytest.raises(AssertionError, match="has no tables"):
        assert_equal(primary, secondary, schema)


def test_a_document_is_compared_across_flavours(server_factory: ServerFactory, schema: str) -> None:
    if {b.flavour for b in find_binaries()} != {"mariadb", "mysql"}:
        pytest.skip("needs servers of both flavours")
    mariadb, mysql = server_factory("mariadb"), server_factory("mysql")
    _fill(mariadb, schema, """UPDATE t SET doc = '{"bb":1,"a":[1.0,null,"\\\\u00e9"]}'""")
    _fill(mysql, schema, """UPDATE t SET doc = '{"a": [1.0, null, "é"], "bb": 1}'""")
    assert_equal(mariadb, mysql, schema)
    with mysql.session(schema) as session:
        session.execute("""UPDATE t SET doc = '{"a": [1.0, null, "e"], "bb": 1}'""")
    (result,) = compare(mariadb.address(), mysql.address(), schema)
    assert not result.is_equal
    assert "1 rows only on A" in result.detail


def test_a_version_of_a_row_that_only_one_side_has_is_a_difference(server_factory: ServerFactory) -> None:
    server = server_factory("mariadb")
    with server.session() as session:
        for schema in ("one", "two"):
            session.execute(f"CREATE DATABASE {schema}")
            session.execute(f"CREATE TABLE {schema}.t (id INT PRIMARY KEY, a INT) WITH SYSTEM VERSIONING")
        session.execute("SET SESSION timestamp = 1700000000.5")
        for schema in ("one", "two"):
            session.execute(f"INSERT INTO {schema}.t VALUES (1, 1)")
        session.execute("SET SESSION timestamp = 1700000001")
        for schema in ("one", "two"):
            session.execute(f"UPDATE {schema}.t SET a = 2")
        (same,) = compare(server.address(), server.address(), "one", "two")
        assert (same.is_equal, same.rows_a) == (True, 2)
        session.execute("DELETE HISTORY FROM two.t")
        (other,) = compare(server.address(), server.address(), "one", "two")
        assert (other.is_equal, other.rows_b) == (False, 1)
        # The rows of now, written at another time.
        session.execute("DELETE HISTORY FROM one.t")
        session.execute("SET SESSION timestamp = 1700000002")
        session.execute("UPDATE two.t SET a = 2")
        session.execute("DELETE HISTORY FROM two.t")
        (late,) = compare(server.address(), server.address(), "one", "two")
        assert (late.is_equal, late.rows_a, late.rows_b) == (False, 1, 1)
