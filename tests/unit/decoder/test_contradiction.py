from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from replica_cli.core.events import TableMap
from replica_cli.core.table import Column, TableName
from replica_cli.decoder.contradiction import contradiction

_CHAR = Column("c", "char", "char(3)", charset="latin1", octet_length=3)
_VARCHAR = Column("c", "varchar", "varchar(10)", charset="utf8mb4", octet_length=40)
_ENUM = Column("c", "enum", "enum('a','b')", charset="latin1")


def _table(code: int, metadata: int, **optional: Any) -> TableMap:
    return TableMap(1, TableName("s", "t"), b"", bytes([code]), (metadata,), (True,), **optional)


@pytest.mark.parametrize(
    ("table", "column", "said"),
    [
        (_table(3, 0), Column("c", "bigint", "bigint"), "sends LONG"),
        (_table(15, 10), _VARCHAR, "takes 10 bytes, the secondary's 40"),
        (_table(15, 40, collation_ids=(8,)), _VARCHAR, "charset is latin1, the secondary's utf8mb4"),
        (_table(15, 40, collation_ids=(63,)), _VARCHAR, "charset is binary"),
        (_table(15, 40, collation_ids=(9999,)), _VARCHAR, "9999, which is not known"),
        (_table(15, 40, column_names=("d",)), _VARCHAR, "the primary calls it d"),
        (_table(254, 254 << 8 | 4), _CHAR, "takes 4 bytes"),
        (_table(254, 247 << 8 | 1), _CHAR, "sends ENUM"),
        (_table(254, 247 << 8 | 2), _ENUM, "takes 2 bytes, the secondary's 1"),
        (_table(254, 247 << 8 | 1, enum_members=((b"a", b"b", b"c"),)), _ENUM, "3 members, the secondary's 2"),
        (_table(254, 247 << 8 | 1, enum_members=((b"b", b"a"),)), _ENUM, "member 'a'"),
        (_table(254, 248 << 8 | 2), Column("c", "set", "set('a','b')"), "takes 2 bytes"),
        (_table(246, 10 << 8 | 3), Column("c", "decimal", "decimal(10,2)", precision=10, scale=2), r"DECIMAL\(10,3\)"),
        (_table(18, 3), Column("c", "datetime", "datetime"), "3 digits, the secondary's 0"),
        (_table(16, 0x0103), Column("c", "bit", "bit(10)", precision=10), "takes 11 bits"),
        (_table(252, 2), Column("c", "mediumblob", "mediumblob"), "BLOB with metadata 2"),
        (_table(245, 4), Column("c", "text", "text"), "sends JSON"),
        (_table(3, 0, unsigned=(True,)), Column("c", "int", "int"), "is unsigned"),
        (_table(3, 0, unsigned=(False,)), Column("c", "int", "int unsigned"), "is signed"),
        (_table(99, 0), Column("c", "int", "int"), "sends type 99"),
    ],
)
def test_what_disagrees_is_named(table: TableMap, column: Column, said: str) -> None:
    found = contradiction(table, [column])
    assert found
    assert re.search(said, found)
    assert column.column_type in found


@pytest.mark.parametrize(
    ("table", "column"),
    [
        (_table(254, (254 ^ 0x30) << 8 | 0xFC), replace(_CHAR, octet_length=1020)),
        (_table(15, 40, collation_ids=(45,), column_names=("C",)), _VARCHAR),
        (_table(15, 40, collation_ids=(33,)), replace(_VARCHAR, charset="utf8")),
        (_table(252, 4), Column("c", "json", "json")),
        (_table(245, 4), Column("c", "longtext", "longtext", charset="utf8mb4")),
        (_table(141, 41), _VARCHAR),
        (_table(254, 254 << 8 | 16), Column("c", "uuid", "uuid")),
        (_table(254, 247 << 8 | 1, enum_members=((b"\xe9", b"b"),)), replace(_ENUM, column_type="enum('é','b')")),
        (_table(3, 0), Column("c", "int", "int", is_nullable=False)),
    ],
)
def test_what_agrees_is_not_named(table: TableMap, column: Column) -> None:
    assert contradiction(table, [column]) is None


def test_the_number_of_columns_counts() -> None:
    assert "1 columns, the secondary's 0" in (contradiction(_table(3, 0), []) or "")
