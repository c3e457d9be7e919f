"""Move tables from state to state: which are copied, catch up, have a replay window, or are quarantined, and why.

`TableLifecycle` is the only writer of the table records, except for the migration of an older state schema
(`migration_3`), which runs before any process writes. The stream's worker, a transfer and `position reset` use it
while they hold the writer's lock. Two of its transitions need no lock: `request_copies` and `note_refusal`.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING

from replica_cli.checkpoint.table_records import (
    COLUMNS,
    EndedCopy,
    NewCopy,
    begun,
    ended,
    handed_over,
    of_other_primary,
    quarantined,
    record_of,
    row_of,
)
from replica_cli.core.commands import table_options
from replica_cli.core.errors import StateBroken
from replica_cli.core.names import TableName
from replica_cli.core.quarantine_texts import copy_advice, is_copy_refused, with_refusal
from replica_cli.core.status import TableState
from replica_cli.core.wording import short_reason
from replica_cli.logs import Tag, log
from replica_cli.sqlbuilder.identifiers import quote
from replica_cli.sqlbuilder.literals import text_literal

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from replica_cli.checkpoint.table_records import QuarantineCause, TableRecord
    from replica_cli.core.position import Position
    from replica_cli.mysql.session import Row, Session

logger = logging.getLogger(__name__)

# How many records one statement writes: with long GTID sets, a thousand may not fit into a packet.
_RECORDS_AT_ONCE = 100
# How many records one statement deletes, by their short names: with many more the server may read the whole table, and
# lock other instances' records.
_DELETED_AT_ONCE = 200


class TableLifecycle:
    """The records of one instance's tables, and the transitions between their states.

    A table without a record is *live*: the stream applies its changes strictly. The words are those that are stored;
    *joining* is `TableState.CATCHING_UP`.

    | transition             | from                         | to                                       |
    |------------------------|------------------------------|------------------------------------------|
    | request_copies         | any, live too                | pending                                  |
    | begin_copies           | any, live too                | copying; pending if the start is unknown |
    | copy_started           | pending, copying             | copying                                  |
    | end_copies             | copying                      | copied; joining if the stream passed     |
    | caught_up              | joining                      | joining, at a later position             |
    | hand_over              | joining                      | live; copied if the window is still open |
    | end_windows            | copied                       | live                                     |
    | quarantine             | any, live too                | quarantined                              |
    | note_refusal           | quarantined                  | quarantined, with a longer reason        |
    | end_quarantine         | quarantined                  | live                                     |
    | drop_on_primary        | pending, copying             | copied or joining, with no window        |
    | replace_primary        | pending, copying, joining    | pending                                  |
    | replace_primary        | copied                       | copied, with positions by GTID only      |
    | leave_out, forget_all  | any                          | live                                     |

    `caught_up`, `end_windows`, `note_refusal`, `end_quarantine`, and `hand_over` for tables that become live, check the
    state in their statement: if another process has requested a copy meanwhile, the record stays as it is. The others
    write the record whatever it was.

    Methods that end in `_statement` return the statement, for a transaction of the caller.
    """

    def __init__(self, session: Session, state_schema: str, instance: str) -> None:
        self._session = session
        self._table = f"{quote(state_schema)}.table_state"
        self._positions = f"{quote(state_schema)}.binlog_position"
        self._instance = instance

    @property
    def session(self) -> Session:
        """Return the session to the secondary on which the records are read and written."""
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
            f"SELECT {', '.join(COLUMNS)} FROM {self._table} WHERE instance = {text_literal(self._instance)} "
            "ORDER BY schema_name, table_name"
        )

    def loaded(self, rows: Iterable[Row], *, table: str = "") -> dict[TableName, TableRecord]:
        """Return what `load` returns, from the rows of `load_query`, or of another query of the same columns.

        `table` is the quoted name of the table that the other query reads, for the error.
        """
        records = (self._record(row, table or self._table) for row in rows)
        return {r.name: r for r in records}

    def request_copies(self, names: Iterable[TableName], reason: str) -> None:
        """Record that tables must be copied, all of them at once.

        The reason why a quarantined table lacks rows stays until a copy has brought the rows.
        """
        before = {n: r.reason for n, r in self.load().items() if r.state is TableState.QUARANTINED}
        self._write([begun(NewCopy(n, before.get(n) or reason)) for n in names])

    def begin_copies(self, copies: Iterable[NewCopy], first: Sequence[bytes] = ()) -> None:
        """Run the statements `first`, record copies that begin, in the caller's transaction, and commit it."""
        self._write_and_commit([begun(copy) for copy in copies], first)

    def copy_started_statement(self, copy: NewCopy) -> bytes:
        """Return the statement that records the start position of a copy, for the transaction of its progress."""
        return self._statement([replace(begun(copy), state=TableState.COPYING)])

    def end_copies(self, copies: Iterable[EndedCopy]) -> None:
        """Record the replay windows of copies, in the caller's transaction, and commit it."""
        self._write_and_commit([ended(copy) for copy in copies])

    def caught_up_statement(self, names: Collection[TableName], before: Position, after: Position, token: int) -> bytes:
        """Return the UPDATE that advances tables of a catch-up, for the same packet as the rows.

        It matches each record only at the position `before`, and only while the stream's fencing token is `token`: so
        whatever the isolation level, nothing is applied twice.
        """
        return (
            f"UPDATE {self._table} SET applied_to_file = {text_literal(after.file)}, applied_to_pos = {after.pos}, "
            f"applied_to_gtid = {text_literal(after.gtid)}, updated_at = UTC_TIMESTAMP(6) "
            f"WHERE {self._at(names, before, token)}"
        ).encode()

    def still_catching_up_statement(self, names: Collection[TableName], position: Position, token: int) -> bytes:
        """Return an UPDATE that matches the records only while they are unchanged and the token is valid."""
        return (
            f"UPDATE {self._table} SET updated_at = UTC_TIMESTAMP(6) WHERE {self._at(names, position, token)}"
        ).encode()

    def hand_over(self, names: Iterable[TableName], position: Position, token: int) -> list[TableName]:
        """Let the stream, which has saved `position`, take over tables that have caught up.

        A table whose changes are applied further than `position`, or whose window ends after it, keeps a record until
        the stream has come there. Nothing is written unless the stream's fencing token is `token`: if another process
        has taken over, it has its own position, and catches up with that.

        Returns:
            The tables that were still catching up.

        """
        records = self.load()
        caught_up = [r for name in names if (r := records.get(name)) and r.state is TableState.CATCHING_UP]
        after = {record.name: handed_over(record, position) for record in caught_up}
        if copied := [record for record in after.values() if record is not None]:
            self._session.execute(self._statement(copied, token))
        self._delete([name for name, record in after.items() if record is None], TableState.CATCHING_UP, token)
        return list(after)

    def end_windows(self, names: Iterable[TableName], token: int) -> None:
        """Delete the records of copied tables whose replay window has ended, if the stream's token is this one.

        Another process that took over may have copied the tables again: their new windows are not over. The token is
        read before, and is no condition of the deletion: that would wait for the position row, which the next batch of
        the same thread has locked.
        """
        if self._session.rows(f"SELECT 1 FROM {self._positions} WHERE {self._of(token)}"):
            self._delete(names, TableState.COPIED)

    def quarantine(self, causes: Sequence[QuarantineCause], *, level: int = logging.ERROR) -> list[TableRecord]:
        """Quarantine tables, all of them at once, log each with what to type, and return their records."""
        records = [quarantined(cause) for cause in causes]
        self._write(records)
        for cause in causes:
            name = cause.name
            advice = cause.advice or copy_advice([name], is_refused=is_copy_refused(cause.reason))
            log(
                logger, level, Tag.SKIPPED, "is quarantined: %s; %s", short_reason(cause.reason, name), advice,
                instance=self._instance, schema=name.schema, table=name.table, position=cause.stopped_at,
            )  # fmt: skip
        return records

    def note_refusal(self, name: TableName, refusal: str) -> None:
        """Add to the reason of a table, if it is still quarantined, that a copy of it is refused too, and why."""
        record = self.load().get(name)
        if record is None or record.state is not TableState.QUARANTINED:
            return
        # A record that was written since the read stays as it is: the process that has the lock may be copying the
        # table.
        self._session.execute(
            f"UPDATE {self._table} SET reason = {text_literal(with_refusal(record.reason, refusal))}, updated_at = "
            f"UTC_TIMESTAMP(6) WHERE {self._where(name.schema, [name.table], TableState.QUARANTINED)} AND reason = "
            f"{text_literal(record.reason)}"
        )

    def end_quarantine_statement(self, name: TableName) -> bytes:
        """Return the DELETE of a quarantined table, for the transaction of the position from which it is live."""
        return self._deletion(name.schema, [name.table], TableState.QUARANTINED).encode()

    def drop_on_primary(self, record: TableRecord, position: Position, *, must_catch_up: bool) -> None:
        """Record that the primary has dropped a table before its copy ended.

        Events before `position` are skipped, and after it there is no such table. If the stream does not know that yet
        (`must_catch_up`), the stream takes it over as after a catch-up: until then it skips its events, and the table
        may be created again.
        """
        copy = EndedCopy(record.name, position, position, record.row_count, must_catch_up)
        self._write([replace(ended(copy), reason=record.reason)])

    def replace_primary(self) -> None:
        """Remove the former primary's files and offsets, as another primary has other ones.

        Tables that are not copied or have not caught up are copied again. Call it in a transaction: otherwise some
        records could keep positions of the former primary, to be read as the other one's.
        """
        records = [of_other_primary(r) for r in self.load().values() if r.state is not TableState.QUARANTINED]
        for first in range(0, len(records), _RECORDS_AT_ONCE):
            self._write(records[first : first + _RECORDS_AT_ONCE])

    def leave_out(self, names: Iterable[TableName]) -> None:
        """Delete the records of tables that the filters leave out."""
        self._delete(names)

    def forget_all_statement(self) -> bytes:
        """Return the DELETE of all records of the instance."""
        return f"DELETE FROM {self._table} WHERE instance = {text_literal(self._instance)}".encode()

    def _write(self, records: Sequence[TableRecord]) -> None:
        """Write whole records: all of them or, if the process or the server fails, none."""
        if records:
            self._session.execute(self._statement(records))

    def _write_and_commit(self, records: Sequence[TableRecord], first: Sequence[bytes] = ()) -> None:
        starts = range(0, len(records), _RECORDS_AT_ONCE)
        writes = [self._statement(records[start : start + _RECORDS_AT_ONCE]) for start in starts]
        for statement in writes[:-1]:
            self._session.execute_each([*first, statement])
            first = ()
        self._session.execute_each([*first, *writes[-1:], b"COMMIT"])

    def _statement(self, records: Sequence[TableRecord], token: int | None = None) -> bytes:
        """Return the statement that writes records; with `token`, only while the stream's fencing token is this one."""
        instance = text_literal(self._instance)
        rows = [f"{instance}, {', '.join(map(_literal, row_of(record)))}, UTC_TIMESTAMP(6)" for record in records]
        values = f"VALUES {', '.join(f'({row})' for row in rows)}"
        if token is not None:
            values = " UNION ALL ".join(f"SELECT {row} FROM {self._positions} WHERE {self._of(token)}" for row in rows)
        return f"REPLACE INTO {self._table} (instance, {', '.join(COLUMNS)}, updated_at) {values}".encode()

    def _of(self, token: int) -> str:
        """Return the condition for the position row while its fencing token is this one."""
        return f"instance = {text_literal(self._instance)} AND token = {token}"

    def _delete(self, names: Iterable[TableName], state: TableState | None = None, token: int | None = None) -> None:
        """Delete records; with `state` and `token`, only while they have this state and the stream has this token."""
        for schema, group in groupby(sorted(names), attrgetter("schema")):
            tables = [name.table for name in group]
            for first in range(0, len(tables), _DELETED_AT_ONCE):
                deletion = self._deletion(schema, tables[first : first + _DELETED_AT_ONCE], state)
                self._session.execute(deletion if token is None else f"{deletion} AND {self._is_valid(token)}")

    def _deletion(self, schema: str, tables: Sequence[str], state: TableState | None) -> str:
        return f"DELETE FROM {self._table} WHERE {self._where(schema, tables, state)}"

    def _where(self, schema: str, tables: Sequence[str], state: TableState | None) -> str:
        return (
            f"instance = {text_literal(self._instance)} AND schema_name = {text_literal(schema)} AND table_name IN "
            f"({', '.join(map(text_literal, tables))})" + (f" AND state = '{state}'" if state is not None else "")
        )

    def _at(self, names: Collection[TableName], position: Position, token: int) -> str:
        """Return the condition for tables that catch up, are at a position, and belong to the holder of a token."""
        instance = text_literal(self._instance)
        keys = ", ".join(f"({text_literal(n.schema)}, {text_literal(n.table)})" for n in sorted(names))
        return (
            f"instance = {instance} AND state = '{TableState.CATCHING_UP}' AND (schema_name, table_name) IN ({keys}) "
            f"AND applied_to_file = {text_literal(position.file)} AND applied_to_pos = {position.pos} "
            f"AND {self._is_valid(token)}"
        )

    def _is_valid(self, token: int) -> str:
        return f"EXISTS (SELECT 1 FROM {self._positions} WHERE {self._of(token)})"

    def _record(self, row: Row, table: str) -> TableRecord:
        try:
            return record_of(row)
        except ValueError as error:
            name = TableName(str(row[0]), str(row[1]))
            raise StateBroken(
                f"{self._session.server.name}: {table} has a record of {name} that cannot be read: {error}",
                hint=f"UPDATE {table} SET state = '{TableState.QUARANTINED}' WHERE instance = "
                f"{text_literal(self._instance)} AND schema_name = {text_literal(name.schema)} AND table_name = "
                f"{text_literal(name.table)};  -- on the secondary; then `replica transfer {table_options([name])}` "
                "copies it again",
            ) from error


def _literal(value: object) -> str:
    return str(value) if isinstance(value, int) else text_literal(str(value))
