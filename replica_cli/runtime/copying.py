"""Copies that a process with the writer's lock makes: the first copy, an unfinished copy, and re-copies of tables.

Used by the worker before it streams, by the re-sync while the stream runs, and by `replica transfer`. A copy runs copy
workers, threads with connections of their own.
"""

from __future__ import annotations

import logging
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from replica_cli.core.errors import Interrupted, ReplicaError
from replica_cli.core.requests.transfer import TransferMode
from replica_cli.core.settings import EngineChoice
from replica_cli.core.status import UNFINISHED
from replica_cli.core.wording import counted, duration, short_reason
from replica_cli.logs import Tag, log
from replica_cli.mysql.binlog.snapshots import visible_position
from replica_cli.mysql.catalog.table_definitions import read_catalog, read_table, selected_schemas
from replica_cli.mysql.facts import read_facts
from replica_cli.mysql.preflight.grants import read_grants
from replica_cli.mysql.preflight.selection_check import look_at_selection
from replica_cli.mysql.preflight.versioned_tables import check_history
from replica_cli.mysql.session import connect
from replica_cli.reader.position_check import PositionCheck
from replica_cli.transfer.errors import CopyIncomplete, TablesRefused

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

    from replica_cli.checkpoint.lock import LockGuard
    from replica_cli.checkpoint.positions import SavedPosition
    from replica_cli.checkpoint.table_lifecycle import TableLifecycle
    from replica_cli.core.settings import Server, Settings
    from replica_cli.core.status import CopyProgress
    from replica_cli.core.table import TableName
    from replica_cli.mysql.session import Session
    from replica_cli.stop import StopToken
    from replica_cli.transfer.planning.plan import CopyPlan
    from replica_cli.transfer.run import CopyResult

logger = logging.getLogger(__name__)

# After this time the log reports that the copy is being planned.
_PLANNING_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class ShownPlan:
    """A plan that a user saw, and possibly confirmed, before the copy.

    `is_new`: it was made a moment ago, so it may be carried out unless the secondary has changed.
    """

    plan: CopyPlan
    is_new: bool


def check_saved(settings: Settings, saved: SavedPosition) -> None:
    """Check that the primary's log goes on from the saved position.

    Raises:
        PositionLost: it does not.
        PrimaryReplaced: the primary is another server, which lacks applied transactions.

    """
    with connect(settings.primary, settings.network) as session:
        PositionCheck(session, settings.network).start_of(saved, by_time=True)


def make_plan(settings: Settings, server: Server, mode: TransferMode, tables: tuple[TableName, ...] = ()) -> CopyPlan:
    """Plan a copy to one secondary. Writes nothing."""
    with connect(settings.primary, settings.network) as primary, connect(server, settings.network) as secondary:
        return make_plan_on(settings, primary, secondary, mode, tables)


def make_plan_on(
    settings: Settings, primary: Session, secondary: Session, mode: TransferMode, tables: tuple[TableName, ...] = ()
) -> CopyPlan:
    """Plan a copy on two open sessions. Writes nothing."""
    from replica_cli.transfer.planning.plan import plan_copy  # noqa: PLC0415 - a stream that copies nothing starts sooner

    server = secondary.server
    with _log_if_slow(settings, server):
        plan = plan_copy(
            primary,
            secondary,
            settings.selection,
            instance=server.name,
            state_schema=settings.state_schema,
            settings=settings.transfer,
            mode=mode,
            tables=tables,
        )
        versioned = sorted(t.planned.name for t in plan.tables if t.definition.primary.is_versioned)
        if not versioned:
            return plan
        findings = check_history(
            versioned,
            read_facts(secondary),
            read_grants(secondary),
            is_sql_wanted=settings.apply.engine is EngineChoice.SQL,
        )
        return replace(plan, warnings=(*plan.warnings, *(f"{f.message} ({f.hint})" for f in findings)))


@contextmanager
def _log_if_slow(settings: Settings, server: Server) -> Iterator[None]:
    """Log how many tables are planned if planning takes long: until it ends, nothing else shows that it works."""
    is_over = threading.Event()

    def report_count() -> None:
        with suppress(ReplicaError), connect(settings.primary, settings.network) as primary:
            count = look_at_selection(primary, settings.selection).finding.value
            if not is_over.is_set():
                log(
                    logger, logging.INFO, Tag.TRANSFER, "planning %s: their definitions are read",
                    counted(int(count or 0), "table"), instance=server.name,
                )  # fmt: skip

    timer = threading.Timer(_PLANNING_SECONDS, report_count)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        is_over.set()
        timer.cancel()


def carry_out(
    settings: Settings,
    server: Server,
    plan: CopyPlan,
    *,
    stop: StopToken,
    report: Callable[[CopyProgress], None],
    guard: LockGuard,
) -> CopyResult:
    """Make the copy that was planned. The caller holds the writer's lock.

    Args:
        settings: the settings of the process.
        server: the secondary.
        plan: the plan.
        stop: ends or pauses the copy.
        report: called with the progress.
        guard: checks that this process still holds the writer's lock.

    """
    from replica_cli.transfer.run import run_copy  # noqa: PLC0415 - a stream that copies nothing starts sooner

    log(logger, logging.INFO, Tag.TRANSFER, "%s to copy", counted(len(plan.tables), "table"), instance=server.name)
    for warning in plan.warnings:
        log(logger, logging.WARNING, Tag.WARN, "%s", warning, instance=server.name)
    result = run_copy(
        plan,
        primary=settings.primary,
        secondary=server,
        network=settings.network,
        retry=settings.retry,
        stop=stop,
        report=report,
        progress_folder=settings.progress_folder,
        guard=guard.check,
        ddl_lock_wait=settings.apply.ddl_lock_wait,
    )
    for table, message in result.errors:
        text = short_reason(short_reason(message, table), server.name)
        log(logger, logging.ERROR, Tag.ERROR, "%s", text, instance=server.name, table=table)
    tables = counted(len(plan.tables), "table")
    log(
        logger, logging.INFO, Tag.SUCCESS if result.is_complete else Tag.TRANSFER,
        "copied %s%s %s in %s%s", counted(result.rows, "row"),
        " of" if result.is_complete else f", finished {result.tables} of", tables, duration(result.milliseconds / 1000),
        f", {counted(len(result.errors), 'error')}" if result.errors else "", instance=server.name, rows=result.rows,
    )  # fmt: skip
    return result


def copy_what_is_missing(
    settings: Settings,
    server: Server,
    mode: TransferMode,
    *,
    store: TableLifecycle,
    stop: StopToken,
    report: Callable[[CopyProgress], None],
    guard: LockGuard,
) -> None:
    """Make or finish the copy that a stream needs before it can go on.

    Raises:
        Interrupted: a stop came first.
        CopyIncomplete: a table could not be copied.
        TablesRefused: the secondary cannot make some tables; nothing was copied.

    """
    result = copy_to_the_end(settings, server, mode, store=store, stop=stop, report=report, guard=guard)
    if result.is_complete:
        return
    if stop.is_set:
        raise Interrupted(f"{server.name}: stopped while copying; `replica transfer --resume` goes on")
    raise CopyIncomplete(server.name, dict(result.errors))


def copy_to_the_end(
    settings: Settings,
    server: Server,
    mode: TransferMode,
    *,
    tables: tuple[TableName, ...] = (),
    shown: ShownPlan | None = None,
    store: TableLifecycle,
    stop: StopToken,
    report: Callable[[CopyProgress], None],
    guard: LockGuard,
    resync_tables: frozenset[TableName] = frozenset(),
) -> CopyResult:
    """Copy, then copy the tables again that were altered meanwhile. The caller holds the writer's lock.

    Args:
        settings: the settings of the process.
        server: the secondary.
        mode: what the first round copies; further rounds resume.
        tables: copy only these tables, empty for all.
        shown: the plan that a user saw. It is carried out if it is new and nothing has changed on the secondary since
            then. Otherwise another plan is made, and each difference is logged.
        store: the records of the tables.
        stop: ends or pauses the copy.
        report: called with the progress.
        guard: checks that this process still holds the writer's lock.
        resync_tables: while a stream runs, copy only these of the unfinished tables. They catch up with the stream
            afterwards.

    Raises:
        PlanChanged: rows would be deleted that the shown plan keeps. Nothing was copied.
        TablesRefused: the secondary cannot make some tables. Nothing was copied, and the refusal is added to the
            reasons of quarantined tables.

    """
    while True:
        if mode is TransferMode.RESUME:
            give_up_dropped_tables(settings, server, store, resync_tables, stop=stop, guard=guard)
        with _noting_refusals(store):
            plan = _plan_to_run(settings, server, mode, tables, shown=shown, store=store)
            if resync_tables:
                plan = replace(
                    plan, tables=tuple(t for t in plan.tables if t.planned.name in resync_tables), needs_catch_up=True
                )
            result = carry_out(settings, server, plan, stop=stop, report=report, guard=guard)
        if not result.must_repeat or stop.is_set:
            return result
        mode, tables, shown = TransferMode.RESUME, (), None


def _plan_to_run(
    settings: Settings,
    server: Server,
    mode: TransferMode,
    tables: tuple[TableName, ...],
    *,
    shown: ShownPlan | None,
    store: TableLifecycle,
) -> CopyPlan:
    """Return the plan that was shown, or another one if it is not valid any more. Raises as `copy_to_the_end`."""
    if shown is None:
        return make_plan(settings, server, mode, tables)
    from replica_cli.transfer.planning.plan import still_holds  # noqa: PLC0415 - a stream that copies nothing starts sooner
    from replica_cli.transfer.planning.plan_changes import check_plan_changes  # noqa: PLC0415 - a stream that copies nothing starts sooner

    if shown.is_new and still_holds(shown.plan, store.session):
        return shown.plan
    plan = make_plan(settings, server, mode, tables)
    check_plan_changes(shown.plan, plan)
    return plan


def try_out(
    settings: Settings, server: Server, tables: tuple[TableName, ...], shown: CopyPlan, *, store: TableLifecycle,
    stop: StopToken,
) -> None:  # fmt: skip
    """Check if the secondary can make tables as the primary has them; needs no lock.

    Otherwise the stream would quarantine the tables after a requested copy was refused.

    Raises:
        PlanChanged: rows would be deleted that the shown plan keeps.
        TablesRefused: it cannot.

    """
    from replica_cli.transfer.planning.plan_changes import check_plan_changes  # noqa: PLC0415 - a stream that copies nothing starts sooner
    from replica_cli.transfer.scratch_tables import try_definitions  # noqa: PLC0415 - a stream that copies nothing starts sooner

    with _noting_refusals(store):
        plan = make_plan(settings, server, TransferMode.NEW, tables)
        check_plan_changes(shown, plan)
        # The name must differ from the one that the stream's own copy uses.
        try_definitions(plan, server, settings.network, owner=f"{server.name}, asked", stop=stop)


@contextmanager
def _noting_refusals(store: TableLifecycle) -> Iterator[None]:
    """Add a refusal of the secondary to the records of the refused tables, and raise it."""
    try:
        yield
    except TablesRefused as error:
        for name, refusal in error.refused.items():
            store.note_refusal(name, refusal)
        raise


def ask_for_copies(settings: Settings, store: TableLifecycle, tables: Collection[TableName], reason: str) -> None:
    """Record that tables, with their cascade groups, must be copied again. All are recorded together.

    The process that holds the lock copies them next, also after a restart. A part of a cascade group is never recorded
    alone.
    """
    from replica_cli.transfer.planning.cascade_groups import cascade_group  # noqa: PLC0415 - a stream that copies nothing starts sooner

    with connect(settings.primary, settings.network) as primary:
        definitions = read_catalog(primary, selected_schemas(primary, settings.selection), tables)
    selected = {n: d for n, d in definitions.items() if settings.selection.target(n)}
    store.request_copies(sorted(cascade_group(tables, selected)), reason)


def give_up_dropped_tables(
    settings: Settings,
    server: Server,
    store: TableLifecycle,
    resync_tables: frozenset[TableName] = frozenset(),
    *,
    stop: StopToken,
    guard: LockGuard,
) -> None:
    """Give up the copies of tables that the primary has dropped.

    Otherwise a table that was dropped during its copy would be waited for without end. While a stream runs, which skips
    all events of such a table, the table still has to catch up.

    Args:
        settings: the settings of the process.
        server: the secondary.
        store: the records of the tables.
        resync_tables: while a stream runs, look only at these tables.
        stop: ends the waits for locks.
        guard: checks that this process still holds the writer's lock.

    """
    from replica_cli.transfer.connections import Endpoints  # noqa: PLC0415 - a stream that copies nothing starts sooner
    from replica_cli.transfer.lock_waits import LockWaits  # noqa: PLC0415 - a stream that copies nothing starts sooner
    from replica_cli.transfer.make_tables import drop_table  # noqa: PLC0415 - a stream that copies nothing starts sooner

    endpoints = Endpoints(settings.primary, server, settings.network, 0, guard.check, settings.apply.ddl_lock_wait)
    waits = LockWaits(endpoints, lambda: stop.is_set)
    waiting = [
        r for r in store.load().values() if r.state in UNFINISHED and (not resync_tables or r.name in resync_tables)
    ]
    with connect(settings.primary, settings.network) as primary, connect(server, settings.network) as secondary:
        facts = read_facts(primary)
        for record in waiting:
            # The position is read first: a table that is created after the check below is created after this position.
            position = visible_position(primary, facts, stop)
            if read_table(primary, record.name) is not None:
                continue
            target = settings.selection.target(record.name)
            guard.check(secondary)
            if target is not None:
                secondary.execute("SET SESSION foreign_key_checks=0")
                drop_table(secondary, record.name, target, waits)
            store.drop_on_primary(record, position, must_catch_up=bool(resync_tables))
            log(
                logger, logging.INFO, Tag.TRANSFER, "%s is gone from the primary", record.name,
                instance=server.name, table=str(record.name),
            )  # fmt: skip


def is_on_neither_side(settings: Settings, server: Server, name: TableName) -> bool:
    """Return True if a table, by the primary's name, exists neither on the primary nor on the secondary."""
    target = settings.selection.target(name)
    if target is None:
        return False
    with connect(server, settings.network) as secondary:
        if read_table(secondary, target) is not None:
            return False
    with connect(settings.primary, settings.network) as primary:
        return read_table(primary, name) is None


def can_be_resynced(settings: Settings, names: Iterable[TableName]) -> bool:
    """Return True if tables can be copied while the others stream on: no foreign key leads from or to any of them.

    While rows of one table are missing or older than those of the other, the secondary refuses what the primary
    allowed.
    """
    wanted = set(names)
    with connect(settings.primary, settings.network) as primary:
        definitions = read_catalog(primary, selected_schemas(primary, settings.selection), wanted)
    linked = {d.name for d in definitions.values() if d.foreign_keys}
    linked |= {key.parent for d in definitions.values() for key in d.foreign_keys}
    return not wanted & linked
