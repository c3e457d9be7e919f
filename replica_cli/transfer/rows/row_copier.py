"""Copy the rows of one range, or of one whole table: read chunks from the primary and write them to the secondary."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from replica_cli.checkpoint.progress import ProgressStore, RangeProgress
from replica_cli.logs import Tag, log
from replica_cli.mysql.binlog.log_state import current_position
from replica_cli.mysql.errnos import DUPLICATES, Remedy, ServerError
from replica_cli.transfer.errors import OtherModeNeeded, TableAltered
from replica_cli.transfer.modes import ROW_MODES, may_depend_on_mode
from replica_cli.transfer.planning.copy_definition import current_fingerprint
from replica_cli.transfer.rows.chunk import Chunk, Prefetch
from replica_cli.transfer.rows.reading import RangeReader, whole_table
from replica_cli.transfer.rows.writing import ChunkWriter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from replica_cli.mysql.facts import ServerFacts
    from replica_cli.mysql.session import Session
    from replica_cli.stop import StopToken
    from replica_cli.transfer.connections import Connections
    from replica_cli.transfer.planning.plan import CopyPlan
    from replica_cli.transfer.progress_tracker import ProgressTracker
    from replica_cli.transfer.table_copy import TableCopy

logger = logging.getLogger(__name__)


class RowCopier:
    """Copies rows on the connections of one copy worker.

    `commits` is the number of chunks that were committed. `is_over` returns True when the whole copy ends early.
    """

    def __init__(
        self,
        plan: CopyPlan,
        connections: Connections,
        tracker: ProgressTracker,
        *,
        facts: ServerFacts,
        stop: StopToken,
        is_over: Callable[[], bool],
    ) -> None:
        self._plan = plan
        self._connections = connections
        self._tracker = tracker
        self._facts = facts
        self._stop = stop
        self._is_over = is_over
        self.commits = 0

    def copy_range(self, table: TableCopy, number: int) -> None:
        """Copy what is missing of one range.

        Raises:
            TableAltered: the table was altered on the primary.
            OtherModeNeeded: the secondary refuses rows in this mode.
            Fenced: another process copies this range.
            ReplicaError: any other error of a chunk, of reading or of writing.
        """
        writer, store = self._connections.writer, self._store()
        # If this run has begun the range, its progress is known. If another process moves it, the first chunk shows
        # that.
        progress, key = table.take_range(number) or store.load_range(table.name, number), table.definition.key
        if progress is None or progress.is_done or key is None or table.is_given_up:
            return
        mode = table.mode  # read once: reader and writer need the same mode, and another worker may raise it
        reader = RangeReader(
            self._connections.reader, table.definition.primary, key,
            chunk_rows=table.rows_at_once or self._plan.settings.chunk_rows, packet_limit=self._plan.packet_limit,
            json_handling=table.definition.json_handling, with_digest=self._is_compared(table, mode),
        )  # fmt: skip
        chunks = ChunkWriter(writer, store, table.definition.primary, table.target, mode)
        self._write_all(table, chunks, progress, reader.chunks(progress))
        table.note_chunk_rows(reader.rows_at_once)

    def copy_whole(self, table: TableCopy, reader: Session) -> None:
        """Copy all rows of a table that `reader` sees in its snapshot. Raises as `copy_range` does."""
        writer = self._connections.writer
        mode = table.mode
        chunks = ChunkWriter(writer, self._store(), table.definition.primary, table.target, mode)
        limit = self._plan.packet_limit
        if table.definition.key is None:
            rows = whole_table(
                reader,
                table.definition.primary,
                packet_limit=limit,
                json_handling=table.definition.json_handling,
                with_digest=self._is_compared(table, mode),
            )
        else:
            paging = RangeReader(
                reader, table.definition.primary, table.definition.key, chunk_rows=self._plan.settings.chunk_rows,
                packet_limit=limit, json_handling=table.definition.json_handling, in_snapshot=True,
                with_digest=self._is_compared(table, mode),
            )  # fmt: skip
            rows = paging.chunks(RangeProgress(1))
        self._write_all(table, chunks, RangeProgress(1), rows)

    def was_altered(self, table: TableCopy) -> bool:
        """Return True if the primary has another definition than the copy, or no such table. Raises ServerError."""
        return (
            current_fingerprint(self._connections.primary, self._plan.origin, table.name)
            != table.definition.fingerprint
        )

    def _write_all(
        self, table: TableCopy, writer: ChunkWriter, progress: RangeProgress, chunks: Iterator[Chunk]
    ) -> None:
        with Prefetch(chunks, self._connections.reader) as ahead:
            for chunk in ahead:
                if not table.reads_whole:
                    # A pause does not stop the reading of a snapshot, because the server cuts a connection that is not
                    # read for a minute.
                    self._stop.hold()
                if table.is_given_up or self._is_over():
                    break
                progress = self._write(table, writer, progress, chunk)
                self.commits += 1
                self._tracker.add(str(table.name), chunk.row_count, chunk.byte_count)
        if ahead.is_cut:
            self._connections.drop("reader")

    def _write(self, table: TableCopy, writer: ChunkWriter, progress: RangeProgress, chunk: Chunk) -> RangeProgress:
        try:
            return writer.write(progress, chunk)
        except ServerError as error:
            if error.remedy is Remedy.FATAL and error.errno not in DUPLICATES and self.was_altered(table):
                # A longer value or another column: rows of the new definition do not fit into the table of the old one.
                raise TableAltered(f"{table.name}: the table was altered on the primary") from error
            if may_depend_on_mode(error, table.definition.primary) and writer.mode + 1 < len(ROW_MODES):
                table.raise_mode(writer.mode + 1)
                raise OtherModeNeeded(f"{table.name}: trying another sql_mode, after: {error.message}") from error
            if error.errno not in DUPLICATES or not self._may_replace(table):
                raise
            # The existing row was read before the primary gave its value to the new row. The change of the existing row
            # is in the log after `start`, and the replay window corrects it.
            log(
                logger, logging.INFO, Tag.INFO, "%s: rows read at different moments have the same unique key",
                table.name, instance=self._plan.instance,
            )  # fmt: skip
            return writer.write(progress, chunk, replaces=True)

    def _is_compared(self, table: TableCopy, mode: int) -> bool:
        """Return True if rows are compared with the primary's when they are written.

        That is so in every mode but the first, and for stored generated columns, whose values may come out different
        without an error: our sessions keep a date that does not exist, and other sessions do not. Between two flavours
        the same value may be another literal, so only rows that were refused are compared.
        """
        computes = any(c.is_generated and "STORED" in c.extra.upper() for c in table.definition.primary.columns)
        return mode > 0 or (computes and not self._plan.origin.crossing.is_needed)

    def _may_replace(self, table: TableCopy) -> bool:
        start = table.start
        if start is None or table.reads_whole or sum(i.is_unique for i in table.definition.primary.indexes) < 2:
            return False
        # If nothing was written since `start`, the rows are of one moment, and the duplicate is a fault that must show.
        current = current_position(self._connections.primary, self._facts)
        return not current.is_same(start)

    def _store(self) -> ProgressStore:
        return ProgressStore(self._connections.writer, self._plan.state_schema, self._plan.instance)
