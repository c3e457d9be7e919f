"""Compare all tables of one secondary, some at a time, and store what is proven."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from replica_cli.checkpoint.beats import BeatStore
from replica_cli.core.errors import Interrupted
from replica_cli.core.status import TableState
from replica_cli.core.verification import VerifyProgress
from replica_cli.mysql.errnos import (
    ER_BAD_FIELD,
    ER_KEY_DOES_NOT_EXIST,
    ER_LOCK_WAIT_TIMEOUT,
    ER_NO_SUCH_TABLE,
    ER_TABLE_DEF_CHANGED,
    QUERY_TIMEOUTS,
    ServerError,
)
from replica_cli.mysql.session import connect
from replica_cli.side_by_side import in_threads
from replica_cli.verify.guard import LoadGuard
from replica_cli.verify.pace import Pace
from replica_cli.verify.pairs import Pairs, PairSessions, SnapshotExpired, limit_queries, too_slow
from replica_cli.verify.table_run import TableRun
from replica_cli.verify.walk import Limits

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from replica_cli.checkpoint.proofs import Progress, ProofStore
    from replica_cli.checkpoint.table_records import TableRecord
    from replica_cli.core.names import TableName
    from replica_cli.core.settings import Server, Settings
    from replica_cli.core.verification import Difference, ProvenRange, TableProof
    from replica_cli.mysql.facts import ServerFacts
    from replica_cli.stop import StopToken
    from replica_cli.verify.guard import LoadLimits
    from replica_cli.verify.pairs import Pair, ReadLog
    from replica_cli.verify.tables import VerifiedTable

# How long the chunks of one pair of snapshots are compared. The snapshots keep old row versions on both servers.
_GROUP_SECONDS = 10.0
_AGAIN_SECONDS = 0.1
# Small tables share their pairs of snapshots: opening a pair may take longer than comparing such a table.
_TABLES_AT_ONCE, _ROWS_AT_ONCE = 50, 100_000
# How many differences are stored in one statement.
_STORED_AT_ONCE = 200
# How often a table is compared from its beginning because it was altered.
_ALTERATIONS = 5
_ALTERED = frozenset({ER_TABLE_DEF_CHANGED, ER_NO_SUCH_TABLE, ER_BAD_FIELD, ER_KEY_DOES_NOT_EXIST})
# How often a server is asked if it is busy, and how long a run waits before it asks again.
_GUARD_SECONDS = 1.0
# Over this time the rate is measured.
_RATE_SECONDS = 5.0


class _TooManyDifferencesError(Exception):
    """More rows differ than the run may find."""


@dataclass(frozen=True, slots=True)
class Work:
    """What a run compares, and with what.

    Attributes:
        settings: the settings of the command.
        server: the secondary.
        facts: the primary's facts.
        run_number: the number of the run in the store.
        proofs: stores what is proven, and the differences.
        read_log: reads a part of the primary's log.
        limits: when the run waits.
        workers: how many tables are compared at the same time.
        rate: how many rows a second are compared at most by all workers together, 0 for no limit.
        max_differences: the run ends when it has met this number of rows that differ and were not known before, 0 for
            no limit.
        wants_rows: the differences contain the values of the rows.
        keeps_rows: the values are stored too.
        report: takes the progress.
        on_difference: takes each difference.
        plan_again: reads the definitions of tables again; returns how to compare each, or why that is not possible.
            Tables that are gone are left out.
        hold: returns why the run must wait besides the limits, an empty text if it need not.
        largest_first: begin with the largest tables; otherwise the order is that of the caller.
    """

    settings: Settings
    server: Server
    facts: ServerFacts
    run_number: int
    proofs: ProofStore
    read_log: ReadLog
    limits: LoadLimits
    workers: int
    rate: int
    max_differences: int
    wants_rows: bool
    keeps_rows: bool
    report: Callable[[VerifyProgress], None]
    on_difference: Callable[[Difference], None]
    plan_again: Callable[[Sequence[TableName]], Mapping[TableName, VerifiedTable | str]]
    hold: Callable[[], str] = lambda: ""
    largest_first: bool = True


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended.

    Attributes:
        undecided: the tables that could not be decided, with the reasons.
        has_too_many: it ended before its end, because too many rows differ.
        gone: tables that were dropped meanwhile.
    """

    undecided: Mapping[TableName, str]
    has_too_many: bool
    gone: frozenset[TableName]


def run(
    work: Work, tables: Sequence[VerifiedTable], progress: Mapping[TableName, Progress], stop: StopToken
) -> Outcome:
    """Compare tables.

    Args:
        work: what is compared, and with what.
        tables: the tables.
        progress: how far an interrupted run came.
        stop: ends the run between two chunks.

    Raises:
        Interrupted: a stop was requested.
        ReplicaError: a server does not answer, or the log cannot be read.
    """
    shared = _Shared(work, tables, progress, stop)
    count = max(1, min(work.workers, len(tables), work.rate or work.workers))
    share = replace(work, rate=work.rate // count)
    with in_threads(partial(_work, share, shared) for _ in range(count)) as workers:
        pass
    shared.store_differences()
    for worker in workers:
        worker.result()
    return Outcome(shared.undecided, shared.has_too_many, frozenset(shared.gone))


class _Shared:
    """What the threads of one run share: the tables that wait, and the sums."""

    def __init__(
        self,
        work: Work,
        tables: Sequence[VerifiedTable],
        progress: Mapping[TableName, Progress],
        stop: StopToken,
    ) -> None:
        self._work = work
        self._lock = threading.Lock()
        self.stop = stop
        self.progress = progress
        self.undecided: dict[TableName, str] = {}
        self.gone: set[TableName] = set()
        done = {name for name, p in progress.items() if p.is_at_end}
        ordered = sorted(tables, key=lambda t: -t.rows_estimated) if work.largest_first else tables
        self._waiting = deque(t for t in ordered if t.name not in done)
        self._estimates = {t.name: t.rows_estimated for t in tables if t.name not in done}
        self._total = len(tables)
        self._done = len(done)
        self._rows = sum(p.row_count for p in progress.values())
        self._unstored: list[Difference] = []
        self._differences = self._stored_differences()
        self._new_differences = 0
        self._proofs: dict[TableName, TableProof] = {}
        self._samples: list[tuple[float, int]] = [(time.monotonic(), self._rows)]

    @property
    def has_too_many(self) -> bool:
        """Return True if the run must end, because too many rows differ."""
        return 0 < self._work.max_differences <= self._new_differences

    @property
    def is_over(self) -> bool:
        """Return True if the run must end now."""
        return self.stop.is_set or self.has_too_many

    def next_tables(self) -> list[VerifiedTable]:
        """Return a large table, or some small ones, which no thread has taken; none if all are taken."""
        tables: list[VerifiedTable] = []
        rows = 0
        with self._lock:
            while self._waiting and len(tables) < _TABLES_AT_ONCE:
                rows += self._waiting[0].rows_estimated
                is_alone = not self._waiting[0].has_snapshots
                if tables and (rows > _ROWS_AT_ONCE or is_alone):
                    break
                tables.append(self._waiting.popleft())
                if is_alone:
                    break
        return tables

    def add_difference(self, difference: Difference) -> None:
        """Store a difference, together with some others."""
        kept = difference if self._work.keeps_rows else replace(difference, primary_row=None, secondary_row=None)
        with self._lock:
            self._unstored.append(kept)
            self._differences += difference.count
            # Rows with their values may be large. Only the store knows which of the differences are new.
            left = self._work.max_differences - self._new_differences if self._work.max_differences else _STORED_AT_ONCE
            if self._work.keeps_rows or len(self._unstored) >= min(left, _STORED_AT_ONCE):
                self._store_differences()
        self._work.on_difference(difference)
        if self.has_too_many:
            raise _TooManyDifferencesError

    def add_range(self, table: VerifiedTable, number: int, proven: ProvenRange) -> None:
        """Store a part of a table that is proven, and before it the differences that it has."""
        self.store_differences()
        self._work.proofs.add_range(self._work.run_number, table.name, number, proven, table.definition)

    def forget_table(self, name: TableName) -> None:
        """Forget what the run has said of a table, because it was altered."""
        with self._lock:
            self._store_differences()
            self._work.proofs.forget_table(self._work.run_number, name)
            self._differences = self._stored_differences()

    def note(self, table: TableRun, rows: int, *, waits_for: str = "", is_over: bool = False) -> None:
        """Report the progress after a step of a table, and after its last one, if the table `is_over`."""
        now = time.monotonic()
        proof = table.proof
        with self._lock:
            self._rows += rows
            self._samples.append((now, self._rows))
            while len(self._samples) > 2 and now - self._samples[1][0] > _RATE_SECONDS:
                self._samples.pop(0)
            if is_over:
                self._end(proof.table)
            else:
                self._proofs[proof.table] = proof
            report = self._snapshot(now, waits_for)
        self._work.report(report)

    def refuse(self, name: TableName, reason: str) -> None:
        """Note that a table cannot be compared."""
        with self._lock:
            self.undecided[name] = reason
            self._end(name)

    def leave_out(self, name: TableName) -> None:
        """Note that a table was dropped."""
        self.forget_table(name)
        with self._lock:
            self.gone.add(name)
            self._end(name)

    def _end(self, name: TableName) -> None:
        self._proofs.pop(name, None)
        self._estimates.pop(name, None)
        self._done += 1

    def store_differences(self) -> None:
        """Store the differences that were not stored yet."""
        with self._lock:
            self._store_differences()

    def _store_differences(self) -> None:
        self._new_differences += self._work.proofs.add_differences(self._work.run_number, self._unstored)
        self._unstored.clear()

    def _stored_differences(self) -> int:
        return sum(self._work.proofs.difference_counts(self._work.run_number).values())

    def _snapshot(self, now: float, waits_for: str) -> VerifyProgress:
        since, rows_before = self._samples[0]
        rate = (self._rows - rows_before) / max(now - since, 0.001)
        compared = {name: proof.rows for name, proof in self._proofs.items()}
        left = sum(max(0, rows - compared.get(name, 0)) for name, rows in self._estimates.items())
        return VerifyProgress(
            self._work.server.name, tuple(self._proofs.values()), self._done, self._total, self._rows, rate, left,
            self._differences, waits_for,
        )  # fmt: skip


class _Worker:
    """One thread of a run, with its sessions."""

    def __init__(self, work: Work, shared: _Shared, stack: ExitStack) -> None:
        self._work = work
        self._shared = shared
        servers = (work.settings.primary, work.server)
        primary, secondary, primary_status, secondary_status = (
            stack.enter_context(connect(server, work.settings.network)) for server in (*servers, *servers)
        )
        for session in (primary, secondary):
            limit_queries(session, work.settings.verify.snapshot_seconds)
        key = (work.settings.state_schema, work.server.name)
        self._primary, self._secondary = primary, secondary
        sessions = PairSessions.of(primary, secondary, secondary_status, *key)
        self._pairs = Pairs(sessions, work.facts, work.read_log, shared.stop)
        beats = BeatStore(secondary_status, *key)
        self._guard = LoadGuard(primary_status, secondary_status, beats, work.limits)
        self._guarded_at = 0.0
        self._pace = Pace(primary_status, secondary_status, shared.stop.wait)

    def compare(self, tables: Sequence[VerifiedTable]) -> None:
        """Compare some tables together to their ends, or until the run must end. One that is altered begins again."""
        shared = self._shared
        runs = [self._begin(table) for table in tables]
        beginnings: Counter[TableName] = Counter()
        while runs and not shared.is_over:
            self._wait_for_rest(runs[0])
            altered = self._step(runs)
            over = [run for run in runs if run.is_done or run in altered]
            runs = [run for run in runs if run not in over]
            for run in over:
                if run.undecided_reason:
                    shared.refuse(run.table.name, run.undecided_reason)
            compared = [run for run in over if not run.undecided_reason]
            current = self._work.plan_again([run.table.name for run in compared])
            for run in compared:
                if again := self._finish(run, current.get(run.table.name), beginnings, is_altered=run in altered):
                    runs.append(again)

    def _begin(self, table: VerifiedTable) -> TableRun:
        """Begin with a table, or go on where an interrupted run ended."""
        progress = self._shared.progress.get(table.name)
        if progress is not None and progress.definition != table.definition:
            self._shared.forget_table(table.name)
            progress = None
        return self._make_run(table, progress)

    def _finish(
        self,
        run: TableRun,
        table: VerifiedTable | str | None,
        beginnings: Counter[TableName],
        *,
        is_altered: bool,
    ) -> TableRun | None:
        """End a table, unless it was altered since its comparison began: then return one that begins again."""
        shared, name = self._shared, run.table.name
        if table is None:
            shared.leave_out(name)
            return None
        if isinstance(table, str):
            shared.refuse(name, table)
            return None
        if not is_altered and table.definition == run.table.definition:
            run.finish()
            shared.note(run, 0, is_over=True)
            return None
        shared.forget_table(name)
        beginnings[name] += 1
        if beginnings[name] >= _ALTERATIONS:
            shared.refuse(name, "it is altered all the time")
            return None
        return self._make_run(table, None)

    def _make_run(self, table: VerifiedTable, progress: Progress | None) -> TableRun:
        return TableRun(
            table, self._primary, self._secondary,
            progress=progress,
            report=self._shared.add_difference,
            save=partial(self._shared.add_range, table),
            wants_rows=self._work.wants_rows,
        )  # fmt: skip

    def _step(self, runs: Sequence[TableRun]) -> list[TableRun]:
        """Compare a part of the tables in a new pair of snapshots; return those that were altered.

        The snapshots live as long as those for one table, so some of the tables may have to wait for the next pair.
        """
        work, shared = self._work, self._shared
        started_at = time.monotonic()
        expiry = started_at + work.settings.verify.snapshot_seconds
        rows, is_idle = 0, True
        wanted = {run.table.name: run.restless for run in runs}
        current: list[TableRun] = list(runs)
        try:
            with self._pairs.open([run.table for run in runs], wanted, expiry=expiry) as pair:
                # Reading the log may have taken its time.
                deadline = min(time.monotonic() + _GROUP_SECONDS, expiry)
                self._pace.begin()
                for run in runs:
                    if time.monotonic() >= deadline or shared.is_over or 0 < work.rate <= rows or self._must_wait():
                        break
                    current = [run]
                    limits = Limits(deadline, max(0, work.rate - rows), self._must_end, expiry)
                    count = self._step_in(pair, run, limits)
                    shared.note(run, count)
                    rows += count
                    is_idle = is_idle and not count and not run.is_done
        except SnapshotExpired as error:
            for run in current:
                run.give_up(str(error) or too_slow(work.settings.verify.snapshot_seconds))
        except ServerError as error:
            if len(current) > 1 and error.errno in (*_ALTERED, ER_LOCK_WAIT_TIMEOUT):
                # One of the tables is altered or locked; the others must not wait for it.
                return [altered for run in current for altered in self._step([run])]
            if error.errno in _ALTERED:
                return current
            self._note_error(error, current)
        if is_idle:
            shared.stop.wait(_AGAIN_SECONDS)
        elif work.rate:
            shared.stop.wait(rows / work.rate - (time.monotonic() - started_at))
        return []

    def _note_error(self, error: ServerError, runs: Sequence[TableRun]) -> None:
        """Note that a pair of snapshots could not be used for some tables. Raises an error of another kind."""
        limit = self._work.settings.verify.snapshot_seconds
        for run in runs:
            if error.errno in QUERY_TIMEOUTS:
                run.give_up(too_slow(limit))
            elif error.errno == ER_LOCK_WAIT_TIMEOUT:
                run.postpone(f"another session has locked a table: {error.message}")
            else:
                raise error

    def _step_in(self, pair: Pair, run: TableRun, limits: Limits) -> int:
        """Compare a part of one table; return the number of rows."""
        table = run.table
        record = pair.records.get(table.name)
        if refusal := _refusal(record):
            run.give_up(refusal)
            return 0
        if record is not None and (reason := record.why_inexact(pair.position)):
            run.postpone(reason)
            return 0
        return run.step(pair, limits)

    def _wait_for_rest(self, run: TableRun) -> None:
        """Wait while a server is busy, or the stream is behind. No snapshot is open meanwhile."""
        while not self._shared.is_over and (reason := self._reason_to_wait()):
            self._shared.note(run, 0, waits_for=reason)
            self._shared.stop.wait(_GUARD_SECONDS)

    def _must_end(self) -> bool:
        """Rest after a chunk as long as the servers need it. Return True if the pair must be closed."""
        self._pace.rest()
        return self._must_wait()

    def _must_wait(self) -> bool:
        return bool(self._reason_to_wait())

    def _reason_to_wait(self) -> str:
        """Return why the comparison must wait, as of at most a second ago; empty if it need not."""
        if time.monotonic() - self._guarded_at <= _GUARD_SECONDS:
            return ""
        reason = self._work.hold() or self._guard.reason()
        if not reason:
            self._guarded_at = time.monotonic()
        return reason


def _work(work: Work, shared: _Shared) -> None:
    with ExitStack() as stack:
        worker = _Worker(work, shared, stack)
        while not shared.is_over:
            tables = shared.next_tables()
            if not tables:
                return
            try:
                worker.compare(tables)
            except _TooManyDifferencesError:
                return
    if shared.stop.is_set:
        raise Interrupted(
            f"{work.server.name}: stopped before all rows were compared", hint="`replica verify run --resume` goes on"
        )


def _refusal(record: TableRecord | None) -> str:
    """Return why a table cannot be compared; empty if it can."""
    if record is None or record.state is TableState.COPIED:
        return ""
    if record.state is TableState.QUARANTINED:
        return f"it is quarantined: {record.reason}"
    return "its copy is not finished"
