"""Cut a large table into ranges of similar size, with the help of the server's estimates.

The values that the key's first column may have are divided evenly, and the server is asked how many rows it expects
between each two of them. It reads only a few pages of the index for that. A wrong estimate makes ranges that differ in
size, but never wrong ranges: the cuts are keys of rows, and the server itself puts them in order.
"""

from __future__ import annotations

import itertools
import string
from typing import TYPE_CHECKING

from replica_cli.checkpoint.progress import RangeProgress
from replica_cli.core.charsets import UTF8_CHARSETS, canonical_charset
from replica_cli.core.column_types import INTEGERS, SHORT_BYTES, SHORT_TEXTS
from replica_cli.sqlbuilder.rows.chunks import (
    after,
    first_key_query,
    join_literals,
    key_text,
    keys_query,
    least_and_greatest_query,
    rows_between_query,
)
from replica_cli.transfer.rows.reading import RangeReader, noticing_ddl

if TYPE_CHECKING:
    from collections.abc import Sequence

    from replica_cli.core.table import Column, TableDefinition
    from replica_cli.mysql.session import Row, Session
    from replica_cli.transfer.planning.plan import CopyPlan
    from replica_cli.transfer.table_copy import TableCopy
from replica_cli.sqlbuilder.rows.chunks import KeyLiterals, PagingKey

_PARTS = 64
# In the order that nearly all collations have. If a collation has another order, the sum of the estimates does not
# match the size of the table.
_FOLDED = string.digits + string.ascii_lowercase
_BINARY = string.digits + string.ascii_uppercase + string.ascii_lowercase
# In these, letters and digits have the bytes of ASCII, and every byte above them belongs to a later character.
_ASCII_CHARSETS = UTF8_CHARSETS | {"latin1"}
_ROWS_COLUMN = {True: 8, False: 9}  # its index in an answer to EXPLAIN; True is MariaDB
# If the largest part has more than this many times its even share of the rows, the cuts are not used.
_LARGEST_SHARE = 3.0


def split(reader: Session, table: TableCopy, plan: CopyPlan) -> tuple[RangeProgress, ...]:
    """Return the ranges of a table, cut at keys of rows.

    If the server's estimates give no good cuts, the copy walks along the index in steps of equal numbers of rows.
    """
    key, count = table.definition.key, table.planned.ranges
    if key is None or count < 2:
        return (RangeProgress(1),)
    with noticing_ddl():
        cuts = find_cuts(reader, table.definition.primary, key, count)
        if cuts is None:
            cuts = _cuts_by_walking(reader, table, key, plan)
    keys = [None, *map(join_literals, cuts), None]
    pairs = itertools.pairwise(keys)
    return tuple(RangeProgress(n, low, high) for n, (low, high) in enumerate(pairs, start=1))


def _cuts_by_walking(reader: Session, table: TableCopy, key: PagingKey, plan: CopyPlan) -> list[KeyLiterals]:
    definition, count = table.definition.primary, table.planned.ranges
    ranges = RangeReader(reader, definition, key, chunk_rows=plan.settings.chunk_rows, packet_limit=plan.packet_limit)
    cuts: list[KeyLiterals] = []
    step = max(1, definition.estimated_rows // count)
    while len(cuts) < count - 1:
        cut = ranges.boundary(after(key, cuts[-1]) if cuts else "", step - 1)
        if cut is None:
            break
        cuts.append(cut)
    return cuts


def find_cuts(reader: Session, definition: TableDefinition, key: PagingKey, count: int) -> list[KeyLiterals] | None:
    """Return keys that cut a table into about `count` ranges of similar size, in the key's order.

    Return None if the estimates give no good cuts. There may be fewer cuts than asked for. `reader` must return text as
    bytes.

    Raises:
        ServerError: the primary refuses a query or does not answer.
    """
    column = key.parts[0].column
    (row,) = reader.rows(least_and_greatest_query(definition, key))
    values = _values(column, row)
    if values is None:
        return None
    sizes = _estimates(reader, definition, key, values)
    limit = sum(sizes) / count
    if column.data_type not in INTEGERS and any(size > limit for size in sizes):
        values = _finer(column, values, sizes, limit)
        sizes = _estimates(reader, definition, key, values)
    total = sum(sizes)
    if not total or max(sizes) * count > total * _LARGEST_SHARE or not _adds_up(total, definition.estimated_rows):
        return None
    sums = list(itertools.accumulate(sizes))
    numbers = [next(n for n, size in enumerate(sums) if size * count >= total * part) + 1 for part in range(1, count)]
    literals = [values[n] for n in dict.fromkeys(numbers) if n < len(values)]
    answers = reader.rows_of_each([first_key_query(definition, key, literal) for literal in literals])
    keys = list(dict.fromkeys(_literals(rows[0]) for rows in answers if rows))
    return [_literals(row) for row in reader.rows(keys_query(definition, key, keys))] if keys else None


def _values(column: Column, row: Row) -> list[str] | None:
    """Return literals that divide the column's values evenly, in order; None if its type or values do not allow it."""
    least, greatest = row
    if least is None or greatest is None:
        return None
    if column.data_type in INTEGERS:
        first, distance = int(least), int(greatest) - int(least)
        return [str(first + distance * part // _PARTS) for part in range(1, _PARTS)] if distance >= _PARTS else None
    low, high = bytes.fromhex(bytes(least).decode()), bytes.fromhex(bytes(greatest).decode())
    shared = len(list(itertools.takewhile(lambda pair: pair[0] == pair[1], zip(low, high, strict=False))))
    prefix = low[:shared]
    if column.data_type in SHORT_BYTES:
        start, end = (value[shared] if len(value) > shared else 0 for value in (low, high))
        return [key_text(column, prefix + bytes([byte])) for byte in range(start + 1, end + 1)] or None
    if column.data_type in SHORT_TEXTS and _has_ascii(column) and prefix.isascii():
        return [key_text(column, prefix + letter.encode()) for letter in _alphabet(column)]
    return None


def _finer(column: Column, values: Sequence[str], sizes: Sequence[int], limit: float) -> list[str]:
    """Return the values, with more of them between two that have more than `limit` rows between them."""
    suffixes = [bytes([byte]) for byte in range(0, 256, 16)]
    if _has_ascii(column):
        suffixes = [letter.encode() for letter in _alphabet(column)]
    finer_values: list[str] = []
    for number, size in enumerate(sizes):
        if number:
            value = values[number - 1]
            finer_values.append(value)
            if size > limit:
                text = bytes.fromhex(value.rpartition("x'")[2][:-1])
                finer_values += [key_text(column, text + suffix) for suffix in suffixes]
    return finer_values


def _has_ascii(column: Column) -> bool:
    return canonical_charset(column.charset or "") in _ASCII_CHARSETS


def _alphabet(column: Column) -> str:
    is_folded = not (column.collation or "").endswith(("_bin", "_cs"))
    return _FOLDED if is_folded else _BINARY


def _estimates(reader: Session, definition: TableDefinition, key: PagingKey, values: Sequence[str]) -> list[int]:
    """Return how many rows the server expects before the first value, between each two, and from the last value on."""
    bounds = [None, *values, None]
    queries = [rows_between_query(definition, key, *pair) for pair in itertools.pairwise(bounds)]
    column = _ROWS_COLUMN[reader.is_mariadb]
    return [int(rows[0][column] or 0) for rows in reader.rows_of_each(queries)]


def _adds_up(total: int, rows: int) -> bool:
    # Estimates count half-full pages as full ones.
    return rows / 4 <= total <= rows * 4


def _literals(row: Row) -> KeyLiterals:
    return tuple(bytes(literal).decode() for literal in row)
