"""One connected stretch of streaming: from the saved position until a stop, the end that was asked for, or an error."""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from replica_cli.applier.side_questions import SideQuestions
from replica_cli.applier.window import Windows
from replica_cli.core.errors import ApplyRefused, CorruptEvent
from replica_cli.core.events import RowEvent
from replica_cli.core.gtid import covers
from replica_cli.core.position import Position
from replica_cli.core.quarantine import is_copy_refused, quarantine_advice
from replica_cli.core.status import BESIDE, Phase, TableState
from replica_cli.core.wording import rolled_back_text
from replica_cli.logs import Tag, log
from replica_cli.mysql.binlog import end_of_log
from replica_cli.mysql.facts import read_facts
from replica_cli.reader.reader import Reader
from replica_cli.reader.truth import PositionCheck
from replica_cli.runtime.primary_session import read_clock
from replica_cli.runtime.sessions import open_ahead
from replica_cli.worker.definition_check import DefinitionCheck
from replica_cli.worker.lazy_applier import LazyApplier
from replica_cli.worker.missing_tables import MissingTables
from replica_cli.worker.row_log import RowLog

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from replica_cli.applier.altered import AlteredTables
    from replica_cli.applier.applier import Applier
    from replica_cli.applier.lock_waits import LockPatience
    from replica_cli.applier.prefetch import Prefetch
    from replica_cli.checkpoint.positions import SavedPosition
    from replica_cli.checkpoint.tables import TableStore
    from replica_cli.core.events import Transaction
    from replica_cli.core.selection import Selection
    from replica_cli.core.settings import Settings
    from replica_cli.core.table import TableName
    from replica_cli.resync.resync import TableResync
    from replica_cli.runtime.primary_session import PrimarySession
    from replica_cli.runtime.sessions import SecondarySessions
    from replica_cli.runtime.status_publisher import StatusPublisher
    from replica_cli.stop import StopToken

logger = logging.getLogger(__name__)

# The longest wait for transactions: while something else is looked at again and again, and where there is nothing.
_BUSY_SECONDS, _IDLE_SECONDS = 0.25, 5.0
_REST_SECONDS = 1.0
_PROGRESS_SECONDS = 0.25
# How long a run up to the primary's end waits for definitions that do not rest.
_COMPARE_SECONDS = 10.0
# How often the secondary's tables are looked at for what somebody else did to them.
WATCH_SECONDS = 30.0


class Streaming:
    """Everything between two connections: made anew after each error, so nothing is remembered that was not saved."""

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
        board: StatusPublisher,
        stop: StopToken,
        patience: LockPatience,
        is_exact: bool = False,
        until_caught_up: bool = False,
    ) -> None:
        self._settings = settings
        self._asked_by = asked_by
        self._sessions = sessions
        self._board = board
        self._stop = stop
        self._instance = board.status.instance
        self._side = SideQuestions(self._instance, settings.retry)
        self._primary = primary
        self._primary_facts = read_facts(primary.session)
        self._target = end_of_log(primary.session, self._primary_facts)
        read_clock(board.clock, primary.session)
        start = self._start_position(saved)
        saved = replace(saved, position=start)
        records = sessions.stores.tables.load()
        self._windows = Windows(records, is_mariadb=self._primary_facts.is_mariadb)
        beside = frozenset(n for n, r in records.items() if r.state in BESIDE)
        self._resync = self._join(beside, server_id, saved) if beside else None
        self._reader = Reader(
            settings.primary,
            settings.network,
            server_id=server_id,
            start=start,
            is_mariadb=self._primary_facts.is_mariadb,
            wants=lambda name: settings.selection.target(name) is not None,
            queue_bytes=settings.batching.queue_bytes,
        )
        self._prefetch: Prefetch | None = None
        self._applier = LazyApplier(
            lambda: self._make_applier(saved, altered=altered, patience=patience, is_exact=is_exact), saved
        )
        if records or not until_caught_up:
            self._applier.make()
        self._check = DefinitionCheck(
            altered,
            settings.selection,
            primary=primary,
            primary_facts=self._primary_facts,
            catalog=sessions.catalog,
            store=sessions.stores.uncompared,
            windows=self._windows,
        )
        self._missing = MissingTables(settings, primary, self._primary_facts, sessions.catalog, sessions.stores.tables)
        self._rested_at = self._watched_at = time.monotonic()
        self._reached_at: float | None = None
        self._file = start.file
        self._has_met_target = self._has_applied = False
        self._told_at = 0.0
        self._row_log = RowLog(self._instance)
        # All that the primary had sent by then, a monotonic time, was applied.
        self._idle_at: float | None = None

    def _make_applier(
        self, saved: SavedPosition, *, altered: AlteredTables, patience: LockPatience, is_exact: bool
    ) -> Applier:
        from replica_cli.runtime import factory  # noqa: PLC0415 - loaded before it is needed: worker/preload.py

        connect = partial(open_ahead, self._settings, self._sessions.writer.server)
        self._prefetch = factory.make_prefetch(self._settings, connect, self._instance)
        return factory.make_applier(
            self._settings,
            self._sessions,
            saved,
            windows=self._windows,
            primary_facts=self._primary_facts,
            read_primary=self._primary.read,
            ask_primary=self._primary.ask,
            format_event=self._format_event,
            stop=self._stop,
            altered=altered,
            patience=patience,
            is_exact=is_exact,
            prefetch=self._prefetch,
        )

    def _join(self, names: frozenset[TableName], server_id: int, saved: SavedPosition) -> TableResync:
        """Return what copies these tables beside the stream."""
        from replica_cli.resync.resync import TableResync  # noqa: PLC0415 - loaded before it is needed: service/loaded.py

        return TableResync(
            self._settings,
            self._sessions.writer.server,
            names=names,
            asked_by=self._asked_by,
            # A dump connection of its own needs a server id of its own.
            server_id=server_id + len(self._settings.secondaries),
            token=saved.token,
            guard=self._sessions.guard(self._settings),
            primary_facts=self._primary_facts,
            board=self._board,
            stop=self._stop,
        )

    def run(
        self,
        *,
        until_caught_up: bool,
        is_interrupted: Callable[[], bool] = lambda: False,
        is_to_look: Callable[[], bool] = lambda: False,
    ) -> bool:
        """Stream until a stop, or until the primary's position of the beginning is applied.

        `is_to_look`: whether the state is to be looked at, for copies that are asked for; told once.

        False where it was interrupted, or has to begin anew because tables are to be copied or have joined.
        Raises what ends it otherwise; all that was committed is in the position row.
        """
        self._set_lag(None, grows=False)
        self._board.set(phase=Phase.STREAMING, position=self._applier.position, quarantined=self._quarantined())
        log(
            logger, logging.INFO, Tag.INFO, "streaming from %s", self._applier.position,
            instance=self._instance, position=self._applier.position,
        )  # fmt: skip
        try:
            self._reader.start()
            if self._resync is not None:
                self._resync.start()
            self._look_at_altered()
            with self._stop.telling(self._reader.wake):
                is_over = self._stream(
                    until_caught_up=until_caught_up, is_interrupted=is_interrupted, is_to_look=is_to_look
                )
            if self._applier.is_inside_transaction:
                log(
                    logger, logging.INFO, Tag.INFO, "%s", rolled_back_text(self._applier.uncommitted_rows),
                    instance=self._instance, position=self._applier.position,
                )  # fmt: skip
            self._applier.save_position()
        finally:
            self._stop_others()
            self._reader.stop()
            self._row_log.flush(self._applier.position)
            self._board.set(position=self._applier.position, rows_uncommitted=0)
        return is_over

    def _stop_others(self) -> None:
        """End what runs beside the stream."""
        if self._resync is not None:
            self._resync.stop()
        if self._prefetch is not None:
            self._prefetch.stop()

    def _stream(
        self, *, until_caught_up: bool, is_interrupted: Callable[[], bool], is_to_look: Callable[[], bool]
    ) -> bool:
        """Apply what comes; return False where that was interrupted, or has to begin anew."""
        while not self._stop.is_set:
            heard_at = self._reader.heard_at
            # What ends the wait of an idle stream are transactions, a stop, a pause, and other settings.
            is_busy = until_caught_up or self._is_waiting or self._row_log.is_waiting or not self._check.is_over
            transactions = self._reader.take(_BUSY_SECONDS if is_busy else _IDLE_SECONDS)
            if transactions:
                self._apply(transactions)
            self._tell(transactions, heard_at)
            if self._missing.names and self._has_reached(self._missing.end):
                self._side.ask("tables that are missing", self._set_missing_aside, None)
            if until_caught_up and self._has_ended():
                if not self._is_idle(transactions):
                    self._set_lag(None, grows=False)  # the end of before is reached, and the end of now not known
                break
            self._look_at_altered()
            if not self._applier.is_inside_transaction and (is_interrupted() or self._begins_anew(is_to_look)):
                return False
        return True

    @property
    def _is_waiting(self) -> bool:
        """Say whether tables are to join, or to be looked for once the stream is far enough."""
        return self._resync is not None or bool(self._missing.names)

    def _apply(self, transactions: Sequence[Transaction]) -> None:
        # The oldest of them.
        oldest = next((t.timestamp for t in transactions if t.timestamp), 0)
        if oldest:
            self._set_lag(self._lag_of(oldest), grows=True)
        # A heartbeat of the primary moves nothing, and nothing waits for it.
        on_progress = self._tell_progress if oldest else _tell_nothing
        self._board.batch_tables = lambda: _tables_of(transactions, self._settings.selection)
        try:
            self._applier.apply(transactions, has_more=self._has_more, on_progress=on_progress)
        except ApplyRefused as error:
            changed = self._check.explained(error)
            if changed is None:
                raise
            raise changed from error
        finally:
            self._board.batch_tables = tuple

    def _has_ended(self) -> bool:
        """Say whether all that a run up to the primary's end waits for is done."""
        return not self._is_waiting and self._has_reached(self._target) and self._is_compared()

    def _is_compared(self) -> bool:
        """Say whether what statements made is compared with the primary's, as far as its statements let it rest."""
        self._look_at_altered(is_asked=True)
        self._reached_at = self._reached_at or time.monotonic()
        if not self._check.is_over and time.monotonic() - self._reached_at < _COMPARE_SECONDS:
            return False
        self._check.give_up()
        return True

    def _look_at_altered(self, *, is_asked: bool = False) -> None:
        look = partial(self._check.look, self._applier.position, is_asked=is_asked)
        self._side.ask("tables that statements altered", look, None)

    def _set_missing_aside(self) -> None:
        self._missing.set_aside(self._applier.position, self._windows)
        self._board.set(quarantined=self._quarantined())

    def _has_more(self) -> bool:
        # Tables that join meet the stream where it stands: then nothing is left on its way.
        return self._resync is None and self._reader.has_more

    def _format_event(self) -> bytes:
        found = self._reader.format
        if found is None:
            raise CorruptEvent("rows came before the log's format description")
        return found.raw

    def _start_position(self, saved: SavedPosition) -> Position:
        """Return where to read from: by file on the server that the position belongs to, by GTID on another one."""
        check = PositionCheck(self._primary.session, self._settings.network, facts=self._primary_facts)
        start = check.start_of(saved, by_time=True)
        identity = self._primary_facts.identity
        if saved.source_identity != identity:
            log(
                logger, logging.WARNING, Tag.WARN,
                "the primary is another server now (%s, before %s): going on by GTID",
                identity, saved.source_identity, instance=self._instance, position=start,
            )  # fmt: skip
            # At once: records that were left with places of the former primary would be read as places of this one.
            self._sessions.catalog.begin()
            self._accept_primary(self._sessions.stores.tables)
            self._sessions.stores.positions.accept_primary(identity)
            self._sessions.catalog.commit()
        return start

    def _accept_primary(self, tables: TableStore) -> None:
        """Keep nothing in the tables' records that is a file and an offset of the former primary."""
        for record in tables.load().values():
            if record.state in BESIDE:
                # What was copied beside the stream is copied again.
                tables.save(replace(record, state=TableState.PENDING, start=None, end=None))
            elif record.state is TableState.COPIED:
                tables.save(replace(record, start=_by_gtid(record.start), end=_by_gtid(record.end)))

    def _has_reached(self, target: Position) -> bool:
        here = self._applier.position
        if self._applier.is_inside_transaction:
            return False
        if here.file and target.file:
            return here.order >= target.order
        return covers(here.gtid, target.gtid, is_mariadb=self._primary_facts.is_mariadb)

    def _set_lag(self, seconds: float | None, *, grows: bool) -> None:
        self._board.set_lag(seconds, grows=grows, heard_at=self._reader.heard_at)

    def _lag_of(self, source_time: int) -> float | None:
        """Return the lag if what is applied next has a time of the primary's, seconds.

        That time alone is the begin of a statement that may have run for hours before it was in the log, or the time of
        the last change before a quiet night. What came after the last idle moment has waited no longer than since then.
        """
        age = self._board.clock.age(source_time)
        if self._idle_at is None:
            return age
        waited = time.monotonic() - self._idle_at
        return waited if age is None else min(age, waited)

    def _tell_progress(self) -> None:
        """Tell how far a long batch is, now and then, between two commits or pieces."""
        if time.monotonic() - self._told_at >= _PROGRESS_SECONDS:
            self._set_lag(self._lag_of(self._applier.source_time), grows=True)
            self._tell_tally()

    def _tell(self, transactions: Sequence[Transaction], heard_at: float) -> None:
        if self._stop.is_set and not any(t.size for t in transactions):
            self._tell_tally()  # there was nothing to apply, and what comes next is not known: the lag stays as it was
            return
        self._has_applied = self._has_applied or any(t.size for t in transactions)
        is_idle = self._is_idle(transactions)
        if is_idle:
            self._idle_at = heard_at
        # The time of what was applied before this stretch tells nothing of what is to be applied.
        lag = 0.0 if is_idle else self._lag_of(self._applier.source_time) if self._has_applied else None
        if is_idle and time.monotonic() - self._reader.heard_at > self._settings.network.read_timeout:
            lag = None
        self._set_lag(lag, grows=not is_idle)
        self._tell_tally()

    def _tell_tally(self) -> None:
        self._told_at = time.monotonic()
        tally = self._applier.take_tally()
        file = self._applier.position.file
        if self._file and file != self._file:
            log(logger, logging.INFO, Tag.ROTATE, "%s to %s", self._file, file, instance=self._instance)
        self._file = file
        self._row_log.take(tally, self._applier.position)
        self._board.set(
            phase=Phase.STREAMING, position=self._applier.position, quarantined=self._quarantined(), message=""
        )
        self._board.count(
            sum(tally.rows.values()), tally.transactions, sum(tally.skipped_rows.values()),
            uncommitted=self._applier.uncommitted_rows,
        )  # fmt: skip

    def _is_idle(self, transactions: Sequence[Transaction]) -> bool:
        """Return True if there is no more to read at the primary: nothing came, or no transaction was the last to come.

        That alone says nothing before the end that the log had at the connect is applied: the first events may be late,
        and a rotation is no transaction either.
        """
        self._has_met_target = self._has_met_target or self._has_reached(self._target)
        has_rest = not transactions or (
            not transactions[-1].size and not self._reader.has_more and not self._stop.is_set
        )
        return has_rest and self._has_met_target and not self._reader.is_inside

    def quarantine_advice(self) -> str:
        """Return what to type for the quarantined tables; nothing if there are none."""
        records = [r for r in self._windows.records.values() if r.state is TableState.QUARANTINED]
        names = [record.name for record in records]
        refused = {record.name for record in records if is_copy_refused(record.reason)}
        return quarantine_advice(names, refused=refused, gone=self._primary.lacks(names))

    def _quarantined(self) -> tuple[str, ...]:
        records = self._windows.records.values()
        return tuple(str(r.name) for r in records if r.state is TableState.QUARANTINED)

    def _begins_anew(self, is_to_look: Callable[[], bool]) -> bool:
        """Say whether tables have joined, or somebody asked for a copy of some: then all that is known is read anew."""
        if self._resync is not None and self._resync.meet(self._applier.make(), self._sessions.stores.tables):
            return True
        self._rest()
        if not is_to_look():
            return False
        guard = self._sessions.guard(self._settings)
        self._side.ask("the writer's lock", partial(guard.check, self._sessions.catalog), None)
        known = {n for n, r in self._windows.records.items() if r.state in BESIDE}
        return self._side.ask("tables that are to be copied", partial(self._has_pending, known), otherwise=False)

    def _has_pending(self, known: Collection[TableName]) -> bool:
        records = self._sessions.stores.tables.load()
        return any(r.state is TableState.PENDING for n, r in records.items() if n not in known)

    def _rest(self) -> None:
        """Do now and then what is to be done while no batch is in hand."""
        now = time.monotonic()
        if now - self._rested_at < _REST_SECONDS:
            return
        self._rested_at = now
        self._primary.rest()
        if now - self._watched_at >= WATCH_SECONDS:
            self._watched_at = now
            self._side.ask("tables that somebody altered", self._applier.check_definitions, None)


def _tell_nothing() -> None:
    pass


def _by_gtid(position: Position | None) -> Position | None:
    return Position("", 0, position.gtid) if position is not None else None


def _tables_of(transactions: Sequence[Transaction], selection: Selection) -> list[str]:
    """Return the replicated tables whose rows transactions change, each once, in their order."""
    names = (c.table.name for t in transactions for c in t.changes if isinstance(c, RowEvent))
    return [str(name) for name in dict.fromkeys(names) if selection.target(name) is not None]
