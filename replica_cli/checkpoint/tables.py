"""Keep the states of tables: which are being copied, which have a replay window, which are quarantined and why."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING

from replica_cli.core.commands import table_options
from replica_cli.core.errors import StateBroken
from replica_cli.core.names import TableName
from replica_cli.core.position import Position
from replica_cli.core.quarantine import with_refusal
from replica_cli.core.status import TableState
from replica_cli.sqlbuilder.identifiers import quote
from replica_cli.sqlbuilder.literals import text_literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from replica_cli.mysql.session import Row, Session

# Part of the reason of a quarantined table: it is the secondary's own table, which the primary's table must not replace
# unless somebody requests it.
OF_SECONDARY = "a table of its own has the name on the secondary"
# How many records one statement writes: with long GTID sets, a thousand may not fit into a packet.
_RECORDS_AT_ONCE = 100
# How many records one statement deletes, by their short names: with many more the server may read the whole table, and
# lock other instances' records.
_DELETED_AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class TableRecord:
    """One table's record. `name` is the primary's.

    For a quarantined table, `start` is the position at which it stopped. `end` is the position of the transaction that
    failed (`checkpoint.intents.transaction_position`), None if something else than a transaction caused the quarantine.
    """

    name: TableName
    state: TableState
    start: Position | None = None
    end: Position | None = None
    reason: str = ""
    row_count: int = 0

    @property
    def is_of_secondary(self) -> bool:
        """Return True for a quarantined table of the secondary's own, whose rows never were the primary's."""
        # The state counts too, because the reason stays while a copy replaces the table.
        return self.state is TableState.QUARANTINED and OF_SECONDARY in self.reason


class TableStore:
    """One instance's rows in `table_status`."""

    def __init__(self, session: Session, state_schema: str, instance: str) -> None:
        self._session = session
        self._table = f"{quote(state_schema)}.table_status"
        self._instance = instance

    @property
    def session(self) -> Session:
        """Return the session to the secondary on which the store reads and writes."""
        return self._session

    def load(self) -> dict[TableName, TableRecord]:
        """Return all records by the primary's table names.

        Raises:
            StateBroken: a row has content that this program never writes.
        """
        return self.loaded(self._session.rows(self.load_query))

    @property
    def load_query(self) -> str:
        """Return the query of `load`, for a caller that sends several queries at once."""
        return (
            "SELECT schema_name, table_name, state, start_file, start_pos, start_gtid, end_file, end_pos, end_gtid, "
            f"reason, row_count FROM {self._table} WHERE instance = {text_literal(self._instance)} "
            "ORDER BY schema_name, table_name"
        )

    def loaded(self, rows: Iterable[Row]) -> dict[TableName, TableRecord]:
        """Return what `load` returns, from the rows of `load_query`."""
        records = (self._record(row) for row in rows)
        return {r.name: r for r in records}

    def save(self, *records: TableRecord) -> None:
        """Write whole records: all of them or, if the process or the server fails, none."""
        if records:
            self._session.execute(self.save_statement(*records))

    def save_statement(self, *records: TableRecord) -> bytes:
        """Return the statement that writes records."""
        rows = (f"({', '.join(map(_literal, self._values(record)))}, UTC_TIMESTAMP(6))" for record in records)
        return (
            f"REPLACE INTO {self._table} (instance, schema_name, table_name, state, start_file, start_pos, start_gtid,"
            f" end_file, end_pos, end_gtid, reason, row_count, updated_at) VALUES {', '.join(rows)}"
        ).encode()

    def save_and_commit(self, records: Sequence[TableRecord], first: Sequence[bytes] = ()) -> None:
        """Run `first`, write any number of records in the caller's transaction, and commit it."""
        starts = range(0, len(records), _RECORDS_AT_ONCE)
        saves = [self.save_statement(*records[start : start + _RECORDS_AT_ONCE]) for start in starts]
        for statement in saves[:-1]:
            self._session.execute_each([*first, statement])
            first = ()
        self._session.execute_each([*first, *saves[-1:], b"COMMIT"])

    def note_refusal(self, name: TableName, refusal: str) -> None:
        """Add to the reason of a table, if it is still quarantined, that a copy of it is refused too, and why."""
        record = self.load().get(name)
        if record is None or record.state is not TableState.QUARANTINED:
            return
        # A record that was written since the read stays as it is: the process that has the lock may be copying the
        # table.
        self._session.execute(
            f"UPDATE {self._table} SET reason = %s, updated_at = UTC_TIMESTAMP(6) WHERE instance = %s"
            " AND schema_name = %s AND table_name = %s AND state = %s AND reason = %s",
            with_refusal(record.reason, refusal), self._instance, name.schema, name.table, str(record.state),
            record.reason,
        )  # fmt: skip

    def forget(self, names: Iterable[TableName], only: TableState | None = None) -> None:
        """Delete records, so that the tables are live like any other.

        With `only`, records in another state stay: a copy that was requested after the record was read is not
        forgotten.
        """
        for schema, group in groupby(sorted(names), attrgetter("schema")):
            tables = [name.table for name in group]
            for first in range(0, len(tables), _DELETED_AT_ONCE):
                self._session.execute(self._deletion(schema, tables[first : first + _DELETED_AT_ONCE], only))

    def forget_statement(self, name: TableName, only: TableState) -> bytes:
        """Return the DELETE of one record, for the transaction of the position from which on the table is live."""
        return self._deletion(name.schema, [name.table], only).encode()

    def forget_all_statement(self) -> bytes:
        """Return the DELETE of all records of the instance."""
        return f"DELETE FROM {self._table} WHERE instance = {text_literal(self._instance)}".encode()

    def _deletion(self, schema: str, tables: Sequence[str], only: TableState | None) -> str:
        state = f" AND state = '{only}'" if only is not None else ""
        return (
            f"DELETE FROM {self._table} WHERE instance = {text_literal(self._instance)} AND schema_name = "
            f"{text_literal(schema)} AND table_name IN ({', '.join(map(text_literal, tables))}){state}"
        )

    def _record(self, row: Row) -> TableRecord:
        try:
            return _record(row)
        except ValueError as error:
            name = TableName(str(row[0]), str(row[1]))
            raise StateBroken(
                f"{self._session.server.name}: {self._table} has a record of {name} that cannot be read: {error}",
                hint=f"UPDATE {self._table} SET state = '{TableState.QUARANTINED}' WHERE instance = "
                f"{text_literal(self._instance)} AND schema_name = {text_literal(name.schema)} AND table_name = "
                f"{text_literal(name.table)};  -- on the secondary; then `replica transfer {table_options([name])}` "
                "copies it again",
            ) from error

    def _values(self, record: TableRecord) -> tuple[str | int, ...]:
        start, end = record.start or Position("", 0), record.end or Position("", 0)
        return (
            self._instance, record.name.schema, record.name.table, str(record.state),
            start.file, start.pos, start.gtid, end.file, end.pos, end.gtid, record.reason, record.row_count,
        )  # fmt: skip


def _literal(value: object) -> str:
    if value is None:
        return "NULL"
    return str(value) if isinstance(value, int) else text_literal(str(value))


def _record(row: Row) -> TableRecord:
    schema, table, state, start_file, start_pos, start_gtid, end_file, end_pos, end_gtid, reason, row_count = row
    return TableRecord(
        TableName(str(schema), str(table)),
        TableState(str(state)),
        _position(start_file, start_pos, start_gtid),
        _position(end_file, end_pos, end_gtid),
        str(reason or ""),
        int(row_count),
    )


def _position(file: object, pos: object, gtid: object) -> Position | None:
    position = Position(str(file or ""), int(str(pos)), str(gtid or ""))
    return position if position.file or position.gtid else None
