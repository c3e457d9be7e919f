"""Define the column types of MariaDB and MySQL: the codes in the protocol, and the names in the catalog.

A new type gets one row in `TypeCode` (if it has a code of its own) and one in `_DATA_TYPES`. CONTRIBUTING.md lists all
other places that have to know it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum, auto
from typing import Self


class Family(Enum):
    """Data types whose values are handled alike."""

    INTEGER = auto()
    DECIMAL = auto()
    REAL = auto()
    BIT = auto()
    YEAR = auto()
    TEMPORAL = auto()
    SHORT_TEXT = auto()
    LONG_TEXT = auto()
    SHORT_BYTES = auto()
    LONG_BYTES = auto()
    LIST = auto()
    JSON = auto()
    GEOMETRY = auto()
    VECTOR = auto()
    FIXED_BINARY = auto()


@dataclass(frozen=True, slots=True)
class DataType:
    """One data type, as information_schema.columns.data_type names it.

    `size` is in bytes: of a value in the families INTEGER, REAL and FIXED_BINARY, and of the length of a value in
    LONG_TEXT, LONG_BYTES and JSON. It is 0 in the other families.

    `mariadb_since` and `mysql_since` are the first releases with the type, () if all supported releases have it or if
    the flavour does not have it at all.
    """

    name: str
    family: Family
    size: int = 0
    mariadb_since: tuple[int, ...] = ()
    mysql_since: tuple[int, ...] = ()


_DATA_TYPES = (
    DataType("tinyint", Family.INTEGER, 1),
    DataType("smallint", Family.INTEGER, 2),
    DataType("mediumint", Family.INTEGER, 3),
    DataType("int", Family.INTEGER, 4),
    DataType("bigint", Family.INTEGER, 8),
    DataType("decimal", Family.DECIMAL),
    DataType("float", Family.REAL, 4),
    DataType("double", Family.REAL, 8),
    DataType("bit", Family.BIT),
    DataType("year", Family.YEAR),
    DataType("date", Family.TEMPORAL),
    DataType("time", Family.TEMPORAL),
    DataType("datetime", Family.TEMPORAL),
    DataType("timestamp", Family.TEMPORAL),
    DataType("char", Family.SHORT_TEXT),
    DataType("varchar", Family.SHORT_TEXT),
    DataType("tinytext", Family.LONG_TEXT, 1),
    DataType("text", Family.LONG_TEXT, 2),
    DataType("mediumtext", Family.LONG_TEXT, 3),
    DataType("longtext", Family.LONG_TEXT, 4),
    DataType("binary", Family.SHORT_BYTES),
    DataType("varbinary", Family.SHORT_BYTES),
    DataType("tinyblob", Family.LONG_BYTES, 1),
    DataType("blob", Family.LONG_BYTES, 2),
    DataType("mediumblob", Family.LONG_BYTES, 3),
    DataType("longblob", Family.LONG_BYTES, 4),
    DataType("enum", Family.LIST),
    DataType("set", Family.LIST),
    DataType("json", Family.JSON, 4),
    DataType("geometry", Family.GEOMETRY),
    DataType("point", Family.GEOMETRY),
    DataType("linestring", Family.GEOMETRY),
    DataType("polygon", Family.GEOMETRY),
    DataType("multipoint", Family.GEOMETRY),
    DataType("multilinestring", Family.GEOMETRY),
    DataType("multipolygon", Family.GEOMETRY),
    DataType("geometrycollection", Family.GEOMETRY),
    DataType("geomcollection", Family.GEOMETRY),  # MySQL 8's name of the one before
    DataType("vector", Family.VECTOR, mariadb_since=(11, 7, 0), mysql_since=(9, 0, 0)),
    # MariaDB's types that are logged as strings of a fixed length.
    DataType("uuid", Family.FIXED_BINARY, 16, mariadb_since=(10, 7, 0)),
    DataType("inet6", Family.FIXED_BINARY, 16, mariadb_since=(10, 5, 0)),
    DataType("inet4", Family.FIXED_BINARY, 4, mariadb_since=(10, 10, 0)),
)
SIZES = {each.name: each.size for each in _DATA_TYPES if each.size}
MARIADB_SINCE = {each.name: each.mariadb_since for each in _DATA_TYPES if each.mariadb_since}
MYSQL_SINCE = {each.name: each.mysql_since for each in _DATA_TYPES if each.mysql_since}


def _names(*families: Family) -> frozenset[str]:
    return frozenset(each.name for each in _DATA_TYPES if each.family in families)


INTEGERS = _names(Family.INTEGER)
REALS = _names(Family.REAL)
# Without YEAR, whose literals are numbers. Where that makes no difference, "year" is added by name.
TEMPORALS = _names(Family.TEMPORAL)
SHORT_TEXTS = _names(Family.SHORT_TEXT)
LONG_TEXTS = _names(Family.LONG_TEXT)
# Without ENUM and SET, which have a charset too but are stored as numbers.
TEXTS = SHORT_TEXTS | LONG_TEXTS
SHORT_BYTES = _names(Family.SHORT_BYTES)
LONG_BYTES = _names(Family.LONG_BYTES)
BYTES = SHORT_BYTES | LONG_BYTES
LISTS = _names(Family.LIST)
GEOMETRIES = _names(Family.GEOMETRY)
FIXED_BINARIES = _names(Family.FIXED_BINARY)

# Other names that a statement may give to a data type. The catalog never has them.
SYNONYMS = {
    "bool": "tinyint", "boolean": "tinyint", "int1": "tinyint", "int2": "smallint", "int3": "mediumint", "int4": "int",
    "int8": "bigint", "integer": "int", "middleint": "mediumint", "dec": "decimal", "numeric": "decimal",
    "fixed": "decimal", "character": "char",
}  # fmt: skip


class Metadata(Enum):
    """The metadata bytes of a column in a table map event, and how they make the number in `TableMap.metadata`."""

    NONE = auto()
    """No byte; the number is 0."""
    ONE_BYTE = auto()
    """One byte, which is the number."""
    LOW_FIRST = auto()
    """Two bytes: raw[0] | raw[1] << 8."""
    HIGH_FIRST = auto()
    """Two bytes: raw[0] << 8 | raw[1]."""
    UNKNOWN = auto()
    """No server logs the type, so the number of its bytes is unknown."""


class Logged(Enum):
    """What the optional metadata of a table map event says about the columns of a type."""

    NOTHING = auto()
    SIGN = auto()
    CHARSET = auto()
    CHARSET_BY_MARIADB = auto()
    """MariaDB logs a charset, MySQL does not."""
    MEMBERS = auto()


class TypeCode(IntEnum):
    """The type code of a column in `TableMap.types`.

    The meaning of the number in `TableMap.metadata` is:

    - FLOAT, DOUBLE: the bytes of a value (4, 8)
    - BLOB and its relatives, GEOMETRY, JSON, VECTOR, BLOB_COMPRESSED: the bytes of a value's length (1 to 4)
    - TIMESTAMP2, DATETIME2, TIME2: the digits of the fraction
    - VARCHAR, VARCHAR_COMPRESSED: the largest length in bytes
    - BIT: full bytes in the high byte, further bits in the low byte; see `bit_count`
    - STRING, ENUM, SET: the real type and the length; see `real_string`
    - VAR_STRING: the real type and the length. No server of today logs it.
    - NEWDECIMAL: precision in the high byte, scale in the low byte
    - all others, MariaDB's old TIMESTAMP, TIME and DATETIME among them: 0

    Source: https://mariadb.com/kb/en/table_map_event/ and `save_field_metadata` of both servers.

    Attributes:
        metadata: its metadata bytes.
        logged: what the optional metadata says about it.
        data_types: the data types whose columns have this code. It is empty if they depend on the metadata (BLOB).
    """

    metadata: Metadata
    logged: Logged
    data_types: frozenset[str]

    # `metadata` has a default only so that TypeCode(code), which looks a code up, has the right type.
    def __new__(
        cls, value: int, metadata: Metadata = Metadata.NONE, logged: Logged = Logged.NOTHING, *data_types: str
    ) -> Self:
        """Make the member of one row."""
        code = int.__new__(cls, value)
        code._value_ = value
        code.metadata, code.logged, code.data_types = metadata, logged, frozenset(data_types)
        return code

    DECIMAL = 0, Metadata.NONE
    TINY = 1, Metadata.NONE, Logged.SIGN, "tinyint"
    SHORT = 2, Metadata.NONE, Logged.SIGN, "smallint"
    LONG = 3, Metadata.NONE, Logged.SIGN, "int"
    FLOAT = 4, Metadata.ONE_BYTE, Logged.SIGN, "float"
    DOUBLE = 5, Metadata.ONE_BYTE, Logged.SIGN, "double"
    NULL = 6, Metadata.NONE
    TIMESTAMP = 7, Metadata.NONE, Logged.NOTHING, "timestamp"
    LONGLONG = 8, Metadata.NONE, Logged.SIGN, "bigint"
    INT24 = 9, Metadata.NONE, Logged.SIGN, "mediumint"
    DATE = 10, Metadata.NONE, Logged.NOTHING, "date"
    TIME = 11, Metadata.NONE, Logged.NOTHING, "time"
    DATETIME = 12, Metadata.NONE, Logged.NOTHING, "datetime"
    YEAR = 13, Metadata.NONE, Logged.SIGN, "year"
    NEWDATE = 14, Metadata.NONE, Logged.NOTHING, "date"
    VARCHAR = 15, Metadata.LOW_FIRST, Logged.CHARSET, "varchar", "varbinary", "vector"
    BIT = 16, Metadata.LOW_FIRST, Logged.NOTHING, "bit"
    TIMESTAMP2 = 17, Metadata.ONE_BYTE, Logged.NOTHING, "timestamp"
    DATETIME2 = 18, Metadata.ONE_BYTE, Logged.NOTHING, "datetime"
    TIME2 = 19, Metadata.ONE_BYTE, Logged.NOTHING, "time"
    TYPED_ARRAY = 20, Metadata.UNKNOWN
    BLOB_COMPRESSED = 140, Metadata.ONE_BYTE, Logged.CHARSET
    VARCHAR_COMPRESSED = 141, Metadata.LOW_FIRST, Logged.CHARSET, "varchar", "varbinary"
    VECTOR = 242, Metadata.ONE_BYTE, Logged.NOTHING, "vector"
    # MariaDB's JSON is LONGTEXT. JSON and LONGTEXT columns accept each other's text.
    JSON = 245, Metadata.ONE_BYTE, Logged.NOTHING, "json", "longtext"
    NEWDECIMAL = 246, Metadata.HIGH_FIRST, Logged.SIGN, "decimal"
    ENUM = 247, Metadata.HIGH_FIRST, Logged.MEMBERS, "enum"
    SET = 248, Metadata.HIGH_FIRST, Logged.MEMBERS, "set"
    TINY_BLOB = 249, Metadata.ONE_BYTE, Logged.CHARSET
    MEDIUM_BLOB = 250, Metadata.ONE_BYTE, Logged.CHARSET
    LONG_BLOB = 251, Metadata.ONE_BYTE, Logged.CHARSET
    BLOB = 252, Metadata.ONE_BYTE, Logged.CHARSET
    VAR_STRING = 253, Metadata.HIGH_FIRST, Logged.CHARSET
    STRING = 254, Metadata.HIGH_FIRST, Logged.CHARSET, "char", "binary", *sorted(FIXED_BINARIES)
    # In MariaDB a GEOMETRY is a BLOB with the charset binary.
    GEOMETRY = 255, Metadata.ONE_BYTE, Logged.CHARSET_BY_MARIADB, *sorted(GEOMETRIES)


def codes_with(*facts: Metadata | Logged) -> frozenset[int]:
    """Return the type codes of which one of the facts is true, as plain numbers."""
    return frozenset(int(code) for code in TypeCode if code.metadata in facts or code.logged in facts)


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
