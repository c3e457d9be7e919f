"""The key that is read from a row's text is the key that the primary returns."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from replica_cli.core.table import TableName
from replica_cli.mysql.catalog.table_definitions import read_table
from replica_cli.sqlbuilder.rows.chunks import after, boundary_query, lines_query, paging_key
from replica_cli.sqlbuilder.rows.row_keys import key_of_row

if TYPE_CHECKING:
    from replica_cli.sandbox.server import SandboxServer

NASTY = ["''", "'a,b'", r"'\'quoted\\\''", "'(NULL)'", "'ü€漢'", r"'line\nend\0\Z'", "' blank '", "'x''y'"]
# Types of a key's columns, and values of each as SQL.
KEYS = {
    "int": (["INT"], [["-5"], ["0"], ["2147483647"]]),
    "zerofill": (["INT(12) ZEROFILL"], [["5"], ["4294967295"]]),
    "bigint_desc": (["BIGINT UNSIGNED"], [["0"], ["18446744073709551615"]]),
    "decimal": (["DECIMAL(30,10)"], [["-0.1"], ["12345678901234567890.0123456789"]]),
    "double": (["DOUBLE"], [["-1e-300"], ["0.1"], ["1.7976931348623157e308"]]),
    "float": (["FLOAT"], [["-3.4e38"], ["0.1"], ["16777217"]]),
    "latin1": (["VARCHAR(30) CHARACTER SET latin1"], [[v] for v in NASTY if "漢" not in v]),
    "utf8mb4": (["VARCHAR(30) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"], [[v] for v in NASTY]),
    "char": (["CHAR(30) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"], [[v] for v in NASTY]),
    "varbinary": (["VARBINARY(30)"], [["X'00'"], ["X'275C5C27'"], ["X'FF2C2928'"], ["''"]]),
    "binary": (["BINARY(4)"], [["X'00000001'"], ["X'27275C00'"]]),
    "date": (["DATE"], [["'2024-02-29'"], ["'1000-01-01'"]]),
    "datetime": (["DATETIME(6)"], [["'2024-02-29 01:02:03.000004'"]]),
    "timestamp": (["TIMESTAMP(3)"], [["'2024-02-29 01:02:03.004'"]]),
    "time": (["TIME(2)"], [["'-838:59:59'"], ["'00:00:00.01'"]]),
    "year": (["YEAR"], [["1901"], ["2155"]]),
    "bit": (["BIT(12)"], [["0"], ["4095"]]),
    "enum": (["ENUM('a','b,c','''')"], [["1"], ["2"], ["3"]]),
    "set": (["SET('a','b(''')"], [["0"], ["3"]]),
    "three": (["VARCHAR(9)", "INT", "DATE"], [["'a,'", "1", "'2024-01-01'"], [r"'\''", "-1", "'2025-01-01'"]]),
}
PADDING = ("t1 TEXT, n1 INT NULL, b1 BLOB", "'(\\',\\'', NULL, X'2C27'")


@pytest.mark.parametrize("name", KEYS)
@pytest.mark.parametrize("is_first", [True, False], ids=["first", "last"])
def test_the_key_of_each_row_is_the_primary_s_own(
    primary: SandboxServer, schema: str, name: str, *, is_first: bool
) -> None:
    types, rows = KEYS[name]
    columns = ", ".join(f"k{n} {kind} NOT NULL" for n, kind in enumerate(types))
    order = " DESC" if name.endswith("desc") else ""
    key_columns = ", ".join(f"k{n}{order}" for n in range(len(types)))
    definition_columns = f"{columns}, {PADDING[0]}" if is_first else f"{PADDING[0]}, {columns}"
    with primary.session() as session:
        session.execute(f"CREATE DATABASE `{schema}` CHARACTER SET utf8mb4")
        session.execute(f"USE `{schema}`")
        session.execute(f"CREATE TABLE t ({definition_columns}, PRIMARY KEY ({key_columns}))")
        for row in rows:
            values = ", ".join([*row, PADDING[1]] if is_first else [PADDING[1], *row])
            session.execute(f"INSERT INTO t VALUES ({values})")
        definition = read_table(session, TableName(schema, "t"))
        assert definition is not None
        key = paging_key(definition)
        assert key is not None
        session.execute("SET NAMES binary")
        lines = [text for found in session.lines(lines_query(definition, key, "", 100)) for text in found.texts]
        assert len(lines) == len(rows)
        for number, text in enumerate(lines):
            assert text is not None
            found = key_of_row(text, definition, key)
            expected = session.row(boundary_query(definition.name, key, "", number))
            assert expected is not None
            assert found == tuple(bytes(literal).decode() for literal in expected)
            # The rest begins with the next row.
            rest = [
                t for each in session.lines(lines_query(definition, key, after(key, found), 100)) for t in each.texts
            ]
            assert rest == lines[number + 1 :]
