"""Run `replica transfer`: make copies, or request them from the stream that holds the writer's lock.

A thread copies to each secondary; it runs copy workers, threads with connections of their own.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from replica_cli.checkpoint.beats import BeatStore
from replica_cli.checkpoint.lock import FormerWriter, LockGuard, WriterLock, work_of
from replica_cli.checkpoint.schema import create_state_schema
from replica_cli.checkpoint.table_lifecycle import TableLifecycle
from replica_cli.core.attempts import WRITER_LOCK_SECONDS
from replica_cli.core.errors import ExitCode, Fenced, Interrupted, LockHeld, LockLost, ReplicaError
from replica_cli.core.reports.failure import Failure
from replica_cli.core.reports.transfer import CopyReport, TransferPlan, TransferReport
from replica_cli.core.requests.transfer import TransferMode
from replica_cli.core.status import NOT_STREAMED, Phase, TableState, WorkerStatus
from replica_cli.core.wording import COPY_DONE, counted, short_reason
from replica_cli.health.secondary import read_state
from replica_cli.logs import Tag, log
from replica_cli.mysql.session import connect
from replica_cli.runtime.broken_state import explained
from replica_cli.runtime.copying import ShownPlan, ask_for_copies, check_saved, copy_to_the_end, make_plan_on, try_out
from replica_cli.runtime.heartbeat import Heartbeat
from replica_cli.runtime.start_checks import (
    check_before_start,
    connect_both,
    find_before_start,
    log_warnings,
    warnings_of,
)
from replica_cli.runtime.status_publisher import StatusPublisher
from replica_cli.service.ask_each import ask_each
from replica_cli.service.requested_copies import RequestedCopies
from replica_cli.side_by_side import in_threads
from replica_cli.supervisor.signals import calling_at_stop, stopping_on_signals

if TYPE_CHECKING:
    from replica_cli.core.reporter import Reporter
    from replica_cli.core.reports.health import Finding
    from replica_cli.core.requests.transfer import TransferRequest
    from replica_cli.core.settings import Server, Settings
    from replica_cli.mysql.session import Session
    from replica_cli.stop import StopToken
    from replica_cli.transfer.planning.plan import CopyPlan

logger = logging.getLogger(__name__)

# How long the writer's lock may be free before the stream counts as ended.
_PATIENCE_SECONDS = 15.0
# How long a plan is valid. The user who is asked in between may take minutes to answer.
_PLAN_VALID_SECONDS = 10.0
_POLL_SECONDS = 0.5
_STOPPING = "stopping: the rows that were read are written; `replica transfer --resume` goes on with the rest"


@dataclass(frozen=True, slots=True)
class PlannedTransfer:
    """The plan of a transfer to one secondary: what the command shows, and the copy that was planned.

    `copy` is None if planning failed. `findings` are those of both servers. `made_at` is a monotonic time in seconds.
    """

    shown: TransferPlan
    copy: CopyPlan | None = None
    findings: tuple[Finding, ...] = ()
    made_at: float = 0.0

    @property
    def is_new(self) -> bool:
        """Return True if the plan may be carried out unchanged, unless the secondary has changed."""
        return self.copy is not None and time.monotonic() - self.made_at < _PLAN_VALID_SECONDS


def plan_transfer(settings: Settings, request: TransferRequest) -> tuple[PlannedTransfer, ...]:
    """Return what a transfer would do to each secondary. Writes nothing.

    A secondary for which no transfer can be planned has its failure in its plan. One such failure is PositionLost: the
    transfer would keep a saved position that is no longer true on the primary. Raises as `ask_each` does.
    """
    filters = settings.selection

    def plan(server: Server) -> PlannedTransfer:
        own = settings.of(server.name)
        with connect_both(own, server) as (primary, secondary):
            findings = find_before_start(own, primary, secondary)
            saved = read_state(secondary, own.state_schema, server.name).saved
            if saved is not None and (request.mode is TransferMode.RESUME or request.tables):
                check_saved(own, saved)
            copy_plan = make_plan_on(own, primary, secondary, request.mode, request.tables)
        # A copy that creates the state again saves the current filters.
        change = (
            saved.other_filters(filters) if saved is not None and copy_plan.mode is not TransferMode.RESTART else ""
        )
        filter_warnings = (f"{change}: `replica position reset --accept-filters` accepts them",) if change else ()
        shown = _shown(copy_plan, request, (*warnings_of(findings), *filter_warnings))
        return PlannedTransfer(shown, copy_plan, findings, time.monotonic())

    def failed(server: Server, failure: Failure) -> PlannedTransfer:
        copying = settings.of(server.name).transfer
        return PlannedTransfer(
            TransferPlan(server.name, request.mode, (), copying.workers, copying.chunk_rows, failure=failure)
        )

    return ask_each(request.secondaries, plan, failed)


def _shown(plan: CopyPlan, request: TransferRequest, warnings: tuple[str, ...]) -> TransferPlan:
    return TransferPlan(
        instance=plan.instance,
        mode=plan.mode,
        tables=plan.shown,
        workers=plan.settings.workers,
        chunk_rows=plan.settings.chunk_rows,
        # The check before the start and the plan may give the same warning.
        warnings=tuple(dict.fromkeys((*warnings, *plan.warnings))),
        is_partial=bool(request.tables),
        is_done=plan.is_done,
    )


def run_transfer(
    settings: Settings, plans: tuple[PlannedTransfer, ...], reporter: Reporter, stop: StopToken | None = None
) -> TransferReport:
    """Copy to all secondaries side by side. A stop keeps what was copied: `--resume` goes on from there.

    Args:
        settings: the settings of the command.
        plans: what to copy.
        reporter: receives the progress.
        stop: the token that stops all copies, None for a new one. SIGINT and SIGTERM set it.

    """
    servers = {s.name: s for s in settings.secondaries}

    def copy(planned: PlannedTransfer) -> CopyReport:
        server = servers[planned.shown.instance]
        return _copy(settings.of(server.name), server, planned, heard.token, reporter)

    with (
        stopping_on_signals(stop) as heard,
        calling_at_stop(heard, lambda: reporter.on_stopping(_STOPPING)),
        in_threads(partial(copy, planned) for planned in plans) as copies,
    ):
        reports = (each.result() for each in copies)
        return TransferReport(tuple(replace(r, failure=heard.coded(r.failure)) for r in reports))


def _copy(
    settings: Settings, server: Server, planned: PlannedTransfer, stop: StopToken, reporter: Reporter
) -> CopyReport:
    started, plan = time.monotonic(), planned.shown
    if plan.is_done:
        reporter.on_note(server.name, f"{COPY_DONE}: `replica stream` applies later changes")
        return CopyReport(server.name)
    publisher = StatusPublisher(server.name, reporter.on_status)
    try:
        with connect(server, settings.network) as session:
            create_state_schema(session, settings.state_schema)
            lock = _make_lock(session, settings, server)
            if planned.is_new:
                log_warnings(planned.findings, server)
            else:
                check_before_start(settings, server)
            if not lock.try_acquire():
                if plan.is_partial and planned.copy is not None:
                    return _request_from_stream(settings, server, planned.copy, session, stop=stop, reporter=reporter)
                lock.acquire(0, stop=stop)
            former = FormerWriter.of(session)
            copy = _copy_under(session, settings, server, planned, stop=stop, publisher=publisher)
        while copy is None:
            former, copy = _resume(settings, server, plan, stop, publisher, former=former)
    except ReplicaError as error:
        milliseconds = int((time.monotonic() - started) * 1000)
        failure = Failure.of(explained(error, settings, server) if publisher.has_used_state else error)
        return CopyReport(server.name, elapsed_milliseconds=milliseconds, failure=failure)
    else:
        return copy


def _copy_under(
    session: Session,
    settings: Settings,
    server: Server,
    planned: PlannedTransfer,
    *,
    stop: StopToken,
    publisher: StatusPublisher,
) -> CopyReport | None:
    """Copy while a session holds the writer's lock. Return None if the lock was lost meanwhile."""
    guard = LockGuard(settings.state_schema, server.name, session.connection_id)
    try:
        return _copy_with_heartbeat(session, settings, server, planned, stop=stop, publisher=publisher, guard=guard)
    except LockLost as error:
        log(logger, logging.WARNING, Tag.RECONNECT, "%s", error.message, instance=server.name)
        return None


def _make_lock(session: Session, settings: Settings, server: Server) -> WriterLock:
    work = work_of(settings.primary, settings.selection)
    return WriterLock(session, settings.state_schema, server.name, work=work)


def _resume(
    settings: Settings,
    server: Server,
    plan: TransferPlan,
    stop: StopToken,
    publisher: StatusPublisher,
    *,
    former: FormerWriter,
) -> tuple[FormerWriter, CopyReport | None]:
    """Take the writer's lock again and copy what is unfinished. Raises Fenced if another process has taken over."""
    rest = PlannedTransfer(replace(plan, mode=TransferMode.RESUME, is_partial=False))
    with connect(server, settings.network) as session:
        lock = _make_lock(session, settings, server)
        try:
            lock.acquire(WRITER_LOCK_SECONDS, former=former, stop=stop)
        except LockHeld as error:
            raise Fenced(
                f"{error.message}: it took over while this process was frozen or cut off",
                hint="the other process goes on with the copy",
            ) from error
        return FormerWriter.of(session), _copy_under(session, settings, server, rest, stop=stop, publisher=publisher)


def _copy_with_heartbeat(
    session: Session, settings: Settings, server: Server, planned: PlannedTransfer, *, stop: StopToken,
    publisher: StatusPublisher, guard: LockGuard,
) -> CopyReport:  # fmt: skip
    """Copy as the instance's writer, with a heartbeat for `replica health`, a standby and `replica pause`."""
    own_stop = stop.branch()
    publisher.has_held_lock = True
    publisher.set(phase=Phase.TRANSFERRING)
    message = "the transfer failed"
    phase = Phase.FAILED
    own_stop.pause(is_wanted=BeatStore(session, settings.state_schema, server.name).is_pause_wanted())
    with Heartbeat(settings, server, publisher, own_stop):
        try:
            copy = _copy_as_writer(session, settings, server, planned, stop=own_stop, publisher=publisher, guard=guard)
            message = copy.failure.message if copy.failure else ""
            phase = _ending(copy.failure)
        finally:
            publisher.set(phase=phase, message=message, rows_per_second=0.0)
    return copy


def _ending(failure: Failure | None) -> Phase:
    if failure is None:
        return Phase.FINISHED
    return Phase.STOPPED if failure.exit_code is ExitCode.INTERRUPTED else Phase.FAILED


def _copy_as_writer(
    session: Session, settings: Settings, server: Server, planned: PlannedTransfer, *, stop: StopToken,
    publisher: StatusPublisher, guard: LockGuard,
) -> CopyReport:  # fmt: skip
    plan = planned.shown
    names = tuple(t.name for t in plan.tables) if plan.is_partial else ()
    shown = ShownPlan(planned.copy, planned.is_new) if planned.copy is not None else None
    result = copy_to_the_end(
        settings, server, plan.mode, tables=names, shown=shown,
        store=TableLifecycle(session, settings.state_schema, server.name), stop=stop, report=publisher.copying,
        guard=guard,
    )  # fmt: skip
    failure = None
    if not result.is_complete:
        failure = Failure.of(_incomplete(server, result.errors))
    return CopyReport(
        server.name, result.tables, result.rows, result.milliseconds, len(result.errors), result.start, result.end,
        failure,
    )  # fmt: skip


def _incomplete(server: Server, errors: tuple[tuple[str, str], ...]) -> ReplicaError:
    resume = "`replica transfer --resume` goes on with what is missing"
    if errors:
        text = "; ".join(f"{table}: {short_reason(message, table)}" for table, message in errors)
        return ReplicaError(f"{server.name}: {counted(len(errors), 'table')} failed: {text}", hint=resume)
    return Interrupted(f"{server.name}: stopped before the copy was done", hint=resume)


def _request_from_stream(
    settings: Settings, server: Server, copy: CopyPlan, session: Session, *, stop: StopToken, reporter: Reporter
) -> CopyReport:
    """Let the running stream copy the tables: only the stream writes, and it knows the position to go on from."""
    started = time.monotonic()
    store = TableLifecycle(session, settings.state_schema, server.name)
    tables = tuple(t.name for t in copy.shown)
    names = frozenset(tables)
    try_out(settings, server, tables, copy, store=store, stop=stop)
    beats = BeatStore(session, settings.state_schema, server.name)
    requested = RequestedCopies(beats, names)
    ask_for_copies(settings, store, names, "asked for by `transfer --table`")
    if beats.is_pause_wanted():
        resume = f"`replica resume --secondary {server.name}`"
        reporter.on_note(server.name, f"the stream is paused: it copies the tables after {resume}")
    lock = WriterLock(session, settings.state_schema, server.name)
    held_at = time.monotonic()
    while True:
        records = store.load()
        waiting = [r for r in records.values() if r.name in names and r.state in NOT_STREAMED]
        if not waiting:
            break
        if stop.wait(_POLL_SECONDS):
            raise Interrupted(
                f"{server.name}: the stream goes on copying", hint="`replica position show` shows when it is done"
            )
        progress = requested.read_progress()
        if progress is not None:
            reporter.on_status(WorkerStatus(server.name, Phase.TRANSFERRING, transfer=progress))
        # The stream releases the lock for a moment when it changes from streaming to copying.
        if lock.holder():
            held_at = time.monotonic()
        elif time.monotonic() - held_at > _PATIENCE_SECONDS:
            # Only a stream can let tables catch up that were copied while it ran.
            command = "stream" if all(r.state is TableState.CATCHING_UP for r in waiting) else "transfer --resume"
            raise LockHeld(
                f"{server.name}: the process that writes to it ended before the copy was done",
                hint=f"`replica {command}` goes on with it",
            )
    failed = [r for r in records.values() if r.name in names and r.state is TableState.QUARANTINED]
    reasons = "; ".join(f"{r.name}: {short_reason(r.reason, r.name)}" for r in failed)
    failure = Failure.of(ReplicaError(reasons)) if failed else None
    rows = requested.rows(names - {r.name for r in failed}, stop)
    milliseconds = int((time.monotonic() - started) * 1000)
    reporter.on_status(WorkerStatus(server.name, Phase.FAILED if failed else Phase.FINISHED))
    return CopyReport(server.name, len(names) - len(failed), rows, milliseconds, len(failed), failure=failure)
