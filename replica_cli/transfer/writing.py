"""A chunk and its progress row: one transaction on the secondary."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from replica_cli.core.errors import Fenced, ReplicaError
from replica_cli.mysql.errnos import LOADING_IS_OFF, ServerError
from replica_cli.mysql.session_settings import SQL_MODE
from replica_cli.sqlbuilder.chunks import digest_query, join_literals
from replica_cli.sqlbuilder.loading import ROW_END, load_statement
from replica_cli.sqlbuilder.rows import insert_head
from replica_cli.transfer.errors import ChunkBroken
from replica_cli.transfer.modes import LENIENT, ROW_MODES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from replica_cli.checkpoint.progress import ProgressStore, RangeProgress
    from replica_cli.core.table import TableDefinition, TableName
    from replica_cli.mysql.session import Session
    from replica_cli.transfer.chunk import Chunk


class ChunkWriter:
    """Writes chunks of one table; `mode` is the number of the session's mode among ROW_MODES."""

    def __init__(
        self, session: Session, store: ProgressStore, definition: TableDefinition, target: TableName, mode: int = 0
    ) -> None:
        self._session = session
        self._store = store
        self._name = definition.name
        self.mode = mode
        self._made = replace(definition, name=target)
        names = [c.name for c in definition.written_columns]
        self._insert = insert_head(target, names)
        self._replace = insert_head(target, names, replaces=True)
        # Until it does not work, such as where the server forbids it. A sequence takes INSERT alone.
        takes_text = session.may_load and not (definition.is_sequence or mode)
        self._load = load_statement(target, definition.written_columns) if takes_text else None

    def write(self, before: RangeProgress, chunk: Chunk, *, replaces: bool = False) -> RangeProgress:
        """Write a chunk and return where its range stands then; both or neither are on the secondary.

        `replaces` puts a row in the place of one that meets it on another unique key.
        Raises Fenced where another process moved the range, ChunkBroken where the number of rows differs, ServerError.
        After an error no transaction is open: it would keep the progress row locked, and a copy that begins again
        writes that row on another connection.
        """
        last_key = before.last_key if chunk.last_key is None else join_literals(chunk.last_key)
        done = replace(
            before,
            last_key=last_key,
            row_count=before.row_count + chunk.row_count,
            byte_count=before.byte_count + chunk.byte_count,
            is_done=chunk.is_last,
        )
        sql_mode = LENIENT if chunk.holds_enum_zero and not self.mode else ROW_MODES[self.mode]
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
        # The progress row first: a writer that was overtaken finds out before it ships a row.
        first = [b"START TRANSACTION", advance]
        written = None
        if self._load is not None and chunk.values and not (replaces or chunk.holds_enum_zero):
            written = self._loaded(first, self._load, chunk)
            if written is None:
                self._load = None
                self._session.rollback()
        if written is None:
            head = self._replace if replaces else self._insert
            if self._session.execute_each(first)[1] != 1:
                raise self._overtaken()
            written = sum(self._session.execute(head + values) for values in chunk.values)
        # A row that is replaced counts twice: once gone, once there.
        if written != chunk.row_count and not (replaces and written > chunk.row_count):
            raise ChunkBroken(
                f"{self._name}: the primary counted {chunk.row_count} rows in a chunk, the secondary {written}",
                hint="nothing of this chunk was kept",
            )
        if chunk.digest:
            self._compare(chunk)
        self._session.commit()

    def _compare(self, chunk: Chunk) -> None:
        """Compare what is there now with the primary's: in this mode the server may have changed a value."""
        if self._session.row(digest_query(self._made, chunk.condition)) != chunk.digest:
            raise ChunkBroken(
                f"{self._name}: the secondary computes other values than the primary holds, in each mode that it takes "
                "the rows in",
                hint="nothing of this chunk was kept; write these rows again on the primary, or leave the table out",
            )

    def _overtaken(self) -> Fenced:
        return Fenced(
            f"{self._name}: another process copies this table",
            hint="nothing of the last chunk was kept; this process stops, the other goes on",
        )

    def _loaded(self, first: Sequence[bytes], statement: bytes, chunk: Chunk) -> int | None:
        """Write a chunk by LOAD DATA; None where it cannot be, or the server did not take each row as it is.

        `first` goes with the first of its texts; the last of these statements has to find a row.
        """
        written = 0
        for number, values in enumerate(chunk.values):
            try:
                found = self._session.load(statement, values + ROW_END, first=() if number else first)
            except ServerError as error:
                if error.errno in LOADING_IS_OFF:
                    self._session.may_load = False
                    return None
                raise
            if found is None:
                raise self._overtaken()
            if found.warning_count:
                return None
            written += found.row_count
        return written if written == chunk.row_count else None
