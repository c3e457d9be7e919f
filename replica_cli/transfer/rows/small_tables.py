"""Copy small new tables together: each query or statement is sent once for all of them.

An unusual table (it exists already, it is larger than estimated, its rows are refused) is no error. Nothing of it is
kept on the secondary then, and a worker copies it alone, from its beginning.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from replica_cli.checkpoint.progress import ProgressStore, RangeProgress
from replica_cli.core.reports.transfer import TableAction
from replica_cli.core.status import CopyStep
from replica_cli.sqlbuilder.rows.chunks import lines_query, size_query
from replica_cli.sqlbuilder.rows.row_statements import insert_head
from replica_cli.transfer.errors import ChunkBroken
from replica_cli.transfer.make_tables import make_new_tables
from replica_cli.transfer.planning.copy_definition import unaltered
from replica_cli.transfer.rows.documents import JsonHandling

if TYPE_CHECKING:
    from collections.abc import Sequence

    from replica_cli.core.settings import TransferSettings
    from replica_cli.mysql.session import Session
    from replica_cli.transfer.connections import Connections
    from replica_cli.transfer.lock_waits import LockWaits
    from replica_cli.transfer.planning.plan import CopyPlan
    from replica_cli.transfer.progress_tracker import ProgressTracker
    from replica_cli.transfer.table_copy import TableCopy

# All of these tables are in memory at once, and in one transaction.
TABLES_AT_ONCE = 25
_ROWS = 1000
_BYTES = 64 * 1024


def is_small(table: TableCopy, settings: TransferSettings) -> bool:
    """Return True if a table can be copied together with others: it is new, and one chunk along a key holds it."""
    definition, planned = table.definition.primary, table.planned
    return (
        planned.action is TableAction.CREATE
        and table.start is not None
        and table.definition.key is not None
        and not table.reads_whole
        and not table.must_repeat
        and definition.estimated_rows <= _rows_limit(settings)
        and definition.estimated_bytes <= _BYTES
        and table.definition.json_handling is JsonHandling.NONE
        # Stored values that the secondary computes are compared with the primary's, chunk by chunk.
        and not any(c.is_generated for c in definition.columns)
    )


class SmallTables:
    """Copies several tables on the sessions of one copy worker."""

    def __init__(self, plan: CopyPlan, connections: Connections, waits: LockWaits, tracker: ProgressTracker) -> None:
        self._plan = plan
        self._connections = connections
        self._waits = waits
        self._tracker = tracker
        self._rows_limit = _rows_limit(plan.settings)

    def copy(self, copies: Sequence[TableCopy]) -> tuple[TableCopy, ...]:
        """Copy tables; return those whose rows are all copied. These are finished, unless they were altered meanwhile.

        Raises:
            ReplicaError: any error. Then none of the tables is finished.
        """
        self._connections.open_all()
        made = self._make(copies)
        if not made:
            return ()
        secondary = self._connections.secondary
        for table in made:
            table.note_progress()
        self._store(secondary).begin_new({table.name: table.definition.fingerprint for table in made})
        for table in made:
            self._tracker.begin(str(table.name), CopyStep.ROWS)
        rows = self._read(made)
        self._write(rows)
        filled = tuple(rows)
        for table in filled:
            self._tracker.begin(str(table.name), CopyStep.CHECKING)
        same = unaltered(self._connections.primary, self._plan.origin, [table.definition for table in filled])
        finished = [table for table in filled if table.name in same]
        self._store(secondary).verify(*(table.name for table in finished))
        for table in finished:
            table.finish()
            self._tracker.finish(str(table.name))
        return filled

    def _make(self, copies: Sequence[TableCopy]) -> list[TableCopy]:
        secondary = self._connections.secondary
        made: list[TableCopy] = []
        for table in copies:
            self._tracker.begin(str(table.name), CopyStep.PREPARING)

        def make() -> None:
            self._connections.endpoints.guard(secondary)
            made.extend(make_new_tables(secondary, copies))

        self._waits.run(secondary, copies[0].name, make)
        return made

    def _read(self, copies: Sequence[TableCopy]) -> dict[TableCopy, list[bytes]]:
        """Return the rows of the tables that are as small as estimated, all of one moment."""
        reader = self._connections.reader
        size_queries = [
            size_query(table.definition.primary, table.definition.key, self._rows_limit + 1) for table in copies
        ]
        _, *size_rows = reader.rows_of_each(["START TRANSACTION", *size_queries])
        counts = {
            table: int(row[0]) for table, (row,) in zip(copies, size_rows, strict=True) if self._fits(*map(int, row))
        }
        queries = [
            lines_query(table.definition.primary, table.definition.key, limit=self._rows_limit + 1) for table in counts
        ]
        *answers, _ = reader.rows_of_each([*queries, "COMMIT"])
        return {
            table: [bytes(line) for line, _ in rows]
            for (table, count), rows in zip(counts.items(), answers, strict=True)
            # Only a session in a lenient mode accepts the error value of an ENUM.
            if len(rows) == count and not any(int(flag) for _, flag in rows)
        }

    def _fits(self, count: int, complete: int, size: int) -> bool:
        """Return True if the rows are complete, none is too long for the primary, and their size is within the limit.

        Args:
            count: the number of rows, up to one more than the limit.
            complete: how many of them are not NULL. The primary returns NULL for a row that is too long.
            size: the size of all rows in bytes.
        """
        return count <= self._rows_limit and complete == count and size <= _BYTES

    def _write(self, rows: dict[TableCopy, list[bytes]]) -> None:
        """Write the rows of the tables and their progress in one transaction. Raises ChunkBroken, ServerError."""
        writer = self._connections.writer
        store = self._store(writer)
        expected: list[tuple[TableCopy, int]] = []
        packets: list[list[bytes]] = [[b"START TRANSACTION"]]
        size = 0
        for table, lines in rows.items():
            values = b",".join(lines)
            done = RangeProgress(1, row_count=len(lines), byte_count=len(values), is_done=True)
            statements = [(store.advance_statement(table.name, RangeProgress(1), done), 1)]
            if lines:
                names = [c.name for c in table.definition.primary.written_columns]
                statements.append((insert_head(table.target, names) + values, len(lines)))
            if size + len(values) > self._plan.packet_limit:
                packets.append([])
                size = 0
            packets[-1] += [statement for statement, _ in statements]
            expected += [(table, count) for _, count in statements]
            size += len(values)
        try:
            _, *counts = (count for packet in packets for count in writer.execute_each(packet))
            _compare(expected, counts)
            # If this process was suspended since it read the rows, another process may write by now. The guard raises
            # then.
            self._connections.endpoints.guard(writer)
            writer.commit()
        except BaseException:
            self._connections.drop("writer")
            raise
        for table, lines in rows.items():
            self._tracker.add(str(table.name), len(lines), sum(map(len, lines)))

    def _store(self, session: Session) -> ProgressStore:
        return ProgressStore(session, self._plan.state_schema, self._plan.instance)


def _compare(expected: Sequence[tuple[TableCopy, int]], counts: Sequence[int]) -> None:
    """Raise ChunkBroken if a statement changed another number of rows than expected."""
    for (table, rows), count in zip(expected, counts, strict=True):
        if count != rows:
            raise ChunkBroken(f"{table.name}: a statement for {rows} rows changed {count} on the secondary")


def _rows_limit(settings: TransferSettings) -> int:
    return min(_ROWS, settings.chunk_rows)
