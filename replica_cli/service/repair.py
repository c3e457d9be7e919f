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
from replica_cli.checkpoint.verify_lock import take_repair_lock
from replica_cli.core.errors import FiltersChanged, Interrupted, ReplicaError
from replica_cli.core.quarantine_texts import copy_advice
from replica_cli.core.reports.failure import Failure
from replica_cli.core.reports.repair import PlannedRepair, RepairPlan, RepairReport
from replica_cli.core.selection import pattern_of
from replica_cli.core.status import TableState
from replica_cli.core.verification import DifferenceKind
from replica_cli.mysql.facts import read_facts
from replica_cli.mysql.session import connect
from replica_cli.runtime.broken_state import explained
from replica_cli.runtime.repairing import Repairer
from replica_cli.service.ask_each import ask_each
from replica_cli.service.compared_primary import check_primary
from replica_cli.side_by_side import in_threads
from replica_cli.supervisor.signals import stopping_on_signals
from replica_cli.verify.pairs import no_position

if TYPE_CHECKING:
    from collections.abc import Callable

    from replica_cli.checkpoint.positions import SavedPosition
    from replica_cli.core.names import TableName
    from replica_cli.core.requests.verify import RepairRequest
    from replica_cli.core.settings import Server, Settings
    from replica_cli.mysql.session import Session
    from replica_cli.stop import StopToken

_POLL_SECONDS = 0.2
# The stream releases the lock for a moment when it starts again.
_PATIENCE_SECONDS = 15.0
# A stream that starts waits longer than this for the writer's lock.
_STEP_SECONDS = 2.0


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
            take_repair_lock(session, settings.state_schema, server.name)
            store = RepairStore(session, settings.state_schema, server.name)
            wanted = WantedRepair(store.next_number(), request.tables, request.kinds)
            failure = _ToTheEnd(settings, server, wanted, session, stop).repair(note)
            return RepairReport(server.name, store.tables(wanted.number), failure is not None, failure)
    except ReplicaError as error:
        return RepairReport(server.name, failure=Failure.of(explained(error, settings, server)))


class _ToTheEnd:
    """One repair of one secondary. The stream does it while one runs, and this process while none does."""

    def __init__(
        self, settings: Settings, server: Server, wanted: WantedRepair, session: Session, stop: StopToken
    ) -> None:
        self._settings = settings
        self._server = server
        self._wanted = wanted
        self._session = session
        self._stop = stop
        key = (session, settings.state_schema, server.name)
        self._store = RepairStore(*key)
        self._positions = PositionStore(*key)
        self._beats = BeatStore(*key)
        self._lock = WriterLock(*key, work=work_of(settings.primary, settings.selection))

    def repair(self, note: Callable[[str, str], None]) -> Failure | None:
        """Repair until all rows are done, or a stop is requested; return why rows are left."""
        self._check_primary()
        # The lock of repairs is held, so no other command waits for an answer.
        self._store.cancel_all()
        while not self._stop.is_set:
            if self._lock.try_acquire():
                # After each step a stream that has started meanwhile can take the lock.
                try:
                    is_done = self._as_writer()
                finally:
                    self._lock.release()
                if is_done:
                    return None
                continue
            self._store.ask(self._wanted)
            if self._beats.is_pause_wanted():
                note(self._server.name, "the stream is paused: it repairs the rows after `replica resume`")
            answer = self._answer()
            if answer is not None:
                return Failure.of(ReplicaError(f"{self._server.name}: {answer}")) if answer else None
            self._store.cancel(self._wanted.number)
        return Failure.of(
            Interrupted(
                f"{self._server.name}: stopped before all rows were repaired",
                hint="`replica verify repair` goes on with the rest",
            )
        )

    def _saved(self) -> SavedPosition:
        saved = self._positions.load()
        if saved is None:
            raise no_position(self._server)
        return saved

    def _check_primary(self) -> None:
        with connect(self._settings.primary, self._settings.network) as primary:
            check_primary(primary, self._settings, read_facts(primary), self._saved())

    def _as_writer(self) -> bool:
        """Repair for some seconds as the process that writes. Return True if all rows are done."""
        settings, server = self._settings, self._server
        saved = self._saved()
        if change := saved.other_filters(settings.selection):
            hint = "`replica position reset --accept-filters` accepts them"
            raise FiltersChanged(f"{server.name}: {change}", hint=hint)
        guard = LockGuard(settings.state_schema, server.name, self._session.connection_id)
        repairer = Repairer(settings, server, self._positions.take_token(), guard.check, self._stop)
        return repairer.repair(self._wanted, _STEP_SECONDS)

    def _answer(self) -> str | None:
        """Wait for the answer of the stream; return None if a stop is requested or no stream runs any more."""
        held_at = time.monotonic()
        while (answer := self._store.answer(self._wanted.number)) is None:
            if self._stop.wait(_POLL_SECONDS):
                return None
            if self._lock.holder_id() is not None:
                held_at = time.monotonic()
            elif time.monotonic() - held_at > _PATIENCE_SECONDS:
                return None
        return answer
