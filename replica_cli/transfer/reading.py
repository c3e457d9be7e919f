"""Chunks from the primary: it formats rows for a VALUES list, and nobody here looks into them."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from replica_cli.core.errors import ReplicaError
from replica_cli.core.wording import counted
from replica_cli.mysql.errnos import ER_BAD_DB, ER_BAD_FIELD, ER_NO_SUCH_TABLE, ER_TABLE_DEF_CHANGED, ServerError
from replica_cli.mysql.lines import Lines
from replica_cli.sqlbuilder.chunks import (
    END_OF_LINES,
    after,
    both,
    boundary_query,
    digest_query,
    lines_query,
    rows_query,
    source_of,
    split_literals,
    up_to,
    where,
    whole_lines_query,
)
from replica_cli.sqlbuilder.row_text import key_of_literals, key_of_row
from replica_cli.transfer.chunk import Chunk
from replica_cli.transfer.documents import Documents, JsonHandling
from replica_cli.transfer.errors import ChunkBroken, RowTooLarge, TableAltered

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from replica_cli.checkpoint.progress import RangeProgress
    from replica_cli.core.table import TableDefinition
    from replica_cli.mysql.session import Row, Session
    from replica_cli.sqlbuilder.chunks import KeyLiterals, PagingKey

# A statement of this size is long enough to hide round trips and short enough to commit soon.
TARGET_BYTES = 1_500_000
_ROWS_LIMIT = 50_000
# From this number of rows on, a chunk shows how wide the rows are that follow. The catalog's width is still a limit.
_TYPICAL_ROWS = 1000
# Rows may be much wider than the catalog guesses: more than this is read again in smaller pieces.
_CHUNK_BYTES = 8 * TARGET_BYTES
# How often a chunk is read whose rows are not as many as the primary says: rows may have come or gone in between.
_COUNTS_LIMIT = 3
_ER_KEY_DOES_NOT_EXIST = 1176
_ALTERED = frozenset({ER_TABLE_DEF_CHANGED, ER_BAD_FIELD, ER_NO_SUCH_TABLE, ER_BAD_DB, _ER_KEY_DOES_NOT_EXIST})


@contextmanager
def noticing_ddl() -> Iterator[None]:
    """Turn the primary's words for "this is another table now" into TableAltered."""
    try:
        yield
    except ServerError as error:
        if error.errno in _ALTERED:
            raise TableAltered(f"the table was altered on the primary: {error.message}") from error
        raise


class RangeReader:
    """Reads one range of one table. `chunk_rows` is where it starts; then the rows' width decides.

    A chunk is the answer to one query. If it has fewer rows than were asked for, a second query asks whether there are
    more, so an answer that a proxy has shortened does not end a range. A chunk that takes several queries is read, and
    counted, in a transaction of its own, or with `in_snapshot` in the session's open one. `with_digest`: the rows that
    were written are to be compared with the chunk.
    """

    def __init__(
        self,
        session: Session,
        definition: TableDefinition,
        key: PagingKey,
        *,
        chunk_rows: int,
        packet_limit: int,
        care: JsonHandling = JsonHandling.NONE,
        in_snapshot: bool = False,
        with_digest: bool = False,
    ) -> None:
        self._session = session
        self._with_digest = with_digest
        self._in_snapshot = in_snapshot
        self._documents = Documents(session, definition, care, key)
        # Documents and digests are asked for by a condition of their own. A row's text does not tell a key that is
        # written as another type than the primary has.
        self._is_bounded = with_digest or care is not JsonHandling.NONE or not _is_in_text(key, definition)
        self._definition = definition
        self._key = key
        self._packet_limit = packet_limit
        self._width = max(definition.estimated_bytes // max(definition.estimated_rows, 1), 1)
        self._rows = max(1, min(chunk_rows, TARGET_BYTES // self._width))

    def chunks(self, progress: RangeProgress) -> Iterator[Chunk]:
        """Yield what is missing of a range, in key order. Raises TableAltered, RowTooLarge, ServerError."""
        high = split_literals(progress.high_key) if progress.high_key else None
        last = split_literals(progress.last_key) if progress.last_key else None
        end = up_to(self._key, high) if high else ""
        while True:
            with noticing_ddl():
                chunk = self._next(after(self._key, last) if last else "", end)
            if chunk is None:
                self._rows = max(1, self._rows // 4)
                continue
            yield chunk
            if chunk.is_last:
                return
            last = chunk.last_key

    @property
    def rows_at_once(self) -> int:
        """Return how many rows the next chunk may have."""
        return self._rows

    def boundary(self, condition: str, skipped_rows: int) -> KeyLiterals | None:
        """Return the key of the row behind so many others, None where there are not so many."""
        row = self._session.row(boundary_query(self._definition.name, self._key, condition, skipped_rows))
        return tuple(bytes(literal).decode() for literal in row) if row else None

    def _next(self, start: str, end: str) -> Chunk | None:
        if not self._is_bounded:
            return self._read_first(start, end)
        rows = self._rows
        expected = found = 0
        for _ in range(_COUNTS_LIMIT):
            self._rows = rows
            with self._snapshot():
                chunk = self._read_bounded(start, end)
                if chunk is None:
                    return None
                # As many as were asked for have come, or all that there are.
                expected = rows if chunk.last_key else row_count(self._session, self._definition, both(start, end))
            if chunk.row_count == expected:
                return chunk
            found = chunk.row_count
        raise _cut_short(self._definition, expected, found)

    def _read_first(self, start: str, end: str) -> Chunk | None:
        for _ in range(_COUNTS_LIMIT):
            chunk = self._read_along(start, end)
            # No row, and then there was one: it came in between, or was not given.
            if chunk is None or chunk.values or chunk.is_last:
                return chunk
        raise _cut_short(self._definition, 1, 0)

    def _read_along(self, start: str, end: str) -> Chunk | None:
        """Read the first rows along the key; the last of them says where the next chunk begins."""
        rows, condition = self._rows, both(start, end)
        limit = self._packet_limit if rows == 1 else min(self._packet_limit, _CHUNK_BYTES)
        found = _rows_within(limit, self._session.lines(lines_query(self._definition, self._key, condition, rows)))
        if found is None:
            if rows > 1:
                return None
            wide = self._session.rows(rows_query(self._definition, self._key, condition, 1))
            if not wide:
                return Chunk((), 0)
            wide_key = key_of_literals([_bytes(literal) for literal in wide[0][:-1]], self._definition, self._key)
            return replace(self._wide_rows(None, wide), last_key=wide_key, is_last=False)
        texts = cast("list[bytes]", found.texts)
        last_key = key_of_row(texts[-1], self._definition, self._key) if texts else None
        is_last = len(texts) < rows and not self._has_more(after(self._key, last_key) if last_key else start, end)
        if not texts:
            return Chunk((), 0, None, is_last)
        values = b",".join(texts)
        self._adapt(len(values), len(texts))
        return Chunk((values,), len(texts), None if is_last else last_key, is_last, found.is_flagged)

    def _has_more(self, start: str, end: str) -> bool:
        """Say whether the range has more rows now; rows that came meanwhile count as well."""
        more = f"SELECT 1 FROM {source_of(self._definition, self._key)}{where(both(start, end))} LIMIT 1"
        return self._session.row(more) is not None

    def _read_bounded(self, start: str, end: str) -> Chunk | None:
        """Read a chunk between two bounds that other queries can be asked for too."""
        # The boundary comes first and alone, from the index: so the chunk needs no sorted temporary table.
        last_key = self.boundary(both(start, end), self._rows - 1)
        condition = both(start, up_to(self._key, last_key) if last_key else end)
        chunk = self._read(condition, last_key)
        if chunk is not None and self._with_digest:
            digest = self._session.row(digest_query(self._definition, condition)) or ()
            chunk = replace(chunk, condition=condition, digest=digest)
        return chunk

    @contextmanager
    def _snapshot(self) -> Iterator[None]:
        """Let the queries of one chunk see one moment; it ends before the chunk waits for the secondary.

        A DDL on the primary waits for open transactions.
        """
        if self._in_snapshot:
            yield
            return
        self._session.begin()
        try:
            yield
        except ReplicaError:
            with suppress(ReplicaError):
                self._session.rollback()
            raise
        self._session.commit()

    def _read(self, condition: str, last_key: KeyLiterals | None) -> Chunk | None:
        if self._documents.check(condition):
            return self._wide_rows(last_key, self._documents.rows(condition))
        limit = self._packet_limit if self._rows == 1 else min(self._packet_limit, _CHUNK_BYTES)
        found = _rows_within(limit, self._session.lines(lines_query(self._definition, self._key, condition)))
        if found is not None:
            if not found.texts:
                return Chunk((), 0, last_key, last_key is None)
            values = b",".join(cast("list[bytes]", found.texts))
            self._adapt(len(values), len(found.texts))
            return Chunk((values,), len(found.texts), last_key, last_key is None, found.is_flagged)
        if self._rows > 1:
            return None
        return self._wide_rows(last_key, self._session.rows(rows_query(self._definition, self._key, condition)))

    def _adapt(self, size: int, count: int) -> None:
        fitting = TARGET_BYTES * count // max(size, 1)
        # The rows that follow may be wider: as wide as the catalog says, or more.
        most = max(self._rows * 4, _CHUNK_BYTES // self._width if count >= _TYPICAL_ROWS else 0)
        self._rows = max(1, min(fitting, most, _ROWS_LIMIT))

    def _wide_rows(self, last_key: KeyLiterals | None, found: Iterable[Row]) -> Chunk:
        # One literal a column: each may be as long as a packet, and Python puts the row together.
        values, zero = [], False
        for row in found:
            values.append(self._wide_row(row[:-1]))
            zero = zero or bool(int(row[-1]))
        return Chunk(tuple(values), len(values), last_key, last_key is None, zero)

    def _wide_row(self, literals: Row) -> bytes:
        key = ", ".join(self._key.names)
        if any(literal is None for literal in literals):
            raise RowTooLarge(
                f"{self._definition.name} (key {key}): a value of one row does not fit the primary's packet",
                hint="raise max_allowed_packet on the primary",
            )
        value = b"(" + b",".join(_bytes(literal) for literal in literals) + b")"
        if len(value) > self._packet_limit:
            raise RowTooLarge(
                f"{self._definition.name} (key {key}): one row of {len(value)} bytes does not fit a packet",
                hint="raise max_allowed_packet on the secondary (and the primary)",
            )
        return value


def _is_in_text(key: PagingKey, definition: TableDefinition) -> bool:
    columns = definition.columns_by_name
    return all(columns[p.column.name].data_type == p.column.data_type for p in key.parts)


def row_count(session: Session, definition: TableDefinition, condition: str = "") -> int:
    """Return the number of rows that the session's snapshot has of a table, or of a part of it."""
    ((count,),) = session.rows(f"SELECT COUNT(*) FROM {source_of(definition)}{where(condition)}")
    return int(count)


def _cut_short(definition: TableDefinition, expected: int, found: int) -> ChunkBroken:
    rows = counted(expected, "row")
    return ChunkBroken(
        f"{definition.name}: the primary counts {rows} in a part of the table and gave {found} of them",
        hint="something limits its answers, such as a proxy or a rewriting plugin; nothing of this part was kept",
    )


def _rows_within(limit: int, lines: Iterable[Lines]) -> Lines | None:
    """Return all rows as one, None where they are more than so many bytes or one is NULL: longer than a packet."""
    rows, size, fits = Lines(), 0, True
    for found in lines:
        # What does not fit is read to its end all the same: the session goes on with the next query.
        size += sum(len(t) + 1 for t in found.texts if t is not None)
        fits = fits and size <= limit and None not in found.texts
        if fits:
            rows.texts += found.texts
            rows.is_flagged = rows.is_flagged or found.is_flagged
        else:
            rows.texts.clear()
    return rows if fits else None


def whole_table(
    session: Session,
    definition: TableDefinition,
    *,
    packet_limit: int,
    care: JsonHandling = JsonHandling.NONE,
    with_digest: bool = False,
) -> Iterator[Chunk]:
    """Yield a whole table in the session's snapshot, rows in whatever order they come; the last has any digest.

    Raises RowTooLarge, ChunkBroken where not all of them come.
    """
    lines: list[bytes] = []
    size, zero = 0, False
    with noticing_ddl():
        for found in _lines(session, definition, Documents(session, definition, care)):
            for line in found.texts:
                # A text that is longer than the server's packet is NULL, or nothing in a field that takes no NULL.
                if not line or len(line) > packet_limit:
                    raise RowTooLarge(
                        f"{definition.name}: one row does not fit a packet",
                        hint="raise max_allowed_packet on both servers",
                    )
                if lines and size + len(line) > min(TARGET_BYTES, packet_limit):
                    yield Chunk((b",".join(lines),), len(lines), holds_enum_zero=zero)
                    lines, size, zero = [], 0, False
                lines.append(line)
                size += len(line) + 1
                zero = zero or found.is_flagged
        digest = (session.row(digest_query(definition)) or ()) if with_digest else ()
    texts = (b",".join(lines),) if lines else ()
    yield Chunk(texts, len(lines), is_last=True, holds_enum_zero=zero, digest=digest)


def _lines(session: Session, definition: TableDefinition, documents: Documents) -> Iterator[Lines]:
    count = 0
    if documents.check():
        for *literals, zero in documents.rows():
            is_whole = all(literal is not None for literal in literals)
            line = b"(" + b",".join(map(_bytes, literals)) + b")" if is_whole else None
            yield Lines([line], bool(int(zero)))
            count += 1
        if (expected := row_count(session, definition)) != count:
            raise _cut_short(definition, expected, count)
        return
    has_ended = False
    for found in session.lines(whole_lines_query(definition)):
        # The end of the answer may come by itself, behind the mark.
        if found.texts[-1:] == [END_OF_LINES]:
            found.texts.pop()
            has_ended = True
        count += len(found.texts)
        yield found
    if not has_ended:
        raise _cut_short(definition, row_count(session, definition), count)


def _bytes(literal: object) -> bytes:
    return literal if isinstance(literal, bytes) else str(literal).encode()
