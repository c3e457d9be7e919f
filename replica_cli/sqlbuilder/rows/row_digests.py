"""Compute a digest over all values of a row, in SQL on the server and in Python. It finds rows of keyless tables.

Each value goes into the digest as its length and its text or bytes. So equal digests mean equal rows, byte by byte:
text in another case or with other spaces is another row, NULL differs from every value, and -0 differs from 0. A server
reads each row of a table once to find many digests.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from replica_cli.core.column_types import (
    INTEGERS,
    LISTS,
    LONG_BYTES,
    LONG_TEXTS,
    REALS,
    SHORT_BYTES,
    SHORT_TEXTS,
    TEMPORALS,
)
from replica_cli.sqlbuilder.identifiers import quote, quote_table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from replica_cli.core.table import Column, TableName
    from replica_cli.sqlbuilder.rows.row_statements import Literals

_NUMBERED = LISTS | {"year", "bit"}
_AS_WRITTEN = TEMPORALS | SHORT_BYTES | {"decimal"}
_ESCAPE = re.compile(rb"\\(.)", re.DOTALL)
# A literal in a list, with its quotes and a comma.
DIGEST_BYTES = hashlib.sha256().digest_size * 2 + 3
# Beyond these positions of the decimal point the servers write a double with an exponent (MAX_DECPT_FOR_F_FORMAT in
# their strings/dtoa.c).
_LARGEST_POINT, _LEAST_POINT = 15, -14


@dataclass(frozen=True, slots=True)
class RowDigest:
    """The digest of the rows of one table.

    Attributes:
        expression: SQL over the table's columns, for a session with SET NAMES binary and time_zone +00:00.
        texts: for each column the function that makes from a literal the text that goes into the digest.
    """

    expression: str
    texts: tuple[Callable[[bytes], bytes], ...]

    def of(self, row: Literals) -> bytes:
        """Return the digest of a row in hexadecimal, from its literals (decoder.form.Form.VALUE)."""
        digest = hashlib.sha256()
        for text, literal in zip(self.texts, row, strict=True):
            if literal == b"NULL":
                digest.update(b"-")
            else:
                value = text(literal)
                digest.update(b"%d:%b" % (len(value), value))
        return digest.hexdigest().encode()


def digest_of(columns: Sequence[Column], *, is_mariadb: bool) -> RowDigest | None:
    """Return the digest over columns, or None if it is not known how a server writes the type of one of them.

    Args:
        columns: all columns that go into the digest.
        is_mariadb: the flavour of the server that computes the digest.
    """
    parts, texts = [], []
    for column in columns:
        form = _form_of(column, is_mariadb=is_mariadb)
        if form is None:
            return None
        value, text = form
        part = f"CONCAT(LENGTH({value}),':',{value})"
        parts.append(f"IFNULL({part},'-')" if column.is_nullable else part)
        texts.append(text)
    return RowDigest(f"SHA2(CONCAT({','.join(parts)}),256)", tuple(texts))


def count_digests(target: TableName, digest: RowDigest, wanted: Iterable[bytes]) -> bytes:
    """Return a SELECT of the wanted digests that rows have, and of the number of their rows. It locks these rows."""
    head = f"SELECT {digest.expression},COUNT(*) FROM {quote_table(target)} WHERE {digest.expression} IN ("
    return head.encode() + _listed(wanted) + b") GROUP BY 1 FOR UPDATE"


def delete_digests(target: TableName, digest: RowDigest, wanted: Iterable[bytes]) -> bytes:
    """Return a DELETE of all rows with these digests."""
    head = f"DELETE FROM {quote_table(target)} WHERE {digest.expression} IN ("
    return head.encode() + _listed(wanted) + b")"


def delete_alike(target: TableName, digest: RowDigest, wanted: bytes, count: int) -> bytes:
    """Return a DELETE of `count` of the rows that have one digest."""
    return f"DELETE FROM {quote_table(target)} WHERE {digest.expression}='{wanted.decode()}' LIMIT {count}".encode()


def _listed(wanted: Iterable[bytes]) -> bytes:
    return b",".join([b"'%b'" % each for each in wanted])


def _form_of(column: Column, *, is_mariadb: bool) -> tuple[str, Callable[[bytes], bytes]] | None:
    """Return SQL for the text of a column's value, and the function that makes the same text from its literal."""
    name, kind = quote(column.name), column.data_type
    form: tuple[str, Callable[[bytes], bytes]] | None = None
    if kind in INTEGERS:
        # Without the CAST a number with ZEROFILL has leading zeros.
        form = f"CAST({name} AS {'UN' if column.is_unsigned else ''}SIGNED)", _unchanged
    elif kind in _NUMBERED:
        form = f"CAST({name} AS UNSIGNED)", _unchanged
    elif kind in REALS:
        # As text, a FLOAT has fewer digits than as a double. MySQL cuts the last digits of a computed double, but not
        # in a JSON document.
        real = f"({name}*1e0)"
        form = (real, _real_text) if is_mariadb else (f"CAST(CAST({real} AS JSON) AS CHAR)", _real_of_document)
    elif kind in _AS_WRITTEN and "zerofill" not in column.column_type:
        form = name, unquoted
    elif kind in SHORT_TEXTS:
        form = f"CAST({name} AS BINARY)", unquoted
    elif kind in LONG_TEXTS:
        # Without the inner digest the whole row must fit into max_allowed_packet.
        form = f"SHA2(CAST({name} AS BINARY),256)", _hashed
    elif kind in LONG_BYTES:
        form = f"SHA2({name},256)", _hashed
    return form


def _unchanged(literal: bytes) -> bytes:
    return literal


def unquoted(literal: bytes) -> bytes:
    """Return the bytes of a literal between quotes; any other literal is returned as it is."""
    if not literal.startswith(b"'"):
        return literal
    value = literal[1:-1]
    return _ESCAPE.sub(rb"\1", value) if 92 in value else value


def _hashed(literal: bytes) -> bytes:
    return hashlib.sha256(unquoted(literal)).hexdigest().encode()


def _real_text(literal: bytes) -> bytes:
    """Return a double as the servers write it: with the fewest digits that distinguish it from all other doubles."""
    value = float(literal)
    if not value:
        return b"%.0f" % value
    sign, all_digits, exponent = Decimal(repr(value)).as_tuple()
    digits = "".join(map(str, all_digits)).rstrip("0")
    point = len(all_digits) + int(exponent)
    if point < _LEAST_POINT or point > max(_LARGEST_POINT, len(digits) - 1):
        text = f"{digits[0]}{'.' if digits[1:] else ''}{digits[1:]}e{point - 1}"
    elif point <= 0:
        text = f"0.{'0' * -point}{digits}"
    elif point >= len(digits):
        text = digits.ljust(point, "0")
    else:
        text = f"{digits[:point]}.{digits[point:]}"
    return f"{'-' * sign}{text}".encode()


def _real_of_document(literal: bytes) -> bytes:
    """Return a double as MySQL writes it in a JSON document: always with a point or an exponent."""
    text = _real_text(literal)
    return text if b"." in text or b"e" in text else text + b".0"
