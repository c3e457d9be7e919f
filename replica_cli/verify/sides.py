"""Ask one server for the hashes of its rows, inside the snapshot that its session has open."""

from __future__ import annotations

import functools
import hashlib
import json
import operator
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from replica_cli.core.errors import PrimaryError, SecondaryError
from replica_cli.sqlbuilder.identifiers import quote
from replica_cli.sqlbuilder.rows.chunks import boundary_query, is_one_of
from replica_cli.sqlbuilder.rows.row_hashes import Joining, part_of_hash, sums_of_hash
from replica_cli.verify.row_values import RowValues

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from replica_cli.core.verification import Literals
    from replica_cli.mysql.session import Session
    from replica_cli.sqlbuilder.rows.chunks import KeyLiterals, PagingKey
    from replica_cli.sqlbuilder.rows.row_hashes import HashedTable

# How many keys one condition names.
KEYS_AT_ONCE = 200
# Types of values that may be larger than 64 KiB.
_LARGE = frozenset({"mediumtext", "longtext", "mediumblob", "longblob", "json"})


@dataclass(frozen=True, slots=True)
class Sums:
    """What a set of rows is compared by: the number of rows, and two sums of 64-bit hashes."""

    count: int = 0
    first: int = 0
    second: int = 0

    def __add__(self, other: Sums) -> Sums:
        return Sums(self.count + other.count, self.first + other.first, self.second + other.second)

    def __sub__(self, other: Sums) -> Sums:
        return Sums(self.count - other.count, self.first - other.first, self.second - other.second)


@dataclass(frozen=True, slots=True)
class XorSums(Sums):
    """The same with XOR in place of sums. Only for rows of which none are equal."""

    def __add__(self, other: Sums) -> XorSums:
        return XorSums(self.count + other.count, self.first ^ other.first, self.second ^ other.second)

    def __sub__(self, other: Sums) -> XorSums:
        return XorSums(self.count - other.count, self.first ^ other.first, self.second ^ other.second)


def sums_of(counts: Mapping[str, int]) -> Sums:
    """Return the sums of rows, of which the hashes and the numbers are given; numbers may be negative."""
    total = Sums()
    for row_hash, count in counts.items():
        first, second = sums_of_hash(row_hash)
        total += Sums(count, count * first, count * second)
    return total


class Side:
    """One server of a comparison, for one table. One thread at a time uses it."""

    def __init__(self, session: Session, table: HashedTable, *, is_primary: bool) -> None:
        self._session = session
        self.table = table
        self._is_primary = is_primary

    def of(self, table: HashedTable) -> Side:
        """Return the same server for another view of its table."""
        return Side(self._session, table, is_primary=self._is_primary)

    def sums(self, condition: str = "") -> Sums:
        """Return the sums of the rows that a condition selects.

        Raises:
            PrimaryError, SecondaryError: the server cannot read a value, which is larger than its limits.
            ServerError: the query failed.
        """
        kind = Sums if self.table.joining is Joining.SUM else XorSums
        if self.table.documents:
            return functools.reduce(operator.add, (kind(1, *sums_of_hash(h)) for _, h in self._rows(condition)), kind())
        ((count, first, second, hashed),) = self._session.texts(self.table.sums_query(condition))
        if count != hashed:
            raise self._unreadable()
        if self.table.joining is Joining.XOR_OF_BYTES:
            return XorSums(int(count or 0), int(first or "0", 16))
        return kind(int(count or 0), int(first or 0), int(second or 0))

    @property
    def large_columns(self) -> list[str]:
        """Return the columns whose values may be larger than 64 KiB."""
        return [c.column.name for c in self.table.columns if c.column.data_type in _LARGE]

    def large_bytes(self, keys: Sequence[KeyLiterals]) -> int:
        """Return how many bytes these columns have in the rows with one of some keys."""
        lengths = "+".join(f"IFNULL(LENGTH({quote(name)}),0)" for name in self.large_columns)
        total = 0
        for part in conditions_of(self.key, keys):
            ((count,),) = self._session.texts(f"SELECT SUM({lengths}) FROM {self.table.all_rows} WHERE {part}")
            total += int(count or 0)
        return total

    def count(self) -> int:
        """Return the number of rows of the table."""
        ((count,),) = self._session.texts(f"SELECT COUNT(*) FROM {self.table.all_rows}")
        return int(count or 0)

    def sums_of(self, keys: Sequence[KeyLiterals], condition: str) -> Sums:
        """Return the sums of those rows of a condition that have one of some keys."""
        parts = (self.sums(part) for part in conditions_of(self.key, keys, condition))
        return functools.reduce(operator.add, parts)

    def hashes(self, condition: str) -> dict[KeyLiterals, str]:
        """Return the hash of each row that a condition selects, by its key."""
        return dict(self._rows(condition))

    def _rows(self, condition: str = "") -> Iterator[tuple[KeyLiterals, str]]:
        """Yield the key and the hash of each row that a condition selects."""
        for key, row_hash, documents in self._listed(condition):
            yield key, with_documents(row_hash, documents) if documents else row_hash

    def _listed(self, condition: str = "") -> Iterator[tuple[KeyLiterals, str, tuple[object, ...]]]:
        """Yield the key, the hash without documents, and the documents of each row that a condition selects."""
        width = len(self.table.key.parts) if self.table.key else 0
        query = self.table.hashes_query(condition)
        for row in self._session.each_row(query) if self.table.documents else self._session.texts(query):
            if row[width] is None:
                raise self._unreadable()
            yield tuple(map(_text, row[:width])), _text(row[width]), tuple(row[width + 1 :])

    def hashes_of(self, keys: Sequence[KeyLiterals], condition: str = "") -> dict[KeyLiterals, str]:
        """Return the hash of each row that has one of some keys, by its key."""
        answers: dict[KeyLiterals, str] = {}
        for part in conditions_of(self.key, keys, condition):
            answers |= self.hashes(part)
        return answers

    def column_hashes_of(self, keys: Sequence[KeyLiterals]) -> dict[KeyLiterals, tuple[object, ...]]:
        """Return the hash or the document of each column of the rows that have one of some keys."""
        width = len(self.key.parts)
        across = [c.text.is_document_across for c in self.table.columns]
        return {
            tuple(map(_text, row[:width])): tuple(
                canonical_document(value) if is_document else value
                for value, is_document in zip(row[width:], across, strict=True)
            )
            for part in conditions_of(self.key, keys)
            for row in self._session.each_row(self.table.column_hashes_query(part))
        }

    def rows_of(self, keys: Sequence[KeyLiterals]) -> dict[KeyLiterals, Literals]:
        """Return the values of the rows that have one of some keys, as SQL."""
        width = len(self.key.parts)
        values = RowValues(self.table.columns)
        return {
            tuple(map(_text, row[:width])): values.literals(row[width:])
            for part in conditions_of(self.key, keys)
            for row in self._session.each_row(self.table.listing(values.expressions, part))
        }

    def rows_with_hashes(self, row_hashes: Collection[str]) -> dict[str, Literals]:
        """Return the values of one of the rows that have each of some hashes; a hash that no row has is left out."""
        values, rows = RowValues(self.table.columns), {}
        for row_hash, condition in self._conditions(row_hashes).items():
            for row in self._session.rows(self.table.row_query(values.expressions, condition)):
                rows[row_hash] = values.literals(row)
        return rows

    def delete(self, counts: Mapping[str, int]) -> None:
        """Delete rows, as many as are given for each hash."""
        for row_hash, condition in self._conditions(counts).items():
            self._session.execute(self.table.delete_statement(condition, counts[row_hash]))

    def _conditions(self, row_hashes: Collection[str]) -> dict[str, str]:
        """Return the condition for the rows that have a hash, for each of some hashes.

        A server does not know the hash of a row with documents. A hash that no such row has is left out.
        """
        if not row_hashes or not self.table.documents:
            return {row_hash: self.table.has_hash(row_hash) for row_hash in row_hashes}
        same: dict[str, set[str]] = {}
        for _, text, documents in self._listed():
            row_hash = with_documents(text, documents)
            if row_hash in row_hashes:
                texts = [None if d is None else _text(d).encode("utf-8", "surrogateescape") for d in documents]
                same.setdefault(row_hash, set()).add(f"({self.table.has_hash(text, texts)})")
        return {row_hash: " OR ".join(sorted(conditions)) for row_hash, conditions in same.items()}

    def key_after(self, condition: str, skipped_rows: int) -> KeyLiterals | None:
        """Return the key of the row after the first `skipped_rows` rows of a condition, None if there is none."""
        rows = self._session.texts(boundary_query(self.table.name, self.key, condition, skipped_rows))
        return tuple(str(literal) for literal in rows[0]) if rows else None

    def parts(self, parts: int) -> dict[int, Sums]:
        """Return the sums of each part of the table; rows are put into parts by their hashes."""
        answers: dict[int, Sums] = {}
        if self.table.documents:
            for _, row_hash in self._rows():
                part = part_of_hash(row_hash, parts)
                answers[part] = answers.get(part, Sums()) + sums_of({row_hash: 1})
            return answers
        for number, count, first, second, hashed in self._session.texts(self.table.parts_query(parts)):
            if count != hashed or number is None:
                raise self._unreadable()
            answers[int(number)] = Sums(int(count or 0), int(first or 0), int(second or 0))
        return answers

    def hash_counts(self, parts: int, numbers: Collection[int]) -> Counter[str]:
        """Return, for some parts of the table, how many rows have each hash."""
        if self.table.documents:
            return Counter(text for _, text in self._rows() if part_of_hash(text, parts) in numbers)
        rows = self._session.texts(self.table.part_hashes_query(parts, sorted(numbers)))
        return Counter({str(row_hash): int(count or 0) for row_hash, count in rows})

    def counts_of(self, row_hashes: Sequence[str]) -> Counter[str]:
        """Return how many rows have each of some hashes."""
        if self.table.documents:
            wanted = set(row_hashes)
            return Counter(row_hash for _, row_hash in self._rows() if row_hash in wanted)
        rows = self._session.texts(self.table.counts_query(row_hashes))
        return Counter({str(row_hash): int(count or 0) for row_hash, count in rows})

    @property
    def key(self) -> PagingKey:
        """Return the key of the table. Call it only for a table with a key."""
        if self.table.key is None:
            raise TypeError("the table has no key")
        return self.table.key

    def _unreadable(self) -> PrimaryError | SecondaryError:
        kind = PrimaryError if self._is_primary else SecondaryError
        return kind(
            f"{self._session.server}: a value of {self.table.name} is too large to be hashed",
            hint="raise max_allowed_packet on this server, and run `replica verify run --resume`",
        )


def with_documents(row_hash: object, documents: Sequence[object]) -> str:
    """Return the hash of a row with its documents, from the hash without them and the texts of the documents."""
    digest = hashlib.sha256(_text(row_hash).encode())
    for document in documents:
        digest.update(b"-" if document is None else hashlib.sha256(canonical_document(document)).digest())
    return digest.hexdigest()


def canonical_document(text: object) -> bytes:
    """Return a JSON document in one form: MySQL keeps its own form, and MariaDB the text as it was written."""
    if text is None:
        return b""
    try:
        return json.dumps(json.loads(_text(text)), sort_keys=True).encode()
    except (ValueError, RecursionError):
        return b"not JSON: " + _text(text).encode("utf-8", "surrogateescape")


def _text(value: object) -> str:
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else str(value)


def conditions_of(key: PagingKey, keys: Sequence[KeyLiterals], condition: str = "") -> Iterator[str]:
    """Yield the conditions that select the rows with one of some keys, some hundred keys at a time."""
    for start in range(0, len(keys), KEYS_AT_ONCE):
        part = is_one_of(key, keys[start : start + KEYS_AT_ONCE])
        yield f"({condition}) AND ({part})" if condition else part


def in_order(keys: Iterable[KeyLiterals]) -> list[KeyLiterals]:
    """Return keys in a fixed order, so that the same set gives the same queries."""
    return sorted(keys)
