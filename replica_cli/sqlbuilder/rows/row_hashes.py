"""Build the queries with which a server hashes its rows: so rows of two servers are compared without moving them.

A row's hash is the SHA2-256 of its text (row_texts). It gives two numbers of 64 bits: each half of its hexadecimal
digits gives one number, of two CRC32 checksums. A set of rows has the number of rows, and the sums or the XOR of these
numbers (Joining), which do not depend on the order of the rows. Only a table without a key can have equal rows: they
would cancel each other with XOR, and do not in sums. SHA2 goes first, because CRC32 alone is linear: it does not notice
that two rows exchange values. MySQL from 9.6 on has no MD5, and MariaDB needs more time for it than for SHA2.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING
from zlib import crc32

from replica_cli.sqlbuilder.identifiers import quote_table
from replica_cli.sqlbuilder.literals import hex_literal
from replica_cli.sqlbuilder.rows.chunks import key_expression, order_by, where
from replica_cli.sqlbuilder.rows.row_texts import text_of_row

if TYPE_CHECKING:
    from collections.abc import Sequence

    from replica_cli.core.names import TableName
    from replica_cli.sqlbuilder.rows.chunks import PagingKey
    from replica_cli.sqlbuilder.rows.row_texts import ComparedColumn

HASH_DIGITS = 64
_PART = HASH_DIGITS // 4


class Joining(Enum):
    """How the hashes of a set of rows become one value that does not depend on their order."""

    SUM = auto()
    """Two sums of numbers of 64 bits. Equal rows count as often as they occur."""
    XOR = auto()
    """The XOR of these numbers, which costs less. Only for rows of which none are equal."""
    XOR_OF_BYTES = auto()
    """The XOR of whole hashes, which only MySQL has. It costs MySQL least."""


@dataclass(frozen=True, slots=True)
class HashedTable:
    """One table on one server, ready to be hashed.

    Attributes:
        name: its name on that server.
        source: the text after FROM.
        key: the key whose literals name the rows, None for a table without a usable key.
        columns: the compared columns, with their texts on this server.
        joining: how the hashes of a set of rows are joined.
    """

    name: TableName
    source: str
    key: PagingKey | None
    columns: tuple[ComparedColumn, ...]
    joining: Joining = Joining.SUM

    @property
    def all_rows(self) -> str:
        """Return the text after FROM to count all rows. No index is forced, so the server takes the smallest one."""
        return quote_table(self.name) if self.key is not None else self.source

    @property
    def documents(self) -> tuple[ComparedColumn, ...]:
        """Return the columns with documents that are text on the other server. The hash of a row is without them."""
        return tuple(c for c in self.columns if c.text.is_document_across)

    @property
    def _row_hash(self) -> str:
        return f"SHA2({text_of_row(self.columns)},256)"

    def sums_query(self, condition: str = "") -> str:
        """Return the query for one row: the number of rows, two numbers, and the number of hashes; NULL without rows.

        The numbers are both sums or XORs, or the XOR of the hashes in hexadecimal digits and 0.

        If there are fewer hashes than rows, the server could not read a value, and the sums mean nothing.
        """
        # The hash is computed once for each row, by the first of the expressions. In a derived table it would be
        # computed once too, at 0.9 times the cost on MariaDB, and at 1.0 times on MySQL.
        if self.joining is Joining.XOR_OF_BYTES:
            xor = f"HEX(BIT_XOR(UNHEX(@h:={self._row_hash})))"
            return f"SELECT COUNT(*),{xor},0,COUNT(@h) FROM {self.source}{where(condition)}"
        join = "SUM" if self.joining is Joining.SUM else "BIT_XOR"
        first = f"{join}({_number(f'@h:={self._row_hash}', '@h', 0)})"
        second = f"{join}({_number('@h', '@h', 2)})"
        return f"SELECT COUNT(*),{first},{second},COUNT(@h) FROM {self.source}{where(condition)}"

    def hashes_query(self, condition: str = "") -> str:
        """Return the query for the key, the hash and the documents of each row, in the order of the key."""
        return self.listing([self._row_hash, *(c.text.short for c in self.documents)], condition)

    def parts_query(self, parts: int) -> str:
        """Return the query for the number of the part, the number of rows and both sums of each part of the table.

        Rows are put into parts by their hashes.
        """
        # Here the order in which a server evaluates the expressions is not sure, so there is no variable.
        sums = f"COUNT(*),SUM({_number('h', 'h', 0)}),SUM({_number('h', 'h', 2)}),COUNT(h)"
        return f"SELECT CRC32(h)%{parts},{sums} FROM (SELECT {self._row_hash} AS h FROM {self.source}) AS t GROUP BY 1"

    def part_hashes_query(self, parts: int, numbers: Sequence[int]) -> str:
        """Return the query for each hash in some parts of the table, and for the number of rows that have it."""
        listed = ",".join(map(str, numbers))
        part = f"CRC32({self._row_hash})%{parts}"
        return f"SELECT {self._row_hash},COUNT(*) FROM {self.source} WHERE {part} IN ({listed}) GROUP BY 1"

    def has_hash(self, row_hash: str, documents: Sequence[bytes | None] = ()) -> str:
        """Return the condition for the rows that have a hash and, next to it, some documents."""
        texts = ("NULL" if document is None else hex_literal(document) for document in documents)
        equal = (f"CAST({c.text.short} AS BINARY)<=>{text}" for c, text in zip(self.documents, texts, strict=True))
        return " AND ".join([f"{self._row_hash}='{row_hash}'", *equal])

    def row_query(self, expressions: Sequence[str], condition: str) -> str:
        """Return the query for some expressions of one of the rows that a condition selects."""
        return f"SELECT {','.join(expressions)} FROM {self.source} WHERE {condition} LIMIT 1"

    def counts_query(self, row_hashes: Sequence[str]) -> str:
        """Return the query for each of some hashes that rows have, and for the number of these rows."""
        listed = ",".join(f"'{row_hash}'" for row_hash in row_hashes)
        return f"SELECT {self._row_hash},COUNT(*) FROM {self.source} WHERE {self._row_hash} IN ({listed}) GROUP BY 1"

    def delete_statement(self, condition: str, count: int) -> str:
        """Return the DELETE of some of the rows that a condition selects."""
        return f"DELETE FROM {quote_table(self.name)} WHERE {condition} LIMIT {count}"

    def column_hashes_query(self, condition: str) -> str:
        """Return the query for the key of each row and, for each compared column, its hash or its document."""
        expressions = (c.text.short if c.text.is_document_across else f"SHA2({c.expression},256)" for c in self.columns)
        return self.listing(list(expressions), condition)

    def listing(self, expressions: Sequence[str], condition: str) -> str:
        """Return the query for the key of each row and some expressions, in the order of the key."""
        keys = [key_expression(p.column) for p in self.key.parts] if self.key else []
        order = order_by(self.key) if self.key else ""
        return f"SELECT {','.join([*keys, *expressions])} FROM {self.source}{where(condition)}{order}"


def sums_of_hash(row_hash: str) -> tuple[int, int]:
    """Return what a row with this hash adds to the two sums."""
    first, second, third, fourth = (crc32(row_hash[at : at + _PART].encode()) for at in range(0, HASH_DIGITS, _PART))
    return first << 32 | second, third << 32 | fourth


def part_of_hash(row_hash: str, parts: int) -> int:
    """Return the number of the part that a row with this hash is in."""
    return crc32(row_hash.encode()) % parts


def _number(first: str, then: str, part: int) -> str:
    """Return SQL for 64 bits of two parts of a hash; `first` is evaluated first, `then` is the hash after that."""
    high = f"CRC32(SUBSTR({first},{1 + part * _PART},{_PART}))"
    low = f"CRC32(SUBSTR({then},{1 + (part + 1) * _PART},{_PART}))"
    return f"({high}<<32)|{low}"
