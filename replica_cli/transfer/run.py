"""Run a copy, from its start position to the end position of its replay window."""

from __future__ import annotations

import logging
import math
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from replica_cli.checkpoint.positions import PositionStore
from replica_cli.checkpoint.progress import ProgressStore
from replica_cli.checkpoint.schema import create_state_schema
from replica_cli.checkpoint.table_lifecycle import TableLifecycle
from replica_cli.checkpoint.table_records import NewCopy
from replica_cli.core.errors import Interrupted, ReplicaError
from replica_cli.core.reports.transfer import TableAction
from replica_cli.core.status import CopyStep
from replica_cli.core.wording import counted
from replica_cli.logs import Tag, log
from replica_cli.mysql.binlog import current_position
from replica_cli.mysql.errnos import ServerError
from replica_cli.mysql.facts import read_facts
from replica_cli.mysql.snapshots import visible_position
from replica_cli.side_by_side import side_by_side
from replica_cli.transfer.cascade_groups import find_cascade_groups
from replica_cli.transfer.connections import ALL_SESSIONS, Connections, Endpoints
from replica_cli.transfer.errors import TablesRefused
from replica_cli.transfer.making import drop_scratch_tables, drop_table, find_refused, may_lose
from replica_cli.transfer.progress_tracker import ProgressTracker
from replica_cli.transfer.schema_changes import SchemaChanges, find_schema_changes, gone_since
from replica_cli.transfer.tables import TableRun, add_foreign_keys, close_tables
from replica_cli.transfer.together import TABLES_AT_ONCE, is_small
from replica_cli.transfer.waiting import LockWaits
from replica_cli.transfer.width import worker_count
from replica_cli.transfer.work import Task, WorkQueue
from replica_cli.transfer.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from replica_cli.checkpoint.table_records import TableRecord
    from replica_cli.core.position import Position
    from replica_cli.core.settings import Network, Retry, Server, TransferSettings
    from replica_cli.core.status import TransferProgress
    from replica_cli.core.table import TableName
    from replica_cli.mysql.facts import ServerFacts
    from replica_cli.mysql.session import Session
    from replica_cli.stop import StopToken
    from replica_cli.transfer.plan import CopyPlan

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
    report: Callable[[TransferProgress], None] | None = None,
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
        Fenced: another process copies too.
        ServerError: a server is lost outside of the work on one table.
        ReplicaError: any other error that is not caused by one table.
    """
    endpoints = Endpoints(primary, secondary, network, plan.packet_limit, guard or _allow_writing, ddl_lock_wait)
    tracker = ProgressTracker(plan, report=report, folder=progress_folder)
    runs = [TableRun(t) for t in plan.tables]
    # Progress is reported only after the position is saved, because a listener may rely on that. So these first waits
    # are not reported.
    first_waits = LockWaits(endpoints, lambda: stop.is_set)
    waits = replace(first_waits, report=lambda table, text: tracker.wait(str(table), text))
    with ExitStack() as stack:
        connections = stack.enter_context(Connections(endpoints))
        connections.open_all("primary", "secondary")
        primary_session, secondary_session = connections.primary, connections.secondary
        check_definitions = partial(_check_definitions, plan, runs, plan.instance, secondary_session, first_waits)
        facts, _ = side_by_side(lambda: read_facts(primary_session), check_definitions)
        count = worker_count(plan.settings, primary_session, secondary_session)
        is_far = count > plan.settings.workers
        worker_connections = [stack.enter_context(Connections(endpoints)) for _ in range(count)]
        with _opening_in_background(worker_connections if is_far and runs else ()):
            # The position is read before the rows: every change that a chunk may have missed is after it in the log.
            start, added = _begin(primary_session, secondary_session, facts, plan, runs, stop=stop, waits=first_waits)
        saved = (
            None if plan.starts_position else PositionStore(secondary_session, plan.state_schema, plan.instance).load()
        )
        connections.close()
        tracker.position = saved.position if saved else start
        _set_groups(plan, runs)
        error: BaseException | None = None
        stack.enter_context(tracker.ticking(stop))
        # Sequences first: a table whose default uses one can only be made after it.
        for is_sequence in (True, False):
            part = [r for r in runs if r.source.definition.is_sequence is is_sequence]
            queue = WorkQueue(stop, ahead=count // 2 if is_far else 0)
            workers = [
                Worker(plan, each, queue, tracker, facts=facts, retry=retry, stop=stop) for each in worker_connections
            ]
            if part and error is None:
                _put_tasks(queue, part, plan.settings, count)
                _run_workers(workers, plan.instance)
                error = queue.error
        if error is not None:
            raise error
        is_stopped = stop.is_set and not all(r.is_finished for r in runs)
        result = _finish(waits, plan, runs, tracker, start, is_stopped=is_stopped)
    return replace(result, is_complete=False, must_repeat=True) if added else result


@contextmanager
def _opening_in_background(connections: Sequence[Connections]) -> Iterator[None]:
    """Open the workers' connections while the context lasts; a worker retries a session that failed.

    This saves time on a long link.
    """
    with ThreadPoolExecutor(max(1, len(connections))) as pool:
        for each in connections:
            pool.submit(each.open_all, *ALL_SESSIONS)
        yield


def try_definitions(plan: CopyPlan, secondary: Server, network: Network, *, owner: str, stop: StopToken) -> None:
    """Raise TablesRefused if the secondary cannot make the tables that a plan would replace. Copy nothing.

    `owner` is part of the names of the scratch tables, so that two processes can try the same table.
    """
    runs = [TableRun(t) for t in plan.tables]
    endpoints = Endpoints(secondary, secondary, network, plan.packet_limit, _allow_writing)
    with endpoints.open_secondary() as session:
        _check_definitions(plan, runs, owner, session, LockWaits(endpoints, lambda: stop.is_set))


def _check_definitions(plan: CopyPlan, runs: list[TableRun], owner: str, secondary: Session, waits: LockWaits) -> None:
    """Raise TablesRefused if the secondary cannot make tables that the copy would replace."""
    drop_scratch_tables(secondary, {run.target.schema for run in runs}, owner)
    to_try = [run for run in runs if may_lose(run)]
    if not to_try:
        return
    log(
        logger, logging.INFO, Tag.TRANSFER, "checking that the secondary can make %s",
        counted(len(to_try), "table"), instance=plan.instance,
    )  # fmt: skip

    def find_refused_in(part: list[TableRun]) -> dict[TableName, str]:
        with waits.endpoints.open_secondary() as session:
            return find_refused(session, part, owner, waits)

    count = min(plan.settings.workers, len(to_try))
    with ThreadPoolExecutor(count) as pool:
        parts = list(pool.map(find_refused_in, (to_try[first::count] for first in range(count))))
    if refused := {name: reason for part in parts for name, reason in sorted(part.items())}:
        raise TablesRefused(refused, note="nothing was changed; change the secondary so that it can make them, or ")


def _run_workers(workers: Sequence[Worker], instance: str) -> None:
    """Run each worker in a thread of its own; return when the queue is over."""
    threads = [
        threading.Thread(target=worker.run, name=f"transfer-{instance}-{number}", daemon=True)
        for number, worker in enumerate(workers)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _begin(
    primary: Session,
    secondary: Session,
    facts: ServerFacts,
    plan: CopyPlan,
    runs: list[TableRun],
    *,
    stop: StopToken,
    waits: LockWaits,
) -> tuple[Position | None, frozenset[TableName]]:
    """Save the start of the copy: the position and the state of each table.

    Tables that were added or dropped while the copy was planned leave `runs`.

    Returns:
        The start position, None if no table is copied from its beginning, and the tables that another plan must copy.
    """

    def read_start() -> tuple[Position | None, SchemaChanges, frozenset[TableName]]:
        start = visible_position(primary, facts) if plan.starts_position or any(map(_copies_from_start, runs)) else None
        if plan.starts_position:
            return start, find_schema_changes(primary, plan, stop), frozenset()
        return start, SchemaChanges(), gone_since(primary, [run.name for run in runs if _copies_from_start(run)])

    (start, changes, gone), _ = side_by_side(read_start, partial(_make_schemas, secondary, plan))
    _apply_schema_changes(secondary, plan, runs, changes, waits)
    fresh = [run for run in runs if _copies_from_start(run)]
    tables = TableLifecycle(secondary, plan.state_schema, plan.instance)
    if not plan.starts_position:
        _keep_reasons(plan, runs, tables.load())
    progress = ProgressStore(secondary, plan.state_schema, plan.instance)
    secondary.begin()
    first_statements: list[bytes] = []
    if plan.starts_position and start is not None:
        positions = PositionStore(secondary, plan.state_schema, plan.instance)
        positions.make_room(plan.source_identity, plan.origin.selection)
        start_statement = positions.start_statement(start, plan.source_identity, plan.origin.selection)
        first_statements = [start_statement, tables.forget_all_statement(), progress.forget_all_statement()]
    for run in fresh:
        # A table that is read whole starts at the position of its own snapshot, which is opened later.
        run.start = None if run.reads_whole else start
        if run.name in gone:
            # It was dropped or renamed before the position, so no later event in the log says that. It must be planned
            # again.
            run.start, run.must_repeat = None, True
    copies = [NewCopy(name, "made while the copy was planned") for name in sorted(changes.added)]
    copies += [NewCopy(run.name, run.reason, run.start) for run in fresh]
    if not plan.starts_position:
        progress.forget(*(copy.name for copy in copies))
    tables.begin_copies(copies, first_statements)
    return start, changes.added


def _make_schemas(secondary: Session, plan: CopyPlan) -> None:
    create_state_schema(secondary, plan.state_schema)
    for answer in secondary.execute_ones(plan.schema_statements):
        if isinstance(answer, ServerError):
            raise answer


def _keep_reasons(plan: CopyPlan, runs: list[TableRun], records: Mapping[TableName, TableRecord]) -> None:
    """Take over from the state rows why tables are copied again: if the copy fails too, both reasons are reported.

    A table without a reason belongs to a first copy.
    """
    for run in runs:
        recorded = records[run.name].reason if run.name in records else ""
        run.reason = recorded or ("" if plan.is_full else "asked for by `transfer --table`")


def _allow_writing(session: Session) -> None:
    """Do nothing: the guard for callers that know that no other process writes."""


def _copies_from_start(run: TableRun) -> bool:
    """Return True if the table is copied from its beginning in this run."""
    return run.planned.action not in (TableAction.CONTINUE, TableAction.DONE)


def _apply_schema_changes(
    secondary: Session, plan: CopyPlan, runs: list[TableRun], changes: SchemaChanges, waits: LockWaits
) -> None:
    """Drop tables that the primary has dropped meanwhile, and remove them and the added ones from `runs`."""
    for name in sorted(changes.dropped):
        target = plan.origin.selection.target(name)
        if target is not None:
            # The log after the position does not have the DROP of this table.
            drop_table(secondary, name, target, waits)
    runs[:] = [run for run in runs if run.name not in changes.dropped | changes.added]


def _set_groups(plan: CopyPlan, runs: list[TableRun]) -> None:
    for names in plan.cascade_groups:
        group = tuple(r for r in runs if r.name in names)
        for run in group:
            run.group = group


def _reset_repeated(secondary: Session, plan: CopyPlan, runs: list[TableRun]) -> None:
    """Reset the state and progress of tables that must be copied again."""
    tables = TableLifecycle(secondary, plan.state_schema, plan.instance)
    progress = ProgressStore(secondary, plan.state_schema, plan.instance)
    secondary.begin()
    repeated = [run for run in runs if run.must_repeat]
    for run in repeated:
        run.is_finished, run.failure = False, None
    progress.forget(*(run.name for run in repeated))
    altered = "altered while it was copied"
    tables.begin_copies([NewCopy(run.name, run.reason or altered) for run in repeated])


def _check_cascade_logging(plan: CopyPlan, runs: list[TableRun], facts: ServerFacts) -> None:
    """Let cascade groups be copied again if the primary was restarted meanwhile and does not log cascades any more.

    Their tables were read at several moments, and the log of the replay window may lack what a cascade changed.
    """
    if not plan.origin.cascades_are_logged or facts.logs_cascades:
        return
    tied = {name for names in find_cascade_groups({r.name: r.source.definition for r in runs}) for name in names}
    for run in runs:
        run.must_repeat = run.must_repeat or run.name in tied
    if tied:
        log(
            logger, logging.WARNING, Tag.WARN,
            "the primary was restarted and logs no cascades now: the tables that they connect are copied again",
            instance=plan.instance,
        )  # fmt: skip


def _put_tasks(queue: WorkQueue, runs: list[TableRun], settings: TransferSettings, workers: int) -> None:
    """Put a task for each table, or for each of its ranges, into the queue."""
    small = [run for run in runs if is_small(run, settings)]
    # Small tables are copied in groups. If there are few of them, there are as many groups as workers.
    count = min(TABLES_AT_ONCE, math.ceil(len(small) / workers))
    for first in range(0, len(small), count or 1):
        run, *others = small[first : first + count]
        queue.put(Task(run, others=tuple(others)))
    rest = set(runs).difference(small)
    for run in runs:
        if run.must_repeat or run not in rest:
            continue
        match run.planned.action:
            case TableAction.DONE:
                # All rows are copied, but indexes may be missing.
                queue.put(Task(run))
            case TableAction.CONTINUE:
                run.open_ranges = run.planned.ranges
                queue.put(*(Task(run, number) for number in range(1, run.planned.ranges + 1)))
            case _ if run is run.group[0]:
                # A cascade group is one task: its tables are read one after the other in one snapshot.
                queue.put(Task(run))


def _add_foreign_keys_of(secondary: Session, run: TableRun, tracker: ProgressTracker, waits: LockWaits) -> None:
    """Add a table's foreign keys.

    If the secondary refuses them, the table has failed. If a stop interrupts this, the table is not finished.
    """
    if not run.source.statements.foreign_keys:
        return
    tracker.begin(str(run.name), CopyStep.FOREIGN_KEYS)
    try:
        waits.run(secondary, run.name, lambda: add_foreign_keys(secondary, run))
    except Interrupted:
        run.is_finished = False
    except ReplicaError as error:
        run.failure, run.is_finished = error.message, False
    else:
        tracker.finish(str(run.name))


def _finish(
    waits: LockWaits,
    plan: CopyPlan,
    runs: list[TableRun],
    tracker: ProgressTracker,
    start: Position | None,
    *,
    is_stopped: bool,
) -> CopyResult:
    """Add foreign keys, save the end of the replay window of each finished table, and return the result."""
    finished = [r for r in runs if r.is_finished]
    end = None
    if not is_stopped:
        with Connections(waits.endpoints) as connections:
            connections.open_all("primary", "secondary")
            primary, secondary = connections.primary, connections.secondary
            facts = read_facts(primary)
            _check_cascade_logging(plan, runs, facts)
            if any(r.must_repeat for r in runs):
                _reset_repeated(secondary, plan, runs)
                finished = [r for r in runs if r.is_finished]
            for run in finished:
                _add_foreign_keys_of(secondary, run, tracker, waits)
            finished = [r for r in finished if r.is_finished]
            # The end position is read after the last row: every transaction that a chunk may have seen is before it in
            # the log.
            store = PositionStore(secondary, plan.state_schema, plan.instance)
            end, saved = side_by_side(lambda: current_position(primary, facts), store.load)
            counts = {r.name: tracker.rows(str(r.name)) for r in finished}
            close_tables(secondary, plan, finished, end=end, saved=saved, row_counts=counts)
    errors = tuple((str(r.name), r.failure) for r in runs if r.failure is not None)
    return CopyResult(
        rows=tracker.rows_copied,
        tables=len(finished),
        milliseconds=int(tracker.elapsed_seconds * 1000),
        errors=errors,
        is_complete=not is_stopped and len(finished) == len(runs),
        must_repeat=any(r.must_repeat for r in runs),
        start=start,
        end=end,
    )
