"""Bytes without a meaning, and requests that cannot be met: always a ReplicaError, never a guess."""

from __future__ import annotations

import contextlib
import zlib
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from replica_cli.core.column_types import TypeCode
from replica_cli.core.errors import CorruptEvent, Drift, UnsupportedEvent
from replica_cli.decoder.compile import Form, Output, RowsFunction, compile_rows, compile_updates
from replica_cli.decoder.errors import ColumnAbsent
from replica_cli.decoder.json_binary import json_key, json_text, json_value
from replica_cli.decoder.strings import unpack
from tests.unit.decoder.captures import Capture, read_captures

CAPTURES = [c for c in read_captures() if len(c.events[0].rows) < 20_000]
_BY_NAME = {str(c): c for c in CAPTURES}


def _function(capture: Capture) -> RowsFunction:
    event = capture.events[0]
    outputs = [Output(n, form) for n in range(len(capture.columns)) for form in Form]
    return compile_rows(capture.table, capture.columns, outputs, event.present)


@pytest.mark.parametrize("capture", CAPTURES, ids=str)
def test_a_cut_event_is_corrupt(capture: Capture) -> None:
    function, rows = _function(capture), capture.events[0].rows
    whole = function(rows, 0, len(rows))
    for end in range(len(rows) - 1, 0, -max(1, len(rows) // 200)):
        try:
            found = function(rows[:end], 0, end)
        except CorruptEvent:
            continue
        assert found == whole[: len(found)]  # cut between two rows
        assert len(found) < len(whole)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(CAPTURES), st.data())
def test_garbled_bytes_raise_nothing_else(capture: Capture, data: st.DataObject) -> None:
    rows = bytearray(capture.events[0].rows)
    for _ in range(data.draw(st.integers(1, 6))):
        rows[data.draw(st.integers(0, len(rows) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(UnsupportedEvent):
        _function(capture)(bytes(rows), 0, len(rows))


@settings(max_examples=600, deadline=None)
@given(st.binary(max_size=60))
def test_documents_of_random_bytes_raise_nothing_else(document: bytes) -> None:
    for read in (json_text, json_value, json_key):
        with contextlib.suppress(UnsupportedEvent):
            assert read(document)


def test_a_document_inside_itself_is_corrupt() -> None:
    # An array whose three values are the array itself.
    document = b"\x02" + b"\x03\x00\x0d\x00" + b"\x02\x00\x00" * 3
    with pytest.raises(CorruptEvent):
        json_text(document)


@pytest.mark.parametrize(
    "value",
    [
        b"\x01abc",
        b"\x91\x03abc",
        b"\x81\x04" + zlib.compress(b"abc"),
        b"\x81\x02" + zlib.compress(b"abc"),
        b"\x81\x03",
        b"\x80",
    ],
)
def test_a_compressed_value_must_be_what_it_announces(value: bytes) -> None:
    with pytest.raises(UnsupportedEvent):
        unpack(value)


def test_a_compressed_value_may_be_plain() -> None:
    assert unpack(b"\x00abc") == b"abc"
    assert unpack(b"\x81\x03" + zlib.compress(b"abc")) == b"abc"


def test_an_absent_column_is_refused() -> None:
    capture = _BY_NAME["mariadb-10.11-minimal_changes"]
    update = next(e for e in capture.events if e.kind == "UPDATE")
    with pytest.raises(ColumnAbsent, match="c2"):
        compile_updates(capture.table, capture.columns, [Output(2, Form.KEY)], [], update.present, update.present_after)
    with pytest.raises(ColumnAbsent, match="number 9"):
        compile_rows(capture.table, capture.columns, [Output(9, Form.VALUE)], capture.events[0].present)


def test_an_unknown_type_is_refused_even_if_it_is_only_skipped() -> None:
    capture = _BY_NAME["mariadb-10.11-changes"]
    for code in (0, 6, 14 + 7, 100, int(TypeCode.TYPED_ARRAY), int(TypeCode.VAR_STRING), int(TypeCode.TINY_BLOB)):
        table = replace(capture.table, types=bytes([3, code, *capture.table.types[2:]]))
        with pytest.raises(UnsupportedEvent, match=r"hard\.changes\.c1"):
            compile_rows(table, capture.columns, [Output(0, Form.VALUE)], b"\x1f")


def test_other_columns_than_the_maps_are_drift() -> None:
    capture = _BY_NAME["mariadb-10.11-changes"]
    with pytest.raises(Drift):
        compile_rows(capture.table, capture.columns[:-1], [], b"\x1f")


def test_images_without_columns_are_refused() -> None:
    capture = _BY_NAME["mariadb-10.11-changes"]
    with pytest.raises(UnsupportedEvent):
        compile_rows(capture.table, capture.columns, [], b"\x00")
    with pytest.raises(CorruptEvent):
        compile_rows(capture.table, capture.columns, [], b"")


def test_rows_that_begin_after_their_end_are_corrupt() -> None:
    capture = _BY_NAME["mariadb-10.11-changes"]
    with pytest.raises(CorruptEvent):
        _function(capture)(capture.events[0].rows, 5, 4)
