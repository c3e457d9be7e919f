"""Run `replica verify repair`: the stream writes rows in place of those that differ, or the command does."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from replica_cli.checkpoint.beats import BeatStore
from replica_cli.checkpoint.lock import LockGuard, WriterLock, work_of
from replica_cli.checkpoint.positions import PositionStore
from replica_cli.checkpoint.proofs import ProofStore
from replica_cli.checkpoint.repairs import RepairStore, WantedRepair
from replica_cli.checkpoint.schema import create_state_schema
from replica_cli.checkpoint.table_lifecycle import TableLifecycle
from replica_cli.core.errors import FiltersChanged, Interrupted, ReplicaError
from replica_cli.core.quarantine_texts import copy_advice
from replica_cli.core.reports.failure import Failure
from replica_cli.core.reports.repair import PlannedRepair, RepairPlan, RepairReport
from replica_cli.core.selection import pattern_of
from replica_cli.core.status import TableState
from replica_cli.core.verification import DifferenceKind
from replica_cli.mysql.session import connect
from replica_cli.runtime.broken_state import explained
from replica_cli.runtime.repairing import Repairer
from replica_cli.service.ask_each import ask_each
from replica_cli.side_by_side import in_threads
from replica_cli.supervisor.signals import stopping_on_signals
from replica_cli.verify.pairs import no_position

if TYPE_CHECKING:
    from collections.abc import Callable

    from replica_cli.core.names import TableName
    from replica_cli.core.requests.verify import RepairRequest
    from replica_cli.core.settings import Server, Settings
    from replica_cli.mysql.session import Session
    from replica_cli.stop import StopToken

_POLL_SECONDS = 0.2
# The stream releases the lock for a moment when it starts again.
_PATIENCE_SECONDS = 15.0
_STEP_SECONDS = 5.0


def plan_repair(settings: Settings, request: RepairRequest) -> tuple[RepairPlan, ...]:
    """Return what a repair would do on each secondary. Writes nothing. Raises as `ask_each` does."""

    def plan(server: Server) -> RepairPlan:
        own = settings.of(server.name)
        with connect(server, own.network) as session:
            create_state_schema(session, own.state_schema)
            key = (session, own.state_schema, server.name)
            counts = ProofStore(*key).difference_counts()
            records = TableLifecycle(*key).load()
        quarantined = {name for name, r in records.items() if r.state is TableState.QUARANTINED}
        return RepairPlan(server.name, _planned(counts, request, quarantined))

    return ask_each(request.secondaries, plan, lambda server, failure: RepairPlan(server.name, failure=failure))


def _planned(
    counts: dict[tuple[TableName, DifferenceKind], int], request: RepairRequest, quarantined: set[TableName]
) -> tuple[PlannedRepair, ...]:
    pattern = pattern_of(request.tables) if request.tables else None
    names = sorted({name for name, _ in counts if pattern is None or pattern.match(str(name))})

    def of(name: TableName, kind: DifferenceKind) -> int:
        return counts.get((name, kind), 0) if kind in (request.kinds or tuple(DifferenceKind)) else 0

    planned = (
        PlannedRepair(
            name,
            of(name, DifferenceKind.MISSING),
            of(name, DifferenceKind.EXTRA),
            of(name, DifferenceKind.DIFFERS),
            f"it is quarantined: {copy_advice([name])}" if name in quarantined else "",
        )
        for name in names
    )
    return tuple(table for table in planned if table.rows)


def run_repair(
    settings: Settings,
    request: RepairRequest,
    note: Callable[[str, str], None],
    stop: StopToken | None = None,
) -> tuple[RepairReport, ...]:
    """Repair the rows of each secondary, side by side. An error of one secondary is in its report.

    Args:
        settings: the settings of the command.
        request: what to repair.
        note: takes a sentence for people about an instance.
        stop: the token that ends the repairs, None for a new one. SIGINT and SIGTERM set it.
    """
    with (
        stopping_on_signals(stop) as heard,
        in_threads(
            partial(_repair, settings.of(server.name), server, request, note, heard.token)
            for server in request.secondaries
        ) as reports,
    ):
        ended = (report.result() for report in reports)
        return tuple(replace(r, failure=heard.coded(r.failure)) for r in ended)


def _repair(
    settings: Settings, server: Server, request: RepairRequest, note: Callable[[str, str], None], stop: StopToken
) -> RepairReport:
    try:
        with connect(server, settings.network) as session:
            create_state_schema(session, settings.state_schema)
            work = work_of(settings.primary, settings.selection)
            lock = WriterLock(session, settings.state_schema, server.name, work=work)
            store = RepairStore(session, settings.state_schema, server.name)
            if lock.try_acquire():
                wanted = WantedRepair(store.next_number(), request.tables, request.kinds)
                failure = _as_writer(settings, server, wanted, session, stop)
            else:
                wanted = WantedRepair(store.ask(request.tables, request.kinds), request.tables, request.kinds)
                if BeatStore(session, settings.state_schema, server.name).is_pause_wanted():
                    note(server.name, "the stream is paused: it repairs the rows after `replica resume`")
                failure = _by_stream(settings, server, wanted, session, stop)
            return RepairReport(server.name, store.tables(wanted.number), failure is not None, failure)
    except ReplicaError as error:
        return RepairReport(server.name, failure=Failure.of(explained(error, settings, server)))


def _as_writer(
    settings: Settings, server: Server, wanted: WantedRepair, session: Session, stop: StopToken
) -> Failure | None:
    """Repair as the process that writes: no stream runs."""
    positions = PositionStore(session, settings.state_schema, server.name)
    saved = positions.load()
    if saved is None:
        raise no_position(server)
    if change := saved.other_filters(settings.selection):
        raise FiltersChanged(f"{server.name}: {change}", hint="`replica position reset --accept-filters` accepts them")
    guard = LockGuard(settings.state_schema, server.name, session.connection_id)
    repairer = Repairer(settings, server, positions.take_token(), guard.check, stop)
    while not repairer.repair(wanted, _STEP_SECONDS):
        if stop.is_set:
            return Failure.of(_stopped(server))
    return None


def _by_stream(
    settings: Settings,
    server: Server,
    wanted: WantedRepair,
    session: Session,
    stop: StopToken,
) -> Failure | None:
    """Wait until the stream that runs has repaired the rows."""
    key = (session, settings.state_schema, server.name)
    store, lock = RepairStore(*key), WriterLock(*key)
    held_at = time.monotonic()
    while (answer := store.answer(wanted.number)) is None:
        if stop.wait(_POLL_SECONDS):
            store.cancel(wanted.number)
            return Failure.of(_stopped(server))
        if lock.holder():
            held_at = time.monotonic()
        elif time.monotonic() - held_at > _PATIENCE_SECONDS:
            store.cancel(wanted.number)
            raise ReplicaError(
                f"{server.name}: the stream ended before all rows were repaired",
                hint="run `replica verify repair` again",
            )
    return Failure.of(ReplicaError(f"{server.name}: {answer}")) if answer else None


def _stopped(server: Server) -> Interrupted:
    return Interrupted(
        f"{server.name}: stopped before all rows were repaired", hint="`replica verify repair` goes on with the rest"
    )
