"""Changes of a row are folded into one. An update stays an update only if it leaves all other unique keys alone."""

from __future__ import annotations

import pytest

from replica_cli.applier.engines.folding import EventTemplate, Folding, folding_body
from replica_cli.core.column_types import TypeCode
from replica_cli.core.events import RowHead, RowKind, TableMap
from replica_cli.core.table import Column, TableName
from replica_cli.decoder.compile import compile_each

# id INT NOT NULL PRIMARY KEY, name VARCHAR(20) NULL UNIQUE
TABLE = TableMap(1, TableName("s", "t"), b"", bytes((TypeCode.LONG, TypeCode.VARCHAR)), (0, 20), (False, True))
COLUMNS = (Column("id", "int", "int"), Column("name", "varchar", "varchar(20)", is_nullable=True))
START = bytes((0, 0, 0, 0, 24)) + bytes(25)  # of an UPDATE_ROWS_EVENT_V1
HEAD = RowHead(RowKind.UPDATE, TABLE, 0, b"\3", b"\3", len(START))


def image(number: int, name: bytes | None) -> bytes:
    nulls = 0xFC if name is not None else 0xFE
    return bytes((nulls,)) + number.to_bytes(4, "little") + (b"" if name is None else bytes((len(name),)) + name)


def folded(before: bytes | None, after: bytes | None) -> list[RowKind]:
    fold = compile_each(HEAD, COLUMNS, [0], [1], folding_body(RowKind.UPDATE, has_more=True))
    raw = START + image(7, before) + image(7, after)
    folding = Folding()
    rows, flush = folding.begin(EventTemplate(HEAD, raw, replaces=False))
    assert fold(raw, HEAD.rows_start, len(raw), rows, flush) == 1
    folding.end([(HEAD, 1)])
    return [event.kind for event in folding.events]


@pytest.mark.parametrize(
    ("before", "after"), [(b"x", b"y"), (b"x", None), (None, b"x"), (b"NULL", None), (None, b"NULL")]
)
def test_a_change_of_a_unique_key_becomes_a_delete_and_an_insert(before: bytes | None, after: bytes | None) -> None:
    assert folded(before, after) == [RowKind.DELETE, RowKind.INSERT]


@pytest.mark.parametrize("value", [b"x", b"NULL", b"", None])
def test_a_row_that_keeps_its_unique_key_stays_an_update(value: bytes | None) -> None:
    assert folded(value, value) == [RowKind.UPDATE]
