"""The table of each table id of the log; former ids of a table are forgotten."""

from __future__ import annotations

import struct

import pytest

from replica_cli.core.errors import CorruptEvent
from replica_cli.core.table import TableName
from replica_cli.reader.log_tables import LogTables

HEADER = bytes(19)


def table_map(number: int, table: str) -> bytes:
    names = b"\x04shop\0" + bytes([len(table)]) + table.encode() + b"\0"
    return HEADER + number.to_bytes(6, "little") + struct.pack("<H", 1) + names + b"\x01\x03\x00\x01"


def insert(number: int) -> bytes:
    event = HEADER + number.to_bytes(6, "little") + b"\x01\x00" + b"\x01\x01\x00" + b"\x07\0\0\0"
    return event[:4] + b"\x17" + event[5:]


def name_of(tables: LogTables, number: int) -> str:
    event = tables.rows(insert(number))
    assert event is not None
    return event.table.name.table


def test_ids_that_a_table_had_before_are_forgotten() -> None:
    tables = LogTables(lambda _: True, is_mariadb=True)
    for number in range(100, 30_100):
        tables.take_map(table_map(number, f"t{number % 3}"))
    assert len(tables.heads) == len(tables.bodies) == 3
    assert [name_of(tables, 30_099 - n) for n in range(3)] == [f"t{(30_099 - n) % 3}" for n in range(3)]
    with pytest.raises(CorruptEvent, match="id 100 comes without its table map"):
        tables.rows(insert(100))


def test_an_id_from_before_is_known_again_by_its_own_map() -> None:
    tables = LogTables(lambda _: True, is_mariadb=True)
    # A transaction that was begun before the table was opened again is logged after one that began later.
    for number in (7, 8, 7):
        tables.take_map(table_map(number, "t"))
        assert name_of(tables, number) == "t"
    assert len(tables.heads) == len(tables.bodies) == 1


def test_an_id_that_another_table_gets_is_that_table_s() -> None:
    tables = LogTables(lambda name: name != TableName("shop", "unwanted"), is_mariadb=True)
    tables.take_map(table_map(7, "a"))
    tables.take_map(table_map(7, "b"))
    assert name_of(tables, 7) == "b"
    tables.take_map(table_map(8, "a"))
    assert (name_of(tables, 7), name_of(tables, 8)) == ("b", "a")
    tables.take_map(table_map(8, "unwanted"))
    assert tables.rows(insert(8)) is None
    tables.take_map(table_map(9, "a"))
    assert (name_of(tables, 7), name_of(tables, 9)) == ("b", "a")
