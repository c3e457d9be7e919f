"""Read chunks from the primary, which formats the rows for a VALUES list. This process does not look into the rows."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from replica_cli.core.attempts import CHUNK_READ_ATTEMPTS
from replica_cli.core.errors import ReplicaError
from replica_cli.core.wording import counted
from replica_cli.mysql.errnos import (
    ER_BAD_DB,
    ER_BAD_FIELD,
    ER_KEY_DOES_NOT_EXIST,
    ER_NO_SUCH_TABLE,
    ER_TABLE_DEF_CHANGED,
    ServerError,
)
from replica_cli.mysql.row_lines import Lines
from replica_cli.sqlbuilder.rows.chunks import (
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
from replica_cli.sqlbuilder.rows.row_keys import key_of_literals, key_of_row
from replica_cli.transfer.errors import ChunkBroken, RowTooLarge, TableAltered
from replica_cli.transfer.rows.chunk import Chunk
from replica_cli.transfer.rows.documents import Documents, JsonHandling

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from replica_cli.checkpoint.progress import RangeProgress
    from replica_cli.core.table import TableDefinition
    from replica_cli.mysql.session import Row, Session
    from replica_cli.sqlbuilder.rows.chunks import KeyLiterals, PagingKey

# A statement of this size is long enough to hide round trips and short enough to commit soon.
TARGET_BYTES = 1_500_000
_ROWS_LIMIT = 50_000
# A chunk of at least this many rows shows how wide the next rows are. The width in the catalog is still a limit.
_TYPICAL_ROWS = 1000
# Rows may be much wider than the catalog says. A chunk that is larger than this is read again in smaller chunks.
_CHUNK_BYTES = 8 * TARGET_BYTES
_ALTERED = frozenset({ER_TABLE_DEF_CHANGED, ER_BAD_FIELD, ER_NO_SUCH_TABLE, ER_BAD_DB, ER_KEY_DOES_NOT_EXIST})


@contextmanager
def noticing_ddl() -> Iterator[None]:
    """Turn errors of the primary that mean "this is another table now" into TableAltered."""
    try:
        yield
    except ServerError as error:
        if error.errno in _ALTERED:
            raise TableAltered(f"the table was altered on the primary: {error.message}") from error
        raise


class RangeReader:
    """Reads one range of one table.

    The first chunk has up to `chunk_rows` rows. After that, the width of the rows decides.

    A chunk is the answer to one query. If it has fewer rows than were asked for, a second query asks if there are more,
    so an answer that a proxy has shortened does not end a range. A chunk that takes several queries is read and counted
    in a transaction of its own, or with `in_snapshot` in the open transaction of the session. `with_digest`: a digest
    is read with each chunk, to compare the written rows with it.
    """

    def __init__(
        self,
        session: Session,
        definition: TableDefinition,
        key: PagingKey,
        *,
        chunk_rows: int,
        packet_limit: int,
        json_handling: JsonHandling = JsonHandling.NONE,
        in_snapshot: bool = False,
        with_digest: bool = False,
    ) -> None:
        self._session = session
        self._with_digest = with_digest
        self._in_snapshot = in_snapshot
        self._documents = Documents(session, definition, json_handling, key)
        # Documents and digests are read with a condition for the rows of the chunk. So is a table with a key column
        # that is written as another type than it has on the primary: the text of its rows does not show the key.
        self._is_bounded = with_digest or json_handling is not JsonHandling.NONE or not _is_in_text(key, definition)
        self._definition = definition
        self._key = key
        self._packet_limit = packet_limit
        self._width = max(definition.estimated_bytes // max(definition.estimated_rows, 1), 1)
        self._rows = max(1, min(chunk_rows, TARGET_BYTES // self._width))

    def chunks(self, progress: RangeProgress) -> Iterator[Chunk]:
        """Yield the missing chunks of a range in key order.

        Raises:
            TableAltered: the table was altered on the primary.
            RowTooLarge: a row does not fit into a packet.
            ChunkBroken: the primary returns another number of rows than it counts.
            ServerError: the primary refuses a query or does not answer.
        """
        high = split_literals(progress.high_key) if progress.high_key else None
        last = split_literals(progress.last_key) if progress.last_key else None
        end_condition = up_to(self._key, high) if high else ""
        while True:
            with noticing_ddl():
                chunk = self._next(after(self._key, last) if last else "", end_condition)
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
        """Return the key of the row after `skipped_rows` rows, None if there are not that many."""
        row = self._session.row(boundary_query(self._definition.name, self._key, condition, skipped_rows))
        return tuple(bytes(literal).decode() for literal in row) if row else None

    def _next(self, start: str, end: str) -> Chunk | None:
        if not self._is_bounded:
            return self._read_first(start, end)
        rows = self._rows
        expected = received = 0
        for _ in range(CHUNK_READ_ATTEMPTS):
            self._rows = rows
            with self._snapshot():
                chunk = self._read_bounded(start, end)
                if chunk is None:
                    return None
                # The expected number is either the number that was asked for, or all rows that are left.
                expected = rows if chunk.last_key else row_count(self._session, self._definition, both(start, end))
            if chunk.row_count == expected:
                return chunk
            received = chunk.row_count
        raise _wrong_row_count(self._definition, expected, received)

    def _read_first(self, start: str, end: str) -> Chunk | None:
        for _ in range(CHUNK_READ_ATTEMPTS):
            chunk = self._read_along(start, end)
            # The answer had no row, but the second query found one: the row came in between, or a proxy dropped it.
            if chunk is None or chunk.values or chunk.is_last:
                return chunk
        raise _wrong_row_count(self._definition, 1, 0)

    def _read_along(self, start: str, end: str) -> Chunk | None:
        """Read the first rows along the key. The last row shows where the next chunk begins."""
        rows, condition = self._rows, both(start, end)
        limit = self._packet_limit if rows == 1 else min(self._packet_limit, _CHUNK_BYTES)
        lines = _rows_within(limit, self._session.lines(lines_query(self._definition, self._key, condition, rows)))
        if lines is None:
            if rows > 1:
                return None
            wide = self._session.rows(rows_query(self._definition, self._key, condition, 1))
            if not wide:
                return Chunk((), 0)
            wide_key = key_of_literals([_bytes(literal) for literal in wide[0][:-1]], self._definition, self._key)
            return replace(self._row_by_row(None, wide), last_key=wide_key, is_last=False)
        texts = cast("list[bytes]", lines.texts)
        last_key = key_of_row(texts[-1], self._definition, self._key) if texts else None
        is_last = len(texts) < rows and not self._has_more(after(self._key, last_key) if last_key else start, end)
        if not texts:
            return Chunk((), 0, None, is_last)
        values = b",".join(texts)
        self._adapt(len(values), len(texts))
        return Chunk((values,), len(texts), None if is_last else last_key, is_last, lines.is_flagged)

    def _has_more(self, start: str, end: str) -> bool:
        """Return True if the range has more rows at this moment. Rows that came meanwhile count as well."""
        more = f"SELECT 1 FROM {source_of(self._definition, self._key)}{where(both(start, end))} LIMIT 1"
        return self._session.row(more) is not None

    def _read_bounded(self, start: str, end: str) -> Chunk | None:
        """Read a chunk between two bounds, so that other queries can ask for the same rows."""
        # The boundary is read first, from the index only. So the chunk's query needs no sorted temporary table.
        last_key = self.boundary(both(start, end), self._rows - 1)
        condition = both(start, up_to(self._key, last_key) if last_key else end)
        chunk = self._read(condition, last_key)
        if chunk is not None and self._with_digest:
            digest = self._session.row(digest_query(self._definition, condition)) or ()
            chunk = replace(chunk, condition=condition, digest=digest)
        return chunk

    @contextmanager
    def _snapshot(self) -> Iterator[None]:
        """Let the queries of one chunk see one moment. It ends before the chunk waits for the secondary.

        A DDL statement on the primary waits for open transactions.
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
            return self._row_by_row(last_key, self._documents.rows(condition))
        limit = self._packet_limit if self._rows == 1 else min(self._packet_limit, _CHUNK_BYTES)
        lines = _rows_within(limit, self._session.lines(lines_query(self._definition, self._key, condition)))
        if lines is not None:
            if not lines.texts:
                return Chunk((), 0, last_key, last_key is None)
            values = b",".join(cast("list[bytes]", lines.texts))
            self._adapt(len(values), len(lines.texts))
            return Chunk((values,), len(lines.texts), last_key, last_key is None, lines.is_flagged)
        if self._rows > 1:
            return None
        return self._row_by_row(last_key, self._session.rows(rows_query(self._definition, self._key, condition)))

    def _adapt(self, size: int, count: int) -> None:
        rows_of_target_size = TARGET_BYTES * count // max(size, 1)
        # The next rows may be wider: as wide as the catalog says, or wider.
        most_rows = max(self._rows * 4, _CHUNK_BYTES // self._width if count >= _TYPICAL_ROWS else 0)
        self._rows = max(1, min(rows_of_target_size, most_rows, _ROWS_LIMIT))

    def _row_by_row(self, last_key: KeyLiterals | None, rows: Iterable[Row]) -> Chunk:
        """Return a chunk in which each row is a VALUES list of its own."""
        # The primary returns one literal for each column, because each may be as long as a packet. Python joins them to
        # a row.
        values, holds_enum_zero = [], False
        for row in rows:
            values.append(self._join_row(row[:-1]))
            holds_enum_zero = holds_enum_zero or bool(int(row[-1]))
        return Chunk(tuple(values), len(values), last_key, last_key is None, holds_enum_zero)

    def _join_row(self, literals: Row) -> bytes:
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
    """Return True if the text of a row shows its key, because each key column has its own type in the text."""
    columns = definition.columns_by_name
    return all(columns[p.column.name].data_type == p.column.data_type for p in key.parts)


def row_count(session: Session, definition: TableDefinition, condition: str = "") -> int:
    """Return the number of rows of a table, or of the part that `condition` selects, in the session's snapshot."""
    ((count,),) = session.rows(f"SELECT COUNT(*) FROM {source_of(definition)}{where(condition)}")
    return int(count)


def _wrong_row_count(definition: TableDefinition, expected: int, received: int) -> ChunkBroken:
    rows = counted(expected, "row")
    return ChunkBroken(
        f"{definition.name}: the primary counts {rows} in a part of the table and sent {received} of them",
        hint="something limits its answers, such as a proxy or a rewriting plugin; nothing of this part was kept",
    )


def _rows_within(limit: int, lines: Iterable[Lines]) -> Lines | None:
    """Return all rows as one `Lines`, None if they have more than `limit` bytes or one is NULL.

    A row is NULL if it is longer than a packet.
    """
    rows, size, fits = Lines(), 0, True
    for part in lines:
        # The answer is read to its end even if it does not fit: the session continues with the next query.
        size += sum(len(t) + 1 for t in part.texts if t is not None)
        fits = fits and size <= limit and None not in part.texts
        if fits:
            rows.texts += part.texts
            rows.is_flagged = rows.is_flagged or part.is_flagged
        else:
            rows.texts.clear()
    return rows if fits else None


def whole_table(
    session: Session,
    definition: TableDefinition,
    *,
    packet_limit: int,
    json_handling: JsonHandling = JsonHandling.NONE,
    with_digest: bool = False,
) -> Iterator[Chunk]:
    """Yield a whole table in the session's snapshot, rows in any order; the last chunk has the digest, if any.

    Raises:
        TableAltered: the table was altered on the primary.
        RowTooLarge: a row does not fit into a packet.
        ChunkBroken: not all rows come.
        ServerError: the primary refuses a query or does not answer.
    """
    lines: list[bytes] = []
    size, holds_enum_zero = 0, False
    with noticing_ddl():
        for part in _lines(session, definition, Documents(session, definition, json_handling)):
            for line in part.texts:
                # A text that is longer than the server's packet is NULL, or empty in a field that cannot be NULL.
                if not line or len(line) > packet_limit:
                    raise RowTooLarge(
                        f"{definition.name}: one row does not fit a packet",
                        hint="raise max_allowed_packet on both servers",
                    )
                if lines and size + len(line) > min(TARGET_BYTES, packet_limit):
                    yield Chunk((b",".join(lines),), len(lines), holds_enum_zero=holds_enum_zero)
                    lines, size, holds_enum_zero = [], 0, False
                lines.append(line)
                size += len(line) + 1
                holds_enum_zero = holds_enum_zero or part.is_flagged
        digest = (session.row(digest_query(definition)) or ()) if with_digest else ()
    texts = (b",".join(lines),) if lines else ()
    yield Chunk(texts, len(lines), is_last=True, holds_enum_zero=holds_enum_zero, digest=digest)


def _lines(session: Session, definition: TableDefinition, documents: Documents) -> Iterator[Lines]:
    count = 0
    if documents.check():
        for *literals, zero in documents.rows():
            fits = all(literal is not None for literal in literals)
            line = b"(" + b",".join(map(_bytes, literals)) + b")" if fits else None
            yield Lines([line], bool(int(zero)))
            count += 1
        if (expected := row_count(session, definition)) != count:
            raise _wrong_row_count(definition, expected, count)
        return
    has_ended = False
    for part in session.lines(whole_lines_query(definition)):
        # A part without rows may follow the part with END_OF_LINES.
        if part.texts[-1:] == [END_OF_LINES]:
            part.texts.pop()
            has_ended = True
        count += len(part.texts)
        yield part
    if not has_ended:
        raise _wrong_row_count(definition, row_count(session, definition), count)


def _bytes(literal: object) -> bytes:
    return literal if isinstance(literal, bytes) else str(literal).encode()
