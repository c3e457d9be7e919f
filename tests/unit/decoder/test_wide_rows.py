"""Rows as one text, and the types that are put together from parts: the same bytes as literal by literal."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replica_cli.core.errors import CorruptEvent
from replica_cli.core.events import TableMap
from replica_cli.core.table import Column, TableName
from replica_cli.decoder.compile import Form, Output, RowsFunction, compile_rows
from replica_cli.decoder.numbers import decimal_groups, group_size
from tests.support.steps import steps_of
from tests.unit.decoder.captures import Capture, read_captures

COMPILED = "<rows of"
_DATETIME, _DECIMAL = 18, 246


def decoder(code: int, metadata: int, column: Column, count: int = 1, *, is_joined: bool = False) -> RowsFunction:
    table = TableMap(1, TableName("s", "t"), b"", bytes([code] * count), (metadata,) * count, (False,) * count)
    present = ((1 << count) - 1).to_bytes((count + 7) // 8, "little")
    outputs = [Output(n, Form.VALUE) for n in range(count)]
    return compile_rows(table, (column,) * count, outputs, present, is_joined=is_joined)


@pytest.mark.parametrize("capture", read_captures(), ids=str)
def test_a_joined_row_is_its_literals_with_commas(capture: Capture) -> None:
    for event in capture.events:
        if event.kind == "UPDATE":
            continue
        outputs = [Output(n, f) for f in Form if f is not Form.RAW for n in range(len(capture.columns))]
        outputs = [o for o in outputs if event.present[o.ordinal >> 3] >> (o.ordinal & 7) & 1]
        one, other = (
            compile_rows(capture.table, capture.columns, outputs, event.present, is_joined=is_joined)
            for is_joined in (False, True)
        )
        end = len(event.rows)
        assert [(b",".join(row),) for row in one(event.rows, 0, end)] == other(event.rows, 0, end)


def packed(whole: int, fraction: int, precision: int, scale: int, *, is_negative: bool) -> bytes:
    """Return a DECIMAL as servers store it: groups of nine digits, high byte first, all bits turned if negative."""
    found = b""
    for number, groups in zip((whole, fraction), decimal_groups(precision, scale), strict=True):
        digits = f"{number:0{max(1, sum(groups))}d}"
        for size in groups:
            found += int(digits[:size]).to_bytes(group_size(size), "big")
            digits = digits[size:]
    raw = bytes([found[0] | 0x80]) + found[1:]
    return bytes(byte ^ 0xFF for byte in raw) if is_negative else raw


@given(st.data(), st.booleans(), st.booleans())
def test_decimals_of_every_shape(data: st.DataObject, is_negative: bool, is_joined: bool) -> None:  # noqa: FBT001
    precision = data.draw(st.integers(1, 65))
    scale = data.draw(st.integers(0, min(precision, 38)))
    whole, fraction = (data.draw(st.integers(0, 10**n - 1)) for n in (precision - scale, scale))
    raw = packed(whole, fraction, precision, scale, is_negative=is_negative)
    column = Column("d", "decimal", "decimal", is_nullable=False, precision=precision, scale=scale)
    text = f"{'-' if is_negative else ''}{whole}{f'.{fraction:0{scale}d}' if scale else ''}".encode()
    function = decoder(_DECIMAL, precision << 8 | scale, column, is_joined=is_joined)
    assert function(b"\xfe" + raw, 0, 1 + len(raw)) == [(text,)]


def test_bytes_that_are_no_digits_are_corrupt() -> None:
    column = Column("d", "decimal", "decimal", is_nullable=False, precision=12, scale=2)
    function = decoder(_DECIMAL, 12 << 8 | 2, column)
    for raw in (b"\x8a\0\0\0\0\0", b"\x80\x3b\x9a\xca\0\0", b"\x80\0\0\0\0\x64"):
        with pytest.raises(CorruptEvent):
            function(b"\xfe" + raw, 0, 7)


CLOCK = st.tuples(st.integers(0, 23), st.integers(0, 59), st.integers(0, 59))


@given(st.integers(0, 9999), st.integers(0, 12), st.integers(0, 31), CLOCK)
def test_every_datetime(year: int, month: int, day: int, clock: tuple[int, int, int]) -> None:
    hour, minute, second = clock
    number = 1 << 39 | ((year * 13 + month) << 5 | day) << 17 | hour << 12 | minute << 6 | second
    function = decoder(_DATETIME, 0, Column("d", "datetime", "datetime", is_nullable=False))
    text = f"'{year:04d}-{month:02d}-{day:02d} {hour:02d}:{minute:02d}:{second:02d}'".encode()
    assert function(b"\xfe" + number.to_bytes(5, "big"), 0, 6) == [(text,)]


@pytest.mark.parametrize("raw", ["0000000000", "7fffffffff", "8000018000", "8000000fff", "800000003c", "ffffffffff"])
def test_what_is_no_datetime_is_corrupt(raw: str) -> None:
    function = decoder(_DATETIME, 0, Column("d", "datetime", "datetime", is_nullable=False))
    with pytest.raises(CorruptEvent):
        function(b"\xfe" + bytes.fromhex(raw), 0, 6)


def test_a_row_of_many_columns_takes_fewer_steps_as_one_text() -> None:
    column, row = Column("n", "int", "int", is_nullable=False), bytes(25) + bytes(4 * 200)
    one, other = (decoder(3, 0, column, 200, is_joined=is_joined) for is_joined in (False, True))
    assert steps_of(lambda: other(row, 0, len(row)), COMPILED) < 0.7 * steps_of(lambda: one(row, 0, len(row)), COMPILED)
