"""One worker: begins tables, copies ranges, and knows what to do when a server says no."""

from __future__ import annotations

import logging
from contextlib import closing
from typing import TYPE_CHECKING

from replica_cli.checkpoint.progress import ProgressStore, RangeProgress
from replica_cli.core.errors import Interrupted, LockHeld, PrimaryError, ReplicaError, SecondaryError
from replica_cli.core.reports.transfer import TableAction
from replica_cli.core.status import CopyStep
from replica_cli.logs import Tag, log
from replica_cli.mysql.binlog import current_position
from replica_cli.mysql.errnos import (
    CR_CONN_HOST_ERROR,
    CR_CONNECTION_ERROR,
    DUPLICATES,
    Remedy,
    ServerError,
    is_of_table,
)
from replica_cli.mysql.snapshots import table_snapshot, visible_position
from replica_cli.retry import delay_after
from replica_cli.transfer.deferred_keys import add_deferred_keys
from replica_cli.transfer.errors import OtherModeNeeded, TableAltered
from replica_cli.transfer.making import make_table
from replica_cli.transfer.modes import ROW_MODES, may_be_of_the_mode
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
_LOSSES_LIMIT = 10
_AWAY = frozenset({CR_CONNECTION_ERROR, CR_CONN_HOST_ERROR})


class Worker:
    """Does tasks until there are none. All of its connections are its own."""

    def __init__(
        self,
        plan: CopyPlan,
        connections: Connections,
        queue: WorkQueue,
        meter: ProgressTracker,
        *,
        facts: ServerFacts,
        retry: Retry,
        stop: StopToken,
    ) -> None:
        self._plan = plan
        self._connections = connections
        self._queue = queue
        self._meter = meter
        self._facts = facts
        self._retry = retry
        self._stop = stop
        self._commits = 0
        self._waits = LockWaits(
            connections.ends, lambda: stop.is_set or queue.is_over, lambda table, text: meter.wait(str(table), text)
        )

    def run(self) -> None:
        """Work until the queue is over; an error that is no table's own ends the work of all."""
        with closing(self._connections):
            while (task := self._queue.take()) is not None:
                try:
                    if task.others:
                        self._do_together(task)
                    else:
                        self._do(task)
                except Interrupted:
                    logger.debug("stopped while waiting to try again")
                except BaseException as error:  # noqa: BLE001 - the top of a thread: the run raises it
                    self._queue.fail(error)
                finally:
                    self._queue.done()

    def _do(self, task: Task) -> None:
        run = task.run
        is_copied = run.planned.action is TableAction.DONE
        group = (run,) if is_copied else run.group
        try:
            self._trying(lambda: self._carry_out(task))
        except TableAltered as error:
            self._say(logging.INFO, "%s: %s", run.name, error.message)
            for each in group:
                each.is_altered = True
        except (LockHeld, Interrupted):
            raise
        except ReplicaError as error:
            self._check_servers(error)
            for each in group:
                self._give_up(each, error)
        if not is_copied and (task.range_number or run.reads_whole or run.is_altered):
            for each in group:
                self._leave(each, was_range=bool(task.range_number))

    def _do_together(self, task: Task) -> None:
        runs = (task.run, *task.others)
        filled: tuple[TableRun, ...] = ()
        try:
            filled = Together(self._plan, self._connections, self._waits, self._meter).copy(runs)
        except (LockHeld, Interrupted):
            raise
        except ReplicaError as error:
            # Each by itself shows what is wrong, and with what.
            self._connections.close()
            self._say(logging.INFO, "%d small tables are copied one by one, after: %s", len(runs), error.message)
        rest = [run for run in runs if not run.is_finished]
        for run in rest:
            if run in filled:
                self._leave(run, was_range=False)
            else:
                self._meter.start_over(str(run.name))
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

    def _trying(self, work: Callable[[], None]) -> None:
        attempt = losses = 0
        while True:
            before = self._commits
            try:
                self._connections.open_all()
                return work()
            except OtherModeNeeded as error:
                # The reading session was cut: the chunk is read again.
                self._connections.close()
                self._say(logging.INFO, "%s", error.message)
            except ServerError as error:
                # Whatever was open is rolled back with its connection; the progress row tells what was kept.
                self._connections.close()
                if error.remedy is Remedy.FATAL:
                    raise
                attempt = 1 if self._commits > before else attempt + 1
                # A server that is away is waited for. One that hangs up on the same chunk again and again (a packet
                # that something on the way does not pass) would be asked for ever.
                was_lost = error.is_connection_lost and error.errno not in _AWAY and self._commits == before
                losses = losses + 1 if was_lost else 0
                if losses >= _LOSSES_LIMIT:
                    raise
                limit = self._retry.attempts if error.remedy is Remedy.RETRY else self._retry.reconnect_attempts
                if limit and attempt >= limit:
                    raise
                self._say(logging.WARNING, "trying again after: %s", error.message)
                if self._stop.wait(delay_after(attempt, self._retry)):
                    raise Interrupted("asked to stop while waiting to try again") from error

    def _begin(self, run: TableRun) -> None:
        secondary = self._connections.secondary
        self._make(run)
        with noticing_ddl():
            ranges = split(self._connections.reader, run, self._plan)
        begin_table(secondary, self._plan, run, ranges)
        self._meter.begin(str(run.name), CopyStep.ROWS)
        with run.lock:
            run.open_ranges = len(ranges)
            run.ranges = {r.number: r for r in ranges}
        self._queue.put(*(Task(run, r.number) for r in ranges))

    def _make(self, run: TableRun) -> None:
        secondary = self._connections.secondary
        self._meter.begin(str(run.name), CopyStep.PREPARING)

        def make() -> None:
            # After a wait for a lock again: another process may write by now.
            self._connections.ends.guard(secondary)
            # Progress goes before the rows do: a death between the two must not leave ranges that look done.
            if run.has_progress:
                self._store(secondary).forget(run.name)
            make_table(secondary, run, self._plan.instance)

        self._waits.run(secondary, run.name, make)

    def _copy_range(self, run: TableRun, number: int) -> None:
        writer, store = self._connections.writer, self._store(self._connections.writer)
        # A range that was begun now has not moved: if another process moves it, the first chunk finds that out.
        progress, key = run.ranges.pop(number, None) or store.load_range(run.name, number), run.source.key
        if progress is None or progress.is_done or key is None or run.is_given_up:
            return
        mode = run.mode  # another worker may raise it between the two: the one writes what the other compares
        reader = RangeReader(
            self._connections.reader, run.source.definition, key,
            chunk_rows=run.rows_at_once or self._plan.settings.chunk_rows, packet_limit=self._plan.packet_limit,
            care=run.source.care, with_digest=self._is_compared(run, mode),
        )  # fmt: skip
        chunks = ChunkWriter(writer, store, run.source.definition, run.target, mode)
        self._write_all(run, chunks, progress, reader.chunks(progress))
        run.rows_at_once = reader.rows_at_once

    def _copy_whole(self, group: tuple[TableRun, ...]) -> None:
        if group[0].source.needs_lock:
            # First, as a wait for a lock on the secondary would keep writers of the locked table waiting too.
            self._check_definition(group[0])
            self._make(group[0])
        # A plain session opens the snapshot, as positions are text; it turns to bytes for the rows.
        self._connections.drop("reader")
        reader = self._connections.reader
        reader.execute("SET NAMES utf8mb4")
        failure: ReplicaError | None = None
        try:
            with noticing_ddl(), self._held_still(group, reader) as position:
                try:
                    for run in group:
                        self._fill_whole(run, reader, position)
                except ReplicaError as error:
                    failure = error
        except ServerError:
            # A stream that is left early is cut, and the end of its snapshot fails: that is no news.
            if failure is None and not self._queue.is_over:
                raise
        finally:
            self._connections.drop("reader")
        if failure is not None:
            raise failure

    def _held_still(self, group: tuple[TableRun, ...], reader: Session) -> AbstractContextManager[Position]:
        if group[0].source.needs_lock:
            return locked_table(reader, self._facts, group[0].name)
        return table_snapshot(reader, self._connections.primary, self._facts, [run.name for run in group])

    def _fill_whole(self, run: TableRun, reader: Session, position: Position) -> None:
        self._check_definition(run)
        run.start = position
        if not run.source.needs_lock:
            self._make(run)
        begin_table(self._connections.secondary, self._plan, run, (RangeProgress(1),))
        self._meter.start_over(str(run.name))
        self._meter.begin(str(run.name), CopyStep.ROWS)
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
                care=run.source.care,
                with_digest=self._is_compared(run, mode),
            )
        else:
            paging = RangeReader(
                reader, run.source.definition, run.source.key, chunk_rows=self._plan.settings.chunk_rows,
                packet_limit=limit, care=run.source.care, in_snapshot=True, with_digest=self._is_compared(run, mode),
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
                    # A snapshot that nobody reads for a minute is cut off by the server: it is read to its end.
                    self._stop.hold()
                if run.is_given_up or self._queue.is_over:
                    break
                progress = self._write(run, writer, progress, chunk)
                self._commits += 1
                self._meter.add(str(run.name), chunk.row_count, chunk.byte_count)
        if ahead.is_cut:
            self._connections.drop("reader")

    def _write(self, run: TableRun, writer: ChunkWriter, progress: RangeProgress, chunk: Chunk) -> RangeProgress:
        try:
            return writer.write(progress, chunk)
        except ServerError as error:
            if error.remedy is Remedy.FATAL and error.errno not in DUPLICATES and self._was_altered(run):
                # A longer value, another column: rows of the new definition do not fit the table of the old one.
                raise TableAltered(f"{run.name}: the table was altered on the primary") from error
            if may_be_of_the_mode(error, run.source.definition) and writer.mode + 1 < len(ROW_MODES):
                run.mode = max(run.mode, writer.mode + 1)
                raise OtherModeNeeded(f"{run.name}: in another sql_mode, after: {error.message}") from error
            if error.errno not in DUPLICATES or not self._may_replace(run):
                raise
            # The row in the way was read before the primary gave its value to this one: its own change is in the
            # log behind `start` and puts it right in the replay window.
            self._say(logging.INFO, "%s: rows read at different moments meet on a unique key", run.name)
            return writer.write(progress, chunk, replaces=True)

    def _is_compared(self, run: TableRun, mode: int) -> bool:
        """Say whether rows are compared as they are written: in another mode, or as values come out otherwise unseen.

        A date that does not exist is kept as it is in our sessions, and is no date in others. Between two flavours the
        same value may be another literal, so there only what was refused is compared.
        """
        computes = any(c.is_generated and "STORED" in c.extra.upper() for c in run.source.definition.columns)
        return mode > 0 or (computes and not self._plan.origin.crossing.is_needed)

    def _was_altered(self, run: TableRun) -> bool:
        return current_fingerprint(self._connections.primary, self._plan.origin, run.name) != run.source.fingerprint

    def _may_replace(self, run: TableRun) -> bool:
        start = run.start
        if start is None or run.reads_whole or sum(i.is_unique for i in run.source.definition.indexes) < 2:
            return False
        # Nothing was written since: then no moment differs, and the duplicate is a fault that must show.
        now = current_position(self._connections.primary, self._facts)
        return now.order != start.order if start.file else now.gtid != start.gtid

    def _leave(self, run: TableRun, *, was_range: bool) -> None:
        with run.lock:
            if was_range:
                run.open_ranges -= 1
            if run.open_ranges > 0 or run.failure is not None or run.is_finished:
                return
        try:
            self._trying(lambda: self._end(run))
        except (LockHeld, Interrupted):
            raise
        except ReplicaError as error:
            self._check_servers(error)
            self._give_up(run, error)

    def _end(self, run: TableRun) -> None:
        if run.is_altered:
            self._restart(run)
            return
        if not self._is_all_there(run):
            if not self._is_cut_short(run):
                self._restart(run)
            return
        self._meter.begin(str(run.name), CopyStep.CHECKING)
        fingerprint = current_fingerprint(self._connections.primary, self._plan.origin, run.name)
        # Gone is no reason to begin again: its end is in the log behind `start`.
        if fingerprint not in (None, run.source.fingerprint):
            self._restart(run)
            return
        self._store(self._connections.secondary).verify(run.name)
        self._complete(run)

    def _complete(self, run: TableRun) -> None:
        """Make what is missing of a table whose rows are all there: that may take long, and a resume need not copy."""
        add_deferred_keys(
            self._connections, run, self._waits,
            begins=lambda: self._meter.begin(str(run.name), CopyStep.INDEXES),
        )  # fmt: skip
        run.is_finished = True
        self._meter.finish(str(run.name))

    def _restart(self, run: TableRun) -> None:
        # Definition first, position second: a DDL between the two shows as another fingerprint at the end.
        source = reread_source(self._connections.primary, self._plan.origin, run.name)
        if source is None:
            if run.start is None:
                # From where on its events count is not known: another turn looks whether it is there again.
                run.must_repeat = True
            else:
                # It was still there when `start` had been read, so the log after `start` says what became of it.
                run.is_altered, run.is_finished = False, True
            return
        if len(run.group) > 1:
            # The moment of its relatives no longer fits: all of them begin again, together.
            for each in run.group:
                each.must_repeat = True
            return
        run.restarts += 1
        if run.restarts > _RESTARTS_LIMIT:
            raise TableAltered(
                f"{run.name}: altered {run.restarts} times while it was copied", hint="copy it when its DDL is over"
            )
        self._say(logging.INFO, "%s: its copy begins again, as the table was altered on the primary", run.name)
        run.start = visible_position(self._connections.primary, self._facts)
        if gone_since(self._connections.primary, [run.name]):
            # It may have gone before the position, and then no later event of the log says so: it is planned again.
            run.must_repeat = True
            return
        run.begin_again(source)
        self._meter.start_over(str(run.name))
        self._queue.put(Task(run))

    def _is_cut_short(self, run: TableRun) -> bool:
        """Say whether rows are missing because the copy ends early, or because the whole family is copied again."""
        return self._stop.is_set or self._queue.is_over or run.must_repeat

    def _is_all_there(self, run: TableRun) -> bool:
        progress = self._store(self._connections.secondary).load_table(run.name)
        return progress is not None and bool(progress.ranges) and all(r.is_done for r in progress.ranges)

    def _check_servers(self, error: ReplicaError) -> None:
        """Raise an error that is no table's own: a server is away, or cannot write now.

        A server that answers and hangs up on the same rows again and again is of the table: something on the way may
        not pass its packets.
        """
        if isinstance(error, PrimaryError | SecondaryError):
            raise error
        if not isinstance(error, ServerError) or error.remedy is Remedy.RETRY or is_of_table(error):
            return
        if not error.is_connection_lost or error.errno in _AWAY:
            raise error
        self._connections.close()
        for session in (self._connections.primary, self._connections.secondary):
            session.row("SELECT 1")

    def _give_up(self, run: TableRun, error: ReplicaError) -> None:
        with run.lock:
            if run.failure is None:
                run.failure = error.message
                self._meter.fail()
        self._say(logging.ERROR, "%s: %s", run.name, error.message)

    def _say(self, level: int, message: str, *args: object) -> None:
        log(logger, level, Tag.of(level), message, *args, instance=self._plan.instance)

    def _store(self, session: Session) -> ProgressStore:
        return ProgressStore(session, self._plan.state_schema, self._plan.instance)
