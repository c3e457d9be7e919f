"""Keep the progress of each range of a copy, written in the same transaction as the chunk that it counts."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from replica_cli.checkpoint.key_literals import check_key
from replica_cli.core.errors import StateBroken
from replica_cli.core.names import TableName
from replica_cli.sqlbuilder.identifiers import quote
from replica_cli.sqlbuilder.literals import hex_literal, text_literal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from replica_cli.mysql.session import Row, Session

# Number 0 is not a range. Its high_key has the fingerprint of the definition with which the copy began. Its is_done
# says that the definition was still the same after the last row.
_DEFINITION = 0
_ROWS_AT_ONCE = 200
_Read = TypeVar("_Read")


@dataclass(frozen=True, slots=True)
class RangeProgress:
    """One range, numbered from 1: rows after `last_key` up to `high_key` are missing.

    Keys are SQL row literals that the primary wrote. None means the start and the end of the table.
    """

    number: int
    last_key: bytes | None = None
    high_key: bytes | None = None
    row_count: int = 0
    byte_count: int = 0
    is_done: bool = False


@dataclass(frozen=True, slots=True)
class TableRanges:
    """The ranges of one table whose copy has begun, and the fingerprint of its definition.

    `is_verified`: after the last row the definition was still the same.
    """

    fingerprint: str
    is_verified: bool
    ranges: tuple[RangeProgress, ...]

    @property
    def row_count(self) -> int:
        """Return the number of rows copied so far."""
        return sum(r.row_count for r in self.ranges)


@dataclass(frozen=True, slots=True)
class TableCount:
    """How much of one table is copied. If `has_all_rows`, only indexes and foreign keys may be missing."""

    row_count: int
    byte_count: int
    has_all_rows: bool


class ProgressStore:
    """One instance's rows in `transfer_progress`. Its literals do not depend on the session's charset."""

    def __init__(self, session: Session, state_schema: str, instance: str) -> None:
        self._session = session
        self._table = f"{quote(state_schema)}.transfer_progress"
        self._instance = instance

    def load(self) -> dict[TableName, TableRanges]:
        """Return all tables' progress by the primary's names.

        Raises:
            StateBroken: a row has content that this program never writes.
        """
        return self.loaded(self._session.rows(self.load_query))

    @property
    def load_query(self) -> str:
        """Return the query of `load`, for a caller that sends several queries at once."""
        return self._query(self._where_instance)

    def load_table(self, name: TableName) -> TableRanges | None:
        """Return one table's progress, None if it has none. Raises as `load` does."""
        return self.loaded(self._session.rows(self._query(self._where(name)))).get(name)

    def _query(self, condition: str) -> str:
        return (
            "SELECT schema_name, table_name, range_number, last_key, high_key, row_count, byte_count, is_done "
            f"FROM {self._table} WHERE {condition} ORDER BY range_number"
        )

    def loaded(self, rows: Iterable[Row]) -> dict[TableName, TableRanges]:
        """Return what `load` returns, from the rows of `load_query`."""
        tables: dict[TableName, list[Row]] = defaultdict(list)
        for schema, table, *rest in rows:
            tables[TableName(_text(schema), _text(table))].append(tuple(rest))
        return {name: self._progress(name, table_rows) for name, table_rows in tables.items()}

    def counts(self) -> dict[TableName, TableCount]:
        """Return how much of each table is copied, without reading the keys: they may be many and long."""
        rows = self._session.rows(
            "SELECT schema_name, table_name, SUM(row_count), SUM(byte_count), "
            f"MAX(CASE WHEN range_number = {_DEFINITION} THEN is_done END) FROM {self._table} "
            f"WHERE {self._where_instance} GROUP BY schema_name, table_name"
        )
        return {
            TableName(_text(schema), _text(table)): TableCount(int(count or 0), int(size or 0), bool(int(done or 0)))
            for schema, table, count, size, done in rows
        }

    def _progress(self, name: TableName, rows: list[Row]) -> TableRanges:
        return self._checked(name, lambda: _progress(rows))

    def _checked(self, name: TableName, read: Callable[[], _Read]) -> _Read:
        try:
            return read()
        except ValueError as error:
            raise StateBroken(
                f"{self._session.server.name}: {self._table} has a row of {name} that cannot be read: {error}",
                hint=f"DELETE FROM {self._table} WHERE {self._where(name)};  -- on the secondary; then "
                "`replica transfer --resume` copies that table from its beginning",
            ) from error

    def load_range(self, name: TableName, number: int) -> RangeProgress | None:
        """Return the committed state of one range, None if it has none. After an error, this state counts."""
        row = self._session.row(
            "SELECT range_number, last_key, high_key, row_count, byte_count, is_done "
            f"FROM {self._table} WHERE {self._where(name, number)}"
        )
        return self._checked(name, lambda: _range(row)) if row else None

    def begin(self, name: TableName, fingerprint: str, ranges: Sequence[RangeProgress]) -> None:
        """Write the ranges of a table that has no progress, or whose progress was deleted with `forget`."""
        self._session.execute(self.begin_statement(name, fingerprint, ranges))

    def begin_statement(self, name: TableName, fingerprint: str, ranges: Sequence[RangeProgress]) -> bytes:
        """Return the INSERT of a table's ranges."""
        return self._insert(self._values(name, fingerprint, ranges))

    def begin_new(self, fingerprints: Mapping[TableName, str]) -> None:
        """Write that the copies of tables begin, with one range each. None of the tables may have progress.

        `fingerprints` are those of the definitions.
        """
        ranges = (RangeProgress(1),)
        values = [v for name, text in fingerprints.items() for v in self._values(name, text, ranges)]
        self._session.execute(self._insert(values))

    def _values(self, name: TableName, fingerprint: str, ranges: Sequence[RangeProgress]) -> list[str]:
        rows: list[tuple[int, bytes | None, bytes | None, int]] = [(_DEFINITION, None, fingerprint.encode(), 0)]
        rows += [(r.number, r.last_key, r.high_key, int(r.is_done)) for r in ranges]
        key = f"{text_literal(self._instance)}, {text_literal(name.schema)}, {text_literal(name.table)}"
        return [
            f"({key}, {number}, {_literal(last)}, {_literal(high)}, {done}, UTC_TIMESTAMP(6))"
            for number, last, high, done in rows
        ]

    def _insert(self, values: Sequence[str]) -> bytes:
        return (
            f"INSERT INTO {self._table} (instance, schema_name, table_name, range_number, last_key, high_key, is_done, "
            f"updated_at) VALUES {', '.join(values)}"
        ).encode()

    def advance_statement(self, name: TableName, before: RangeProgress, after: RangeProgress) -> bytes:
        """Return the UPDATE that advances a range; it must match exactly one row.

        It matches only while the range has the values of `before`. So a writer that was frozen while another one went
        on with the range matches no row, and stops. The values do not tell which process wrote them: a writer that
        copies the table from its start passes the same ones.
        """
        return (
            f"UPDATE {self._table} SET last_key = {_literal(after.last_key)}, row_count = {after.row_count}, "
            f"byte_count = {after.byte_count}, is_done = {int(after.is_done)}, updated_at = UTC_TIMESTAMP(6) "
            f"WHERE {self._where(name, before.number)} AND last_key <=> {_literal(before.last_key)} "
            f"AND row_count = {before.row_count} AND is_done = {int(before.is_done)}"
        ).encode()

    def verify(self, *names: TableName) -> None:
        """Store that all rows of tables are copied, and that the definitions have not changed since the copies began.

        This is stored for all of the tables or for none. Each UPDATE uses the whole key, for the reason that `forget`
        has.
        """
        if not names:
            return
        updates = (
            f"UPDATE {self._table} SET is_done = 1, updated_at = UTC_TIMESTAMP(6) "
            f"WHERE {self._where(name, _DEFINITION)}".encode()
            for name in names
        )
        self._session.execute_as_one([*updates])

    def forget(self, *names: TableName) -> None:
        """Delete the ranges of tables, in the caller's transaction if there is one.

        Only rows that exist are deleted, each by its whole key, some hundred with one statement. A DELETE by a part of
        the key, or of a row that does not exist, locks the gap into which another worker inserts the ranges of the next
        table: two such workers deadlock.
        """
        wanted = set(names)
        if not wanted:
            return
        rows = self._session.rows(
            f"SELECT schema_name, table_name, range_number FROM {self._table} "
            f"WHERE {self._where(names[0]) if len(names) == 1 else self._where_instance}"
        )
        keys = [(name, int(row[2])) for row in rows if (name := TableName(_text(row[0]), _text(row[1]))) in wanted]
        for first in range(0, len(keys), _ROWS_AT_ONCE):
            condition = " OR ".join(f"({self._where(*key)})" for key in keys[first : first + _ROWS_AT_ONCE])
            self._session.execute(f"DELETE FROM {self._table} WHERE {condition}")

    def forget_all_statement(self) -> bytes:
        """Return the DELETE of all ranges of the instance."""
        return f"DELETE FROM {self._table} WHERE {self._where_instance}".encode()

    @property
    def _where_instance(self) -> str:
        return f"instance = {text_literal(self._instance)}"

    def _where(self, name: TableName, number: int | None = None) -> str:
        condition = (
            f"{self._where_instance} AND schema_name = {text_literal(name.schema)} "
            f"AND table_name = {text_literal(name.table)}"
        )
        return condition if number is None else f"{condition} AND range_number = {number}"


def _progress(rows: list[Row]) -> TableRanges:
    definition = next((r for r in rows if int(r[0]) == _DEFINITION), None)
    fingerprint = bytes(definition[2] or b"").decode() if definition else ""
    ranges = tuple(_range(r) for r in rows if int(r[0]) != _DEFINITION)
    return TableRanges(fingerprint, bool(definition and definition[5]), ranges)


def _range(row: Row) -> RangeProgress:
    number, last_key, high_key, row_count, byte_count, is_done = row
    keys = check_key(last_key), check_key(high_key)
    return RangeProgress(int(number), *keys, int(row_count), int(byte_count), bool(is_done))


def _literal(value: bytes | None) -> str:
    # An empty x'' would also be a value, but keys are never empty.
    return "NULL" if value is None else hex_literal(value)


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
