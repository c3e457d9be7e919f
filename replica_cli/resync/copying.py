"""Copies made by whoever holds the writer's lock: the first one, an unfinished one, and tables that need a new one."""

from __future__ import annotations

import logging
import threading
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from replica_cli.checkpoint.tables import TableRecord
from replica_cli.core.errors import Interrupted, ReplicaError
from replica_cli.core.requests.transfer import TransferMode
from replica_cli.core.settings import EngineChoice
from replica_cli.core.status import UNFINISHED, TableState
from replica_cli.core.wording import counted, duration, told_once
from replica_cli.logs import Tag, log
from replica_cli.mysql.catalog import read_catalog, read_table, selected_schemas
from replica_cli.mysql.facts import read_facts
from replica_cli.mysql.grants import read_grants
from replica_cli.mysql.history import check_history
from replica_cli.mysql.selected import look_at_selection
from replica_cli.mysql.session import connect
from replica_cli.mysql.snapshots import visible_position
from replica_cli.reader.truth import PositionCheck
from replica_cli.transfer.errors import CopyIncomplete, TablesRefused

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

    from replica_cli.checkpoint.lock import LockGuard
    from replica_cli.checkpoint.positions import SavedPosition
    from replica_cli.checkpoint.tables import TableStore
    from replica_cli.core.settings import Server, Settings
    from replica_cli.core.status import TransferProgress
    from replica_cli.core.table import TableName
    from replica_cli.mysql.session import Session
    from replica_cli.stop import StopToken
    from replica_cli.transfer.plan import CopyPlan
    from replica_cli.transfer.run import CopyResult

logger = logging.getLogger(__name__)

# How long a plan may take without a word.
_PLANNING_SECONDS = 1.0


def check_saved(settings: Settings, saved: SavedPosition) -> None:
    """Check that the primary's log goes on from the saved position. Raises PositionLost, PrimaryReplaced."""
    with connect(settings.primary, settings.network) as session:
        PositionCheck(session, settings.network).start_of(saved, by_time=True)


def make_plan(settings: Settings, server: Server, mode: TransferMode, tables: tuple[TableName, ...] = ()) -> CopyPlan:
    """Plan a copy to one secondary; writes nothing."""
    with connect(settings.primary, settings.network) as primary, connect(server, settings.network) as secondary:
        return make_plan_on(settings, primary, secondary, mode, tables)


def make_plan_on(
    settings: Settings, primary: Session, secondary: Session, mode: TransferMode, tables: tuple[TableName, ...] = ()
) -> CopyPlan:
    """Plan a copy on two sessions; writes nothing."""
    from replica_cli.transfer.plan import plan_copy  # noqa: PLC0415 - a stream that copies nothing starts sooner

    server = secondary.server
    with _told_when_long(settings, server):
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
        versioned = sorted(t.planned.name for t in plan.tables if t.source.definition.is_versioned)
        if not versioned:
            return plan
        found = check_history(
            versioned,
            read_facts(secondary),
            read_grants(secondary),
            is_sql_wanted=settings.apply.engine is EngineChoice.SQL,
        )
        return replace(plan, warnings=(*plan.warnings, *(f"{f.message} ({f.hint})" for f in found)))


@contextmanager
def _told_when_long(settings: Settings, server: Server) -> Iterator[None]:
    """Say how many tables are planned if that takes a while: until its end nothing else is to be seen."""
    is_over = threading.Event()

    def tell() -> None:
        with suppress(ReplicaError), connect(settings.primary, settings.network) as primary:
            count = look_at_selection(primary, settings.selection).finding.value
            if not is_over.is_set():
                log(
                    logger, logging.INFO, Tag.TRANSFER, "planning %s: their definitions are read",
                    counted(int(count or 0), "table"), instance=server.name,
                )  # fmt: skip

    timer = threading.Timer(_PLANNING_SECONDS, tell)
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
    report: Callable[[TransferProgress], None],
    guard: LockGuard,
) -> CopyResult:
    """Make the copy that was planned. The caller holds the writer's lock."""
    from replica_cli.transfer.run import run_copy  # noqa: PLC0415 - as above

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
        text = told_once(told_once(message, table), server.name)
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
    store: TableStore,
    stop: StopToken,
    report: Callable[[TransferProgress], None],
    guard: LockGuard,
) -> None:
    """Make or finish the copy that a stream needs before it can go on.

    Raises Interrupted where a stop came first, CopyIncomplete where a table could not be copied.
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
    plan: CopyPlan | None = None,
    store: TableStore,
    stop: StopToken,
    report: Callable[[TransferProgress], None],
    guard: LockGuard,
    beside: frozenset[TableName] = frozenset(),
) -> CopyResult:
    """Copy, and copy again what was altered meanwhile. The caller holds the writer's lock, as `guard` checks.

    `plan` was made a moment ago and is carried out if nothing has changed on the secondary since then. `beside`: of
    what is unfinished only these tables, as the stream goes on with all others meanwhile; they are brought
    up to it afterwards. Raises TablesRefused, with nothing copied, and that is added to the reasons of quarantined
    tables.
    """
    while True:
        if mode is TransferMode.RESUME:
            forget_dropped(settings, server, store, beside, stop=stop, guard=guard)
        with _noting_refusals(store):
            if plan is None or not _still_holds(plan, store):
                plan = make_plan(settings, server, mode, tables)
            if beside:
                plan = replace(plan, tables=tuple(t for t in plan.tables if t.planned.name in beside), joins=True)
            result = carry_out(settings, server, plan, stop=stop, report=report, guard=guard)
        if not result.must_repeat or stop.is_set:
            return result
        mode, tables, plan = TransferMode.RESUME, (), None


def _still_holds(plan: CopyPlan, store: TableStore) -> bool:
    from replica_cli.transfer.plan import still_holds  # noqa: PLC0415 - as above

    return still_holds(plan, store.session)


def try_out(
    settings: Settings, server: Server, tables: tuple[TableName, ...], store: TableStore, stop: StopToken
) -> None:
    """Raise TablesRefused if the secondary cannot make tables as the primary has them; needs no lock.

    The stream would quarantine them where it is asked for a copy of them.
    """
    from replica_cli.transfer.run import try_definitions  # noqa: PLC0415 - as above

    with _noting_refusals(store):
        plan = make_plan(settings, server, TransferMode.NEW, tables)
        # Not the name that the stream's own copy takes.
        try_definitions(plan, server, settings.network, owner=f"{server.name}, asked", stop=stop)


@contextmanager
def _noting_refusals(store: TableStore) -> Iterator[None]:
    try:
        yield
    except TablesRefused as error:
        for name, refusal in error.refused.items():
            store.note_refusal(name, refusal)
        raise


def ask_for_copies(settings: Settings, store: TableStore, tables: Collection[TableName], reason: str) -> None:
    """Record that tables, and their relatives by foreign keys, must be copied again. All are recorded at once.

    The process that holds the lock copies them next, also after a restart. Part of a family is never recorded alone.
    """
    from replica_cli.transfer.cascade_groups import family  # noqa: PLC0415 - as above

    with connect(settings.primary, settings.network) as primary:
        definitions = read_catalog(primary, selected_schemas(primary, settings.selection), tables)
    selected = {n: d for n, d in definitions.items() if settings.selection.target(n)}
    # Why a table lacks rows is told until a copy has brought them.
    before = {n: r.reason for n, r in store.load().items() if r.state is TableState.QUARANTINED}
    names = sorted(family(tables, selected))
    store.save(*(TableRecord(n, TableState.PENDING, reason=before.get(n) or reason) for n in names))


def forget_dropped(
    settings: Settings,
    server: Server,
    store: TableStore,
    beside: frozenset[TableName] = frozenset(),
    *,
    stop: StopToken,
    guard: LockGuard,
) -> None:
    """Give up copies of tables that the primary has dropped: up to now their events are skipped, then nothing is left.

    Without this a table that was dropped while it was copied would be waited for for ever. Beside a stream, which skips
    all events of such a table, it has still to join: it may be made again before the stream looks at its record.
    """
    from replica_cli.transfer.connections import Endpoints  # noqa: PLC0415 - as above
    from replica_cli.transfer.making import drop_table  # noqa: PLC0415 - as above
    from replica_cli.transfer.waiting import LockWaits  # noqa: PLC0415 - as above

    ends = Endpoints(settings.primary, server, settings.network, 0, guard.check, settings.apply.ddl_lock_wait)
    waits = LockWaits(ends, lambda: stop.is_set)
    waiting = [r for r in store.load().values() if r.state in UNFINISHED and (not beside or r.name in beside)]
    with connect(settings.primary, settings.network) as primary, connect(server, settings.network) as secondary:
        facts = read_facts(primary)
        for record in waiting:
            # First, so that a table that is made behind the look is made behind the position.
            now = visible_position(primary, facts)
            if read_table(primary, record.name) is not None:
                continue
            target = settings.selection.target(record.name)
            if target is not None:
                secondary.execute("SET SESSION foreign_key_checks=0")
                drop_table(secondary, record.name, target, waits)
            state = TableState.JOINING if beside else TableState.COPIED
            store.save(replace(record, state=state, start=now, end=now))
            log(
                logger, logging.INFO, Tag.TRANSFER, "%s is gone from the primary", record.name,
                instance=server.name, table=str(record.name),
            )  # fmt: skip


def is_on_neither_side(settings: Settings, server: Server, name: TableName) -> bool:
    """Say whether a table (the primary's name) is gone from the primary and not on the secondary."""
    target = settings.selection.target(name)
    if target is None:
        return False
    with connect(server, settings.network) as secondary:
        if read_table(secondary, target) is not None:
            return False
    with connect(settings.primary, settings.network) as primary:
        return read_table(primary, name) is None


def can_join_later(settings: Settings, names: Iterable[TableName]) -> bool:
    """Say whether tables can be copied while the others stream on: none has to do with another by a foreign key.

    While rows of one are missing, or older than those of the other, the secondary refuses what the primary allowed.
    """
    wanted = set(names)
    with connect(settings.primary, settings.network) as primary:
        definitions = read_catalog(primary, selected_schemas(primary, settings.selection), wanted)
    linked = {d.name for d in definitions.values() if d.foreign_keys}
    linked |= {key.parent for d in definitions.values() for key in d.foreign_keys}
    return not wanted & linked
