"""Table maps, row event headers, compressed parts, lengths: whole, and cut anywhere."""

from __future__ import annotations

import contextlib
import struct
import tracemalloc
import zlib

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from replica_cli.core.errors import CorruptEvent, ReplicaError, UnsupportedEvent
from replica_cli.core.events import RowKind
from replica_cli.reader.parsers.lenenc import read_lenenc
from replica_cli.reader.parsers.payload_event import unpack_payload
from replica_cli.reader.parsers.query_event import parse_query
from replica_cli.reader.parsers.row_event import parse_row_event, unpack_mariadb
from replica_cli.reader.parsers.table_map import parse_table_map

LONG_NAME = "漢" * 43


def lenenc(number: int) -> bytes:
    if number < 0xFB:
        return bytes([number])
    return b"\xfc" + number.to_bytes(2, "little") if number < 65536 else b"\xfd" + number.to_bytes(3, "little")


def named(*texts: bytes) -> bytes:
    return b"".join(lenenc(len(t)) + t for t in texts)


def field(kind: int, value: bytes) -> bytes:
    return bytes([kind]) + lenenc(len(value)) + value


def table_map(
    types: bytes, metadata: bytes, optional: bytes = b"", schema: bytes = b"shop", table: bytes = b"t"
) -> bytes:
    names = bytes([len(schema)]) + schema + b"\0" + bytes([len(table)]) + table + b"\0"
    nullable = b"\x05" + b"\0" * ((len(types) + 7) // 8 - 1)
    return (
        struct.pack("<IHH", 77, 0, 1)
        + names
        + lenenc(len(types))
        + types
        + lenenc(len(metadata))
        + metadata
        + nullable
        + optional
    )


# INT unsigned, VARCHAR(300), ENUM, DECIMAL unsigned, BIT, TIMESTAMP(6), SET, YEAR
TYPES = bytes([3, 15, 254, 246, 16, 17, 254, 13])
METADATA = b"\xb0\x04" + b"\xf7\x01" + b"\x0a\x02" + b"\x01\x02" + b"\x06" + b"\xf8\x01"
FULL = b"".join(
    [
        field(1, bytes([0b1100_0000])),
        field(2, lenenc(45)),
        field(4, named(b"id", LONG_NAME.encode(), b"e", b"d", b"b", b"ts", b"s", b"y")),
        field(5, lenenc(2) + named(b"p", b"q" * 130)),
        field(6, lenenc(2) + named(b"x" * 128, b"y")),
        field(8, lenenc(0) + lenenc(3)),
        field(12, bytes([0b1011_1111])),
    ]
)


def test_a_table_map_with_everything() -> None:
    found = parse_table_map(table_map(TYPES, METADATA, FULL, table="bücher".encode()), is_mariadb=False)
    assert (found.table_id, str(found.name), found.types) == (77, "shop.bücher", TYPES)
    assert found.metadata == (0, 1200, 0xF701, 0x0A02, 0x0201, 6, 0xF801, 0)
    assert found.nullable == (True, False, True, False, False, False, False, False)
    # One bit for each number: INT, DECIMAL, YEAR; the others have no sign.
    assert found.unsigned == (True, False, False, True, False, False, False, False)
    assert found.column_names == ("id", LONG_NAME, "e", "d", "b", "ts", "s", "y")
    assert found.collation_ids == (None, 45, None, None, None, None, None, None)
    assert found.enum_members is not None
    assert (found.enum_members[2], found.enum_members[6]) == ((b"x" * 128, b"y"), (b"p", b"q" * 130))
    assert found.primary_key == (0, 3)
    assert found.visible == (True, False, True, True, True, True, True, True)


def test_a_table_map_with_nothing() -> None:
    found = parse_table_map(table_map(TYPES, METADATA), is_mariadb=False)
    assert (found.unsigned, found.column_names, found.collation_ids, found.enum_members) == (None, None, None, None)
    assert (found.primary_key, found.visible) == (None, None)


def test_a_key_with_prefixes_and_an_unknown_field() -> None:
    found = parse_table_map(
        table_map(TYPES, METADATA, field(200, b"new") + field(9, b"\x01\x0a\x00\x00")), is_mariadb=False
    )
    assert found.primary_key == (1, 0)


def test_charsets_of_each_column_and_with_exceptions() -> None:
    types, metadata = bytes([15, 252, 15]), b"\x0a\0" + b"\x02" + b"\x0a\0"
    listed = parse_table_map(
        table_map(types, metadata, field(3, lenenc(8) + lenenc(63) + lenenc(2304))), is_mariadb=False
    )
    assert listed.collation_ids == (8, 63, 2304)
    default = parse_table_map(
        table_map(types, metadata, field(2, lenenc(45) + lenenc(1) + lenenc(63))), is_mariadb=False
    )
    assert default.collation_ids == (45, 63, 45)


def test_an_unknown_type_and_metadata_that_does_not_fit() -> None:
    with pytest.raises(CorruptEvent, match="unknown column type 99"):
        parse_table_map(table_map(bytes([99]), b""), is_mariadb=False)
    with pytest.raises(CorruptEvent, match="bytes of metadata"):
        parse_table_map(table_map(bytes([3]), b"\x01"), is_mariadb=False)


@pytest.mark.parametrize("optional", [b"", FULL], ids=["bare", "full"])
def test_a_cut_table_map(optional: bytes) -> None:
    whole = table_map(TYPES, METADATA, optional)
    bare = len(table_map(TYPES, METADATA))
    fields = {bare + len(FULL)} | {bare}
    for size in range(len(whole)):
        if size in fields:
            continue
        try:
            found = parse_table_map(whole[:size], is_mariadb=False)
        except CorruptEvent:
            continue
        # A cut between two optional fields is a shorter list of them; anything else would be read wrong.
        assert size > bare, f"{size} of {len(whole)} bytes were taken for a whole table map"
        again = parse_table_map(whole, is_mariadb=False)
        for name in ("unsigned", "column_names", "collation_ids", "primary_key", "visible"):
            assert getattr(found, name) in (None, getattr(again, name)), (name, size)


@given(st.binary(max_size=80))
def test_no_bytes_break_the_parser(data: bytes) -> None:
    for body in (data, table_map(TYPES, METADATA) + data, table_map(TYPES, data)):
        with contextlib.suppress(CorruptEvent):
            parse_table_map(body, is_mariadb=False)


def test_a_geometry_has_a_charset_on_mariadb() -> None:
    types, metadata = bytes([255, 15, 255, 15]), b"\x04\x0a\0\x04\x0a\0"
    listed = table_map(types, metadata, field(3, b"".join(map(lenenc, (63, 8, 63, 45)))))
    assert parse_table_map(listed, is_mariadb=True).collation_ids == (63, 8, 63, 45)
    default = table_map(types, metadata, field(2, b"".join(map(lenenc, (63, 1, 8, 3, 45)))))
    assert parse_table_map(default, is_mariadb=True).collation_ids == (63, 8, 63, 45)
    of_mysql = table_map(types, metadata, field(2, b"".join(map(lenenc, (8, 1, 45)))))
    assert parse_table_map(of_mysql, is_mariadb=False).collation_ids == (None, 8, None, 45)


TWO = parse_table_map(table_map(bytes([3, 15]), b"\x0a\0"), is_mariadb=False)


def row_event(code: int, body: bytes) -> bytes:
    return struct.pack("<IBIIIH", 1, code, 1, 19 + len(body), 500, 0) + body


@pytest.mark.parametrize(("code", "kind"), [(23, 0), (24, 1), (25, 2), (30, 0), (31, 1), (32, 2), (39, 1)])
def test_a_row_event(code: int, kind: int) -> None:
    extra = b"\x05\0abc" if code >= 30 else b""
    bitmaps = b"\x03" + (b"\x01" if kind == 1 else b"")
    event = row_event(code, struct.pack("<IHH", 77, 0, 3) + extra + b"\x02" + bitmaps + b"ROWS")
    found = parse_row_event(event, TWO)
    assert (found.kind, found.head.flags, found.head.present) == (RowKind(kind), 3, b"\x03")
    assert found.head.present_after == (b"\x01" if kind == 1 else b"")
    assert found.raw[found.head.rows_start :] == b"ROWS"
    assert found.head.is_partial_json == (code == 39)


def test_a_row_event_of_another_width_than_its_table() -> None:
    with pytest.raises(CorruptEvent, match="3 columns"):
        parse_row_event(row_event(23, struct.pack("<IHH", 77, 0, 1) + b"\x03\x07"), TWO)


@pytest.mark.parametrize("code", [23, 24, 31, 166, 167])
def test_a_cut_row_event(code: int) -> None:
    extra = b"\x02\0" if code == 31 else b""
    rows = b"\x81\x04" + zlib.compress(b"ROWS") if code > 100 else b""
    bitmaps = b"\x03\x03" if code in (24, 31, 167) else b"\x03"
    whole = row_event(code, struct.pack("<IHH", 77, 0, 1) + extra + b"\x02" + bitmaps + rows)
    assert parse_row_event(whole, TWO)
    for size in range(19, len(whole)):
        with pytest.raises(CorruptEvent):
            parse_row_event(whole[:size], TWO)


@given(st.binary(max_size=3000), st.integers(1, 4))
def test_compressed_by_mariadb(data: bytes, width: int) -> None:
    if len(data) >= 1 << (8 * width):
        width = 4
    packed = bytes([0x80 | width]) + len(data).to_bytes(width, "big") + zlib.compress(data)
    assert unpack_mariadb(packed) == data


@pytest.mark.parametrize(
    "packed",
    [
        b"",
        b"\x81",
        b"\x91\x01" + zlib.compress(b"x"),
        b"\x81\x05" + zlib.compress(b"four"),
        b"\x81\x04" + zlib.compress(b"four")[:-2],
        b"\x01\x04rows",
    ],
)
def test_broken_compression(packed: bytes) -> None:
    body = struct.pack("<IHH", 77, 0, 1) + b"\x02\x03" + packed
    with pytest.raises(CorruptEvent):
        parse_row_event(row_event(166, body), TWO)


def payload(data: bytes, algorithm: int = 0, announced: int | None = None) -> bytes:
    packed = zstandard.ZstdCompressor().compress(data) if algorithm == 0 else data
    fields = {2: lenenc(algorithm), 3: lenenc(len(data) if announced is None else announced), 1: lenenc(len(packed))}
    return b"".join(lenenc(n) + lenenc(len(v)) + v for n, v in fields.items()) + b"\0" + packed


INNER = [row_event(16, b"12345678"), row_event(23, b"x" * 3_000_000), row_event(19, b"")]


@pytest.mark.parametrize("algorithm", [0, 255])
def test_a_payload(algorithm: int) -> None:
    assert list(unpack_payload(payload(b"".join(INNER), algorithm))) == INNER


def test_a_broken_payload() -> None:
    with pytest.raises(UnsupportedEvent, match="algorithm 7"):
        list(unpack_payload(payload(b"", 7)))
    whole = payload(b"".join(INNER))
    for bad in (
        b"",
        b"\x02",
        whole[: len(whole) // 2],
        whole[:-1],
        payload(b"".join(INNER) + b"rest"),
        payload(INNER[0][:-1]),
        payload(b"".join(INNER), announced=sum(map(len, INNER)) - 1),
        payload(b"".join(INNER), announced=sum(map(len, INNER)) + 1),
        payload(b"".join(INNER), announced=0),
        payload(INNER[0] + b"\0" * 9 + (2**31).to_bytes(4, "little") + bytes(6)),
        b"\x02\x01\0\0" + zstandard.ZstdCompressor().compress(INNER[0]),
    ):
        with pytest.raises(CorruptEvent):
            list(unpack_payload(bad))


def test_what_is_packed_takes_no_more_memory_than_it_announces() -> None:
    hundred_million = bytes(100_000_000)
    large = row_event(16, hundred_million)
    packed = {
        payload: payload(large, announced=1000),
        row_event: row_event(166, struct.pack("<IHH", 77, 0, 1) + b"\x02\x03\x81\x04" + zlib.compress(hundred_million)),
    }
    del large, hundred_million
    tracemalloc.start()
    try:
        with pytest.raises(CorruptEvent):
            list(unpack_payload(packed[payload]))
        with pytest.raises(CorruptEvent):
            parse_row_event(packed[row_event], TWO)
        assert tracemalloc.get_traced_memory()[1] < 4_000_000
    finally:
        tracemalloc.stop()


@given(st.integers(0, 2**64 - 1), st.binary(max_size=3))
def test_lengths(number: int, before: bytes) -> None:
    coded = lenenc(number) if number < 2**24 else b"\xfe" + number.to_bytes(8, "little")
    assert read_lenenc(before + coded, len(before)) == (number, len(before) + len(coded))
    for cut in range(len(coded)):
        with pytest.raises(IndexError):
            read_lenenc(before + coded[:cut], len(before))


@pytest.mark.parametrize("first", [0xFB, 0xFF])
def test_what_is_no_length(first: int) -> None:
    with pytest.raises(IndexError):
        read_lenenc(bytes([first]) + b"\0" * 9, 0)


STATUS: dict[str, tuple[bytes, dict[str, object]]] = {
    "flags2": (b"\x00\x00\x00\x00\x04", {"flags2": 1 << 26}),
    "sql_mode": (b"\x01" + (1 << 40 | 4).to_bytes(8, "little"), {"sql_mode": 1 << 40 | 4}),
    "catalog": (b"\x06\x03std", {}),
    "auto increment": (b"\x03\x02\x00\x01\x00", {"auto_increment": (2, 1)}),
    "charset": (
        b"\x04\x08\x00\x2d\x00\x00\x09",
        {"character_set_client": 8, "collation_connection": 45, "collation_server": 2304},
    ),
    "zone": (b"\x05\x06+02:00", {"time_zone": "+02:00"}),
    "names of days": (b"\x07\x00\x00", {}),
    "database collation": (b"\x08\x2d\x00", {}),
    "invoker": (b"\x0b\x04root\x09localhost", {}),
    "schemas": (b"\x0c\x02one\0two\0", {}),
    "too many schemas": (b"\x0c\xfe", {}),
    "microseconds": (b"\x0d\x40\xe2\x01", {"microseconds": 123456}),
    "MariaDB's microseconds": (b"\x80\x40\xe2\x01", {"microseconds": 123456}),
    "explicit defaults": (b"\x10\x01", {"explicit_defaults_for_timestamp": True}),
    "ddl xid": (b"\x11" + b"\0" * 8, {}),
    "default collation": (b"\x12\xff\x00", {"default_collation_for_utf8mb4": 255}),
    "primary key": (b"\x13\x01", {}),
    "encryption": (b"\x14\x01", {}),
    "start alter": (b"\x82\x02", {"alter_flags": 2}),
    "commit alter": (b"\x82\x04" + b"\0" * 8, {"alter_flags": 4}),
    "MariaDB's xid": (b"\x81" + b"\0" * 8, {}),
    "collations": (b"\x83\x02" + b"\x01\0\x02\0" * 2, {}),
}


def query(status: bytes, text: bytes = b"DROP TABLE t", schema: bytes = b"sh\xc3\xb6p") -> bytes:
    return struct.pack("<IIBHH", 1, 0, len(schema), 0, len(status)) + status + schema + b"\0" + text


@pytest.mark.parametrize("name", STATUS)
def test_each_status_variable_alone_and_between_others(name: str) -> None:
    raw, expected = STATUS[name]
    for before, after in ((b"", b""), (STATUS["zone"][0], STATUS["flags2"][0])):
        statement = parse_query(query(before + raw + after), 5)
        assert (statement.text, statement.schema, statement.timestamp) == (b"DROP TABLE t", "shöp", 5)
        context = statement.context
        if after:
            assert context.flags2 == 1 << 26
        for field_name, value in expected.items():
            if not (after and field_name == "flags2"):
                assert getattr(context, field_name) == value


@pytest.mark.parametrize("name", STATUS)
def test_cut_status_variables(name: str) -> None:
    raw, _ = STATUS[name]
    for size in range(1, len(raw)):
        # Bytes after the end would be read from the text.
        with pytest.raises(ReplicaError):
            parse_query(query(raw[:size]), 5)
