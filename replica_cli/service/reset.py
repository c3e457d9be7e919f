"""Run `replica position reset`: move the saved position of each secondary, or forget it."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING

from replica_cli.checkpoint.filters import accept_filters
from replica_cli.checkpoint.intents import IntentStore
from replica_cli.checkpoint.lock import WriterLock, work_of
from replica_cli.checkpoint.positions import PositionStore
from replica_cli.checkpoint.progress import ProgressStore
from replica_cli.checkpoint.schema import create_state_schema
from replica_cli.checkpoint.stores import Stores
from replica_cli.checkpoint.table_lifecycle import TableLifecycle
from replica_cli.checkpoint.uncompared import UncomparedStore
from replica_cli.core.commands import table_options
from replica_cli.core.errors import (
    FiltersChanged,
    LockHeld,
    NamedTwice,
    PositionLost,
    PositionMissing,
    PositionPurged,
    PrimaryError,
    PrimaryReplaced,
    ReplicaError,
    SecondaryError,
    UsageError,
)
from replica_cli.core.reports.reset import ResetPlan
from replica_cli.core.requests.reset import ResetKind
from replica_cli.core.wording import counted, holder_text
from replica_cli.health.secondary import InstanceState, read_state
from replica_cli.logs import Tag, log
from replica_cli.mysql.binlog.log_state import current_position
from replica_cli.mysql.binlog.purged_gtids import check_gtid_set
from replica_cli.mysql.errnos import ServerError
from replica_cli.mysql.facts import read_facts
from replica_cli.mysql.session import connect
from replica_cli.reader.boundary import locate
from replica_cli.reader.position_check import PositionCheck
from replica_cli.service.ask_each import ask_each
from replica_cli.service.occupied_tables import has_rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from replica_cli.checkpoint.positions import SavedPosition
    from replica_cli.core.position import Position
    from replica_cli.core.requests.reset import ResetRequest
    from replica_cli.core.settings import Server, Settings
    from replica_cli.mysql.session import Session

logger = logging.getLogger(__name__)


def plan_reset(settings: Settings, request: ResetRequest) -> tuple[ResetPlan, ...]:
    """Return what a reset would do to each secondary. Writes nothing.

    A secondary that cannot be reset has its failure in its plan: PositionMissing if filters are to be accepted and it
    has no saved position, FiltersChanged if the filters differ and are not to be accepted.

    Raises:
        PositionLost: the primary cannot serve the new position.
        UsageError: the request has no position.
        PrimaryError: the primary does not answer.
        ReplicaError: the first error, if no secondary could be asked.

    """
    after = _target_position(settings, request)
    return ask_each(
        request.secondaries,
        lambda server: _plan(settings, request, server, after),
        lambda server, failure: ResetPlan(server.name, request.kind, None, None, failure=failure),
    )


def run_reset(settings: Settings, plans: Sequence[ResetPlan]) -> None:
    """Do what the plans say, in one transaction for each secondary.

    Raises:
        LockHeld: a process writes to an instance. The instances before it in the order are done.
        NamedTwice: a process does the same work on the server, under the name of another instance. As LockHeld.
        PrimaryError: the primary does not answer.
        SecondaryError: a secondary does not answer.

    """
    servers = {server.name: server for server in settings.secondaries}
    identity = ""
    if any(plan.after is not None and plan.kind is not ResetKind.KEEP for plan in plans):
        with _raising_as(PrimaryError), connect(settings.primary, settings.network) as session:
            identity = read_facts(session).identity
    for plan in plans:
        with _raising_as(SecondaryError), connect(servers[plan.instance], settings.network) as session:
            _reset(settings, session, plan, identity)


def _target_position(settings: Settings, request: ResetRequest) -> Position | None:
    if request.kind in (ResetKind.FORGET, ResetKind.KEEP):
        return None
    with _raising_as(PrimaryError), connect(settings.primary, settings.network) as session:
        facts = read_facts(session)
        if request.kind is ResetKind.CURRENT:
            check = PositionCheck(session, settings.network, facts=facts)
            return check.exact(current_position(session, facts))
        if request.position is None:
            raise UsageError("no position to reset to")
        if request.kind is ResetKind.GTID:
            return check_gtid_set(session, facts, request.position.gtid)
        return locate(session, facts, settings.network, request.position)


def _plan(settings: Settings, request: ResetRequest, server: Server, after: Position | None) -> ResetPlan:
    with _raising_as(SecondaryError), connect(server, settings.network) as session:
        state = read_state(session, settings.state_schema, server.name)
        holder = _holder(settings, session, server.name)
        holds_rows = request.kind is ResetKind.FORGET and has_rows(session, settings)
    saved = state.saved
    _check_filters(settings, request, server, saved)
    position_error = _position_error(settings, saved) if saved is not None and after is not None else None
    warnings = list(_warnings(request.kind, state, after, position_error, holds_rows=holds_rows))
    if holder:
        warnings.insert(
            0, f"{holder_text(holder)} writes to this instance: stop it first, the reset is refused until then"
        )
    before = saved.filters_text if saved else ""
    # The filters are forgotten with the position. The next first copy stores its own.
    changes = request.kind is not ResetKind.FORGET and (saved is None or request.accepts_filters)
    return ResetPlan(
        server.name,
        request.kind,
        before=saved.position if saved else None,
        after=saved.position if request.kind is ResetKind.KEEP and saved else after,
        filters_before=before,
        filters_after=str(settings.selection) if changes else before,
        warnings=tuple(warnings),
    )


def _position_error(settings: Settings, saved: SavedPosition) -> ReplicaError | None:
    """Return why the saved position is not one of the primary's log, None if it is one.

    A purged position counts as one of the log.
    """
    with _raising_as(PrimaryError), connect(settings.primary, settings.network) as session:
        try:
            PositionCheck(session, settings.network).start_of(saved)
        except (PositionLost, PrimaryReplaced) as error:
            return None if isinstance(error, PositionPurged) else error
    return None


def _check_filters(settings: Settings, request: ResetRequest, server: Server, saved: SavedPosition | None) -> None:
    if request.kind is ResetKind.FORGET:
        return
    if request.kind is ResetKind.KEEP and saved is None:
        raise PositionMissing(
            f"{server.name}: there is no saved position whose filters could be changed",
            hint="`replica transfer` makes a copy and saves one, with the current filters",
        )
    if saved is not None and not request.accepts_filters and (change := saved.other_filters(settings.selection)):
        raise FiltersChanged(
            f"{server.name}: {change}",
            hint="add `--accept-filters`, or set the schemas and tables as they were",
        )


def _warnings(
    kind: ResetKind,
    state: InstanceState,
    after: Position | None,
    position_error: ReplicaError | None,
    *,
    holds_rows: bool,
) -> Iterator[str]:
    if kind is ResetKind.KEEP:
        yield "tables that only the new filters select are not copied: `replica transfer --table SCHEMA.TABLE` does it"
        return
    if kind is ResetKind.FORGET:
        yield (
            "the tables hold rows: `replica stream` refuses from now on (exit code 14); `replica transfer --restart` "
            "drops the tables and copies all of them again"
            if holds_rows
            else "the next `replica stream` copies every table"
        )
    elif position_error is not None:
        yield f"the saved position is not one of the primary's log: {position_error.message}"
        yield "the secondary must hold exactly the primary's rows as of the new position: nothing is copied"
    elif state.saved is not None and after is not None:
        yield from _direction(state.saved.position, after)
    else:
        yield "the secondary must hold exactly the primary's rows as of that position: nothing is copied"
    for table in state.quarantined:
        where = f" at {table.stopped_at}" if table.stopped_at else ""
        advice = (
            ""
            if kind is ResetKind.FORGET
            else f"; rows that it missed stay missing: `replica transfer {table_options([table.name])}` copies it"
        )
        yield f"{table.name} is no longer quarantined (it stopped{where}: {table.reason}){advice}"
    if state.unfinished:
        missing = counted(len(state.unfinished), "table")
        yield f"the progress of an unfinished transfer is thrown away ({missing} not copied)"


def _direction(before: Position, after: Position) -> Iterator[str]:
    if not before.file or not after.file:
        yield "the secondary must hold exactly the primary's rows as of that position: nothing is copied"
    elif before.is_before(after):
        yield f"changes between {before} and {after} are never applied"
    elif after.is_before(before):
        yield f"changes between {after} and {before} are applied a second time, and refused if their rows exist already"


def _reset(settings: Settings, session: Session, plan: ResetPlan, identity: str) -> None:
    create_state_schema(session, settings.state_schema)
    # A start position deletes the position of each other instance with the same work (`PositionStore.make_room`), whose
    # process must not run then. What else a reset does concerns this instance alone.
    starts = plan.after is not None and plan.kind is not ResetKind.KEEP
    work = work_of(settings.primary, settings.selection) if starts else ""
    lock = WriterLock(session, settings.state_schema, plan.instance, work=work)
    try:
        lock.acquire(0)
    except NamedTwice:
        raise  # it has a hint of its own
    except LockHeld as error:
        hint = "stop it (SIGTERM: it commits what it has read), then reset"
        raise LockHeld(error.message, hint=hint) from error
    try:
        session.begin()
        try:
            _write(settings, session, plan, identity)
        except BaseException:
            session.rollback()
            raise
        session.commit()
    finally:
        lock.release()


def _write(settings: Settings, session: Session, plan: ResetPlan, identity: str) -> None:
    positions = PositionStore(session, settings.state_schema, plan.instance)
    if plan.kind is ResetKind.KEEP:
        key = (session, settings.state_schema, plan.instance)
        stores = Stores(positions, TableLifecycle(*key), IntentStore(*key), UncomparedStore(*key))
        for name in accept_filters(stores, settings.selection):
            text = "%s is left out by the filters: its record is deleted"
            log(logger, logging.INFO, Tag.INFO, text, name, instance=plan.instance)
        return
    kinds = (TableLifecycle, ProgressStore)
    session.execute_each([s(session, settings.state_schema, plan.instance).forget_all_statement() for s in kinds])
    if plan.after is None:
        positions.forget()
    else:
        positions.start(plan.after, source_identity=identity, selection=settings.selection)


def _holder(settings: Settings, session: Session, instance: str) -> str:
    """Return the process that holds the writer's lock, empty if none does."""
    lock = WriterLock(session, settings.state_schema, instance)
    if lock.try_acquire():
        lock.release()
        return ""
    return lock.holder() or "another process"


@contextmanager
def _raising_as(side: type[ReplicaError]) -> Iterator[None]:
    """Raise the errors of a server as the error class of its side: the exit code shows which server has the problem."""
    try:
        yield
    except ServerError as error:
        raise side(error.message, hint=error.hint) from error
