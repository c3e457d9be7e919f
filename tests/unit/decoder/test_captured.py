"""Row events of real servers: every literal against the server's own words for the value."""

from __future__ import annotations

import hashlib
import math
import re
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from replica_cli.core.table import Column

from replica_cli.core.events import RowHead, RowKind
from replica_cli.decoder.compile import EachBody, Form, Output, compile_each, compile_rows, compile_updates
from replica_cli.decoder.contradiction import contradiction
from replica_cli.decoder.json_binary import json_text
from tests.unit.decoder.captures import Capture, Event, Snapshot, read_captures

CAPTURES = read_captures()
_NUMBERS = frozenset(["tinyint", "smallint", "mediumint", "int", "bigint", "year", "bit", "decimal", "enum"])
_TEMPORALS = frozenset({"date", "datetime", "timestamp", "time"})
_KEY = re.compile(rb"(?:_\w+ )?x'([0-9a-f]*)'")


def _unquoted(literal: bytes) -> bytes:
    assert literal[:1] == literal[-1:] == b"'"
    return re.sub(rb"\\(.)", rb"\1", literal[1:-1], flags=re.DOTALL)


def _raw(literal: bytes) -> bytes:
    key = _KEY.fullmatch(literal)
    return bytes.fromhex(key[1].decode()) if key else _unquoted(literal)


def assert_same(literal: bytes, word: str | None, column: Column) -> None:
    kind = column.data_type
    if word is None or literal == b"NULL":
        assert (literal, word) == (b"NULL", None)
    elif kind == "set":
        # Its bits; as a key they are a signed number.
        assert int(literal) % 2**64 == int(word)
    elif kind in _NUMBERS:
        assert Decimal(literal.decode()) == Decimal(word)
    elif kind in ("float", "double"):
        assert b"e" in literal
        # The server writes the extremes with a digit less than they have.
        assert float(literal) == float(word) or f"{float(literal):.15e}" == f"{Decimal(word):.15e}"
    elif kind in _TEMPORALS:
        assert _unquoted(literal).decode() == word
    elif kind == "json":
        pass  # see test_documents_read_as_the_server_prints_them
    else:
        raw = _raw(literal)
        assert word in (raw.hex().upper(), hashlib.sha256(raw).hexdigest())


def _outputs(event_columns: bytes, count: int, form: Form) -> list[Output]:
    return [Output(n, form) for n in range(count) if event_columns[n >> 3] >> (n & 7) & 1]


def _assert_image(literals: tuple[bytes, ...], outputs: list[Output], row: list[str | None], capture: Capture) -> None:
    for literal, output in zip(literals, outputs, strict=True):
        assert_same(literal, row[output.ordinal], capture.columns[output.ordinal])


@pytest.mark.parametrize("form", [Form.VALUE, Form.KEY])
@pytest.mark.parametrize("capture", CAPTURES, ids=str)
def test_literals_are_the_servers_own_values(capture: Capture, form: Form) -> None:
    seen: dict[str, set[str]] = {"INSERT": set(), "DELETE": set()}
    for event in capture.events:
        before = _outputs(event.present, len(capture.columns), form)
        if event.kind == "UPDATE":
            _assert_updates(capture, event, before, _outputs(event.present_after, len(capture.columns), form))
            continue
        rows = compile_rows(capture.table, capture.columns, before, event.present)(event.rows, 0, len(event.rows))
        words: Snapshot = event.before if event.kind == "DELETE" else event.after
        for row in rows:
            number = row[0].decode()
            seen[event.kind].add(number)
            _assert_image(row, before, words[number], capture)
    # A statement with many bytes makes several events.
    assert seen["INSERT"] == set(capture.events[0].after)
    assert seen["DELETE"] in (set(), set(capture.events[0].after))


def _assert_updates(capture: Capture, event: Event, before: list[Output], after: list[Output]) -> None:
    function = compile_updates(capture.table, capture.columns, before, after, event.present, event.present_after)
    rows = function(event.rows, 0, len(event.rows))
    changed = [number for number, row in event.after.items() if event.before[number] != row]
    assert len(rows) == len(changed)
    for row, number in zip(rows, changed, strict=True):
        assert row[len(after)].decode() == number
        _assert_image(row[: len(after)], after, event.after[number], capture)
        _assert_image(row[len(after) :], before, event.before[number], capture)


@pytest.mark.parametrize("capture", CAPTURES, ids=str)
def test_signs_come_from_the_catalog_if_the_table_map_has_none(capture: Capture) -> None:
    event = capture.events[0]
    outputs = _outputs(event.present, len(capture.columns), Form.VALUE)
    bare = replace(capture.table, unsigned=None, column_names=None, collation_ids=None, enum_members=None)
    found = [
        compile_rows(table, capture.columns, outputs, event.present)(event.rows, 0, len(event.rows))
        for table in (capture.table, bare)
    ]
    assert found[0] == found[1]
    assert contradiction(bare, capture.columns) is None


@pytest.mark.parametrize("capture", CAPTURES, ids=str)
def test_map_and_catalog_of_one_server_agree(capture: Capture) -> None:
    assert contradiction(capture.table, capture.columns) is None


@pytest.mark.parametrize("capture", CAPTURES, ids=str)
def test_columns_not_wanted_are_skipped(capture: Capture) -> None:
    event = capture.events[0]
    everything = _outputs(event.present, len(capture.columns), Form.VALUE)
    end = len(event.rows)
    whole = compile_rows(capture.table, capture.columns, everything, event.present)(event.rows, 0, end)
    for n, output in enumerate(everything):
        one = compile_rows(capture.table, capture.columns, [output], event.present)(event.rows, 0, end)
        assert one == [(row[n],) for row in whole]
    turned = compile_rows(capture.table, capture.columns, everything[::-1], event.present)(event.rows, 0, end)
    assert turned == [row[::-1] for row in whole]


@pytest.mark.parametrize("capture", [c for c in CAPTURES if c.name != "minimal_changes"], ids=str)
def test_rows_are_cut_apart_by_their_key(capture: Capture) -> None:
    for event in capture.events:
        tags = "ba" if event.kind == "UPDATE" else "b"
        pairs: list[tuple[int, bytes]] = []
        each = tuple(f"take((key_{tag}, row_{tag}))" for tag in tags)
        body = EachBody("", (), each, {"take": pairs.append})
        kind, after = RowKind[event.kind], event.present_after if len(tags) == 2 else b""
        head = RowHead(kind, capture.table, 0, event.present, after, 0)
        each_row = compile_each(head, capture.columns, [0], (), body)
        assert each_row(event.rows, 0, len(event.rows)) == len(pairs) / len(tags)
        assert b"".join(image for _, image in pairs) == event.rows
        read = compile_rows(capture.table, capture.columns, [Output(0, Form.VALUE)], event.present)
        assert [(b"%d" % key,) for key, _ in pairs] == [read(image, 0, len(image))[0] for _, image in pairs]


@pytest.mark.parametrize("capture", [c for c in CAPTURES if c.name == "documents"], ids=str)
def test_documents_read_as_the_server_prints_them(capture: Capture) -> None:
    event = capture.events[0]
    # As if the secondary's column were text: then the literal is the document's own text.
    column = replace(capture.columns[1], data_type="longtext", charset="utf8mb4")
    outputs = [Output(0, Form.VALUE), Output(1, Form.VALUE)]
    rows = compile_rows(capture.table, [capture.columns[0], column], outputs, event.present)
    for number, literal in rows(event.rows, 0, len(event.rows)):
        word = event.after[number.decode()][1]
        assert literal == b"NULL" if word is None else _unquoted(literal).decode() == word


def test_negative_zero_keeps_its_sign_if_the_primary_kept_it() -> None:
    (capture,) = [c for c in CAPTURES if str(c) == "mysql-9.7-reals"]
    event = capture.events[0]
    rows = compile_rows(capture.table, capture.columns, [Output(2, Form.VALUE)], event.present)
    literal = rows(event.rows, 0, len(event.rows))[1][0]
    assert literal == b"-0.0e0"
    assert math.copysign(1, float(literal)) < 0


def test_an_empty_document_is_the_literal_null() -> None:
    assert json_text(b"") == b"null"
