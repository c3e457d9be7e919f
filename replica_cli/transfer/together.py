"""Small new tables that are copied together: what each of them needs is asked for once for all of them.

What is unusual about a table here (it is there already, it is larger than it seemed, its rows are refused) is no error:
nothing of it counts on the secondary then, and a worker copies it by itself, from its beginning.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from replica_cli.checkpoint.progress import ProgressStore, RangeProgress
from replica_cli.core.reports.transfer import TableAction
from replica_cli.core.status import CopyStep
from replica_cli.sqlbuilder.chunks import lines_query, size_query
from replica_cli.sqlbuilder.rows import insert_head
from replica_cli.transfer.documents import JsonHandling
from replica_cli.transfer.errors import ChunkBroken
from replica_cli.transfer.making import make_new_tables
from replica_cli.transfer.source import unaltered

if TYPE_CHECKING:
    from collections.abc import Sequence

    from replica_cli.core.settings import TransferSettings
    from replica_cli.mysql.session import Session
    from replica_cli.transfer.connections import Connections
    from replica_cli.transfer.plan import CopyPlan
    from replica_cli.transfer.progress_tracker import ProgressTracker
    from replica_cli.transfer.tables import TableRun
    from replica_cli.transfer.waiting import LockWaits

# All of these tables are in memory at once, and in one transaction.
TABLES_AT_ONCE = 25
_ROWS = 1000
_BYTES = 64 * 1024


def is_small(run: TableRun, settings: TransferSettings) -> bool:
    """Say whether a table can be copied together with others: it is new, and one chunk of rows read along a key."""
    definition, planned = run.source.definition, run.planned
    return (
        planned.action is TableAction.CREATE
        and run.start is not None
        and run.source.key is not None
        and not run.reads_whole
        and not run.must_repeat
        and definition.estimated_rows <= _rows_limit(settings)
        and definition.estimated_bytes <= _BYTES
        and run.source.care is JsonHandling.NONE
        # What the secondary computes and keeps is compared with the primary's, chunk by chunk.
        and not any(c.is_generated for c in definition.columns)
    )


class Together:
    """Copies tables on the sessions of one worker."""

    def __init__(self, plan: CopyPlan, connections: Connections, waits: LockWaits, meter: ProgressTracker) -> None:
        self._plan = plan
        self._connections = connections
        self._waits = waits
        self._meter = meter
        self._rows_limit = _rows_limit(plan.settings)

    def copy(self, runs: Sequence[TableRun]) -> tuple[TableRun, ...]:
        """Copy tables; return those whose rows are all there: finished, unless they were altered meanwhile.

        Raises ReplicaError: then none of them is finished.
        """
        self._connections.open_all()
        made = self._make(runs)
        if not made:
            return ()
        secondary = self._connections.secondary
        for run in made:
            run.has_progress = True
        self._store(secondary).begin_new({run.name: run.source.fingerprint for run in made})
        for run in made:
            self._meter.begin(str(run.name), CopyStep.ROWS)
        rows = self._read(made)
        self._write(rows)
        filled = tuple(rows)
        for run in filled:
            self._meter.begin(str(run.name), CopyStep.CHECKING)
        same = unaltered(self._connections.primary, self._plan.origin, [run.source for run in filled])
        finished = [run for run in filled if run.name in same]
        self._store(secondary).verify(*(run.name for run in finished))
        for run in finished:
            run.is_finished = True
            self._meter.finish(str(run.name))
        return filled

    def _make(self, runs: Sequence[TableRun]) -> list[TableRun]:
        secondary = self._connections.secondary
        made: list[TableRun] = []
        for run in runs:
            self._meter.begin(str(run.name), CopyStep.PREPARING)

        def make() -> None:
            self._connections.ends.guard(secondary)
            made.extend(make_new_tables(secondary, runs))

        self._waits.run(secondary, runs[0].name, make)
        return made

    def _read(self, runs: Sequence[TableRun]) -> dict[TableRun, list[bytes]]:
        """Return the rows of tables that are as small as they seemed, all of one moment."""
        reader = self._connections.reader
        sizes = [size_query(run.source.definition, run.source.key, self._rows_limit + 1) for run in runs]
        _, *found = reader.rows_of_each(["START TRANSACTION", *sizes])
        counts = {run: int(row[0]) for run, (row,) in zip(runs, found, strict=True) if self._fits(*map(int, row))}
        queries = [lines_query(run.source.definition, run.source.key, limit=self._rows_limit + 1) for run in counts]
        *answers, _ = reader.rows_of_each([*queries, "COMMIT"])
        return {
            run: [bytes(line) for line, _ in rows]
            for (run, count), rows in zip(counts.items(), answers, strict=True)
            # An ENUM's error value is taken by a lenient session alone.
            if len(rows) == count and not any(int(flag) for _, flag in rows)
        }

    def _fits(self, count: int, whole: int, size: int) -> bool:
        """Say whether these are all rows, none of them is too long for the primary, and all fit here."""
        return count <= self._rows_limit and whole == count and size <= _BYTES

    def _write(self, rows: dict[TableRun, list[bytes]]) -> None:
        """Write the rows of tables and their progress in one transaction. Raises ChunkBroken, ServerError."""
        writer = self._connections.writer
        store = self._store(writer)
        expected: list[tuple[TableRun, int]] = []
        packets: list[list[bytes]] = [[b"START TRANSACTION"]]
        size = 0
        for run, lines in rows.items():
            values = b",".join(lines)
            done = RangeProgress(1, row_count=len(lines), byte_count=len(values), is_done=True)
            statements = [(store.advance_statement(run.name, RangeProgress(1), done), 1)]
            if lines:
                names = [c.name for c in run.source.definition.written_columns]
                statements.append((insert_head(run.target, names) + values, len(lines)))
            if size + len(values) > self._plan.packet_limit:
                packets.append([])
                size = 0
            packets[-1] += [statement for statement, _ in statements]
            expected += [(run, count) for _, count in statements]
            size += len(values)
        try:
            _, *found = (count for packet in packets for count in writer.execute_each(packet))
            _compare(expected, found)
            # What was read may be old by now, if this process stood still.
            self._connections.ends.guard(writer)
            writer.commit()
        except BaseException:
            self._connections.drop("writer")
            raise
        for run, lines in rows.items():
            self._meter.add(str(run.name), len(lines), sum(map(len, lines)))

    def _store(self, session: Session) -> ProgressStore:
        return ProgressStore(session, self._plan.state_schema, self._plan.instance)


def _compare(expected: Sequence[tuple[TableRun, int]], found: Sequence[int]) -> None:
    """Raise ChunkBroken if a statement did not change as many rows as it has to."""
    for (run, wanted), count in zip(expected, found, strict=True):
        if count != wanted:
            raise ChunkBroken(f"{run.name}: a statement for {wanted} rows changed {count} on the secondary")


def _rows_limit(settings: TransferSettings) -> int:
    return min(_ROWS, settings.chunk_rows)
