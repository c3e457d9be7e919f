"""Turn MySQL's binary JSON into the text that the server prints, or into SQL that makes the same document.

Dates, times, decimals and bytes are "opaque" values of a document: from their text alone the server would make values
of another type. So a `Value` holds the text and, if it is needed, the SQL expression that makes exactly this value.
Layout: https://dev.mysql.com/doc/dev/mysql-server/latest/json__binary_8h.html
"""

from __future__ import annotations

import math
import struct
from enum import IntEnum

from replica_cli.core.column_types import TypeCode, type_name
from replica_cli.core.errors import CorruptEvent, UnsupportedEvent
from replica_cli.decoder.json_sql import (
    BYTES_LIMIT,
    Value,
    array_value,
    bytes_value,
    decimal_value,
    object_value,
    string_text,
    temporal_value,
)
from replica_cli.decoder.numbers import decimal_text
from replica_cli.decoder.temporal import clock_text, date_text, fraction_text

_MAX_DEPTH = 100
_LITERALS = {0: b"null", 1: b"true", 2: b"false"}
# The server's DBL_DIG. It limits the places before and after the point of a number that has no exponent.
_F_FORMAT_DIGITS = 15


class _Tag(IntEnum):
    """The type byte of a value in a document."""

    SMALL_OBJECT = 0
    LARGE_OBJECT = 1
    SMALL_ARRAY = 2
    LARGE_ARRAY = 3
    LITERAL = 4
    INT16 = 5
    UINT16 = 6
    INT32 = 7
    UINT32 = 8
    INT64 = 9
    UINT64 = 10
    DOUBLE = 11
    STRING = 12
    OPAQUE = 15


_OBJECTS = (_Tag.SMALL_OBJECT, _Tag.LARGE_OBJECT)
_ARRAYS = (_Tag.SMALL_ARRAY, _Tag.LARGE_ARRAY)
_INTEGERS = {
    _Tag.INT16: struct.Struct("<h"),
    _Tag.UINT16: struct.Struct("<H"),
    _Tag.INT32: struct.Struct("<i"),
    _Tag.UINT32: struct.Struct("<I"),
    _Tag.INT64: struct.Struct("<q"),
    _Tag.UINT64: struct.Struct("<Q"),
}
# By type code, the SQL type to which the secondary casts the text of an opaque date or time.
TEMPORALS = {TypeCode.DATE: b"DATE", TypeCode.TIME: b"TIME(6)", TypeCode.DATETIME: b"DATETIME(6)"}
_DOUBLE = struct.Struct("<d")
# The tags whose value is in the container's table of values instead of its offset, by whether the container is large.
_INLINED: dict[bool, tuple[_Tag, ...]] = {False: (_Tag.LITERAL, _Tag.INT16, _Tag.UINT16)}
_INLINED[True] = (*_INLINED[False], _Tag.INT32, _Tag.UINT32)


def json_text(document: bytes) -> bytes:
    """Return the document as text, as the server prints it.

    Raises:
        CorruptEvent: the document cannot be read.
        UnsupportedEvent: the document holds a value of a kind that is not known.
    """
    return _Document(document, keeps_types=False).read().text


def json_value(document: bytes) -> bytes:
    """Return SQL that can be written into a JSON column and makes the same document there.

    Raises:
        CorruptEvent: the document cannot be read.
        UnsupportedEvent: the document holds a value that is not known, or that no SQL can make.
    """
    value = _Document(document, keeps_types=True).read()
    return value.as_value()


def json_key(document: bytes) -> bytes:
    """Return SQL of type JSON, to compare with a JSON column. Raises as `json_value`."""
    return _Document(document, keeps_types=True).read().as_json()


def double_text(value: float) -> bytes:
    """Return a double as the server prints it: 100.0, 1e15, 1e-5, -0.0. Raises CorruptEvent if it is not finite."""
    if value - value:
        raise CorruptEvent("a number in a JSON document is not finite")
    sign = "-" if math.copysign(1, value) < 0 else ""
    if not value:
        return f"{sign}0.0".encode()
    mantissa, _, exponent = repr(abs(value)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    written = whole + fraction
    digits = written.lstrip("0")
    # The position of the decimal point, counted from the first digit that is not 0.
    point = len(whole) + int(exponent or 0) - (len(written) - len(digits))
    digits = digits.rstrip("0")
    if not (-_F_FORMAT_DIGITS < point <= _F_FORMAT_DIGITS or 0 < point < len(digits)):
        rest = "." + digits[1:] if digits[1:] else ""
        return f"{sign}{digits[0]}{rest}e{point - 1}".encode()
    if point <= 0:
        return f"{sign}0.{'0' * -point}{digits}".encode()
    return f"{sign}{digits[:point].ljust(point, '0')}.{digits[point:] or '0'}".encode()


class _Document:
    """Reads one document. `keeps_types`: refuse a value that no SQL can make on the secondary."""

    def __init__(self, data: bytes, *, keeps_types: bool) -> None:
        self._data = data
        self._keeps_types = keeps_types
        # Every value has at least one byte of its own. More values than bytes means that values overlap.
        self._values_left = len(data)

    def read(self) -> Value:
        # A column without a default got an empty document in a lax sql_mode. The server reads it as the literal null.
        if not self._data:
            return Value(b"null")
        try:
            return self._value(self._data[0], 1, depth=0)
        except (IndexError, struct.error, ValueError) as error:
            raise CorruptEvent(f"a JSON document is broken: {error}") from error

    def _value(self, tag: int, at: int, *, depth: int) -> Value:
        self._values_left -= 1
        if depth > _MAX_DEPTH or self._values_left < 0:
            raise CorruptEvent("a JSON document is nested too deep")
        if tag in _OBJECTS or tag in _ARRAYS:
            return self._container(tag, at, depth=depth)
        if tag == _Tag.LITERAL:
            return Value(_literal(self._data[at]))
        if tag == _Tag.DOUBLE:
            return Value(double_text(_DOUBLE.unpack_from(self._data, at)[0]))
        if tag == _Tag.STRING:
            return Value(string_text(self._sized(at)))
        if tag == _Tag.OPAQUE:
            return self._opaque(self._data[at], self._sized(at + 1))
        if tag not in (structs := _INTEGERS):
            raise UnsupportedEvent(f"a JSON document holds a value of tag {tag}, which is not known")
        return Value(b"%d" % structs[_Tag(tag)].unpack_from(self._data, at)[0])

    def _sized(self, at: int) -> bytes:
        """Return the bytes after a length, which has seven bits in each byte, the low bits first."""
        length = shift = 0
        while True:
            byte = self._data[at]
            at += 1
            length |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
            if shift > 28:
                raise ValueError("a length goes on for more than five bytes")
        return self._exactly(at, length)

    def _exactly(self, at: int, length: int) -> bytes:
        piece = self._data[at : at + length]
        if len(piece) != length:
            raise ValueError("a value goes beyond the document's end")
        return piece

    def _container(self, tag: int, start: int, *, depth: int) -> Value:
        is_large, is_object = tag in (_Tag.LARGE_OBJECT, _Tag.LARGE_ARRAY), tag in _OBJECTS
        width = 4 if is_large else 2
        count, size = struct.unpack_from("<II" if is_large else "<HH", self._data, start)
        values = start + 2 * width + (count * (width + 2) if is_object else 0)
        first = values + count * (width + 1)
        end = start + size
        if not first <= end <= len(self._data):
            raise ValueError("an object or array goes beyond the document's end")
        children = []
        for entry in range(values, first, width + 1):
            child, at = self._data[entry], entry + 1
            if child not in _INLINED[is_large]:
                at = start + int.from_bytes(self._data[at : at + width], "little")
                if not first <= at < end:
                    raise ValueError("a value lies outside of its object or array")
            children.append(self._value(child, at, depth=depth + 1))
        if is_object:
            return object_value(self._keys(start, count, width), children)
        return array_value(children)

    def _keys(self, start: int, count: int, width: int) -> list[bytes]:
        keys = []
        for entry in range(start + 2 * width, start + 2 * width + count * (width + 2), width + 2):
            offset = int.from_bytes(self._data[entry : entry + width], "little")
            length = int.from_bytes(self._data[entry + width : entry + width + 2], "little")
            keys.append(self._exactly(start + offset, length))
        return keys

    def _opaque(self, code: int, data: bytes) -> Value:
        if code == TypeCode.NEWDECIMAL:
            precision, scale = data[0], data[1]
            return decimal_value(decimal_text(data[2:], precision, scale), precision, scale)
        if code in TEMPORALS:
            return temporal_value(_temporal(code, data), TEMPORALS[TypeCode(code)])
        if code == TypeCode.TIMESTAMP:
            self._refuse(code)
            return Value(b'"%b"' % _temporal(code, data))
        if code != TypeCode.VARCHAR or len(data) > BYTES_LIMIT:
            self._refuse(code)
        # The server gives the bytes of a literal the type VARCHAR. Without a table no expression makes the other types.
        return bytes_value(data, code)

    def _refuse(self, code: int) -> None:
        if self._keeps_types:
            raise UnsupportedEvent(
                f"a JSON document holds a value of type {type_name(code)}, which no SQL can make on the secondary",
                hint="set REPLICA_ENGINE=auto, so that the row image engine applies this table",
            )


def _literal(code: int) -> bytes:
    if code not in _LITERALS:
        raise UnsupportedEvent(f"a JSON document holds the literal {code}, which is not known")
    return _LITERALS[code]


def _temporal(code: int, data: bytes) -> bytes:
    """Return the text of a date or time from its eight bytes.

    They are one signed number: 40 bits of fields, and below them 24 bits of microseconds.
    """
    if len(data) != 8:
        raise ValueError("a date or time does not have eight bytes")
    packed = int.from_bytes(data, "little", signed=True)
    sign, packed = (b"-", -packed) if packed < 0 else (b"", packed)
    fields, microseconds = packed >> 24, packed & 0xFFFFFF
    if code == TypeCode.TIME:
        clock = clock_text(fields >> 12, fields >> 6 & 63, fields & 63)
        return sign + clock + fraction_text(microseconds, 6)
    day, clock_bits = fields >> 17, fields & 0x1FFFF
    if sign:
        raise ValueError("a date is negative")
    text = date_text((day >> 5) // 13, (day >> 5) % 13, day & 31)
    if code == TypeCode.DATE:
        return text
    return b"%b %b%b" % (
        text,
        clock_text(clock_bits >> 12, clock_bits >> 6 & 63, clock_bits & 63),
        fraction_text(microseconds, 6),
    )
