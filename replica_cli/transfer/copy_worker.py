"""Run one copy worker: it begins tables, copies ranges, and handles the errors of both servers."""

from __future__ import annotations

import logging
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from replica_cli.checkpoint.progress import ProgressStore, RangeProgress
from replica_cli.core.attempts import COPY_RESTARTS_LIMIT
from replica_cli.core.errors import Interrupted, LockHeld, PrimaryError, ReplicaError, SecondaryError
from replica_cli.core.reports.transfer import TableAction
from replica_cli.core.status import CopyStep
from replica_cli.error_policy import ChunkHistory, Limits, Stop, copy_action_for
from replica_cli.logs import Tag, log
from replica_cli.mysql.binlog.log_state import current_position
from replica_cli.mysql.binlog.snapshots import lock_tables, table_snapshot, visible_position
from replica_cli.mysql.errnos import (
    Remedy,
    ServerError,
    is_of_table,
)
from replica_cli.retry import delay_after, repeating
from replica_cli.transfer.errors import OtherModeNeeded, TableAltered
from replica_cli.transfer.lock_waits import LockWaits
from replica_cli.transfer.make_tables import add_deferred_keys, make_table
from replica_cli.transfer.planning.copy_definition import current_fingerprint, reread_definition
from replica_cli.transfer.planning.schema_changes import gone_since
from replica_cli.transfer.replay_window import begin_table
from replica_cli.transfer.rows.ranges import split
from replica_cli.transfer.rows.reading import noticing_ddl
from replica_cli.transfer.rows.row_copier import RowCopier
from replica_cli.transfer.rows.small_tables import SmallTables
from replica_cli.transfer.scratch_tables import try_if_needed
from replica_cli.transfer.work_queue import Task

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from replica_cli.core.position import Position
    from replica_cli.core.settings import Retry
    from replica_cli.core.table import TableName
    from replica_cli.mysql.facts import ServerFacts
    from replica_cli.mysql.session import Session
    from replica_cli.stop import StopToken
    from replica_cli.transfer.connections import Connections
    from replica_cli.transfer.planning.plan import CopyPlan
    from replica_cli.transfer.progress_tracker import ProgressTracker
    from replica_cli.transfer.table_copy import TableCopy
    from replica_cli.transfer.work_queue import WorkQueue

logger = logging.getLogger(__name__)


class CopyWorker:
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
        self._rows = RowCopier(plan, connections, tracker, facts=facts, stop=stop, is_over=lambda: queue.is_over)
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
        table = task.table
        is_copied = table.planned.action is TableAction.DONE
        group = (table,) if is_copied else table.group
        try:
            self._with_retries(lambda: self._carry_out(task))
        except TableAltered as error:
            self._log(logging.INFO, "%s: %s", table.name, error.message)
            for member in group:
                member.note_altered()
        except (LockHeld, Interrupted):
            raise
        except ReplicaError as error:
            self._check_servers(error)
            for member in group:
                self._give_up(member, error)
        if not is_copied and (task.range_number or table.reads_whole or table.is_altered):
            for member in group:
                self._finish_part(member, was_range=bool(task.range_number))

    def _do_together(self, task: Task) -> None:
        copies = (task.table, *task.others)
        filled: tuple[TableCopy, ...] = ()
        try:
            filled = SmallTables(self._plan, self._connections, self._waits, self._tracker).copy(copies)
        except (LockHeld, Interrupted):
            raise
        except ReplicaError as error:
            # Copying each table alone shows which table is wrong, and why.
            self._connections.close()
            self._log(logging.INFO, "%d small tables are copied one by one, after: %s", len(copies), error.message)
        rest = [table for table in copies if not table.is_finished]
        for table in rest:
            if table in filled:
                self._finish_part(table, was_range=False)
            else:
                self._tracker.start_over(str(table.name))
                self._queue.put(Task(table))

    def _carry_out(self, task: Task) -> None:
        table = task.table
        if table.planned.action is TableAction.DONE:
            self._complete(table)
        elif task.range_number:
            self._rows.copy_range(table, task.range_number)
        elif table.reads_whole:
            self._copy_whole(table.group)
        else:
            self._begin(table)

    def _with_retries(self, work: Callable[[], None]) -> None:
        """Do the work; repeat it after an error that may go away."""
        history = ChunkHistory()
        limits = Limits(self._retry.reconnect_attempts, 0, self._retry.attempts)
        commits = self._rows.commits

        def attempt() -> None:
            nonlocal commits
            commits = self._rows.commits
            self._connections.open_all()
            work()

        def on_error(error: Exception) -> float:
            nonlocal history
            if not isinstance(error, OtherModeNeeded | ServerError):
                raise error
            # The connections are given up: an open transaction is rolled back with its connection, and the reading
            # session was cut, so the chunk is read again. The progress row says what was committed.
            self._connections.close()
            if isinstance(error, OtherModeNeeded):
                self._log(logging.INFO, "%s", error.message)
                return 0.0
            history = history.with_error(error, has_committed=self._rows.commits > commits)
            if isinstance(copy_action_for(error, history, limits), Stop):
                raise error
            self._log(logging.WARNING, "trying again after: %s", error.message)
            return delay_after(history.attempts, self._retry)

        repeating(on_error, self._stop.wait)(attempt)

    def _begin(self, table: TableCopy) -> None:
        secondary = self._connections.secondary
        self._make(table)
        with noticing_ddl():
            ranges = split(self._connections.reader, table, self._plan)
        begin_table(secondary, self._plan, table, ranges)
        self._tracker.begin(str(table.name), CopyStep.ROWS)
        table.begin_ranges(ranges)
        self._queue.put(*(Task(table, r.number) for r in ranges))

    def _make(self, table: TableCopy) -> None:
        secondary = self._connections.secondary
        self._tracker.begin(str(table.name), CopyStep.PREPARING)

        def make() -> None:
            # The guard is called again after each wait for a lock: another process may write by now.
            self._connections.endpoints.guard(secondary)
            # Progress is deleted before the rows: a kill between the two must not leave ranges that look done.
            if table.has_progress:
                self._store(secondary).forget(table.name)
            try_if_needed(secondary, table, self._plan.instance)
            make_table(secondary, table)

        self._waits.run(secondary, table.name, make)

    def _copy_whole(self, group: tuple[TableCopy, ...]) -> None:
        if group[0].definition.needs_lock:
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
                    for table in group:
                        self._fill_whole(table, reader, position)
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

    def _snapshot(self, group: tuple[TableCopy, ...], reader: Session) -> AbstractContextManager[Position]:
        """Return the context in which the rows of the tables do not change for the reader."""
        if group[0].definition.needs_lock:
            return locked_table(reader, self._facts, group[0].name, self._stop)
        return table_snapshot(
            reader, self._connections.primary, self._facts, [table.name for table in group], self._stop
        )

    def _fill_whole(self, table: TableCopy, reader: Session, position: Position) -> None:
        self._check_definition(table)
        table.start_at(position)
        if not table.definition.needs_lock:
            self._make(table)
        begin_table(self._connections.secondary, self._plan, table, (RangeProgress(1),))
        self._tracker.start_over(str(table.name))
        self._tracker.begin(str(table.name), CopyStep.ROWS)
        reader.execute("SET NAMES binary")
        self._rows.copy_whole(table, reader)

    def _check_definition(self, table: TableCopy) -> None:
        if self._rows.was_altered(table):
            raise TableAltered(f"{table.name}: the table was altered on the primary")

    def _finish_part(self, table: TableCopy, *, was_range: bool) -> None:
        """Record that a range, or the whole work on a table, has ended; finish the table after its last range."""
        if not table.end_part(was_range=was_range):
            return
        try:
            self._with_retries(lambda: self._finish_table(table))
        except (LockHeld, Interrupted):
            raise
        except ReplicaError as error:
            self._check_servers(error)
            self._give_up(table, error)

    def _finish_table(self, table: TableCopy) -> None:
        if table.is_altered:
            self._restart(table)
            return
        if not self._has_all_rows(table):
            if not self._ends_early(table):
                self._restart(table)
            return
        self._tracker.begin(str(table.name), CopyStep.CHECKING)
        fingerprint = current_fingerprint(self._connections.primary, self._plan.origin, table.name)
        # A table that is gone does not begin again: its DROP or RENAME is in the log after `start`.
        if fingerprint not in (None, table.definition.fingerprint):
            self._restart(table)
            return
        self._store(self._connections.secondary).verify(table.name)
        self._complete(table)

    def _complete(self, table: TableCopy) -> None:
        """Build the missing indexes of a table whose rows are all copied.

        That may take long. A resume does not copy the rows again.
        """
        add_deferred_keys(
            self._connections, table, self._waits,
            on_begin=lambda: self._tracker.begin(str(table.name), CopyStep.INDEXES),
        )  # fmt: skip
        table.finish()
        self._tracker.finish(str(table.name))

    def _restart(self, table: TableCopy) -> None:
        # The definition is read before the position: a DDL statement between them shows as another fingerprint at the
        # end.
        definition = reread_definition(self._connections.primary, self._plan.origin, table.name)
        if definition is None:
            if table.start is None:
                # The position from which its events count is not known. Another run looks if the table exists again.
                table.repeat_later()
            else:
                # It existed when `start` was read, so the log after `start` says what became of it.
                table.finish()
            return
        if len(table.group) > 1:
            # The other tables of its group are of another moment. All of them begin again, together.
            for member in table.group:
                member.repeat_later()
            return
        restarts = table.count_restart()
        if restarts > COPY_RESTARTS_LIMIT:
            raise TableAltered(
                f"{table.name}: altered {restarts} times while it was copied", hint="copy it when its DDL is over"
            )
        self._log(logging.INFO, "%s: its copy begins again, as the table was altered on the primary", table.name)
        table.start_at(visible_position(self._connections.primary, self._facts, self._stop))
        if gone_since(self._connections.primary, [table.name]):
            # It may have gone before the position, and then no later event in the log says that. It must be planned
            # again.
            table.repeat_later()
            return
        table.begin_again(definition)
        self._tracker.start_over(str(table.name))
        self._queue.put(Task(table))

    def _ends_early(self, table: TableCopy) -> bool:
        """Return True if rows are missing because the copy ends early or because the whole group is copied again."""
        return self._stop.is_set or self._queue.is_over or table.must_repeat

    def _has_all_rows(self, table: TableCopy) -> bool:
        """Return True if all ranges of the table are done."""
        progress = self._store(self._connections.secondary).load_table(table.name)
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

    def _give_up(self, table: TableCopy, error: ReplicaError) -> None:
        if table.give_up(error.message):
            self._tracker.fail()
        self._log(logging.ERROR, "%s: %s", table.name, error.message)

    def _log(self, level: int, message: str, *args: object) -> None:
        log(logger, level, Tag.of(level), message, *args, instance=self._plan.instance)

    def _store(self, session: Session) -> ProgressStore:
        return ProgressStore(session, self._plan.state_schema, self._plan.instance)


@contextmanager
def locked_table(reader: Session, facts: ServerFacts, name: TableName, stop: StopToken) -> Iterator[Position]:
    """Hold the table's read lock while the context lasts, because its engine has no snapshots."""
    lock_tables(reader, [name], stop)
    try:
        yield current_position(reader, facts, stop)
    finally:
        reader.execute("UNLOCK TABLES")
