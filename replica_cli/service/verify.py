"""Run `replica verify run`: compare the rows of secondaries with the primary's."""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Protocol

from replica_cli.checkpoint.beats import BeatStore
from replica_cli.checkpoint.positions import PositionStore
from replica_cli.checkpoint.proofs import ProofStore
from replica_cli.checkpoint.schema import create_state_schema
from replica_cli.checkpoint.verify_lock import take_verify_lock
from replica_cli.core.errors import Interrupted, ReplicaError, UnfinishedVerification, UsageError
from replica_cli.core.reports.failure import Failure
from replica_cli.core.reports.verify import TableVerdict, VerifyReport
from replica_cli.core.requests.verify import VerifyMode
from replica_cli.core.verification import DifferenceKind
from replica_cli.core.wording import counted
from replica_cli.logs import Tag, log
from replica_cli.mysql.session import connect
from replica_cli.runtime.broken_state import explained
from replica_cli.runtime.log_part import LogParts
from replica_cli.runtime.start_checks import connect_both
from replica_cli.runtime.verify_tables import Instance, read_compared_again, read_compared_tables
from replica_cli.service.compared_primary import check_primary
from replica_cli.side_by_side import in_threads
from replica_cli.supervisor.signals import calling_at_stop, stopping_on_signals
from replica_cli.verify.counting import Counting
from replica_cli.verify.guard import LoadGuard, limits_of, unlimited_history
from replica_cli.verify.pairs import Pairs, PairSessions, no_position
from replica_cli.verify.run import Work, run

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from replica_cli.checkpoint.proofs import Run
    from replica_cli.core.names import TableName
    from replica_cli.core.requests.verify import VerifyRequest
    from replica_cli.core.settings import Server, Settings
    from replica_cli.core.verification import Difference, VerifyProgress
    from replica_cli.mysql.facts import ServerFacts
    from replica_cli.runtime.verify_tables import ComparedTables
    from replica_cli.stop import StopToken

_logger = logging.getLogger(__name__)
_STOPPING = "stopping: what is proven is stored; `replica verify run --resume` goes on with the rest"


class VerifyReporter(Protocol):
    """Receives what a run does. Any thread may call it; each method must return soon and must not raise."""

    def on_progress(self, progress: VerifyProgress) -> None:
        """Receive the newest progress of one secondary."""

    def on_difference(self, instance: str, difference: Difference) -> None:
        """Receive a row that differs."""

    def on_stopping(self, message: str) -> None:
        """Receive the request to stop; `message` says what happens before the end."""


class SilentVerify:
    """A reporter that shows nothing."""

    def on_progress(self, progress: VerifyProgress) -> None:
        """Ignore the progress."""

    def on_difference(self, instance: str, difference: Difference) -> None:
        """Ignore the difference."""

    def on_stopping(self, message: str) -> None:
        """Ignore the message."""


def run_verify(
    settings: Settings, request: VerifyRequest, reporter: VerifyReporter, stop: StopToken | None = None
) -> tuple[VerifyReport, ...]:
    """Compare the rows of each secondary, side by side. An error of one secondary is in its report.

    Args:
        settings: the settings of the command.
        request: what to compare.
        reporter: receives the progress.
        stop: the token that ends all runs, None for a new one. SIGINT and SIGTERM set it.
    """
    with stopping_on_signals(stop) as heard, calling_at_stop(heard, lambda: reporter.on_stopping(_STOPPING)):
        reports = verify_each(settings, request, reporter, heard.token)
        return tuple(replace(r, failure=heard.coded(r.failure)) for r in reports)


def verify_each(
    settings: Settings, request: VerifyRequest, reporter: VerifyReporter, stop: StopToken
) -> tuple[VerifyReport, ...]:
    """Compare the rows of each secondary, side by side, as `run_verify` does, but hear no signals."""
    with in_threads(
        partial(_verify, settings.of(server.name), server, request, reporter, stop) for server in request.secondaries
    ) as reports:
        return tuple(report.result() for report in reports)


def _verify(
    settings: Settings, server: Server, request: VerifyRequest, reporter: VerifyReporter, stop: StopToken
) -> VerifyReport:
    started = time.monotonic()
    try:
        with connect(server, settings.network) as session:
            create_state_schema(session, settings.state_schema)
            take_verify_lock(session, settings.state_schema, server.name)
            store = ProofStore(session, settings.state_schema, server.name)
            comparison = _Run(settings, server, request, reporter, store)
            report = comparison.count(stop) if request.is_count_only else comparison.compare(stop)
    except ReplicaError as error:
        report = VerifyReport(server.name, failure=Failure.of(explained(error, settings, server)))
    return replace(report, elapsed_milliseconds=int((time.monotonic() - started) * 1000))


class _Run:
    """One run on one secondary."""

    def __init__(
        self,
        settings: Settings,
        server: Server,
        request: VerifyRequest,
        reporter: VerifyReporter,
        store: ProofStore,
    ) -> None:
        self._settings = settings
        self._server = server
        self._request = request
        self._reporter = reporter
        self._store = store

    def count(self, stop: StopToken) -> VerifyReport:
        """Compare only the numbers of rows. Nothing is stored."""
        settings, key = self._settings, (self._settings.state_schema, self._server.name)
        plan = self._plan(self._request.tables)
        with (
            connect_both(settings, self._server) as (primary, secondary),
            connect(self._server, settings.network) as state,
        ):
            sessions = PairSessions.of(primary, secondary, state, *key)
            pairs = Pairs(sessions, plan.facts, LogParts(settings, plan.facts).read, stop)
            guard = LoadGuard(primary, state, BeatStore(state, *key), limits_of(settings.verify))
            counting = Counting(
                pairs, primary, secondary, stop, settings.verify.snapshot_seconds, reason_to_wait=guard.reason
            )
            verdicts = counting.compare(plan.tables)
        verdicts += [TableVerdict(name, undecided=reason) for name, reason in plan.refused.items()]
        ordered = tuple(sorted(verdicts, key=lambda v: v.table))
        return VerifyReport(self._server.name, ordered, is_stopped=stop.is_set, is_count_only=True)

    def compare(self, stop: StopToken) -> VerifyReport:
        """Compare the rows. What is proven is stored."""
        resumed = self._resumed()
        patterns = resumed.patterns if resumed else self._request.tables
        plan = self._plan(patterns)
        if resumed:
            self._check_same_primary(resumed, plan.facts)
        number = resumed.number if resumed else self._store.begin_run(patterns, plan.facts.identity)
        progress = self._store.progress(number) if resumed else {}
        outcome, failure = None, None
        try:
            outcome = run(self._work(plan, number), plan.tables, progress, stop)
        except Interrupted as error:
            failure = Failure.of(error)
        undecided = {**plan.refused, **(outcome.undecided if outcome else {})}
        names = plan.names - (outcome.gone if outcome else frozenset())
        if outcome is not None and outcome.has_too_many:
            self._store.note_too_many(number)
        elif outcome is not None:
            self._store.end_run(number, {str(name): reason for name, reason in undecided.items()})
            if not patterns:
                self._store.keep_only(names)
        is_stopped = outcome is None or outcome.has_too_many
        verdicts = self._verdicts(number, names, undecided, is_stopped=is_stopped)
        return VerifyReport(self._server.name, verdicts, is_stopped=is_stopped, failure=failure)

    def _resumed(self) -> Run | None:
        """Return the run to go on with, None to begin a new one."""
        last = self._store.last_run()
        if last is None or last.is_done:
            return None
        if self._request.mode is VerifyMode.NEW:
            raise self._unfinished(
                "was not finished",
                "`replica verify run --resume` goes on with it, `replica verify run --restart` begins again",
            )
        return last if self._request.mode is VerifyMode.RESUME else None

    def _check_same_primary(self, run: Run, facts: ServerFacts) -> None:
        if run.source_identity != facts.identity:
            raise self._unfinished(
                f"compared with another primary ({run.source_identity}, now {facts.identity})",
                "`replica verify run --restart` begins again",
            )

    def _unfinished(self, reason: str, hint: str) -> UnfinishedVerification:
        return UnfinishedVerification(f"{self._server.name}: an earlier comparison {reason}", hint=hint)

    def _plan(self, patterns: Sequence[str]) -> ComparedTables:
        """Return the tables to compare, and why the others cannot be compared."""
        settings = self._settings
        with connect_both(settings, self._server) as (primary, secondary):
            saved = PositionStore(secondary, settings.state_schema, self._server.name).load()
            if saved is None:
                raise no_position(self._server)
            plan = read_compared_tables(Instance(settings, self._server, primary, secondary), patterns)
            check_primary(primary, settings, plan.facts, saved)
            notes = [unlimited_history(session) for session in (primary, secondary)]
        if plan.sequences:
            notes.append(f"{counted(len(plan.sequences), 'sequence')} not compared: a sequence has no rows")
        for note in filter(None, notes):
            log(_logger, logging.INFO, Tag.VERIFY, "%s", note, instance=self._server.name)
        if patterns and not plan.tables and not plan.refused:
            raise UsageError(
                f"no replicated table matches {', '.join(patterns)}", hint="check `--table` and the filters"
            )
        return plan

    def _work(self, plan: ComparedTables, number: int) -> Work:
        settings, request = self._settings, self._request
        return Work(
            settings=settings,
            server=self._server,
            facts=plan.facts,
            run_number=number,
            proofs=self._store,
            read_log=LogParts(settings, plan.facts).read,
            limits=limits_of(settings.verify),
            workers=request.workers,
            rate=request.rate,
            max_differences=request.max_differences,
            wants_rows=request.keeps_rows or request.reports_rows,
            keeps_rows=request.keeps_rows,
            report=self._reporter.on_progress,
            plan_again=partial(read_compared_again, settings, self._server),
            on_difference=partial(self._reporter.on_difference, self._server.name),
        )

    def _verdicts(
        self, number: int, names: Collection[TableName], undecided: Mapping[TableName, str], *, is_stopped: bool
    ) -> tuple[TableVerdict, ...]:
        progress = self._store.progress(number)
        positions = self._store.first_positions(number)
        counts = self._store.difference_counts(number)
        verdicts = []
        for name in sorted(names):
            done = progress.get(name)
            missing, extra, differs = (counts.get((name, kind), 0) for kind in DifferenceKind)
            reason = undecided.get(name, "")
            if not reason and is_stopped and (done is None or not done.is_at_end):
                reason = "the run ended before all of its rows were compared"
            rows = 0 if done is None else done.row_count
            verdicts.append(TableVerdict(name, rows, missing, extra, differs, positions.get(name), reason))
        return tuple(verdicts)
