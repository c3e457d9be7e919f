"""Write a chunk and its progress row in one transaction on the secondary."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from replica_cli.core.errors import Fenced, ReplicaError
from replica_cli.mysql.errnos import LOADING_IS_OFF, ServerError
from replica_cli.sqlbuilder.rows.chunks import digest_query, join_literals
from replica_cli.sqlbuilder.rows.load_data import ROW_END, load_statement
from replica_cli.sqlbuilder.rows.row_statements import insert_head
from replica_cli.sqlbuilder.sql_modes import LENIENT_MODE, SQL_MODE
from replica_cli.transfer.errors import ChunkBroken
from replica_cli.transfer.modes import ROW_MODES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from replica_cli.checkpoint.progress import ProgressStore, RangeProgress
    from replica_cli.core.table import TableDefinition, TableName
    from replica_cli.mysql.session import Session
    from replica_cli.transfer.rows.chunk import Chunk


class ChunkWriter:
    """Writes chunks of one table. `mode` is the index in ROW_MODES of the session's mode."""

    def __init__(
        self, session: Session, store: ProgressStore, definition: TableDefinition, target: TableName, mode: int = 0
    ) -> None:
        self._session = session
        self._store = store
        self._name = definition.name
        self.mode = mode
        self._target_definition = replace(definition, name=target)
        names = [c.name for c in definition.written_columns]
        self._insert = insert_head(target, names)
        self._replace = insert_head(target, names, replaces=True)
        # LOAD DATA is used until it fails, for example because the server forbids it. A sequence only takes INSERT.
        takes_text = session.may_load and not (definition.is_sequence or mode)
        self._load = load_statement(target, definition.written_columns) if takes_text else None

    def write(self, before: RangeProgress, chunk: Chunk, *, replaces: bool = False) -> RangeProgress:
        """Write a chunk and return the new progress of its range; the secondary has both or neither.

        `replaces`: a row replaces one that has the same value in another unique key.

        After an error no transaction is open. It would keep the progress row locked, and a copy that begins again
        writes that row on another connection.

        Raises:
            Fenced: another process has moved the range.
            ChunkBroken: the secondary wrote another number of rows, or computes other values.
            ServerError: the secondary refuses a statement or does not answer.
        """
        last_key = before.last_key if chunk.last_key is None else join_literals(chunk.last_key)
        done = replace(
            before,
            last_key=last_key,
            row_count=before.row_count + chunk.row_count,
            byte_count=before.byte_count + chunk.byte_count,
            is_done=chunk.is_last,
        )
        sql_mode = LENIENT_MODE if chunk.holds_enum_zero and not self.mode else ROW_MODES[self.mode]
        if sql_mode != SQL_MODE:
            self._session.execute(f"SET SESSION sql_mode = '{sql_mode}'")
        try:
            self._commit(self._store.advance_statement(self._name, before, done), chunk, replaces=replaces)
        except ReplicaError as error:
            if not (isinstance(error, ServerError) and error.is_connection_lost):
                self._session.rollback()
            raise
        finally:
            if sql_mode != SQL_MODE:
                self._session.execute(f"SET SESSION sql_mode = '{SQL_MODE}'")
        return done

    def _commit(self, advance: bytes, chunk: Chunk, *, replaces: bool) -> None:
        # The progress row is written first, so that a writer that another process has replaced notices it before it
        # sends rows.
        first_statements = [b"START TRANSACTION", advance]
        written = None
        if self._load is not None and chunk.values and not (replaces or chunk.holds_enum_zero):
            written = self._write_by_load(first_statements, self._load, chunk)
            if written is None:
                self._load = None
                self._session.rollback()
        if written is None:
            head = self._replace if replaces else self._insert
            if self._session.execute_each(first_statements)[1] != 1:
                raise self._fenced_error()
            written = sum(self._session.execute(head + values) for values in chunk.values)
        # A replaced row counts twice: one delete and one insert.
        if written != chunk.row_count and not (replaces and written > chunk.row_count):
            raise ChunkBroken(
                f"{self._name}: the primary counted {chunk.row_count} rows in a chunk, the secondary {written}",
                hint="nothing of this chunk was kept",
            )
        if chunk.digest:
            self._compare(chunk)
        self._session.commit()

    def _compare(self, chunk: Chunk) -> None:
        """Compare the written rows with the primary's: in this mode the server may have changed a value."""
        if self._session.row(digest_query(self._target_definition, chunk.condition)) != chunk.digest:
            raise ChunkBroken(
                f"{self._name}: the secondary stores other values than the primary, in each sql_mode in which it "
                "accepts the rows",
                hint="nothing of this chunk was kept; write these rows again on the primary, or leave the table out",
            )

    def _fenced_error(self) -> Fenced:
        return Fenced(
            f"{self._name}: another process copies this table",
            hint="nothing of the last chunk was kept; this process stops, the other goes on",
        )

    def _write_by_load(self, first: Sequence[bytes], statement: bytes, chunk: Chunk) -> int | None:
        """Write a chunk with LOAD DATA; return the number of rows.

        Return None if LOAD DATA does not work, or if the server did not take each row as it is. `first` is sent before
        the first list of values, and its last statement must change a row.
        """
        written = 0
        for number, values in enumerate(chunk.values):
            try:
                result = self._session.load(statement, values + ROW_END, first=() if number else first)
            except ServerError as error:
                if error.errno in LOADING_IS_OFF:
                    self._session.may_load = False
                    return None
                raise
            if result is None:
                raise self._fenced_error()
            if result.warning_count:
                return None
            written += result.row_count
        return written if written == chunk.row_count else None
