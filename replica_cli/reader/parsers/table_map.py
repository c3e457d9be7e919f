"""Read table map events: the table's name, its column types and, if the primary logs it, the optional metadata.

Layout: https://dev.mysql.com/doc/dev/mysql-server/latest/classbinary__log_1_1Table__map__event.html
and https://mariadb.com/kb/en/table_map_event/
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from replica_cli.core.column_types import Logged, Metadata, TypeCode, codes_with
from replica_cli.core.errors import CorruptEvent
from replica_cli.core.events import TableMap
from replica_cli.core.names import TableName
from replica_cli.reader.parsers.lenenc import read_lenenc

_ONE_BYTE = codes_with(Metadata.ONE_BYTE)
_LOW_FIRST = codes_with(Metadata.LOW_FIRST)
_HIGH_FIRST = codes_with(Metadata.HIGH_FIRST)
_WITHOUT_METADATA = codes_with(Metadata.NONE)
_NUMERIC = codes_with(Logged.SIGN)
_CHARACTER = codes_with(Logged.CHARSET)
_CHARACTER_OF_MARIADB = codes_with(Logged.CHARSET, Logged.CHARSET_BY_MARIADB)

_SIGNEDNESS, _DEFAULT_CHARSET, _COLUMN_CHARSET, _COLUMN_NAME = 1, 2, 3, 4
_SET_MEMBERS, _ENUM_MEMBERS, _SIMPLE_KEY, _PREFIX_KEY = 5, 6, 8, 9
_VISIBILITY = 12


def parse_table_map(body: bytes, *, is_mariadb: bool) -> TableMap:
    """Read the body of a table map event, with the post-header and without checksum.

    Raises:
        CorruptEvent: the event is cut or cannot be read, or a column type is not known.
    """
    try:
        return _parse(body, _CHARACTER_OF_MARIADB if is_mariadb else _CHARACTER)
    except (IndexError, struct.error, UnicodeDecodeError) as error:
        raise CorruptEvent(f"a table map event of {len(body)} bytes cannot be read: {error}") from error


def _parse(body: bytes, character: frozenset[int]) -> TableMap:
    table_id = int.from_bytes(body[:6], "little")
    at = 8
    schema, at = _name(body, at)
    table, at = _name(body, at)
    count, at = read_lenenc(body, at)
    types = body[at : at + count]
    at += count
    metadata_length, at = read_lenenc(body, at)
    types, metadata = _metadata(types, body[at : at + metadata_length])
    at += metadata_length
    nullable = _bits(body[at : at + (count + 7) // 8], count)
    at += (count + 7) // 8
    optional = _Optional(count, character)
    if at < len(body):
        _read_optional(body, at, types, metadata, optional)
    return TableMap(
        table_id=table_id,
        name=TableName(schema, table),
        body=body,
        types=types,
        metadata=metadata,
        nullable=nullable,
        unsigned=optional.unsigned,
        column_names=optional.names,
        collation_ids=tuple(optional.collations) if optional.collations else None,
        enum_members=tuple(optional.members) if optional.members else None,
        primary_key=optional.primary_key,
        visible=optional.visible,
    )


def _name(body: bytes, at: int) -> tuple[str, int]:
    length = body[at]
    return body[at + 1 : at + 1 + length].decode(), at + 2 + length


def _metadata(types: bytes, raw: bytes) -> tuple[bytes, tuple[int, ...]]:
    numbers = []
    at = 0
    for code in types:
        if code in _ONE_BYTE:
            numbers.append(raw[at])
            at += 1
        elif code in _LOW_FIRST:
            numbers.append(raw[at] | raw[at + 1] << 8)
            at += 2
        elif code in _HIGH_FIRST:
            numbers.append(raw[at] << 8 | raw[at + 1])
            at += 2
        elif code in _WITHOUT_METADATA:
            numbers.append(0)
        else:
            # The number of metadata bytes of an unknown type is unknown, so the columns after it cannot be read either.
            raise CorruptEvent(
                f"unknown column type {code} in a table map",
                hint="the server is newer than this version of replica: upgrade replica",
            )
    if at != len(raw):
        raise CorruptEvent(f"a table map has {len(raw)} bytes of metadata, its types need {at}")
    return types, tuple(numbers)


def _bits(raw: bytes, count: int) -> tuple[bool, ...]:
    return tuple(bool(raw[i >> 3] >> (i & 7) & 1) for i in range(count))


@dataclass(slots=True)
class _Optional:
    """The optional metadata read so far. `count` columns; `character` has the types that carry a charset."""

    count: int
    character: frozenset[int]
    unsigned: tuple[bool, ...] | None = None
    names: tuple[str, ...] | None = None
    primary_key: tuple[int, ...] | None = None
    visible: tuple[bool, ...] | None = None
    collations: list[int | None] = field(default_factory=list)
    members: list[tuple[bytes, ...] | None] = field(default_factory=list)


def _read_optional(body: bytes, at: int, types: bytes, metadata: tuple[int, ...], optional: _Optional) -> None:
    real_types = [_real_type(code, number) for code, number in zip(types, metadata, strict=True)]
    while at < len(body):
        kind = body[at]
        length, at = read_lenenc(body, at + 1)
        value = body[at : at + length]
        if len(value) != length:
            raise CorruptEvent(f"optional metadata {kind} of a table map is cut")
        at += length
        if kind == _SIGNEDNESS:
            # One bit for each numeric column; the highest bit is for the first of them.
            numeric = [i for i, code in enumerate(real_types) if code in _NUMERIC]
            flags = {i: bool(value[n >> 3] >> (7 - (n & 7)) & 1) for n, i in enumerate(numeric)}
            optional.unsigned = tuple(flags.get(i, False) for i in range(optional.count))
        elif kind == _COLUMN_NAME:
            optional.names = tuple(text.decode() for text in _strings(value))
        elif kind in (_DEFAULT_CHARSET, _COLUMN_CHARSET):
            optional.collations = _collations(kind, value, real_types, optional.character)
        elif kind in (_SET_MEMBERS, _ENUM_MEMBERS):
            _members(value, real_types, TypeCode.SET if kind == _SET_MEMBERS else TypeCode.ENUM, optional)
        elif kind == _SIMPLE_KEY:
            optional.primary_key = tuple(_numbers(value))
        elif kind == _PREFIX_KEY:
            optional.primary_key = tuple(_numbers(value)[::2])
        elif kind == _VISIBILITY:
            optional.visible = tuple(bool(value[i >> 3] >> (7 - (i & 7)) & 1) for i in range(optional.count))


def _real_type(code: int, number: int) -> int:
    # ENUM and SET are logged as STRING, with their own type code in the first metadata byte.
    if code == TypeCode.STRING and number >> 8 in (TypeCode.ENUM, TypeCode.SET):
        return number >> 8
    return code


def _numbers(value: bytes) -> list[int]:
    numbers, at = [], 0
    while at < len(value):
        number, at = read_lenenc(value, at)
        numbers.append(number)
    return numbers


def _strings(value: bytes) -> list[bytes]:
    strings, at = [], 0
    while at < len(value):
        length, at = read_lenenc(value, at)
        strings.append(value[at : at + length])
        at += length
    return strings


def _collations(kind: int, value: bytes, real_types: list[int], character: frozenset[int]) -> list[int | None]:
    # One entry for each character column. Either all are listed, or a default and exceptions; an exception's number
    # counts the character columns only.
    numbers = _numbers(value)
    columns = [i for i, code in enumerate(real_types) if code in character]
    if kind == _COLUMN_CHARSET:
        listed = dict(zip(columns, numbers, strict=False))
    else:
        exceptions = dict(zip(numbers[1::2], numbers[2::2], strict=False))
        listed = {column: exceptions.get(n, numbers[0]) for n, column in enumerate(columns)}
    return [listed.get(i) for i in range(len(real_types))]


def _members(value: bytes, real_types: list[int], code: int, optional: _Optional) -> None:
    if not optional.members:
        optional.members = [None] * optional.count
    at = 0
    for column, kind in enumerate(real_types):
        if kind != code:
            continue
        count, at = read_lenenc(value, at)
        names = []
        for _ in range(count):
            length, at = read_lenenc(value, at)
            names.append(value[at : at + length])
            at += length
        optional.members[column] = tuple(names)
