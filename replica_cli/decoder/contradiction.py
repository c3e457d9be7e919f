"""Compare a table map event of the primary with the columns of the secondary's catalog."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replica_cli.core.charsets import UTF8_CHARSETS, canonical_charset, charset_of
from replica_cli.core.column_types import (
    BYTES,
    FIXED_BINARIES,
    LISTS,
    LONG_BYTES,
    LONG_TEXTS,
    SIZES,
    TEXTS,
    Logged,
    TypeCode,
    bit_count,
    codes_with,
    real_string,
    type_name,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from replica_cli.core.events import TableMap
    from replica_cli.core.table import Column

_DATA_TYPES: dict[int, frozenset[str]] = {code: code.data_types for code in TypeCode}
# MariaDB's JSON is LONGTEXT.
_BLOBS = LONG_TEXTS | LONG_BYTES | {"json"}
# The types whose sign decides how values are read. Servers also log a sign of YEAR, which decides nothing and is not in
# the catalog.
_SIGNED = codes_with(Logged.SIGN) - {TypeCode.YEAR}


def contradiction(table: TableMap, columns: Sequence[Column]) -> str | None:
    """Return a sentence about the first difference that would make rows be misread; None if there is none.

    `columns` are the secondary's, in the map's order. Signs, names, members and charsets are compared only if the
    primary logs them. NOT NULL is not compared, because it makes no difference to reading.
    """
    if len(columns) != len(table.types):
        return f"the primary's table has {len(table.types)} columns, the secondary's {len(columns)}"
    for ordinal, column in enumerate(columns):
        code, metadata = table.types[ordinal], table.metadata[ordinal]
        if code in (TypeCode.STRING, TypeCode.ENUM, TypeCode.SET) and metadata > 0xFF:
            code, metadata = real_string(metadata)
        problem = (
            _name(table, ordinal, column)
            or _type(code, metadata, column)
            or _size(code, metadata, column)
            or _sign(table, ordinal, column)
            or _charset(table, ordinal, column)
            or _members(table, ordinal, column)
        )
        if problem:
            return f"column {ordinal + 1} ({column.name}, {column.column_type}): {problem}"
    return None


def _name(table: TableMap, ordinal: int, column: Column) -> str | None:
    if table.column_names is None or table.column_names[ordinal].casefold() == column.name.casefold():
        return None
    return f"the primary calls it {table.column_names[ordinal]}"


def _type(code: int, metadata: int, column: Column) -> str | None:
    if _is_read_as(code, metadata, column.data_type):
        return None
    return f"the primary sends {type_name(code)}" + (f" with metadata {metadata}" if metadata else "")


def _is_read_as(code: int, metadata: int, data_type: str) -> bool:
    if code in (TypeCode.BLOB, TypeCode.BLOB_COMPRESSED):
        return data_type in _BLOBS and metadata == SIZES[data_type]
    return code in _DATA_TYPES and data_type in _DATA_TYPES[code]


def _size(code: int, metadata: int, column: Column) -> str | None:
    """Compare the map's metadata of a column with the catalog, both in the unit of the metadata."""
    secondary_size = _secondary_size(code, column)
    primary_size = bit_count(metadata) if code == TypeCode.BIT else metadata
    if secondary_size is None or secondary_size == primary_size:
        return None
    if code == TypeCode.NEWDECIMAL:
        return f"the primary's is DECIMAL({metadata >> 8},{metadata & 0xFF})"
    if code in (TypeCode.TIMESTAMP2, TypeCode.DATETIME2, TypeCode.TIME2):
        return f"the primary's fraction has {primary_size} digits, the secondary's {secondary_size}"
    unit = "bits" if code == TypeCode.BIT else "bytes"
    return f"the primary's takes {primary_size} {unit}, the secondary's {secondary_size}"


def _secondary_size(code: int, column: Column) -> int | None:
    find = _SIZES.get(code)
    return find(column) if find else None


def _set_size(column: Column) -> int:
    size = (len(column.members) + 7) // 8
    return size if size <= 4 else 8


# How large a column is by the catalog, in the unit of the map's metadata. None if the catalog does not say.
_SIZES: dict[int, Callable[[Column], int | None]] = {
    TypeCode.NEWDECIMAL: lambda column: (column.precision or 0) << 8 | (column.scale or 0),
    TypeCode.TIMESTAMP2: lambda column: column.fraction_digits,
    TypeCode.DATETIME2: lambda column: column.fraction_digits,
    TypeCode.TIME2: lambda column: column.fraction_digits,
    TypeCode.BIT: lambda column: column.precision,
    TypeCode.STRING: lambda column: (
        SIZES[column.data_type] if column.data_type in FIXED_BINARIES else column.octet_length
    ),
    TypeCode.VARCHAR: lambda column: column.octet_length,
    # One byte more, for the compression method.
    TypeCode.VARCHAR_COMPRESSED: lambda column: None if column.octet_length is None else column.octet_length + 1,
    TypeCode.ENUM: lambda column: 1 if len(column.members) < 256 else 2,
    TypeCode.SET: _set_size,
}


def _sign(table: TableMap, ordinal: int, column: Column) -> str | None:
    if table.unsigned is None or table.types[ordinal] not in _SIGNED:
        return None
    if table.unsigned[ordinal] == column.is_unsigned:
        return None
    return f"the primary's is {'unsigned' if table.unsigned[ordinal] else 'signed'}"


def _charset(table: TableMap, ordinal: int, column: Column) -> str | None:
    number = table.collation_ids[ordinal] if table.collation_ids is not None else None
    if number is None or column.data_type not in TEXTS | BYTES | LISTS:
        return None
    primary_charset = charset_of(number)
    if primary_charset is None:
        return f"the primary's collation has the number {number}, which is not known"
    secondary_charset = canonical_charset(column.charset or "binary")
    return (
        None
        if secondary_charset == primary_charset
        else f"the primary's charset is {primary_charset}, the secondary's {secondary_charset}"
    )


def _members(table: TableMap, ordinal: int, column: Column) -> str | None:
    primary_members = table.enum_members[ordinal] if table.enum_members is not None else None
    if primary_members is None:
        return None
    secondary_members = column.members
    if len(secondary_members) != len(primary_members):
        return f"the primary's has {len(primary_members)} members, the secondary's {len(secondary_members)}"
    if canonical_charset(column.charset or "") not in UTF8_CHARSETS:
        # In other charsets the bytes do not follow from the catalog's text. But ASCII text has the same bytes in all
        # except the wide charsets, whose bytes contain NUL.
        pairs = [
            (s, p)
            for s, p in zip(secondary_members, primary_members, strict=True)
            if s.isascii() and p.isascii() and b"\0" not in p
        ]
    else:
        pairs = list(zip(secondary_members, primary_members, strict=True))
    for number, (secondary, primary) in enumerate(pairs, 1):
        if secondary.encode() != primary:
            return f"its member {secondary!r} (number {number} of those compared) is {primary!r} on the primary"
    return None
