"""Rows of an event are counted: as many as are decoded, of every type, and with fewer steps than decoding takes."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replica_cli.core.errors import CorruptEvent
from replica_cli.core.events import RowHead, RowKind, TableMap
from replica_cli.core.table import Column, TableName
from replica_cli.decoder.compile import (
    CountFunction,
    EachBody,
    compile_count,
    compile_each,
    compile_rows,
    compile_updates,
)
from tests.support.steps import steps_of
from tests.unit.decoder.captures import Capture, Event, read_captures

CAPTURES = read_captures()
COMPILED = "<rows of"


@dataclass(frozen=True)
class Kind:
    """A type: its code, its metadata, and how many bytes the length of a value has, 0 for four bytes."""

    code: int
    metadata: int
    length_bytes: int

    def value(self, size: int) -> bytes:
        return size.to_bytes(self.length_bytes, "little") + bytes(size) if self.length_bytes else bytes(4)


KINDS = [Kind(3, 0, 0), Kind(15, 40, 1), Kind(15, 400, 2), *(Kind(252, size, size) for size in (1, 2, 3, 4))]


def counting(
    kinds: list[tuple[Kind, bool]], kind: RowKind = RowKind.INSERT
) -> tuple[RowHead, tuple[Column, ...], CountFunction]:
    count = len(kinds)
    table = TableMap(
        1, TableName("s", "t"), b"", bytes(k.code for k, _ in kinds), tuple(k.metadata for k, _ in kinds),
        tuple(is_nullable for _, is_nullable in kinds),
    )  # fmt: skip
    columns = tuple(Column(f"c{n}", "x", "x", is_nullable=is_nullable) for n, (_, is_nullable) in enumerate(kinds))
    present = ((1 << count) - 1).to_bytes((count + 7) // 8, "little")
    head = RowHead(kind, table, 0, present, present if kind is RowKind.UPDATE else b"", 0)
    return head, columns, compile_count(head, columns)


def image(kinds: list[tuple[Kind, bool]], sizes: list[int | None]) -> bytes:
    """Return the bytes of a row; a size of None is a NULL where the column may be one."""
    are_null = [is_nullable and size is None for (_, is_nullable), size in zip(kinds, sizes, strict=True)]
    used = 1 << len(kinds)
    spare = (1 << (len(kinds) + 7) // 8 * 8) - used
    nulls = spare | sum(1 << bit for bit, is_null in enumerate(are_null) if is_null)
    values = (
        kind.value(size or 0) for (kind, _), size, is_null in zip(kinds, sizes, are_null, strict=True) if not is_null
    )
    return nulls.to_bytes((len(kinds) + 7) // 8, "little") + b"".join(values)


TABLES = st.lists(st.tuples(st.sampled_from(KINDS), st.booleans()), min_size=1, max_size=20)


@given(TABLES, st.sampled_from([RowKind.INSERT, RowKind.UPDATE]), st.data())
def test_rows_of_any_table_are_counted(kinds: list[tuple[Kind, bool]], kind: RowKind, data: st.DataObject) -> None:
    count = data.draw(st.integers(0, 6))
    sizes = st.lists(st.none() | st.integers(0, 39), min_size=len(kinds), max_size=len(kinds))
    images = 2 if kind is RowKind.UPDATE else 1
    raw = b"".join(image(kinds, data.draw(sizes)) for _ in range(count * images))
    _, _, function = counting(kinds, kind)
    assert function(b"before" + raw, 6, 6 + len(raw)) == count
    if raw:
        # A last row that is one byte long is gone with it; any other one is cut.
        with contextlib.suppress(CorruptEvent):
            assert function(raw[:-1], 0, len(raw) - 1) < count


def _count(capture: Capture, event: Event) -> CountFunction:
    kind = RowKind[event.kind]
    after = event.present_after if kind is RowKind.UPDATE else b""
    return compile_count(RowHead(kind, capture.table, 0, event.present, after, 0), capture.columns)


@pytest.mark.parametrize("capture", CAPTURES, ids=str)
def test_as_many_as_are_decoded(capture: Capture) -> None:
    for event in capture.events:
        if event.kind == "UPDATE":
            read = compile_updates(capture.table, capture.columns, (), (), event.present, event.present_after)
        else:
            read = compile_rows(capture.table, capture.columns, (), event.present)
        count = _count(capture, event)
        assert count(event.rows, 0, len(event.rows)) == len(read(event.rows, 0, len(event.rows))) > 0
        # A cut event is corrupt, unless it is cut between two rows.
        for end in range(len(event.rows) - 1, 0, -max(1, len(event.rows) // 50)):
            with contextlib.suppress(CorruptEvent):
                assert count(event.rows[:end], 0, end) == len(read(event.rows[:end], 0, end))


def test_a_null_in_a_column_that_has_none_is_corrupt() -> None:
    kinds = [(KINDS[1], True), (KINDS[1], False)]
    _, _, function = counting(kinds)
    with pytest.raises(CorruptEvent, match="NOT NULL"):
        function(b"\xfe\0\0", 0, 3)


def test_rows_of_one_width_are_divided_and_others_take_a_step_a_string() -> None:
    fixed, strings = [(KINDS[0], False)] * 9, [(KINDS[0], False), (KINDS[1], False), (KINDS[0], True), (KINDS[2], True)]
    steps = {}
    for name, kinds in (("fixed", fixed), ("strings", strings)):
        head, columns, function = counting(kinds)
        scan = compile_each(head, columns, (), (), EachBody("", (), (), {}))
        for rows in (100, 200):
            raw = image(kinds, [7, 7, None, *[7] * len(kinds)][: len(kinds)]) * rows
            steps[name, rows] = steps_of(lambda f=function, r=raw: f(r, 0, len(r)), COMPILED)  # type: ignore[misc]
            steps["scan " + name, rows] = steps_of(lambda f=scan, r=raw: f(r, 0, len(r)), COMPILED)  # type: ignore[misc]
    assert steps["fixed", 200] == steps["fixed", 100]
    assert steps["strings", 200] < 0.7 * steps["scan strings", 200]
