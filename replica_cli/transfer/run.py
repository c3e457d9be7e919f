"""The first copy from its position to the end of its replay window."""

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
from replica_cli.checkpoint.tables import TableRecord, TableStore
from replica_cli.core.errors import Interrupted, ReplicaError
from replica_cli.core.reports.transfer import TableAction
from replica_cli.core.status import CopyStep, TableState
from replica_cli.core.wording import counted
from replica_cli.logs import Tag, log
from replica_cli.mysql.binlog import current_position
from replica_cli.mysql.errnos import ServerError
from replica_cli.mysql.facts import read_facts
from replica_cli.mysql.snapshots import visible_position
from replica_cli.side_by_side import side_by_side
from replica_cli.transfer.ends import EVERY, Connections, Ends
from replica_cli.transfer.errors import TablesRefused
from replica_cli.transfer.family import families
from replica_cli.transfer.late import SinceThePlan, gone_since, since_the_plan
from replica_cli.transfer.making import drop_scratch_tables, drop_table, find_refused, may_lose
from replica_cli.transfer.meter import Meter
from replica_cli.transfer.tables import TableRun, add_foreign_keys, close_tables
from replica_cli.transfer.together import TABLES_AT_ONCE, is_small
from replica_cli.transfer.waiting import LockWaits
from replica_cli.transfer.width import worker_count
from replica_cli.transfer.work import Task, WorkQueue
from replica_cli.transfer.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

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
    """What was copied. `errors` are (table, message) pairs; `is_complete`: every planned table has its window.

    `start` and `end` are the positions of this run; a table that began again has a later start of its own.
    `must_repeat`: a table was altered and is to be copied again with its relatives: resume.
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
    """Do what the plan says. A stop is heard between chunks: progress is kept and the result is not complete.

    `guard` is asked on each new connection to the secondary, and before a table is dropped: it raises where another
    process may write by now. A table that fails is listed and the others go on. `ddl_lock_wait`: the seconds that a
    statement may wait for the lock of a table, 0 for ever.
    Raises TablesRefused, with nothing changed, if the secondary cannot make a table that the copy would replace; Fenced
    where another process copies too, ServerError where a server is lost outside of a table's work, and whatever no
    table is to blame for.
    """
    ends = Ends(primary, secondary, network, plan.packet_limit, guard or _trust, ddl_lock_wait)
    meter = Meter(plan, report=report, folder=progress_folder)
    runs = [TableRun(t) for t in plan.tables]
    # Progress is told once the position is saved: a listener may rely on that.
    first_waits = LockWaits(ends, lambda: stop.is_set)
    waits = replace(first_waits, tell=lambda table, text: meter.wait(str(table), text))
    with ExitStack() as opened:
        connections = opened.enter_context(Connections(ends))
        connections.open_all("primary", "secondary")
        source, target = connections.primary, connections.secondary
        refuse = partial(_refuse, plan, runs, plan.instance, target, first_waits)
        facts, _ = side_by_side(lambda: read_facts(source), refuse)
        count = worker_count(plan.settings, source, target)
        is_far = count > plan.settings.workers
        theirs = [opened.enter_context(Connections(ends)) for _ in range(count)]
        with _opened_meanwhile(theirs if is_far and runs else ()):
            # Position first, rows second: every change that a chunk may have missed is behind it in the log.
            start, late = _begin(source, target, facts, plan, runs, stop=stop, waits=first_waits)
        saved = None if plan.starts_position else PositionStore(target, plan.state_schema, plan.instance).load()
        connections.close()
        meter.position = saved.position if saved else start
        _group(plan, runs)
        error: BaseException | None = None
        opened.enter_context(meter.ticking(stop))
        # Sequences first: a table whose default uses one can be made only after it.
        for is_sequence in (True, False):
            portion = [r for r in runs if r.source.definition.is_sequence is is_sequence]
            queue = WorkQueue(stop, ahead=count // 2 if is_far else 0)
            workers = [Worker(plan, each, queue, meter, facts=facts, retry=retry, stop=stop) for each in theirs]
            if portion and error is None:
                _put_tasks(queue, portion, plan.settings, count)
                _work_off(workers, plan.instance)
                error = queue.error
        if error is not None:
            raise error
        is_stopped = stop.is_set and not all(r.is_finished for r in runs)
        result = _finish(waits, plan, runs, meter, start, is_stopped=is_stopped)
    return replace(result, is_complete=False, must_repeat=True) if late else result


@contextmanager
def _opened_meanwhile(connections: Sequence[Connections]) -> Iterator[None]:
    """Open the workers' connections over a long link while the context lasts; a worker tries again what failed."""
    with ThreadPoolExecutor(max(1, len(connections))) as pool:
        for each in connections:
            pool.submit(each.open_all, *EVERY)
        yield


def try_definitions(plan: CopyPlan, secondary: Server, network: Network, *, owner: str, stop: StopToken) -> None:
    """Raise TablesRefused if the secondary cannot make the tables of a plan that it would replace; copies nothing.

    `owner` is part of the scratch tables' names, so that two processes can try the same table out.
    """
    runs = [TableRun(t) for t in plan.tables]
    ends = Ends(secondary, secondary, network, plan.packet_limit, _trust)
    with ends.open_secondary() as target:
        _refuse(plan, runs, owner, target, LockWaits(ends, lambda: stop.is_set))


def _refuse(plan: CopyPlan, runs: list[TableRun], owner: str, target: Session, waits: LockWaits) -> None:
    """Raise TablesRefused if the secondary cannot make tables that the copy would replace."""
    drop_scratch_tables(target, {run.target.schema for run in runs}, owner)
    tried = [run for run in runs if may_lose(run)]
    if not tried:
        return
    log(
        logger, logging.INFO, Tag.TRANSFER, "trying on the secondary how %s will be made",
        counted(len(tried), "table"), instance=plan.instance,
    )  # fmt: skip

    def find(part: list[TableRun]) -> dict[TableName, str]:
        with waits.ends.open_secondary() as session:
            return find_refused(session, part, owner, waits)

    count = min(plan.settings.workers, len(tried))
    with ThreadPoolExecutor(count) as pool:
        parts = list(pool.map(find, (tried[first::count] for first in range(count))))
    if refused := {name: reason for part in parts for name, reason in sorted(part.items())}:
        raise TablesRefused(
            refused, note="nothing was changed; let the secondary make them as the primary has them, or "
        )


def _work_off(workers: Sequence[Worker], instance: str) -> None:
    """Let the workers work until their queue is over."""
    threads = [
        threading.Thread(target=worker.run, name=f"transfer-{instance}-{number}", daemon=True)
        for number, worker in enumerate(workers)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _begin(
    source: Session,
    target: Session,
    facts: ServerFacts,
    plan: CopyPlan,
    runs: list[TableRun],
    *,
    stop: StopToken,
    waits: LockWaits,
) -> tuple[Position | None, frozenset[TableName]]:
    """Return the position, and the tables that have to be copied by another plan; those that are gone leave `runs`."""

    def look() -> tuple[Position | None, SinceThePlan, frozenset[TableName]]:
        start = visible_position(source, facts) if plan.starts_position or any(map(_is_fresh, runs)) else None
        if plan.starts_position:
            return start, since_the_plan(source, plan, stop), frozenset()
        return start, SinceThePlan(), gone_since(source, [run.name for run in runs if _is_fresh(run)])

    (start, since, gone), _ = side_by_side(look, partial(_make_schemas, target, plan))
    _leave_out(target, plan, runs, since, waits)
    fresh = [run for run in runs if _is_fresh(run)]
    tables = TableStore(target, plan.state_schema, plan.instance)
    if not plan.starts_position:
        _keep_reasons(plan, runs, tables.load())
    progress = ProgressStore(target, plan.state_schema, plan.instance)
    target.begin()
    first: list[bytes] = []
    if plan.starts_position and start is not None:
        positions = PositionStore(target, plan.state_schema, plan.instance)
        positions.make_room(plan.source_identity, plan.origin.selection)
        begin = positions.start_statement(start, plan.source_identity, plan.origin.selection)
        first = [begin, tables.forget_all_statement(), progress.forget_all_statement()]
    late = [TableRecord(n, TableState.PENDING, reason="made while the copy was planned") for n in sorted(since.late)]
    for run in fresh:
        # A table copied whole starts at its own snapshot, which is still to come.
        run.start = None if run.reads_whole else start
        if run.name in gone:
            # It was dropped or renamed before the position, so no later event of the log says so: it is planned again.
            run.start, run.must_repeat = None, True
    states = (TableState.COPYING if run.start else TableState.PENDING for run in fresh)
    records = [
        *late,
        *(TableRecord(run.name, state, run.start, reason=run.reason) for run, state in zip(fresh, states, strict=True)),
    ]
    if not plan.starts_position:
        progress.forget(*(record.name for record in records))
    tables.save_and_commit(records, first)
    return start, since.late


def _make_schemas(target: Session, plan: CopyPlan) -> None:
    create_state_schema(target, plan.state_schema)
    for answer in target.execute_ones(plan.schema_statements):
        if isinstance(answer, ServerError):
            raise answer


def _keep_reasons(plan: CopyPlan, runs: list[TableRun], records: Mapping[TableName, TableRecord]) -> None:
    """Take over why tables are copied again: if the copy fails as well, both reasons are told.

    A table without a reason belongs to a first copy.
    """
    for run in runs:
        known = records[run.name].reason if run.name in records else ""
        run.reason = known or ("" if plan.is_full else "asked for by `transfer --table`")


def _trust(session: Session) -> None:
    """Let everything pass: nobody else writes."""


def _is_fresh(run: TableRun) -> bool:
    return run.planned.action not in (TableAction.CONTINUE, TableAction.DONE)


def _leave_out(target: Session, plan: CopyPlan, runs: list[TableRun], since: SinceThePlan, waits: LockWaits) -> None:
    for name in sorted(since.gone):
        there = plan.origin.selection.target(name)
        if there is not None:
            # No DROP of it is in the log behind the position.
            drop_table(target, name, there, waits)
    runs[:] = [run for run in runs if run.name not in since.gone | since.late]


def _group(plan: CopyPlan, runs: list[TableRun]) -> None:
    for names in plan.families:
        group = tuple(r for r in runs if r.name in names)
        for run in group:
            run.group = group


def _repeat(target: Session, plan: CopyPlan, runs: list[TableRun]) -> None:
    """Put altered families back to the beginning."""
    tables = TableStore(target, plan.state_schema, plan.instance)
    progress = ProgressStore(target, plan.state_schema, plan.instance)
    target.begin()
    again = [run for run in runs if run.must_repeat]
    for run in again:
        run.is_finished, run.failure = False, None
    progress.forget(*(run.name for run in again))
    altered = "altered while it was copied"
    tables.save_and_commit([TableRecord(r.name, TableState.PENDING, reason=r.reason or altered) for r in again])


def _notice_other_cascades(plan: CopyPlan, runs: list[TableRun], facts: ServerFacts) -> None:
    """Let families be copied again if the primary was restarted meanwhile and logs their cascades no longer.

    They were read at several moments, and the log of the replay window may not hold what a cascade did.
    """
    if not plan.origin.cascades_are_logged or facts.logs_cascades:
        return
    tied = {name for names in families({r.name: r.source.definition for r in runs}) for name in names}
    for run in runs:
        run.must_repeat = run.must_repeat or run.name in tied
    if tied:
        log(
            logger, logging.WARNING, Tag.WARN,
            "the primary was restarted and logs no cascades now: the tables tied by them are copied again",
            instance=plan.instance,
        )  # fmt: skip


def _put_tasks(queue: WorkQueue, runs: list[TableRun], settings: TransferSettings, workers: int) -> None:
    small = [run for run in runs if is_small(run, settings)]
    # As many groups as workers, if there are few tables.
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
                # But for its indexes, perhaps.
                queue.put(Task(run))
            case TableAction.CONTINUE:
                run.open_ranges = run.planned.ranges
                queue.put(*(Task(run, number) for number in range(1, run.planned.ranges + 1)))
            case _ if run is run.group[0]:
                # A family is one task: its tables are read one after the other in one snapshot.
                queue.put(Task(run))


def _tie(target: Session, run: TableRun, meter: Meter, waits: LockWaits) -> None:
    """Add a table's foreign keys; one that cannot have them is given up, one that a stop interrupts is not finished."""
    if not run.source.statements.foreign_keys:
        return
    meter.begin(str(run.name), CopyStep.FOREIGN_KEYS)
    try:
        waits.run(target, run.name, lambda: add_foreign_keys(target, run))
    except Interrupted:
        run.is_finished = False
    except ReplicaError as error:
        run.failure, run.is_finished = error.message, False
    else:
        meter.finish(str(run.name))


def _finish(
    waits: LockWaits,
    plan: CopyPlan,
    runs: list[TableRun],
    meter: Meter,
    start: Position | None,
    *,
    is_stopped: bool,
) -> CopyResult:
    finished = [r for r in runs if r.is_finished]
    end = None
    if not is_stopped:
        with Connections(waits.ends) as connections:
            connections.open_all("primary", "secondary")
            source, target = connections.primary, connections.secondary
            facts = read_facts(source)
            _notice_other_cascades(plan, runs, facts)
            if any(r.must_repeat for r in runs):
                _repeat(target, plan, runs)
                finished = [r for r in runs if r.is_finished]
            for run in finished:
                _tie(target, run, meter, waits)
            finished = [r for r in finished if r.is_finished]
            # After the last row was read: every transaction that a chunk may have seen is before it in the log.
            store = PositionStore(target, plan.state_schema, plan.instance)
            end, saved = side_by_side(lambda: current_position(source, facts), store.load)
            counts = {r.name: meter.rows(str(r.name)) for r in finished}
            close_tables(target, plan, finished, end=end, saved=saved, row_counts=counts)
    errors = tuple((str(r.name), r.failure) for r in runs if r.failure is not None)
    return CopyResult(
        rows=meter.rows_copied,
        tables=len(finished),
        milliseconds=int(meter.elapsed_seconds * 1000),
        errors=errors,
        is_complete=not is_stopped and len(finished) == len(runs),
        must_repeat=any(r.must_repeat for r in runs),
        start=start,
        end=end,
    )
