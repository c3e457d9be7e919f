"""Which windows end at a position, and what it costs to ask that behind each batch."""

from __future__ import annotations

from dataclasses import replace

import pytest

from replica_cli.applier.window import Windows
from replica_cli.checkpoint.table_records import TableRecord
from replica_cli.core.position import Position
from replica_cli.core.status import TableState
from replica_cli.core.table import TableName
from tests.support.steps import steps_of


def at(pos: int) -> Position:
    return Position("binlog.000007", pos)


def record(name: str, end: Position | None, state: TableState = TableState.COPIED) -> TableRecord:
    return TableRecord(TableName("s", name), state, copy_start=at(4), window_end=end)


def windows(*records: TableRecord, is_catch_up: bool = False) -> Windows:
    return Windows({r.name: r for r in records}, is_catch_up=is_catch_up)


def names(found: list[TableRecord]) -> str:
    return "".join(r.name.table for r in found)


def test_windows_end_in_their_order_and_are_told_until_they_are_forgotten() -> None:
    made = windows(record("c", at(30)), record("a", at(10)), record("b", at(20)), record("d", at(20)))
    assert [names(made.expired(at(pos))) for pos in (9, 10, 29, 30)] == ["", "a", "abd", "abdc"]
    for name in "ad":
        del made.records[TableName("s", name)]
    assert names(made.expired(at(30))) == "bc"


def test_a_window_of_a_table_that_is_quarantined_meanwhile_does_not_end() -> None:
    kept = record("a", at(10))
    made = windows(kept, record("b", at(10)))
    made.records[kept.name] = replace(kept, state=TableState.QUARANTINED)
    assert names(made.expired(at(20))) == "b"


@pytest.mark.parametrize("state", [s for s in TableState if s is not TableState.COPIED])
def test_no_other_table_has_a_window(state: TableState) -> None:
    assert windows(record("a", at(10), state)).expired(at(20)) == []
    assert windows(record("a", at(10)), is_catch_up=True).expired(at(20)) == []


def test_ends_without_a_file_are_compared_by_gtid() -> None:
    made = windows(record("a", Position("", 0, "0-1-5")), record("b", None), record("c", replace(at(10), gtid="0-1-7")))
    assert names(made.expired(replace(at(9), gtid="0-1-4"))) == "b"
    assert names(made.expired(Position("binlog.000007", 9, "0-1-5"))) == "ab"
    assert names(made.expired(Position("", 0, "0-1-7"))) == "cab"


def test_windows_that_end_later_take_no_steps() -> None:
    few, many = (windows(*(record(f"t{n}", at(1000 + n)) for n in range(count))) for count in (2, 2000))
    assert steps_of(lambda: few.expired(at(10))) == steps_of(lambda: many.expired(at(10)))
