"""Write the values of a row as one text, in SQL on either server: equal texts mean equal rows, byte by byte.

Text in another case or with other spaces is another row, NULL differs from every value, and -0 from 0. The session has
SET NAMES binary, so that no charset is converted, and the time zone +00:00.

The text of a row consists of:

- a short text for each value, with '#' between them. For bytes this is their length, and for NULL a '-'. If the bytes
  have a fixed length, it only tells if the value is NULL. No short text contains '#'. The last of the bytes need no
  length: they are what is left. Each length costs MariaDB as much as half of the hash.
- the bytes, in the order of their columns; NULL has none.
- a '-' or 64 hexadecimal digits for each value that may be long. A whole row would otherwise have to fit into
  max_allowed_packet.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING

from replica_cli.core.column_types import (
    FIXED_BINARIES,
    GEOMETRIES,
    INTEGERS,
    LISTS,
    LONG_BYTES,
    LONG_TEXTS,
    REALS,
    SHORT_BYTES,
    SHORT_TEXTS,
    TEMPORALS,
)
from replica_cli.sqlbuilder.identifiers import quote
from replica_cli.sqlbuilder.rows.chunks import WIDE
from replica_cli.sqlbuilder.statements.system_versioning import LAST_MOMENTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from replica_cli.core.table import Column

_TEXTS = SHORT_TEXTS | LONG_TEXTS
_BYTES = SHORT_BYTES | LONG_BYTES
_LONG = LONG_TEXTS | LONG_BYTES
_OPAQUE = GEOMETRIES | {"vector"}
_NUMBERED = LISTS | {"bit"}
_WHOLE_NUMBERS = INTEGERS | {"year", "bit"}
_UTF8MB4 = "utf8mb4"
# With a plain '#' the columns decide the charset of the text: a server converts some of them into that of another one,
# loses bytes on the way, or finds no charset for all. With an explicit collation the separator decides, and bytes stay.
_SEPARATOR = "_binary'#' COLLATE `binary`"


class TextForm(Enum):
    """What the text of a value is, for a program that makes the same text of a row image (verify/image_texts.py)."""

    NUMBER = auto()
    """A whole number, or a decimal one with a fixed number of digits after the point."""
    REAL = auto()
    """A floating-point number as a point (WELL_KNOWN_POINT), which has its eight bytes. Digits would cost a server more
    than all else in a row, and the flavours write some numbers with other digits."""
    REAL_WITHOUT_SIGN_OF_ZERO = auto()
    """The same, but -0 is 0."""
    ROUNDED_REAL = auto()
    """A floating-point number with a fixed number of digits after the point."""
    ROUNDED_REAL_WITHOUT_SIGN_OF_ZERO = auto()
    """The same, but -0 is 0."""
    MOMENT = auto()
    """A date or a time with a fixed number of digits after the seconds."""
    LAST_MOMENT = auto()
    """The end of a row version: a time, or the word "current" for the last moment that a server knows."""
    HEXADECIMAL = auto()
    """The hexadecimal digits of the bytes."""
    BYTES = auto()
    """The length and the bytes."""
    HASHED = auto()
    """The SHA2-256 of the bytes."""
    DOCUMENT = auto()
    """The SHA2-256 of a JSON document as the server prints it."""
    DOCUMENT_ACROSS = auto()
    """A JSON document that is text on the other server: it takes no part in the row's text, a program compares it."""
    ONLY_IN_SQL = auto()
    """A text that only a server can make."""


# The bytes of POINT(x, 0): the SRID, the byte order, the type, and both coordinates.
WELL_KNOWN_POINT = struct.Struct("<IBIdd")
CURRENT = "current"
_POINTS = (TextForm.REAL, TextForm.REAL_WITHOUT_SIGN_OF_ZERO)
_WITHOUT_SIGN_OF_ZERO = {TextForm.ROUNDED_REAL: TextForm.ROUNDED_REAL_WITHOUT_SIGN_OF_ZERO}


@dataclass(frozen=True, slots=True)
class ValueText:
    """SQL for the text of one column's values, without NULL.

    Attributes:
        form: what the text is.
        short: a text without '#': the value, or the length of its bytes. If the bytes have a fixed length, 1 for NULL
            and 0 otherwise, or "" if NULL is not possible.
        value: the bytes, "" if there are none.
        digits: the number of digits after the point, for the forms that have a fixed number.
    """

    form: TextForm
    short: str
    value: str = ""
    digits: int = 0

    @property
    def null(self) -> str:
        """Return the short text of NULL."""
        return "1" if self.form in _POINTS else "-"

    @property
    def is_long(self) -> bool:
        """Return True if `short` is 64 hexadecimal digits, or NULL if the server could not read the value."""
        return self.form in (TextForm.HASHED, TextForm.DOCUMENT) or self.short.startswith("SHA2(")

    @property
    def has_short(self) -> bool:
        """Return True if `short` is one of the short texts at the beginning of the text of a row."""
        return bool(self.short) and not self.is_long and not self.is_document_across

    @property
    def is_document_across(self) -> bool:
        """Return True for a JSON document that is text on the other server."""
        return self.form is TextForm.DOCUMENT_ACROSS


@dataclass(frozen=True, slots=True)
class ComparedColumn:
    """A column on one server, and the text that makes its values comparable with those on the other server.

    Attributes:
        column: the column.
        text: the text of its values.
        other_type: the column's data type on the other server.
    """

    column: Column
    text: ValueText
    other_type: str = ""

    @property
    def expression(self) -> str:
        """Return SQL for the text of this value alone. It is NULL only if the server could not read the value."""
        return text_of_row((self,))


@dataclass(frozen=True, slots=True)
class Sides:
    """The two servers of a comparison: if each of them is MariaDB, the first one being that of the expressions."""

    is_mariadb: bool
    other_is_mariadb: bool

    @property
    def is_across(self) -> bool:
        """Return True if the servers are of different flavours."""
        return self.is_mariadb != self.other_is_mariadb


def text_of_row(columns: Sequence[ComparedColumn]) -> str:
    """Return SQL for the text of a row. It is NULL if the server could not read one of the values.

    A document that is text on the other server is not part of it.
    """
    unmeasured = unmeasured_bytes([c.text for c in columns])
    measured = [c for number, c in enumerate(columns) if number != unmeasured]
    columns = [c for c in columns if not c.text.is_document_across]
    shorts = [_short(c) for c in measured if c.text.has_short]
    values = [c.text.value for c in columns if c.text.value]
    # CONCAT_WS leaves a NULL out. CONCAT does not, so a long value that cannot be read does not count as NULL.
    longs = [
        f"IF({quote(c.column.name)} IS NULL,'-',{c.text.short})" if c.column.is_nullable else c.text.short
        for c in columns
        if c.text.is_long
    ]
    joined = f"CONCAT_WS({_SEPARATOR},{','.join([*shorts, *values])})" if shorts else "'#'"
    return f"CONCAT({','.join([joined, *longs])})" if longs else joined


def unmeasured_bytes(texts: Sequence[ValueText]) -> int | None:
    """Return the number of the column whose short text is left out of the text of a row, None if there is none."""
    if sum(t.has_short for t in texts) < 2:
        return None
    return max((number for number, t in enumerate(texts) if t.form is TextForm.BYTES), default=None)


def _short(column: ComparedColumn) -> str:
    tells_null = column.text.form in _POINTS
    return column.text.short if tells_null or not column.column.is_nullable else f"IFNULL({column.text.short},'-')"


def value_text(own: Column, other: Column, sides: Sides) -> ValueText | None:
    """Return SQL for the text of a column, equal to that of the other server's column if the values are equal.

    Args:
        own: the column on the server that computes the text.
        other: the same column on the other server. Its type may differ, after an accepted drift or across flavours.
        sides: the flavours of the two servers.

    Returns:
        None if values of these types cannot be compared by their texts.
    """
    kinds = {own.data_type, other.data_type}
    text: ValueText | None
    if kinds <= _WHOLE_NUMBERS | {"decimal"}:
        text = _number(own, other)
    elif kinds <= LISTS:
        text = _list(own, other)
    elif kinds <= REALS:
        text = _real(own, other, sides)
    elif kinds <= TEMPORALS:
        text = _temporal(own, other, sides)
    elif kinds <= _TEXTS | LISTS:
        text = _characters(own, other, is_long=bool(kinds & _LONG))
    elif kinds <= _BYTES:
        text = _bytes(quote(own.name), is_long=bool(kinds & _LONG))
    else:
        text = _other(own, other)
    return text


def _number(own: Column, other: Column) -> ValueText:
    name, scale = quote(own.name), max(own.scale or 0, other.scale or 0)
    if own.data_type in _NUMBERED:
        text = f"CAST({name} AS UNSIGNED)"
    elif "decimal" in (own.data_type, other.data_type) and (own.scale or 0) < scale:
        text = f"CAST({name} AS DECIMAL(65,{scale}))"
    else:
        # With ZEROFILL a number has leading zeros as text. A YEAR has two digits in some releases.
        text = f"{name}+0" if "zerofill" in own.column_type or own.data_type == "year" else name
    return ValueText(TextForm.NUMBER, text, digits=scale if "decimal" in (own.data_type, other.data_type) else 0)


def _list(own: Column, other: Column) -> ValueText:
    members = min(len(own.members), len(other.members))
    number = f"CAST({quote(own.name)} AS UNSIGNED)"
    if own.data_type == other.data_type and own.members[:members] == other.members[:members]:
        return ValueText(TextForm.NUMBER, number)
    # The members have other numbers. The error value of an ENUM reads like an empty member.
    characters = _converted(own)
    return ValueText(TextForm.ONLY_IN_SQL, f"CONCAT(IF({number}=0,'0:',''),LENGTH({characters}))", characters)


def _real(own: Column, other: Column, sides: Sides) -> ValueText | None:
    name, scales = quote(own.name), (_digits_shown(own), _digits_shown(other))
    if scales == (None, None):
        # MariaDB does not keep -0 apart from 0. The sum of -0 and 0 is 0.
        form = TextForm.REAL_WITHOUT_SIGN_OF_ZERO if sides.is_across else TextForm.REAL
        number = f"{name}+0e0" if sides.is_across else name
        may_be_null = own.is_nullable or other.is_nullable
        return ValueText(form, f"ISNULL({name})" if may_be_null else "", f"CAST(POINT({number},0) AS BINARY)")
    if scales[0] is None or scales[0] != scales[1]:
        return None
    # Of a FLOAT(M,D) only the digits that the server shows are the same on both servers.
    form, text, digits = TextForm.ROUNDED_REAL, _without_padding(own, f"CAST({name} AS {WIDE})"), scales[0]
    if not sides.is_across:
        return ValueText(form, text, digits=digits)
    # Not REGEXP: MySQL refuses it for texts of two charsets.
    text = f"IF({name}=0,TRIM(LEADING '-' FROM {text}),{text})"
    return ValueText(_WITHOUT_SIGN_OF_ZERO.get(form, form), text, digits=digits)


def _without_padding(own: Column, text: str) -> str:
    if "zerofill" not in own.column_type:
        return text
    bare = f"TRIM(LEADING '0' FROM {text})"
    return f"CONCAT(IF(LEFT({bare},1) IN ('','.'),'0',''),{bare})"


def _digits_shown(column: Column) -> int | None:
    """Return the D of a FLOAT(M,D) or DOUBLE(M,D), None for another type."""
    _, is_rounded, sizes = column.column_type.partition("(")
    return int(sizes.partition(")")[0].partition(",")[2] or 0) if is_rounded else None


def _temporal(own: Column, other: Column, sides: Sides) -> ValueText | None:
    name = quote(own.name)
    if own.extra == "ROW END":
        # The end of a current row version is the last moment that the server's release knows.
        moments = ",".join(f"'{moment}'" for moment in LAST_MOMENTS.values())
        return ValueText(TextForm.LAST_MOMENT, f"IF({name} IN ({moments}),'{CURRENT}',{name})")
    digits = max(own.fraction_digits, other.fraction_digits)
    if own.data_type == other.data_type:
        kind = "TIME" if own.data_type == "time" else "DATETIME"
        return ValueText(
            TextForm.MOMENT,
            name if own.fraction_digits == digits else f"CAST({name} AS {kind}({digits}))",
            digits=digits,
        )
    if "time" in (own.data_type, other.data_type) or sides.is_across:
        return None
    return ValueText(TextForm.ONLY_IN_SQL, f"CAST({name} AS DATETIME({digits}))")


def _characters(own: Column, other: Column, *, is_long: bool) -> ValueText:
    if own.data_type not in LISTS and own.charset == other.charset:
        return _bytes(quote(own.name), is_long=is_long)
    converted = _converted(own)
    if is_long:
        return ValueText(TextForm.ONLY_IN_SQL, f"SHA2({converted},256)")
    return ValueText(TextForm.ONLY_IN_SQL, f"LENGTH({converted})", converted)


def _converted(own: Column) -> str:
    return f"CAST(CONVERT({quote(own.name)} USING {_UTF8MB4}) AS BINARY)"


def _bytes(value: str, *, is_long: bool) -> ValueText:
    if is_long:
        return ValueText(TextForm.HASHED, f"SHA2({value},256)")
    return ValueText(TextForm.BYTES, f"LENGTH({value})", value)


def _document(own: Column) -> str:
    name = quote(own.name)
    return f"CAST({name} AS CHAR CHARACTER SET {_UTF8MB4})" if own.data_type == "json" else _converted(own)


def _other(own: Column, other: Column) -> ValueText | None:
    name = quote(own.name)
    if "json" in (own.data_type, other.data_type):
        if own.data_type == other.data_type:
            return ValueText(TextForm.DOCUMENT, f"SHA2({_document(own)},256)")
        is_text = {own.data_type, other.data_type} <= {"json", *_TEXTS}
        return ValueText(TextForm.DOCUMENT_ACROSS, _document(own)) if is_text else None
    if own.data_type in _OPAQUE and other.data_type in _OPAQUE:
        return ValueText(TextForm.HASHED, f"SHA2(CAST({name} AS BINARY),256)")
    if own.data_type in FIXED_BINARIES and other.data_type in {own.data_type, "binary"}:
        return ValueText(TextForm.HEXADECIMAL, f"HEX(CAST({name} AS BINARY))")
    if own.data_type == "binary" and other.data_type in FIXED_BINARIES:
        # MariaDB's UUID and INET6 are bytes on MySQL.
        return ValueText(TextForm.HEXADECIMAL, f"HEX({name})")
    return None
