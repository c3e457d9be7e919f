"""Define the type codes of columns in table map events, and what `TableMap.metadata` must hold for each.

From the raw metadata bytes of a column in the event's body:

| type                                                               | raw bytes | number in `TableMap.metadata`    |
|--------------------------------------------------------------------|-----------|----------------------------------|
| FLOAT, DOUBLE                                                      | 1         | raw[0]: bytes of a value (4, 8)  |
| BLOB, TINY_BLOB, MEDIUM_BLOB, LONG_BLOB, GEOMETRY, JSON, VECTOR,   | 1         | raw[0]: bytes of the length      |
| BLOB_COMPRESSED                                                    |           | prefix (1 to 4)                  |
| TIMESTAMP2, DATETIME2, TIME2                                       | 1         | raw[0]: digits of the fraction   |
| VARCHAR, VAR_STRING, VARCHAR_COMPRESSED                            | 2         | raw[0] | raw[1] << 8: octets     |
| BIT                                                                | 2         | raw[0] | raw[1] << 8: full bytes |
|                                                                    |           | in the high byte, further bits   |
|                                                                    |           | in the low byte                  |
| STRING, ENUM, SET                                                  | 2         | raw[0] << 8 | raw[1]: real type  |
|                                                                    |           | and length, see `real_string`    |
| NEWDECIMAL                                                         | 2         | raw[0] << 8 | raw[1]: precision  |
|                                                                    |           | in the high byte, scale in the low |
| all others, MariaDB's old TIMESTAMP, TIME, DATETIME among them     | 0         | 0                                |

Source: https://mariadb.com/kb/en/table_map_event/ and `save_field_metadata` of both servers.
"""

from __future__ import annotations

from enum import IntEnum


class TypeCode(IntEnum):
    """The type code of a column in `TableMap.types`."""

    DECIMAL = 0
    TINY = 1
    SHORT = 2
    LONG = 3
    FLOAT = 4
    DOUBLE = 5
    NULL = 6
    TIMESTAMP = 7
    LONGLONG = 8
    INT24 = 9
    DATE = 10
    TIME = 11
    DATETIME = 12
    YEAR = 13
    NEWDATE = 14
    VARCHAR = 15
    BIT = 16
    TIMESTAMP2 = 17
    DATETIME2 = 18
    TIME2 = 19
    TYPED_ARRAY = 20
    BLOB_COMPRESSED = 140
    VARCHAR_COMPRESSED = 141
    VECTOR = 242
    JSON = 245
    NEWDECIMAL = 246
    ENUM = 247
    SET = 248
    TINY_BLOB = 249
    MEDIUM_BLOB = 250
    LONG_BLOB = 251
    BLOB = 252
    VAR_STRING = 253
    STRING = 254
    GEOMETRY = 255


ONE_BYTE_METADATA = frozenset(
    {
        TypeCode.FLOAT,
        TypeCode.DOUBLE,
        TypeCode.TIMESTAMP2,
        TypeCode.DATETIME2,
        TypeCode.TIME2,
        TypeCode.BLOB_COMPRESSED,
        TypeCode.VECTOR,
        TypeCode.JSON,
        TypeCode.TINY_BLOB,
        TypeCode.MEDIUM_BLOB,
        TypeCode.LONG_BLOB,
        TypeCode.BLOB,
        TypeCode.GEOMETRY,
    }
)
TWO_BYTE_METADATA_LOW_FIRST = frozenset(
    {TypeCode.VARCHAR, TypeCode.VAR_STRING, TypeCode.VARCHAR_COMPRESSED, TypeCode.BIT}
)
TWO_BYTE_METADATA_HIGH_FIRST = frozenset({TypeCode.STRING, TypeCode.ENUM, TypeCode.SET, TypeCode.NEWDECIMAL})


def type_name(code: int) -> str:
    """Return the name of a type code, or "type N" if it is not known."""
    try:
        return TypeCode(code).name
    except ValueError:
        return f"type {code}"


def real_string(metadata: int) -> tuple[int, int]:
    """Return the real type (STRING, ENUM, SET) and the length in bytes from the metadata of a STRING.

    Bits 8 and 9 of the length are inverted in bits 4 and 5 of the type byte.
    """
    type_byte, length = metadata >> 8, metadata & 0xFF
    if type_byte & 0x30 != 0x30:
        return type_byte | 0x30, length | ((type_byte & 0x30) ^ 0x30) << 4
    return type_byte, length


def bit_count(metadata: int) -> int:
    """Return the number of bits of a BIT column."""
    return (metadata >> 8) * 8 + (metadata & 0xFF)
