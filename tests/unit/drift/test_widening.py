"""Which changes of a column's type lose nothing."""

from __future__ import annotations

import pytest

from replica_cli.drift.widening import is_widening

WIDER = (
    ("tinyint", "int"), ("int", "bigint"), ("int unsigned", "bigint unsigned"), ("int unsigned", "bigint"),
    ("varchar(10)", "varchar(20)"), ("varbinary(3)", "varbinary(3)"), ("text", "longtext"), ("tinyblob", "blob"),
    ("decimal(10,2)", "decimal(12,4)"), ("datetime", "datetime(6)"), ("time(3)", "time(6)"), ("bit(3)", "bit(8)"),
    ("float", "double"), ("enum('a','b')", "enum('a','b','c')"), ("set('a')", "set('a','b')"),
)  # fmt: skip
NARROWER = (
    ("bigint", "int"), ("int", "int unsigned"), ("int unsigned", "int"), ("bigint unsigned", "bigint"),
    ("varchar(20)", "varchar(10)"), ("longtext", "text"), ("text", "blob"), ("char(3)", "varchar(3)"),
    ("decimal(10,2)", "decimal(10,4)"), ("decimal(10,2)", "decimal(12,1)"), ("datetime(6)", "datetime"),
    ("double", "float"), ("enum('a','b')", "enum('b','a')"), ("enum('a')", "enum('ab')"), ("set('a','b')", "set('a')"),
    ("int", "varchar(20)"), ("datetime", "timestamp"), ("int zerofill", "bigint zerofill"), ("json", "longtext"),
    ("decimal(10,2) unsigned", "decimal(12,2)"), ("point", "geometry"), ("", "int"),
)  # fmt: skip


@pytest.mark.parametrize(("before", "after"), WIDER)
def test_a_type_that_holds_all_values_of_the_other_is_wider(before: str, after: str) -> None:
    assert is_widening(before, after)


@pytest.mark.parametrize(("before", "after"), NARROWER)
def test_what_is_not_known_to_hold_all_values_is_not(before: str, after: str) -> None:
    assert not is_widening(before, after)
