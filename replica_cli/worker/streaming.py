"""Stream once: from the saved position until a stop, the requested end, a need to start again, or an error.

The worker's main thread runs it. `worker.worker` creates a new `Streaming` after each error, after a pause, with new
settings, and when tables were taken over or wait for a copy.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from replica_cli.applier.deferrable_queries import DeferrableQueries
from replica_cli.applier.window import Windows
from replica_cli.checkpoint.repairs import RepairStore
from replica_cli.core.errors import ApplyRefused
from replica_cli.core.events import RowEvent
from replica_cli.core.limiting import Part
from replica_cli.core.quarantine_texts import is_copy_refused, quarantine_advice
from replica_cli.core.status import NOT_STREAMED, Phase, TableState
from replica_cli.core.wording import rolled_back_text
from replica_cli.logs import Tag, log
from replica_cli.mysql.binlog.log_state import end_of_log
from replica_cli.mysql.facts import read_facts
from replica_cli.reader.position_check import PositionCheck
from replica_cli.reader.reader import Reader
from replica_cli.runtime.lag import CAUGHT_UP_SECONDS
from replica_cli.runtime.primary_access import PrimaryAccess
from replica_cli.runtime.primary_session import read_clock
from replica_cli.runtime.secondary_sessions import open_ahead
from replica_cli.worker.definition_check import DefinitionCheck
from replica_cli.worker.lazy_applier import LazyApplier
from replica_cli.worker.missing_tables import MissingTables

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from replica_cli.applier.applier import Applier
    from replica_cli.applier.commit_tracker import BatchStats
    from replica_cli.applier.ddl.altered import AlteredTables
    from replica_cli.applier.ddl.lock_waits import LockPatience
    from replica_cli.applier.prefetch.prefetch import Prefetch
    from replica_cli.checkpoint.positions import SavedPosition
    from replica_cli.core.events import Transaction
    from replica_cli.core.position import Position
    from replica_cli.core.selection import Selection
    from replica_cli.core.settings import Settings
    from replica_cli.core.table import TableName
    from replica_cli.resync.resync import TableResync
    from replica_cli.runtime.primary_session import PrimarySession
    from replica_cli.runtime.secondary_sessions import SecondarySessions
    from replica_cli.runtime.status_publisher import StatusPublisher
    from replica_cli.stop import StopToken
    from replica_cli.worker.row_log import RowLog

logger = logging.getLogger(__name__)

# The longest wait for transactions: while there is other work that needs polling, and while there is none.
_BUSY_SECONDS, _IDLE_SECONDS = 0.25, 5.0
# How often the periodic work between two batches runs.
_REST_SECONDS = 1.0
_PROGRESS_SECONDS = 0.25
# How long a stream that ends at the end of the log waits for tables whose definitions are altered all the time.
_COMPARE_SECONDS = 10.0
# How often the definitions on the secondary are checked for alterations by other users.
WATCH_SECONDS = 30.0


class Streaming:
    """Streams from the saved position. It is not used again after `run`, so nothing is remembered that was not saved.

    Used by the worker's main thread. The reader, the prefetch and the re-sync have threads of their own; `run` stops
    them.
    """

    def __init__(
        self,
        settings: Settings,
        sessions: SecondarySessions,
        primary: PrimarySession,
        saved: SavedPosition,
        *,
        server_id: int,
        altered: AlteredTables,
        asked_by: Mapping[TableName, Position | None],
        publisher: StatusPublisher,
        stop: StopToken,
        patience: LockPatience,
        refusals: Mapping[TableName, int],
        row_log: RowLog,
        is_diagnostic: bool = False,
        until_caught_up: bool = False,
    ) -> None:
        """Read the state of both servers and prepare the stream; no thread is started.

        Args:
            settings: the settings of the worker.
            sessions: the sessions on the secondary, of which `writer` holds the writer's lock.
            primary: the session for questions to the primary.
            saved: the saved position.
            server_id: the server id of the dump connection.
            altered: the tables that statements altered and that are not compared yet; it outlives this object.
            asked_by: for each table that is copied again, the position of the transaction that caused ("asked for") the
                copy; None if no transaction did.
            publisher: takes the status.
            stop: ends the stream or pauses it.
            patience: counts the waits of DDL statements for locks; it outlives this object.
            refusals: how many windows of each table have ended with a refused row, one after another.
            row_log: logs what is applied; it outlives this object, which leaves nothing in it that is not logged.
            is_diagnostic: use the diagnostic engine, which can name the row that fails.
            until_caught_up: the stream ends at the current end of the log.

        Raises:
            PositionLost: the primary's log does not go on from the saved position.
            PrimaryReplaced: the primary is another server, which lacks applied transactions.
            ServerError: a server does not answer.

        """
        self._settings = settings
        self._asked_by = asked_by
        self._sessions = sessions
        self._publisher = publisher
        self._measures = publisher.measures
        self._stop = stop
        self._instance = publisher.status.instance
        self._deferrable = DeferrableQueries(self._instance, settings.retry)
        self._primary = primary
        self._primary_facts = read_facts(primary.session)
        self._target = end_of_log(primary.session, self._primary_facts)
        read_clock(publisher.clock, primary.session)
        start = self._start_position(saved)
        saved = replace(saved, position=start)
        records = sessions.stores.tables.load()
        self._windows = Windows(records)
        self._refusals = _of_recorded(refusals, records)
        resyncing = frozenset(n for n, r in records.items() if r.state in NOT_STREAMED)
        self._resync = self._make_resync(resyncing, server_id, saved) if resyncing else None
        self._reader = self._make_reader(server_id, start)
        self._prefetch: Prefetch | None = None
        self._applier = LazyApplier(
            lambda: self._make_applier(saved, altered=altered, patience=patience, is_diagnostic=is_diagnostic), saved
        )
        if records or not until_caught_up:
            self._applier.make()
        self._check = self._make_check(altered)
        self._missing = MissingTables(settings, primary, self._primary_facts, sessions.catalog, sessions.stores.tables)
        self._worked_at = self._watched_at = time.monotonic()
        self._reached_at: float | None = None
        self._file = start.file
        self._has_met_target = self._has_applied = False
        self._published_at = 0.0
        self._row_log = row_log
        # All changes that the primary had sent before this monotonic time were applied.
        self._idle_at: float | None = None
        # True if a wait for transactions is a wait for the link: there are changes that have not arrived.
        self._is_behind = True

    def _make_reader(self, server_id: int, start: Position) -> Reader:
        return Reader(
            self._settings.primary,
            self._settings.network,
            server_id=server_id,
            start=start,
            is_mariadb=self._primary_facts.is_mariadb,
            wants=lambda name: self._settings.selection.target(name) is not None,
            queue_bytes=self._settings.batching.queue_bytes,
        )

    def _make_check(self, altered: AlteredTables) -> DefinitionCheck:
        return DefinitionCheck(
            altered,
            self._settings.selection,
            primary=self._primary,
            primary_facts=self._primary_facts,
            catalog=self._sessions.catalog,
            store=self._sessions.stores.uncompared,
            windows=self._windows,
        )

    def _make_applier(
        self, saved: SavedPosition, *, altered: AlteredTables, patience: LockPatience, is_diagnostic: bool
    ) -> Applier:
        from replica_cli.runtime import factory  # noqa: PLC0415 - worker/preload.py loads it before

        connect = partial(open_ahead, self._settings, self._sessions.writer.server)
        self._prefetch = factory.make_prefetch(self._settings, connect, self._instance)
        return factory.make_applier(
            self._settings,
            self._sessions,
            saved,
            windows=self._windows,
            primary=PrimaryAccess(
                self._primary_facts, self._primary.read, self._primary.ask, self._reader.format_event
            ),
            stop=self._stop,
            altered=altered,
            patience=patience,
            is_diagnostic=is_diagnostic,
            prefetch=self._prefetch,
            measures=self._measures,
        )

    def _make_resync(self, names: frozenset[TableName], server_id: int, saved: SavedPosition) -> TableResync:
        """Return the re-sync that copies these tables while the stream runs."""
        from replica_cli.resync.resync import TableResync  # noqa: PLC0415 - worker/preload.py loads it before

        return TableResync(
            self._settings,
            self._sessions.writer.server,
            names=names,
            asked_by=self._asked_by,
            # The catch-up has a dump connection of its own, which needs a server id of its own.
            server_id=server_id + len(self._settings.secondaries),
            token=saved.token,
            guard=self._sessions.guard(self._settings),
            primary_facts=self._primary_facts,
            publisher=self._publisher,
            stop=self._stop,
            refusals=self._refusals,
        )

    @property
    def refusals(self) -> Mapping[TableName, int]:
        """Return how many windows of each table have ended with a refused row; called after `run`.

        A table without a record is live: its last window has ended without a refusal, and the table counts from zero.
        """
        refusals = self._refusals if self._resync is None else self._resync.refusals
        return _of_recorded(refusals, self._windows.records)

    def run(
        self,
        *,
        until_caught_up: bool,
        is_interrupted: Callable[[], bool] = lambda: False,
        must_check_state: Callable[[], bool] = lambda: False,
    ) -> bool:
        """Stream until a stop, or until the end that the log had at the connect is applied.

        All that was committed is in the position row, also if an error ends the stream.

        Args:
            until_caught_up: end when the end of the log is applied and the altered tables are compared.
            is_interrupted: called after each batch; True ends the stream between two transactions.
            must_check_state: called after each batch; True if the stream has to check the writer's lock and to look for
                tables that wait for a copy. It returns True once for each request.

        Returns:
            True if the stream has ended. False if it was interrupted, or has to start again because tables wait for a
            copy or were taken over from their catch-up.

        Raises:
            ReplicaError: what else ended the stream.

        """
        self._set_lag(None, grows=False)
        self._publisher.set(phase=Phase.STREAMING, position=self._applier.position, quarantined=self._quarantined())
        log(
            logger, logging.INFO, Tag.INFO, "streaming from %s", self._applier.position,
            instance=self._instance, position=self._applier.position,
        )  # fmt: skip
        try:
            self._reader.start()
            self._measures.watch(self._reader)
            self._measures.parts.enter(Part.BUILDING)
            if self._resync is not None:
                self._resync.start()
            self._compare_altered()
            with self._stop.waking(self._reader.wake):
                is_over = self._stream(
                    until_caught_up=until_caught_up,
                    is_interrupted=is_interrupted,
                    must_check_state=must_check_state,
                )
            if self._applier.is_inside_transaction:
                log(
                    logger, logging.INFO, Tag.INFO, "%s", rolled_back_text(self._applier.uncommitted_rows),
                    instance=self._instance, position=self._applier.position,
                )  # fmt: skip
            self._applier.save_position()
        finally:
            self._measures.parts.enter(None)
            self._measures.watch(None)  # the reader and its queue must not stay in memory
            self._stop_helpers()
            self._reader.stop()
            # Also what was committed since the last report, before an error or with the last batch in flight.
            self._note_applied(self._applier.take_stats())
            self._row_log.flush(self._applier.position)
            self._publisher.set(position=self._applier.position, rows_uncommitted=0)
        return is_over

    def _stop_helpers(self) -> None:
        """Stop the threads of the re-sync and of the prefetch."""
        if self._resync is not None:
            self._resync.stop()
        if self._prefetch is not None:
            self._prefetch.stop()

    def _stream(
        self, *, until_caught_up: bool, is_interrupted: Callable[[], bool], must_check_state: Callable[[], bool]
    ) -> bool:
        """Apply transactions as they come. Return False if the stream was interrupted or has to start again."""
        while not self._stop.is_set:
            heard_at = self._reader.heard_at
            # Transactions, a stop, a pause and new settings end the wait of an idle stream early.
            is_busy = until_caught_up or self._is_waiting or self._row_log.is_waiting or not self._check.is_over
            transactions = self._take(_BUSY_SECONDS if is_busy else _IDLE_SECONDS)
            if transactions:
                self._apply(transactions)
            self._publish(transactions, heard_at)
            if self._missing.names and self._has_reached(self._missing.end):
                self._deferrable.ask("looking for missing tables", self._quarantine_missing, None)
            if until_caught_up and self._has_ended():
                if not self._is_idle(transactions):
                    self._set_lag(None, grows=False)  # the target is applied, but the log may be longer by this time
                break
            self._compare_altered()
            if not self._applier.is_inside_transaction and (is_interrupted() or self._must_restart(must_check_state)):
                return False
        return True

    def _take(self, seconds: float) -> list[Transaction]:
        """Return the transactions that were read; measure what the wait for them was for.

        A wait while the stream is behind is for the link, another one for the primary. If the reader had bytes
        meanwhile, it was busy with them, and that is work of this process.
        """
        parts, waited_before = self._measures.parts, self._reader.waited_seconds
        parts.enter(Part.LINK if self._is_behind or self._reader.is_inside else Part.PRIMARY)
        try:
            return self._reader.take(seconds)
        finally:
            parts.begin_work(self._reader.waited_seconds - waited_before)

    @property
    def _is_waiting(self) -> bool:
        """Return True if tables are re-synced, or are to be checked as missing when the stream has applied more."""
        return self._resync is not None or bool(self._missing.names)

    def _apply(self, transactions: Sequence[Transaction]) -> None:
        # The time of the oldest transaction that has one.
        oldest = next((t.timestamp for t in transactions if t.timestamp), 0)
        if oldest:
            self._set_lag(self._lag_of(oldest), grows=True)
        # Heartbeats of the primary have no time and change no row: no progress is published for them.
        on_progress = self._publish_progress if oldest else _do_nothing
        self._publisher.batch_tables = lambda: _tables_of(transactions, self._settings.selection)
        try:
            self._applier.apply(transactions, has_more=self._has_more, on_progress=on_progress)
        except ApplyRefused as error:
            changed = self._check.explained(error)
            if changed is None:
                raise
            raise changed from error
        finally:
            self._publisher.batch_tables = tuple

    def _has_ended(self) -> bool:
        """Return True if a stream up to the end of the log has nothing more to wait for."""
        return not self._is_waiting and self._has_reached(self._target) and self._is_compared()

    def _is_compared(self) -> bool:
        """Return True if all altered tables are compared, or are altered too often to be compared."""
        self._compare_altered(is_forced=True)
        self._reached_at = self._reached_at or time.monotonic()
        if not self._check.is_over and time.monotonic() - self._reached_at < _COMPARE_SECONDS:
            return False
        self._check.give_up()
        return True

    def _compare_altered(self, *, is_forced: bool = False) -> None:
        compare = partial(self._check.look, self._applier.position, is_forced=is_forced)
        self._deferrable.ask("comparing tables that statements altered", compare, None)

    def _quarantine_missing(self) -> None:
        self._missing.quarantine_missing(self._applier.position, self._windows)
        self._publisher.set(quarantined=self._quarantined())

    def _has_more(self) -> bool:
        # The hand-over offers the applied position. During a re-sync the applier therefore commits everything that it
        # has taken.
        return self._resync is None and self._reader.has_more

    def _start_position(self, saved: SavedPosition) -> Position:
        """Return the position to read from: by file on the same primary, by GTID on another server."""
        check = PositionCheck(self._primary.session, self._settings.network, facts=self._primary_facts)
        start = check.start_of(saved, by_time=True)
        identity = self._primary_facts.identity
        if saved.source_identity != identity:
            log(
                logger, logging.WARNING, Tag.WARN,
                "the primary is another server now (%s, before %s): going on by GTID",
                identity, saved.source_identity, instance=self._instance, position=start,
            )  # fmt: skip
            # The records and the position change together.
            self._sessions.catalog.begin()
            self._sessions.stores.tables.replace_primary()
            self._sessions.stores.positions.accept_primary(identity)
            self._sessions.catalog.commit()
        return start

    def _has_reached(self, target: Position) -> bool:
        return not self._applier.is_inside_transaction and self._applier.position.at_least(target)

    def _set_lag(self, seconds: float | None, *, grows: bool) -> None:
        self._publisher.set_lag(seconds, grows=grows, heard_at=self._reader.heard_at)

    def _lag_of(self, source_time: int) -> float | None:
        """Return the lag if the next change to apply has this time of the primary, in seconds.

        That time alone can mislead. It is the start of a statement that may have run for hours before it came to the
        log, or the time of the last change before a quiet night. But changes that came after the last idle moment have
        waited no longer than since that moment.
        """
        age = self._publisher.clock.age(source_time)
        if self._idle_at is None:
            return age
        waited = time.monotonic() - self._idle_at
        return waited if age is None else min(age, waited)

    def _publish_progress(self) -> None:
        """Publish the progress of a long batch between two commits or pieces, at most each `_PROGRESS_SECONDS`.

        After each commit if the rows of each batch are logged.
        """
        if self._row_log.takes_each_batch or time.monotonic() - self._published_at >= _PROGRESS_SECONDS:
            self._set_lag(self._lag_of(self._applier.source_time), grows=True)
            self._publish_stats()

    def _publish(self, transactions: Sequence[Transaction], heard_at: float) -> None:
        if self._stop.is_set and not any(t.size for t in transactions):
            self._publish_stats()  # nothing was applied and the next transaction is not known: the lag stays as it was
            return
        self._has_applied = self._has_applied or any(t.size for t in transactions)
        is_idle = self._is_idle(transactions)
        if is_idle:
            self._idle_at = heard_at
        # The time of a transaction that an earlier stream applied does not tell the lag of the next one.
        lag = 0.0 if is_idle else self._lag_of(self._applier.source_time) if self._has_applied else None
        if is_idle and time.monotonic() - self._reader.heard_at > self._settings.network.read_timeout:
            lag = None
        self._is_behind = not is_idle and (lag is None or lag >= CAUGHT_UP_SECONDS)
        self._set_lag(lag, grows=not is_idle)
        self._publish_stats()

    def _publish_stats(self) -> None:
        self._published_at = time.monotonic()
        stats = self._applier.take_stats()
        file = self._applier.position.file
        if self._file and file != self._file:
            log(logger, logging.INFO, Tag.ROTATE, "%s to %s", self._file, file, instance=self._instance)
        self._file = file
        self._publisher.set(
            phase=Phase.STREAMING, position=self._applier.position, quarantined=self._quarantined(), message=""
        )
        self._note_applied(stats)

    def _note_applied(self, stats: BatchStats) -> None:
        for (kind, _), count in stats.rows.items():
            self._measures.note_rows(kind.name.lower(), count)
        self._measures.tables = Counter(r.state.value for r in self._windows.records.values())
        self._row_log.take(stats, self._applier.position)
        self._publisher.count(
            sum(stats.rows.values()), stats.transactions, sum(stats.skipped_rows.values()),
            uncommitted=self._applier.uncommitted_rows,
        )  # fmt: skip

    def _is_idle(self, transactions: Sequence[Transaction]) -> bool:
        """Return True if the primary has nothing more to read: nothing came, or what came last is no transaction.

        Before the end that the log had at the connect is applied, this proves nothing: the first events may be late,
        and a rotation is no transaction either. So it is False until then.
        """
        self._has_met_target = self._has_met_target or self._has_reached(self._target)
        has_rest = not transactions or (
            not transactions[-1].size and not self._reader.has_more and not self._stop.is_set
        )
        return has_rest and self._has_met_target and not self._reader.is_inside

    def quarantine_advice(self) -> str:
        """Return the commands that copy the quarantined tables again, empty if there are none."""
        records = [r for r in self._windows.records.values() if r.state is TableState.QUARANTINED]
        names = [record.name for record in records]
        refused = {record.name for record in records if is_copy_refused(record.reason)}
        return quarantine_advice(names, refused=refused, gone=self._primary.lacks(names))

    def _quarantined(self) -> tuple[str, ...]:
        records = self._windows.records.values()
        return tuple(str(r.name) for r in records if r.state is TableState.QUARANTINED)

    def _must_restart(self, must_check_state: Callable[[], bool]) -> bool:
        """Return True if the stream has to start again from the saved state.

        That is so if tables were taken over or wait for a copy, or rows wait for a repair.
        """
        if self._resync is not None and self._resync.try_hand_over(self._applier.make(), self._sessions.stores.tables):
            return True
        self._run_periodic_work()
        if not must_check_state():
            return False
        guard = self._sessions.guard(self._settings)
        self._deferrable.ask("checking the writer's lock", partial(guard.check, self._sessions.catalog), None)
        resyncing = {n for n, r in self._windows.records.items() if r.state in NOT_STREAMED}
        return self._deferrable.ask(
            "looking for tables to copy", partial(self._has_pending, resyncing), otherwise=False
        ) or self._deferrable.ask("looking for rows to repair", self._has_repairs, otherwise=False)

    def _has_repairs(self) -> bool:
        state = RepairStore(self._sessions.catalog, self._settings.state_schema, self._instance)
        return state.wanted() is not None

    def _has_pending(self, resyncing: Collection[TableName]) -> bool:
        records = self._sessions.stores.tables.load()
        return any(r.state is TableState.PENDING for n, r in records.items() if n not in resyncing)

    def _run_periodic_work(self) -> None:
        """Do the work that is due once a second or less often, between two batches."""
        now = time.monotonic()
        if now - self._worked_at < _REST_SECONDS:
            return
        self._worked_at = now
        self._primary.close_if_idle()
        if now - self._watched_at >= WATCH_SECONDS:
            self._watched_at = now
            self._deferrable.ask("looking for tables that somebody altered", self._applier.check_definitions, None)


def _do_nothing() -> None:
    pass


def _of_recorded(refusals: Mapping[TableName, int], recorded: Collection[TableName]) -> dict[TableName, int]:
    return {name: count for name, count in refusals.items() if name in recorded}


def _tables_of(transactions: Sequence[Transaction], selection: Selection) -> list[str]:
    """Return the replicated tables whose rows transactions change, each once, in their order."""
    names = (c.table.name for t in transactions for c in t.changes if isinstance(c, RowEvent))
    return [str(name) for name in dict.fromkeys(names) if selection.target(name) is not None]
