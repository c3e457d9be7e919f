"""Run a copy, from its start position to the end position of its replay window."""

from __future__ import annotations

import logging
import math
import threading
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from replica_cli.checkpoint.positions import PositionStore
from replica_cli.core.errors import Interrupted, ReplicaError
from replica_cli.core.reports.transfer import TableAction
from replica_cli.core.status import CopyStep
from replica_cli.logs import Tag, log
from replica_cli.mysql.binlog.log_state import current_position
from replica_cli.mysql.facts import read_facts
from replica_cli.side_by_side import in_threads, side_by_side
from replica_cli.transfer.connections import ALL_SESSIONS, Connections, Endpoints, allow_writing
from replica_cli.transfer.copy_worker import CopyWorker
from replica_cli.transfer.lock_waits import LockWaits
from replica_cli.transfer.make_tables import add_foreign_keys
from replica_cli.transfer.planning.cascade_groups import find_cascade_groups
from replica_cli.transfer.progress_tracker import ProgressTracker
from replica_cli.transfer.replay_window import begin_copy, close_tables, reset_repeated
from replica_cli.transfer.rows.small_tables import TABLES_AT_ONCE, is_small
from replica_cli.transfer.scratch_tables import check_definitions
from replica_cli.transfer.table_copy import TableCopy
from replica_cli.transfer.work_queue import Task, WorkQueue, worker_count

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from replica_cli.core.position import Position
    from replica_cli.core.settings import Network, Retry, Server, TransferSettings
    from replica_cli.core.status import CopyProgress
    from replica_cli.mysql.facts import ServerFacts
    from replica_cli.mysql.session import Session
    from replica_cli.stop import StopToken
    from replica_cli.transfer.planning.plan import CopyPlan

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CopyResult:
    """What was copied.

    Attributes:
        rows: the number of rows that this run copied.
        errors: pairs of table and message, one for each table that failed.
        is_complete: every planned table is copied and has its replay window.
        must_repeat: tables were altered or added and must be copied by another run: resume.
        start: the start position of this run. A table that began again has a later start of its own.
        end: the end position of this run.
    """

    rows: int
    tables: int
    milliseconds: int
    errors: tuple[tuple[str, str], ...]
    is_complete: bool
    must_repeat: bool = False
    start: Position | None = None
    end: Position | None = None


def run_copy(
    plan: CopyPlan,
    *,
    primary: Server,
    secondary: Server,
    network: Network,
    retry: Retry,
    stop: StopToken,
    report: Callable[[CopyProgress], None] | None = None,
    progress_folder: Path | None = None,
    guard: Callable[[Session], None] | None = None,
    ddl_lock_wait: float = 3600.0,
) -> CopyResult:
    """Copy what the plan says. A stop is heard between chunks: progress is kept, and the result is not complete.

    A table that fails is listed in the result, and the others go on.

    `guard` is called with each new session to the secondary that writes, and before tables are dropped: it raises if
    another process may write by now. `ddl_lock_wait` is how many seconds a statement may wait for a table lock, 0 for
    no limit.

    Raises:
        TablesRefused: the secondary cannot make a table that the copy would replace. Nothing was changed.
        PlanChanged, TablesOccupied: see `begin_copy`. Nothing was changed.
        Fenced: another process copies too.
        ServerError: a server is lost outside of the work on one table.
        ReplicaError: any other error that is not caused by one table.
    """
    endpoints = Endpoints(primary, secondary, network, plan.packet_limit, guard or allow_writing, ddl_lock_wait)
    tracker = ProgressTracker(plan, report=report, folder=progress_folder)
    copies = [TableCopy(t) for t in plan.tables]
    # Progress is reported only after the position is saved, because a listener may rely on that. So these first waits
    # are not reported.
    first_waits = LockWaits(endpoints, lambda: stop.is_set)
    waits = replace(first_waits, report=lambda table, text: tracker.wait(str(table), text))
    with ExitStack() as stack:
        connections = stack.enter_context(Connections(endpoints))
        connections.open_all("primary", "secondary")
        primary_session, secondary_session = connections.primary, connections.secondary
        try_tables = partial(check_definitions, plan, copies, plan.instance, secondary_session, first_waits)
        facts, _ = side_by_side(lambda: read_facts(primary_session), try_tables)
        count = worker_count(plan.settings, primary_session, secondary_session)
        is_far = count > plan.settings.workers
        worker_connections = [stack.enter_context(Connections(endpoints)) for _ in range(count)]
        with _opening_in_background(worker_connections if is_far and copies else ()):
            # The position is read before the rows: every change that a chunk may have missed is after it in the log.
            start, added = begin_copy(
                primary_session, secondary_session, facts, plan, copies, stop=stop, waits=first_waits
            )
        saved = (
            None if plan.starts_position else PositionStore(secondary_session, plan.state_schema, plan.instance).load()
        )
        connections.close()
        tracker.position = saved.position if saved else start
        _set_groups(plan, copies)
        error: BaseException | None = None
        stack.enter_context(tracker.ticking(stop))
        # Sequences first: a table whose default uses one can only be made after it.
        for is_sequence in (True, False):
            part = [r for r in copies if r.definition.primary.is_sequence is is_sequence]
            queue = WorkQueue(stop, ahead=count // 2 if is_far else 0)
            workers = [
                CopyWorker(plan, each, queue, tracker, facts=facts, retry=retry, stop=stop)
                for each in worker_connections
            ]
            if part and error is None:
                _put_tasks(queue, part, plan.settings, count)
                _run_workers(workers, plan.instance)
                error = queue.error
        if error is not None:
            raise error
        is_stopped = stop.is_set and not all(r.is_finished for r in copies)
        result = _finish(waits, plan, copies, tracker, start, is_stopped=is_stopped)
    return replace(result, is_complete=False, must_repeat=True) if added else result


@contextmanager
def _opening_in_background(connections: Sequence[Connections]) -> Iterator[None]:
    """Open the workers' connections while the context lasts; a worker retries a session that failed.

    This saves time on a long link.
    """
    with in_threads(partial(each.open_all, *ALL_SESSIONS) for each in connections):
        yield


def _run_workers(workers: Sequence[CopyWorker], instance: str) -> None:
    """Run each worker in a thread of its own; return when the queue is over."""
    threads = [
        threading.Thread(target=worker.run, name=f"transfer-{instance}-{number}", daemon=True)
        for number, worker in enumerate(workers)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _set_groups(plan: CopyPlan, copies: list[TableCopy]) -> None:
    for names in plan.cascade_groups:
        TableCopy.join(table for table in copies if table.name in names)


def _check_cascade_logging(plan: CopyPlan, copies: list[TableCopy], facts: ServerFacts) -> None:
    """Let cascade groups be copied again if the primary was restarted meanwhile and does not log cascades any more.

    Their tables were read at several moments, and the log of the replay window may lack what a cascade changed.
    """
    if not plan.origin.cascades_are_logged or facts.logs_cascades:
        return
    tied = {name for names in find_cascade_groups({r.name: r.definition.primary for r in copies}) for name in names}
    for table in copies:
        if table.name in tied:
            table.repeat_later()
    if tied:
        log(
            logger, logging.WARNING, Tag.WARN,
            "the primary was restarted and logs no cascades now: the tables that they connect are copied again",
            instance=plan.instance,
        )  # fmt: skip


def _put_tasks(queue: WorkQueue, copies: list[TableCopy], settings: TransferSettings, workers: int) -> None:
    """Put a task for each table, or for each of its ranges, into the queue."""
    small = [table for table in copies if is_small(table, settings)]
    # Small tables are copied in groups. If there are few of them, there are as many groups as workers.
    count = min(TABLES_AT_ONCE, math.ceil(len(small) / workers))
    for first in range(0, len(small), count or 1):
        table, *others = small[first : first + count]
        queue.put(Task(table, others=tuple(others)))
    rest = set(copies).difference(small)
    for table in copies:
        if table.must_repeat or table not in rest:
            continue
        match table.planned.action:
            case TableAction.DONE:
                # All rows are copied, but indexes may be missing.
                queue.put(Task(table))
            case TableAction.CONTINUE:
                table.open_ranges(table.planned.ranges)
                queue.put(*(Task(table, number) for number in range(1, table.planned.ranges + 1)))
            case _ if table is table.group[0]:
                # A cascade group is one task: its tables are read one after the other in one snapshot.
                queue.put(Task(table))


def _add_foreign_keys_of(secondary: Session, table: TableCopy, tracker: ProgressTracker, waits: LockWaits) -> None:
    """Add a table's foreign keys.

    If the secondary refuses them, the table has failed. If a stop interrupts this, the table is not finished.
    """
    if not table.definition.statements.foreign_keys:
        return
    tracker.begin(str(table.name), CopyStep.FOREIGN_KEYS)
    try:
        waits.run(secondary, table.name, lambda: add_foreign_keys(secondary, table))
    except Interrupted:
        table.leave_open()
    except ReplicaError as error:
        table.give_up(error.message)
    else:
        tracker.finish(str(table.name))


def _finish(
    waits: LockWaits,
    plan: CopyPlan,
    copies: list[TableCopy],
    tracker: ProgressTracker,
    start: Position | None,
    *,
    is_stopped: bool,
) -> CopyResult:
    """Add foreign keys, save the end of the replay window of each finished table, and return the result."""
    finished = [r for r in copies if r.is_finished]
    end = None
    if not is_stopped:
        with Connections(waits.endpoints) as connections:
            connections.open_all("primary", "secondary")
            primary, secondary = connections.primary, connections.secondary
            facts = read_facts(primary)
            _check_cascade_logging(plan, copies, facts)
            if any(r.must_repeat for r in copies):
                reset_repeated(secondary, plan, copies)
                finished = [r for r in copies if r.is_finished]
            for table in finished:
                _add_foreign_keys_of(secondary, table, tracker, waits)
            finished = [r for r in finished if r.is_finished]
            # The end position is read after the last row: every transaction that a chunk may have seen is before it in
            # the log.
            store = PositionStore(secondary, plan.state_schema, plan.instance)
            end, saved = side_by_side(lambda: current_position(primary, facts), store.load)
            counts = {r.name: tracker.rows(str(r.name)) for r in finished}
            # To add foreign keys may take long. Another process that writes by now may copy these tables again.
            waits.endpoints.guard(secondary)
            close_tables(secondary, plan, finished, end=end, saved=saved, row_counts=counts)
    errors = tuple((str(r.name), r.failure) for r in copies if r.failure is not None)
    return CopyResult(
        rows=tracker.rows_copied,
        tables=len(finished),
        milliseconds=int(tracker.elapsed_seconds * 1000),
        errors=errors,
        is_complete=not is_stopped and len(finished) == len(copies),
        must_repeat=any(r.must_repeat for r in copies),
        start=start,
        end=end,
    )
