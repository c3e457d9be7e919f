"""Run one copy worker: it begins tables, copies ranges, and handles the errors of both servers."""

from __future__ import annotations

import logging
from contextlib import closing
from typing import TYPE_CHECKING

from replica_cli.checkpoint.progress import ProgressStore, RangeProgress
from replica_cli.core.errors import Interrupted, LockHeld, PrimaryError, ReplicaError, SecondaryError
from replica_cli.core.reports.transfer import TableAction
from replica_cli.core.status import CopyStep
from replica_cli.error_policy import ChunkHistory, Limits, Stop, copy_action_for
from replica_cli.logs import Tag, log
from replica_cli.mysql.binlog.log_state import current_position
from replica_cli.mysql.binlog.snapshots import table_snapshot, visible_position
from replica_cli.mysql.errnos import (
    DUPLICATES,
    Remedy,
    ServerError,
    is_of_table,
)
from replica_cli.retry import delay_after
from replica_cli.transfer.deferred_keys import add_deferred_keys
from replica_cli.transfer.errors import OtherModeNeeded, TableAltered
from replica_cli.transfer.making import make_table
from replica_cli.transfer.modes import ROW_MODES, may_depend_on_mode
from replica_cli.transfer.prefetch import Prefetch
from replica_cli.transfer.reading import RangeReader, noticing_ddl, whole_table
from replica_cli.transfer.schema_changes import gone_since
from replica_cli.transfer.source import current_fingerprint, reread_source
from replica_cli.transfer.tables import begin_table, locked_table, split
from replica_cli.transfer.together import Together
from replica_cli.transfer.waiting import LockWaits
from replica_cli.transfer.work import Task
from replica_cli.transfer.writing import ChunkWriter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from replica_cli.core.position import Position
    from replica_cli.core.settings import Retry
    from replica_cli.mysql.facts import ServerFacts
    from replica_cli.mysql.session import Session
    from replica_cli.stop import StopToken
    from replica_cli.transfer.chunk import Chunk
    from replica_cli.transfer.connections import Connections
    from replica_cli.transfer.plan import CopyPlan
    from replica_cli.transfer.progress_tracker import ProgressTracker
    from replica_cli.transfer.tables import TableRun
    from replica_cli.transfer.work import WorkQueue

logger = logging.getLogger(__name__)

_RESTARTS_LIMIT = 5


class Worker:
    """Does tasks until there are none. It shares its connections with no other worker."""

    def __init__(
        self,
        plan: CopyPlan,
        connections: Connections,
        queue: WorkQueue,
        tracker: ProgressTracker,
        *,
        facts: ServerFacts,
        retry: Retry,
        stop: StopToken,
    ) -> None:
        self._plan = plan
        self._connections = connections
        self._queue = queue
        self._tracker = tracker
        self._facts = facts
        self._retry = retry
        self._stop = stop
        self._commits = 0
        self._waits = LockWaits(
            connections.endpoints,
            lambda: stop.is_set or queue.is_over,
            lambda table, text: tracker.wait(str(table), text),
        )

    def run(self) -> None:
        """Work until the queue is over. An error that is not caused by one table ends the work of all workers."""
        with closing(self._connections):
            while (task := self._queue.take()) is not None:
                try:
                    if task.others:
                        self._do_together(task)
                    else:
                        self._do(task)
                except Interrupted:
                    logger.debug("stopped while waiting to try again")
                except BaseException as error:  # noqa: BLE001 - the top of a thread: `run_copy` raises it
                    self._queue.fail(error)
                finally:
                    self._queue.done()

    def _do(self, task: Task) -> None:
        run = task.run
        is_copied = run.planned.action is TableAction.DONE
        group = (run,) if is_copied else run.group
        try:
            self._with_retries(lambda: self._carry_out(task))
        except TableAltered as error:
            self._log(logging.INFO, "%s: %s", run.name, error.message)
            for member in group:
                member.is_altered = True
        except (LockHeld, Interrupted):
            raise
        except ReplicaError as error:
            self._check_servers(error)
            for member in group:
                self._give_up(member, error)
        if not is_copied and (task.range_number or run.reads_whole or run.is_altered):
            for member in group:
                self._finish_part(member, was_range=bool(task.range_number))

    def _do_together(self, task: Task) -> None:
        runs = (task.run, *task.others)
        filled: tuple[TableRun, ...] = ()
        try:
            filled = Together(self._plan, self._connections, self._waits, self._tracker).copy(runs)
        except (LockHeld, Interrupted):
            raise
        except ReplicaError as error:
            # Copying each table alone shows which table is wrong, and why.
            self._connections.close()
            self._log(logging.INFO, "%d small tables are copied one by one, after: %s", len(runs), error.message)
        rest = [run for run in runs if not run.is_finished]
        for run in rest:
            if run in filled:
                self._finish_part(run, was_range=False)
            else:
                self._tracker.start_over(str(run.name))
                self._queue.put(Task(run))

    def _carry_out(self, task: Task) -> None:
        run = task.run
        if run.planned.action is TableAction.DONE:
            self._complete(run)
        elif task.range_number:
            self._copy_range(run, task.range_number)
        elif run.reads_whole:
            self._copy_whole(run.group)
        else:
            self._begin(run)

    def _with_retries(self, work: Callable[[], None]) -> None:
        """Do the work; repeat it after an error that may go away."""
        history = ChunkHistory()
        limits = Limits(self._retry.reconnect_attempts, 0, self._retry.attempts)
        while True:
            before = self._commits
            try:
                self._connections.open_all()
                return work()
            except OtherModeNeeded as error:
                # The reading session was cut, so the chunk is read again.
                self._connections.close()
                self._log(logging.INFO, "%s", error.message)
            except ServerError as error:
                # An open transaction is rolled back with its connection. The progress row says what was committed.
                self._connections.close()
                history = history.with_error(error, has_committed=self._commits > before)
                if isinstance(copy_action_for(error, history, limits), Stop):
                    raise
                self._log(logging.WARNING, "trying again after: %s", error.message)
                if self._stop.wait(delay_after(history.attempts, self._retry)):
                    raise Interrupted("asked to stop while waiting to try again") from error

    def _begin(self, run: TableRun) -> None:
        secondary = self._connections.secondary
        self._make(run)
        with noticing_ddl():
            ranges = split(self._connections.reader, run, self._plan)
        begin_table(secondary, self._plan, run, ranges)
        self._tracker.begin(str(run.name), CopyStep.ROWS)
        with run.lock:
            run.open_ranges = len(ranges)
            run.ranges = {r.number: r for r in ranges}
        self._queue.put(*(Task(run, r.number) for r in ranges))

    def _make(self, run: TableRun) -> None:
        secondary = self._connections.secondary
        self._tracker.begin(str(run.name), CopyStep.PREPARING)

        def make() -> None:
            # The guard is called again after each wait for a lock: another process may write by now.
            self._connections.endpoints.guard(secondary)
            # Progress is deleted before the rows: a kill between the two must not leave ranges that look done.
            if run.has_progress:
                self._store(secondary).forget(run.name)
            make_table(secondary, run, self._plan.instance)

        self._waits.run(secondary, run.name, make)

    def _copy_range(self, run: TableRun, number: int) -> None:
        writer, store = self._connections.writer, self._store(self._connections.writer)
        # If this run has begun the range, its progress is known. If another process moves it, the first chunk shows
        # that.
        progress, key = run.ranges.pop(number, None) or store.load_range(run.name, number), run.source.key
        if progress is None or progress.is_done or key is None or run.is_given_up:
            return
        mode = run.mode  # read once: reader and writer need the same mode, and another worker may raise it
        reader = RangeReader(
            self._connections.reader, run.source.definition, key,
            chunk_rows=run.rows_at_once or self._plan.settings.chunk_rows, packet_limit=self._plan.packet_limit,
            json_handling=run.source.json_handling, with_digest=self._is_compared(run, mode),
        )  # fmt: skip
        chunks = ChunkWriter(writer, store, run.source.definition, run.target, mode)
        self._write_all(run, chunks, progress, reader.chunks(progress))
        run.rows_at_once = reader.rows_at_once

    def _copy_whole(self, group: tuple[TableRun, ...]) -> None:
        if group[0].source.needs_lock:
            # Before the lock on the primary is taken: a wait for a lock on the secondary would make writers of the
            # locked table wait too.
            self._check_definition(group[0])
            self._make(group[0])
        # The session is a text session until the snapshot is open, because positions are text. For the rows it changes
        # to bytes.
        self._connections.drop("reader")
        reader = self._connections.reader
        reader.execute("SET NAMES utf8mb4")
        failure: ReplicaError | None = None
        try:
            with noticing_ddl(), self._snapshot(group, reader) as position:
                try:
                    for run in group:
                        self._fill_whole(run, reader, position)
                except ReplicaError as error:
                    failure = error
        except ServerError:
            # If reading ends early, the connection is cut and the end of its snapshot fails. That is expected.
            if failure is None and not self._queue.is_over:
                raise
        finally:
            self._connections.drop("reader")
        if failure is not None:
            raise failure

    def _snapshot(self, group: tuple[TableRun, ...], reader: Session) -> AbstractContextManager[Position]:
        """Return the context in which the rows of the tables do not change for the reader."""
        if group[0].source.needs_lock:
            return locked_table(reader, self._facts, group[0].name)
        return table_snapshot(reader, self._connections.primary, self._facts, [run.name for run in group])

    def _fill_whole(self, run: TableRun, reader: Session, position: Position) -> None:
        self._check_definition(run)
        run.start = position
        if not run.source.needs_lock:
            self._make(run)
        begin_table(self._connections.secondary, self._plan, run, (RangeProgress(1),))
        self._tracker.start_over(str(run.name))
        self._tracker.begin(str(run.name), CopyStep.ROWS)
        reader.execute("SET NAMES binary")
        writer = self._connections.writer
        mode = run.mode
        chunks = ChunkWriter(writer, self._store(writer), run.source.definition, run.target, mode)
        limit = self._plan.packet_limit
        if run.source.key is None:
            rows = whole_table(
                reader,
                run.source.definition,
                packet_limit=limit,
                json_handling=run.source.json_handling,
                with_digest=self._is_compared(run, mode),
            )
        else:
            paging = RangeReader(
                reader, run.source.definition, run.source.key, chunk_rows=self._plan.settings.chunk_rows,
                packet_limit=limit, json_handling=run.source.json_handling, in_snapshot=True,
                with_digest=self._is_compared(run, mode),
            )  # fmt: skip
            rows = paging.chunks(RangeProgress(1))
        self._write_all(run, chunks, RangeProgress(1), rows)

    def _check_definition(self, run: TableRun) -> None:
        if self._was_altered(run):
            raise TableAltered(f"{run.name}: the table was altered on the primary")

    def _write_all(self, run: TableRun, writer: ChunkWriter, progress: RangeProgress, chunks: Iterator[Chunk]) -> None:
        with Prefetch(chunks, self._connections.reader) as ahead:
            for chunk in ahead:
                if not run.reads_whole:
                    # A pause does not stop the reading of a snapshot, because the server cuts a connection that is not
                    # read for a minute.
                    self._stop.hold()
                if run.is_given_up or self._queue.is_over:
                    break
                progress = self._write(run, writer, progress, chunk)
                self._commits += 1
                self._tracker.add(str(run.name), chunk.row_count, chunk.byte_count)
        if ahead.is_cut:
            self._connections.drop("reader")

    def _write(self, run: TableRun, writer: ChunkWriter, progress: RangeProgress, chunk: Chunk) -> RangeProgress:
        try:
            return writer.write(progress, chunk)
        except ServerError as error:
            if error.remedy is Remedy.FATAL and error.errno not in DUPLICATES and self._was_altered(run):
                # A longer value or another column: rows of the new definition do not fit into the table of the old one.
                raise TableAltered(f"{run.name}: the table was altered on the primary") from error
            if may_depend_on_mode(error, run.source.definition) and writer.mode + 1 < len(ROW_MODES):
                run.mode = max(run.mode, writer.mode + 1)
                raise OtherModeNeeded(f"{run.name}: trying another sql_mode, after: {error.message}") from error
            if error.errno not in DUPLICATES or not self._may_replace(run):
                raise
            # The existing row was read before the primary gave its value to the new row. The change of the existing row
            # is in the log after `start`, and the replay window corrects it.
            self._log(logging.INFO, "%s: rows read at different moments have the same unique key", run.name)
            return writer.write(progress, chunk, replaces=True)

    def _is_compared(self, run: TableRun, mode: int) -> bool:
        """Return True if rows are compared with the primary's when they are written.

        That is so in every mode but the first, and for stored generated columns, whose values may come out different
        without an error: our sessions keep a date that does not exist, and other sessions do not. Between two flavours
        the same value may be another literal, so only rows that were refused are compared.
        """
        computes = any(c.is_generated and "STORED" in c.extra.upper() for c in run.source.definition.columns)
        return mode > 0 or (computes and not self._plan.origin.crossing.is_needed)

    def _was_altered(self, run: TableRun) -> bool:
        return current_fingerprint(self._connections.primary, self._plan.origin, run.name) != run.source.fingerprint

    def _may_replace(self, run: TableRun) -> bool:
        start = run.start
        if start is None or run.reads_whole or sum(i.is_unique for i in run.source.definition.indexes) < 2:
            return False
        # If nothing was written since `start`, the rows are of one moment, and the duplicate is a fault that must show.
        current = current_position(self._connections.primary, self._facts)
        return not current.is_same(start)

    def _finish_part(self, run: TableRun, *, was_range: bool) -> None:
        """Record that a range, or the whole work on a table, has ended; finish the table after its last range."""
        with run.lock:
            if was_range:
                run.open_ranges -= 1
            if run.open_ranges > 0 or run.failure is not None or run.is_finished:
                return
        try:
            self._with_retries(lambda: self._finish_table(run))
        except (LockHeld, Interrupted):
            raise
        except ReplicaError as error:
            self._check_servers(error)
            self._give_up(run, error)

    def _finish_table(self, run: TableRun) -> None:
        if run.is_altered:
            self._restart(run)
            return
        if not self._has_all_rows(run):
            if not self._ends_early(run):
                self._restart(run)
            return
        self._tracker.begin(str(run.name), CopyStep.CHECKING)
        fingerprint = current_fingerprint(self._connections.primary, self._plan.origin, run.name)
        # A table that is gone does not begin again: its DROP or RENAME is in the log after `start`.
        if fingerprint not in (None, run.source.fingerprint):
            self._restart(run)
            return
        self._store(self._connections.secondary).verify(run.name)
        self._complete(run)

    def _complete(self, run: TableRun) -> None:
        """Build the missing indexes of a table whose rows are all copied.

        That may take long. A resume does not copy the rows again.
        """
        add_deferred_keys(
            self._connections, run, self._waits,
            on_begin=lambda: self._tracker.begin(str(run.name), CopyStep.INDEXES),
        )  # fmt: skip
        run.is_finished = True
        self._tracker.finish(str(run.name))

    def _restart(self, run: TableRun) -> None:
        # The definition is read before the position: a DDL statement between them shows as another fingerprint at the
        # end.
        source = reread_source(self._connections.primary, self._plan.origin, run.name)
        if source is None:
            if run.start is None:
                # The position from which its events count is not known. Another run looks if the table exists again.
                run.must_repeat = True
            else:
                # It existed when `start` was read, so the log after `start` says what became of it.
                run.is_altered, run.is_finished = False, True
            return
        if len(run.group) > 1:
            # The other tables of its group are of another moment. All of them begin again, together.
            for member in run.group:
                member.must_repeat = True
            return
        run.restarts += 1
        if run.restarts > _RESTARTS_LIMIT:
            raise TableAltered(
                f"{run.name}: altered {run.restarts} times while it was copied", hint="copy it when its DDL is over"
            )
        self._log(logging.INFO, "%s: its copy begins again, as the table was altered on the primary", run.name)
        run.start = visible_position(self._connections.primary, self._facts)
        if gone_since(self._connections.primary, [run.name]):
            # It may have gone before the position, and then no later event in the log says that. It must be planned
            # again.
            run.must_repeat = True
            return
        run.begin_again(source)
        self._tracker.start_over(str(run.name))
        self._queue.put(Task(run))

    def _ends_early(self, run: TableRun) -> bool:
        """Return True if rows are missing because the copy ends early or because the whole group is copied again."""
        return self._stop.is_set or self._queue.is_over or run.must_repeat

    def _has_all_rows(self, run: TableRun) -> bool:
        """Return True if all ranges of the table are done."""
        progress = self._store(self._connections.secondary).load_table(run.name)
        return progress is not None and bool(progress.ranges) and all(r.is_done for r in progress.ranges)

    def _check_servers(self, error: ReplicaError) -> None:
        """Raise an error that is not caused by one table: a server cannot be reached, or cannot write.

        If a server answers but hangs up on the same rows again and again, the table is the cause: something between
        them may not pass its packets.
        """
        if isinstance(error, PrimaryError | SecondaryError):
            raise error
        if not isinstance(error, ServerError) or error.remedy is Remedy.RETRY or is_of_table(error):
            return
        if not error.is_connection_lost or error.is_unreachable:
            raise error
        self._connections.close()
        for session in (self._connections.primary, self._connections.secondary):
            session.row("SELECT 1")

    def _give_up(self, run: TableRun, error: ReplicaError) -> None:
        with run.lock:
            if run.failure is None:
                run.failure = error.message
                self._tracker.fail()
        self._log(logging.ERROR, "%s: %s", run.name, error.message)

    def _log(self, level: int, message: str, *args: object) -> None:
        log(logger, level, Tag.of(level), message, *args, instance=self._plan.instance)

    def _store(self, session: Session) -> ProgressStore:
        return ProgressStore(session, self._plan.state_schema, self._plan.instance)
