"""One digest of all of a row's values, which the server and this side compute alike: it finds rows without a key.

Each value stands in it as text or bytes behind its length, so rows with the same text are the same row, to the byte:
text of another case or with other spaces is another row, NULL is no value, and -0 is not 0.
A server looks at each row of a table once and finds many digests in that time.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from replica_cli.sqlbuilder.chunks import WHOLE_NUMBERS
from replica_cli.sqlbuilder.identifiers import quote, quote_table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from replica_cli.core.table import Column, TableName
    from replica_cli.sqlbuilder.rows import Literals

_NUMBERED = frozenset({"year", "enum", "set", "bit"})
_REALS = frozenset({"float", "double"})
_AS_WRITTEN = frozenset({"decimal", "date", "time", "datetime", "timestamp", "binary", "varbinary"})
_TEXTS = frozenset({"char", "varchar"})
_LONG_TEXTS = frozenset({"tinytext", "text", "mediumtext", "longtext"})
_LONG_BYTES = frozenset({"tinyblob", "blob", "mediumblob", "longblob"})
_ESCAPE = re.compile(rb"\\(.)", re.DOTALL)
# A literal in a list, with its quotes and a comma.
DIGEST_BYTES = hashlib.sha256().digest_size * 2 + 3
# Where the servers begin to write a double with an exponent (MAX_DECPT_FOR_F_FORMAT of their strings/dtoa.c).
_LARGEST_POINT, _LEAST_POINT = 15, -14


@dataclass(frozen=True, slots=True)
class RowDigest:
    """`expression` is SQL over a table's columns, for a session with SET NAMES binary and time_zone +00:00."""

    expression: str
    texts: tuple[Callable[[bytes], bytes], ...]

    def of(self, row: Literals) -> bytes:
        """Return a row's digest, of its literals as they are written (decoder.form.Form.VALUE), in hexadecimal."""
        found = hashlib.sha256()
        for text, literal in zip(self.texts, row, strict=True):
            if literal == b"NULL":
                found.update(b"-")
            else:
                value = text(literal)
                found.update(b"%d:%b" % (len(value), value))
        return found.hexdigest().encode()


def digest_of(columns: Sequence[Column], *, is_mariadb: bool) -> RowDigest | None:
    """Return the digest over columns, None where one has a type of which the server's own text is not known.

    `is_mariadb`: the flavour of the server that computes it.
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
    """Return a SELECT of each digest that is in the table, and of how many rows have it; it locks them."""
    head = f"SELECT {digest.expression},COUNT(*) FROM {quote_table(target)} WHERE {digest.expression} IN ("
    return head.encode() + _listed(wanted) + b") GROUP BY 1 FOR UPDATE"


def delete_digests(target: TableName, digest: RowDigest, wanted: Iterable[bytes]) -> bytes:
    """Return a DELETE of all rows with these digests."""
    head = f"DELETE FROM {quote_table(target)} WHERE {digest.expression} IN ("
    return head.encode() + _listed(wanted) + b")"


def delete_alike(target: TableName, digest: RowDigest, wanted: bytes, count: int) -> bytes:
    """Return a DELETE of so many of the rows with one digest."""
    return f"DELETE FROM {quote_table(target)} WHERE {digest.expression}='{wanted.decode()}' LIMIT {count}".encode()


def _listed(wanted: Iterable[bytes]) -> bytes:
    return b",".join([b"'%b'" % each for each in wanted])


def _form_of(column: Column, *, is_mariadb: bool) -> tuple[str, Callable[[bytes], bytes]] | None:
    """Return what the server makes of a column's value, and what makes the same of its literal."""
    name, kind = quote(column.name), column.data_type
    found: tuple[str, Callable[[bytes], bytes]] | None = None
    if kind in WHOLE_NUMBERS:
        # With ZEROFILL its own text has zeros in front.
        found = f"CAST({name} AS {'UN' if column.is_unsigned else ''}SIGNED)", _as_it_is
    elif kind in _NUMBERED:
        found = f"CAST({name} AS UNSIGNED)", _as_it_is
    elif kind in _REALS:
        # A FLOAT has fewer digits in its own text. MySQL cuts a computed double's last ones, but not in a document.
        real = f"({name}*1e0)"
        found = (real, _real_text) if is_mariadb else (f"CAST(CAST({real} AS JSON) AS CHAR)", _real_of_document)
    elif kind in _AS_WRITTEN and "zerofill" not in column.column_type:
        found = name, _unquoted
    elif kind in _TEXTS:
        found = f"CAST({name} AS BINARY)", _unquoted
    elif kind in _LONG_TEXTS:
        # Else the whole row has to fit into max_allowed_packet.
        found = f"SHA2(CAST({name} AS BINARY),256)", _hashed
    elif kind in _LONG_BYTES:
        found = f"SHA2({name},256)", _hashed
    return found


def _as_it_is(literal: bytes) -> bytes:
    return literal


def _unquoted(literal: bytes) -> bytes:
    if not literal.startswith(b"'"):
        return literal
    value = literal[1:-1]
    return _ESCAPE.sub(rb"\1", value) if 92 in value else value


def _hashed(literal: bytes) -> bytes:
    return hashlib.sha256(_unquoted(literal)).hexdigest().encode()


def _real_text(literal: bytes) -> bytes:
    """Return a double as the servers write it: the fewest digits that tell it from others."""
    value = float(literal)
    if not value:
        return b"%.0f" % value
    sign, found, exponent = Decimal(repr(value)).as_tuple()
    digits = "".join(map(str, found)).rstrip("0")
    point = len(found) + int(exponent)
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
    """Return a double as MySQL writes it in a JSON document: never as a whole number."""
    text = _real_text(literal)
    return text if b"." in text or b"e" in text else text + b".0"
