"""Define how the bytes of each column type are stored in a row image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from replica_cli.core.column_types import TypeCode, bit_count, real_string, type_name
from replica_cli.core.errors import UnsupportedEvent
from replica_cli.decoder.numbers import decimal_size
from replica_cli.decoder.temporal import OLD_DATETIME_SIZES, OLD_FRACTION_SIZES, OLD_TIME_SIZES

if TYPE_CHECKING:
    from collections.abc import Callable

    from replica_cli.core.table import Column

_LENGTH_CODES = {1: ("B",), 2: ("H",), 3: ("H", "B"), 4: ("I",)}
_SET_CODES = {**_LENGTH_CODES, 8: ("Q",)}
_SIZES = {"b": 1, "B": 1, "h": 2, "H": 2, "i": 4, "I": 4, "f": 4, "q": 8, "Q": 8, "d": 8}


@dataclass(frozen=True, slots=True)
class Cell:
    """A column of a row image: type code and metadata from the table map, signedness, and the catalog's column."""

    code: int
    metadata: int
    column: Column
    is_unsigned: bool

    @property
    def string(self) -> tuple[int, int]:
        """Return the real type and the length in bytes of a STRING, ENUM or SET."""
        return real_string(self.metadata) if self.metadata > 0xFF else (self.code, self.metadata)


@dataclass(frozen=True, slots=True)
class Storage:
    """The bytes of a value: `codes` are struct format codes, one for each unpacked number.

    If `is_sized` is true, they give the length of a string, whose bytes follow.
    """

    codes: tuple[str, ...]
    is_sized: bool = False

    @property
    def size(self) -> int:
        """Return the size of the codes in bytes, without the bytes of a string."""
        return sum(_SIZES.get(code) or int(code.removesuffix("s")) for code in self.codes)


def storage_of(cell: Cell) -> Storage:
    """Return how a column is stored. Raises UnsupportedEvent if the type or its metadata are not known."""
    find = _STORAGES.get(cell.code)
    storage = find(cell) if find else None
    if storage is None:
        raise UnsupportedEvent(f"{type_name(cell.code)} with metadata {cell.metadata} is not known")
    return storage


def _bytes(count: int) -> Storage:
    return Storage((f"{count}s",))


def _integer(letter: str) -> Callable[[Cell], Storage]:
    return lambda cell: Storage((letter.upper() if cell.is_unsigned else letter,))


def _int24(cell: Cell) -> Storage:
    return Storage(("H", "B" if cell.is_unsigned else "b"))


def _real(letter: str) -> Callable[[Cell], Storage | None]:
    return lambda cell: Storage((letter,)) if cell.metadata == _SIZES[letter] else None


def _decimal(cell: Cell) -> Storage | None:
    precision, scale = cell.metadata >> 8, cell.metadata & 0xFF
    # MariaDB allows up to 38 digits after the point, MySQL 30.
    is_known = 0 < precision <= 65 and scale <= min(precision, 38)
    return _bytes(decimal_size(precision, scale)) if is_known else None


def _bit(cell: Cell) -> Storage | None:
    bits = bit_count(cell.metadata)
    return _bytes((bits + 7) // 8) if 0 < bits <= 64 else None


def _string(cell: Cell) -> Storage | None:
    real, length = cell.string
    if real == TypeCode.STRING:
        return Storage(("B" if length <= 255 else "H",), is_sized=True)
    if real == TypeCode.SET or (real == TypeCode.ENUM and length <= 2):
        codes = _SET_CODES.get(length)
        return Storage(codes) if codes else None
    return None


def _varchar(cell: Cell) -> Storage:
    return Storage(("B" if cell.metadata <= 255 else "H",), is_sized=True)


def _blob(cell: Cell) -> Storage | None:
    codes = _LENGTH_CODES.get(cell.metadata)
    return Storage(codes, is_sized=True) if codes else None


def _temporal(whole: int) -> Callable[[Cell], Storage | None]:
    return lambda cell: _bytes(whole + (cell.metadata + 1) // 2) if 0 <= cell.metadata <= 6 else None


def _old_temporal(cell: Cell) -> Storage | None:
    digits = cell.column.fraction_digits
    if not 0 <= digits <= 6:
        return None
    if cell.code == TypeCode.TIMESTAMP:
        return _bytes(4 + OLD_FRACTION_SIZES[digits]) if digits else Storage(("I",))
    return _bytes((OLD_DATETIME_SIZES if cell.code == TypeCode.DATETIME else OLD_TIME_SIZES)[digits])


_STORAGES: dict[int, Callable[[Cell], Storage | None]] = {
    TypeCode.TINY: lambda _: Storage(("B",)),
    TypeCode.YEAR: lambda _: Storage(("B",)),
    TypeCode.SHORT: _integer("h"),
    TypeCode.INT24: _int24,
    TypeCode.LONG: _integer("i"),
    TypeCode.LONGLONG: _integer("q"),
    TypeCode.FLOAT: _real("f"),
    TypeCode.DOUBLE: _real("d"),
    TypeCode.NEWDECIMAL: _decimal,
    TypeCode.BIT: _bit,
    TypeCode.DATE: lambda _: Storage(("H", "B")),
    TypeCode.NEWDATE: lambda _: Storage(("H", "B")),
    TypeCode.TIMESTAMP2: _temporal(4),
    TypeCode.DATETIME2: lambda cell: _temporal(5)(cell) if cell.metadata else Storage(("I", "B")),
    TypeCode.TIME2: _temporal(3),
    TypeCode.TIMESTAMP: _old_temporal,
    TypeCode.DATETIME: _old_temporal,
    TypeCode.TIME: _old_temporal,
    TypeCode.STRING: _string,
    TypeCode.ENUM: _string,
    TypeCode.SET: _string,
    TypeCode.VARCHAR: _varchar,
    TypeCode.VARCHAR_COMPRESSED: _varchar,
    TypeCode.BLOB: _blob,
    TypeCode.BLOB_COMPRESSED: _blob,
    TypeCode.GEOMETRY: _blob,
    TypeCode.JSON: _blob,
    TypeCode.VECTOR: _blob,
}
