"""Where a large table is cut into ranges of about as many rows: at real keys, found by the server's own estimates.

The values that the key's first column may have are divided evenly, and the server is asked how many rows it expects
between each two of them; that reads a few pages of the index. A wrong estimate makes ranges that differ in size, never
wrong ones: the cuts are keys of rows, and the server itself puts them in order.
"""

from __future__ import annotations

import itertools
import string
from typing import TYPE_CHECKING

from replica_cli.sqlbuilder.chunks import (
    WHOLE_NUMBERS,
    first_key_query,
    key_text,
    keys_query,
    least_and_greatest_query,
    rows_between_query,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from replica_cli.core.table import Column, TableDefinition
    from replica_cli.mysql.session import Row, Session
    from replica_cli.sqlbuilder.chunks import KeyLiterals, PagingKey

_PARTS = 64
# In the order of nearly all collations; where it is another one, the estimates do not add up to the whole.
_FOLDED = string.digits + string.ascii_lowercase
_BINARY = string.digits + string.ascii_uppercase + string.ascii_lowercase
_ASCII_CHARSETS = frozenset({"ascii", "latin1", "utf8", "utf8mb3", "utf8mb4"})
_ROWS_PLACE = {True: 8, False: 9}  # in the answer to EXPLAIN, by whether the server is MariaDB
# A table whose largest range has more of it than that is cut otherwise.
_LARGEST_SHARE = 3.0


def find_cuts(reader: Session, definition: TableDefinition, key: PagingKey, count: int) -> list[KeyLiterals] | None:
    """Return keys that cut a table into `count` ranges of similar size, in the key's order; None if none are found.

    There may be fewer. `reader` gives text as bytes. Raises ServerError.
    """
    column = key.parts[0].column
    (row,) = reader.rows(least_and_greatest_query(definition, key))
    values = _values(column, row)
    if values is None:
        return None
    sizes = _estimates(reader, definition, key, values)
    limit = sum(sizes) / count
    if column.data_type not in WHOLE_NUMBERS and any(size > limit for size in sizes):
        values = _finer(column, values, sizes, limit)
        sizes = _estimates(reader, definition, key, values)
    whole = sum(sizes)
    if not whole or max(sizes) * count > whole * _LARGEST_SHARE or not _adds_up(whole, definition.estimated_rows):
        return None
    sums = list(itertools.accumulate(sizes))
    chosen = [next(n for n, size in enumerate(sums) if size * count >= whole * part) + 1 for part in range(1, count)]
    literals = [values[n] for n in dict.fromkeys(chosen) if n < len(values)]
    found = reader.rows_of_each([first_key_query(definition, key, literal) for literal in literals])
    keys = list(dict.fromkeys(_literals(rows[0]) for rows in found if rows))
    return [_literals(row) for row in reader.rows(keys_query(definition, key, keys))] if keys else None


def _values(column: Column, row: Row) -> list[str] | None:
    """Return literals that divide a column's values evenly, in their order; None if that is not known of the column."""
    least, greatest = row
    if least is None or greatest is None:
        return None
    if column.data_type in WHOLE_NUMBERS:
        first, span = int(least), int(greatest) - int(least)
        return [str(first + span * part // _PARTS) for part in range(1, _PARTS)] if span >= _PARTS else None
    low, high = bytes.fromhex(bytes(least).decode()), bytes.fromhex(bytes(greatest).decode())
    shared = len(list(itertools.takewhile(lambda pair: pair[0] == pair[1], zip(low, high, strict=False))))
    prefix = low[:shared]
    if column.data_type in ("binary", "varbinary"):
        start, end = (value[shared] if len(value) > shared else 0 for value in (low, high))
        return [key_text(column, prefix + bytes([byte])) for byte in range(start + 1, end + 1)] or None
    if column.data_type in ("char", "varchar") and column.charset in _ASCII_CHARSETS and prefix.isascii():
        return [key_text(column, prefix + letter.encode()) for letter in _alphabet(column)]
    return None


def _finer(column: Column, values: Sequence[str], sizes: Sequence[int], limit: float) -> list[str]:
    """Return the values, and more of them between two that have more than so many rows between them."""
    ends = [bytes([byte]) for byte in range(0, 256, 16)]
    if column.charset in _ASCII_CHARSETS:
        ends = [letter.encode() for letter in _alphabet(column)]
    found: list[str] = []
    for place, size in enumerate(sizes):
        if place:
            value = values[place - 1]
            found.append(value)
            if size > limit:
                text = bytes.fromhex(value.rpartition("x'")[2][:-1])
                found += [key_text(column, text + end) for end in ends]
    return found


def _alphabet(column: Column) -> str:
    is_folded = not (column.collation or "").endswith(("_bin", "_cs"))
    return _FOLDED if is_folded else _BINARY


def _estimates(reader: Session, definition: TableDefinition, key: PagingKey, values: Sequence[str]) -> list[int]:
    """Return the rows that the server expects before the first value, between each two, and from the last one on."""
    ends = [None, *values, None]
    queries = [rows_between_query(definition, key, *pair) for pair in itertools.pairwise(ends)]
    place = _ROWS_PLACE[reader.is_mariadb]
    return [int(rows[0][place] or 0) for rows in reader.rows_of_each(queries)]


def _adds_up(whole: int, rows: int) -> bool:
    # Pages that are half full count as full ones.
    return rows / 4 <= whole <= rows * 4


def _literals(row: Row) -> KeyLiterals:
    return tuple(bytes(literal).decode() for literal in row)
