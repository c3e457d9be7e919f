"""Copy and stream for one secondary, recover from errors, and end for errors after which going on would be wrong.

All of it runs in the main thread of the worker process. Other threads call only `take`, `abort`,
`request_position_check` and `request_state_check`.
"""

from __future__ import annotations

import gc
import logging
import time
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

from replica_cli.applier.ddl.altered import AlteredTables
from replica_cli.applier.ddl.lock_waits import LockPatience
from replica_cli.checkpoint.beats import BeatStore
from replica_cli.checkpoint.filters import accept_filters
from replica_cli.checkpoint.lock import FormerWriter, work_of
from replica_cli.checkpoint.repairs import RepairStore
from replica_cli.checkpoint.table_records import QuarantineCause
from replica_cli.checkpoint.verify_lock import is_repairing
from replica_cli.core.errors import (
    ApplyRefused,
    CorruptEvent,
    Drift,
    ExitCode,
    Fenced,
    FiltersChanged,
    Interrupted,
    LockHeld,
    LockLost,
    LockWait,
    Panic,
    PositionMissing,
    ReplicaError,
    StatementInDoubt,
    TableChangedInWindow,
    UnfinishedTransfer,
)
from replica_cli.core.quarantine_texts import copy_advice, with_failure, with_refusal
from replica_cli.core.reports.failure import Failure
from replica_cli.core.reports.stream import WorkerReport
from replica_cli.core.requests.transfer import TransferMode
from replica_cli.core.status import UNFINISHED, Phase
from replica_cli.core.wording import counted, rolled_back_text
from replica_cli.error_policy import (
    Action,
    CopyAgain,
    History,
    Limits,
    Quarantine,
    Reconnect,
    Repeat,
    RetryTable,
    Stop,
    WaitForLock,
    action_for,
    class_of,
    retry_reason,
    tables_of,
)
from replica_cli.logs import Tag, log
from replica_cli.mysql.errnos import ServerError
from replica_cli.retry import delay_after, reconnect_delay, repeating
from replica_cli.runtime.broken_state import explained, position_row_lost
from replica_cli.runtime.copying import (
    ask_for_copies,
    can_be_resynced,
    check_saved,
    copy_what_is_missing,
    is_on_neither_side,
)
from replica_cli.runtime.primary_session import PrimarySession
from replica_cli.runtime.secondary_sessions import SecondarySessions
from replica_cli.runtime.start_checks import check_before_start
from replica_cli.transfer.errors import CopyIncomplete, TablesRefused
from replica_cli.worker.pause import hold
from replica_cli.worker.row_log import RowLog
from replica_cli.worker.standby import stand_by
from replica_cli.worker.streaming import Streaming

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from replica_cli.checkpoint.positions import SavedPosition
    from replica_cli.core.position import Position
    from replica_cli.core.requests.stream import StreamRequest
    from replica_cli.core.settings import Server, Settings
    from replica_cli.core.table import TableName
    from replica_cli.mysql.session import Session
    from replica_cli.runtime.status_publisher import StatusPublisher
    from replica_cli.stop import StopToken

logger = logging.getLogger(__name__)

# How long rows are repaired before the stream goes on for a while.
_REPAIR_SECONDS = 2.0


class Worker:
    """Copies and streams until a stop, or until an error after which going on would make the secondary wrong.

    The main thread of the worker process calls its methods, except those with "from any thread".
    """

    def __init__(
        self,
        settings: Settings,
        request: StreamRequest,
        server: Server,
        *,
        server_id: int,
        publisher: StatusPublisher,
        stop: StopToken,
    ) -> None:
        self._settings = settings
        self._request = request
        self._server = server
        self._server_id = server_id
        self._publisher = publisher
        self._stop = stop
        self._altered = AlteredTables()
        self._patience = LockPatience(settings.apply.ddl_lock_wait, settings.network.query_timeout / 2)
        self._is_checked = False
        self._must_diagnose = False
        self._must_copy_first = False
        self._must_check_position = self._must_check_state = False
        self._former: FormerWriter | None = None
        self._token: int | None = None
        self._advice = ""
        self._sessions: tuple[Session, ...] = ()
        self._new_settings: Settings | None = None
        self._history = History()
        self._row_log = RowLog(server.name, settings.logging.rows)
        # By table, the position of the transaction that caused ("asked for") its copy, for example with a statement
        # that is not run. None if no transaction caused it.
        self._asked_by: dict[TableName, Position | None] = {}

    def run(self) -> WorkerReport:
        """Copy and stream, and return how it ended. Never raises a ReplicaError: a failure is part of the report."""
        started = time.monotonic()
        failure: ReplicaError | None = None
        try:
            repeating(self._handle, self._rest)(self._attempt)
        except Interrupted:
            pass  # a stop is not a failure
        except ReplicaError as error:
            failure = error
        return self._report(failure, time.monotonic() - started)

    def _attempt(self) -> None:
        if not self._stop.is_set:
            self._connect_and_run()

    def _rest(self, seconds: float) -> bool:
        """Wait before the next attempt. Return True if a stop was requested."""
        is_stopped = self._stop.wait(seconds)
        if seconds:
            self._publisher.set(message="")  # it said what the worker waits for
        return is_stopped

    def _explain(self, error: Exception) -> ReplicaError:
        """Return an error as a ReplicaError.

        If this worker has used the state schema before, an error of the state says what became of it.
        """
        if not isinstance(error, ReplicaError):
            return _bug(error)
        if not self._publisher.has_used_state:
            return error
        return explained(error, self._settings, self._server, self._last_position)

    @property
    def _last_position(self) -> Position | None:
        """Return the last position that the stream committed; None during a copy, which has no usable position."""
        status = self._publisher.status
        return None if status.phase is Phase.TRANSFERRING else status.position

    def _open(self) -> SecondarySessions:
        try:
            sessions = SecondarySessions.open(self._settings, self._server, former=self._former, stop=self._stop)
        except LockHeld as error:
            if self._former is None:
                raise
            raise Fenced(
                f"{error.message}: it took over while this process was frozen or cut off",
                hint="nothing of the last batch was kept; `replica stream --standby` waits until the other one ends",
            ) from error
        self._former = FormerWriter.of(sessions.writer)
        return sessions

    def _must_stand_by(self) -> bool:
        return self._request.is_standby and self._former is None

    def _connect_and_run(self) -> None:
        if self._must_stand_by():
            stand_by(self._settings, self._server, self._publisher, self._stop)
            if self._stop.is_set:
                return
        with self._open() as sessions, closing(PrimarySession(self._settings)) as primary:
            self._publisher.has_held_lock = True
            # `abort` cuts both sessions: on a half-open link the main thread may wait for an answer on either of them.
            self._sessions = (sessions.writer, sessions.catalog)
            beats = BeatStore(sessions.catalog, self._settings.state_schema, self._server.name)
            self._stop.pause(is_wanted=beats.is_pause_wanted())
            is_over = False
            while not is_over and not self._stop.is_set:
                # Objects of a failed attempt refer to each other and hold its batch: megabytes, but few objects. The
                # collector counts objects and is set to run rarely (`worker.process`), so it is called explicitly.
                gc.collect()
                self._take_settings(sessions)
                hold(sessions, self._publisher, self._stop)
                self._must_check_position = False  # a new `Streaming` checks the position
                saved = self._prepare(sessions)
                self._repair(sessions, saved)
                streaming = Streaming(
                    self._settings,
                    sessions,
                    primary,
                    saved,
                    server_id=self._server_id,
                    altered=self._altered,
                    asked_by=self._asked_by,
                    publisher=self._publisher,
                    stop=self._stop,
                    patience=self._patience,
                    refusals=self._history.refusals,
                    row_log=self._row_log,
                    is_diagnostic=self._must_diagnose,
                    until_caught_up=self._request.until_caught_up,
                )
                self._must_diagnose = False
                try:
                    is_over = streaming.run(
                        until_caught_up=self._request.until_caught_up,
                        is_interrupted=self._is_interrupted,
                        must_check_state=self._take_state_check,
                    )
                finally:
                    self._history = replace(self._history, refusals=streaming.refusals)
                if is_over and self._request.until_caught_up:
                    self._advice = streaming.quarantine_advice()

    def take(self, settings: Settings) -> None:
        """Use other settings as soon as the current batch is committed. From any thread."""
        self._new_settings = settings
        self._stop.wake()

    def abort(self) -> None:
        """Cut the connections to the secondary: the server rolls back what is not committed. From any thread."""
        for session in self._sessions:
            session.abort()

    def request_position_check(self) -> None:
        """Request a check of the saved position against the primary's log, between transactions. From any thread."""
        self._must_check_position = True
        self._stop.wake()

    def request_state_check(self) -> None:
        """Request a check of the writer's lock and of tables to copy, between transactions. From any thread."""
        self._must_check_state = True
        self._stop.wake()

    def _take_state_check(self) -> bool:
        must_check_state, self._must_check_state = self._must_check_state, False
        return must_check_state

    def _is_interrupted(self) -> bool:
        return self._stop.is_paused or self._new_settings is not None or self._must_check_position

    def _take_settings(self, sessions: SecondarySessions) -> None:
        settings = self._new_settings
        if settings is None:
            return
        if settings.selection.fingerprint != self._settings.selection.fingerprint:
            sessions.lock.change_work(work_of(settings.primary, settings.selection))
            # In one transaction: otherwise a kill between the two leaves records of tables that the filters leave out.
            sessions.catalog.begin()
            accept_filters(sessions.stores, settings.selection)
            sessions.catalog.commit()
        self._settings = settings
        self._row_log.rows = settings.logging.rows
        self._patience.limit_seconds = settings.apply.ddl_lock_wait
        if self._new_settings is settings:  # not earlier: after a lost connection the settings are taken again
            self._new_settings = None

    def _prepare(self, sessions: SecondarySessions) -> SavedPosition:
        """Return the position to stream from. Makes the copies that the stream needs first."""
        if not self._is_checked:
            check_before_start(self._settings, self._server)
            self._is_checked = True
        stores = sessions.stores
        saved = stores.positions.load()
        if self._token is not None and saved is not None and saved.token != self._token:
            # The lock is free for a moment while the other process connects again. That does not give the instance
            # back.
            raise Fenced(
                f"{self._server.name}: another process took over while this one was frozen or cut off",
                hint="nothing of the last batch was kept; `replica stream --standby` waits until the other one ends",
            )
        if saved is not None and (change := saved.other_filters(self._settings.selection)):
            raise FiltersChanged(
                f"{self._server.name}: {change}",
                hint="`replica position reset --accept-filters` accepts them, "
                "`replica transfer --table SCHEMA.TABLE` copies a table that the filters now select",
            )
        if self._token is not None and saved is None:
            # This is not a first start: the position row existed, and no user asked for a new first copy.
            raise position_row_lost(self._settings, self._server, self._last_position)
        records = stores.tables.load()
        unfinished = [r.name for r in records.values() if r.state in UNFINISHED]
        if saved is not None and unfinished:
            # Checked before the copy, which would be useless if the position is lost. Without a copy the stream checks
            # the position.
            check_saved(self._settings, saved)
        if saved is None:
            self._copy(sessions, TransferMode.NEW)
        elif unfinished and (not self._request.may_transfer or self._needs_copy_first(saved, unfinished)):
            self._copy(sessions, TransferMode.RESUME)
            self._must_copy_first = False
        # The copy may have taken hours. A process that lost the lock meanwhile must not stop the one that has it.
        sessions.guard(self._settings).check(sessions.catalog)
        self._token = self._publisher.measures.writer_token = stores.positions.take_token()
        self._publisher.has_used_state = True
        saved = stores.positions.load()
        if saved is None:
            raise PositionMissing(f"{self._server.name}: there is no saved position", hint="run `replica transfer`")
        return saved

    def _repair(self, sessions: SecondarySessions, saved: SavedPosition) -> None:
        """Repair rows if somebody asked for it. Nothing is in flight, so the secondary stays at the saved position."""
        store = RepairStore(sessions.catalog, self._settings.state_schema, self._server.name)
        wanted = store.wanted()
        if wanted is None:
            return
        if not is_repairing(sessions.catalog, self._settings.state_schema, self._server.name):
            # The command was killed. Rows that were found to differ since then were never agreed to.
            store.cancel(wanted.number)
            return
        from replica_cli.runtime.repairing import Repairer  # noqa: PLC0415 - worker/preload.py loads it before

        guard = sessions.guard(self._settings)
        repairer = Repairer(self._settings, self._server, saved.token, guard.check, self._stop)
        try:
            is_done = repairer.repair(wanted, _REPAIR_SECONDS)
        except (Fenced, LockLost):
            raise
        except ReplicaError as error:
            # The stream goes on, and the command that asked shows the error.
            log(
                logger, logging.ERROR, Tag.ERROR, "rows are not repaired: %s", error.message,
                instance=self._server.name, position=saved.position,
            )  # fmt: skip
            store.end(wanted.number, error.message)
        else:
            if is_done:
                store.end(wanted.number)

    def _needs_copy_first(self, saved: SavedPosition, names: list[TableName]) -> bool:
        """Return True if the stream waits for copies: for a first copy, or for tables that foreign keys connect."""
        if self._must_copy_first or not saved.transaction_count or not saved.position.file:
            return True
        return not can_be_resynced(self._settings, names)

    def _copy(self, sessions: SecondarySessions, mode: TransferMode) -> None:
        if not self._request.may_transfer:
            if mode is TransferMode.RESUME:
                raise UnfinishedTransfer(
                    f"{self._server.name}: a copy was begun and not finished",
                    hint="run `replica transfer --resume`",
                )
            raise PositionMissing(
                f"{self._server.name}: there is no saved position, and --no-transfer was given",
                hint="run `replica transfer`",
            )
        self._publisher.set(phase=Phase.TRANSFERRING)
        tables = sessions.stores.tables
        while True:
            try:
                copy_what_is_missing(
                    self._settings, self._server, mode, store=tables, stop=self._stop, report=self._publisher.copying,
                    guard=sessions.guard(self._settings),
                )  # fmt: skip
                break
            except TablesRefused as error:
                self._quarantine_uncopied(sessions, mode, error, error.refused, with_refusal)
            except CopyIncomplete as error:
                failed = {n: error.failed[str(n)] for n in tables.load() if str(n) in error.failed}
                self._quarantine_uncopied(sessions, mode, error, failed, with_failure)
            if not any(r.state in UNFINISHED for r in tables.load().values()):
                break
        self._publisher.set(phase=Phase.STARTING, transfer=None, rows_per_second=0.0)

    def _quarantine_uncopied(
        self,
        sessions: SecondarySessions,
        mode: TransferMode,
        error: ApplyRefused,
        reasons: Mapping[TableName, str],
        explained_by: Callable[[str, str], str],
    ) -> None:
        """Quarantine tables whose copy failed, so that the stream goes on with the others.

        A first copy, also an unfinished one, raises the error: the user can leave the tables out or correct them.
        Tables that are copied again are quarantined with their reason.

        Args:
            sessions: the sessions on the secondary.
            mode: NEW for a first copy, RESUME for all others.
            error: the error of the copy.
            reasons: why the copy failed, for each table.
            explained_by: makes the new reason of a table from the reason for its copy and from its failure.

        Raises:
            ApplyRefused: `error`, for a first copy, or if the failure of a table ends the stream.

        """
        saved, records = sessions.stores.positions.load(), sessions.stores.tables.load()
        recorded = {r.name for r in records.values() if r.reason}
        must_stop = any(map(self._settings.apply.stops_for, reasons))
        if mode is TransferMode.NEW or saved is None or not reasons or must_stop:
            raise error
        if not saved.transaction_count and not recorded >= reasons.keys():
            raise error
        causes = []
        for name, reason in reasons.items():
            reason_before = records[name].reason if name in records else ""
            # The statement that caused the copy comes next in the log. With this position it does not cause another
            # copy.
            asked_by = self._asked_by.get(name)
            causes.append(QuarantineCause(name, explained_by(reason_before, reason), saved.position, asked_by))
        sessions.stores.tables.quarantine(causes)

    def _handle(self, raised: Exception) -> float:
        """Do what an error needs before the next attempt. Return the seconds to wait for it.

        Raises:
            ReplicaError: the error that ends the worker.

        """
        if isinstance(raised, Interrupted):
            raise raised
        error = self._explain(raised)
        self._must_diagnose = False
        while True:
            try:
                action = self._action_for(error)
                if isinstance(error, ApplyRefused) and isinstance(action, CopyAgain | RetryTable | Quarantine | Stop):
                    self._log_attempt(error, action.count, action.limit)
                if isinstance(action, Stop):
                    break
                return self._do(action, error)
            except Interrupted:
                raise
            except ReplicaError as next_error:
                # What the error needs failed itself, for example because the secondary cannot be reached. That is not
                # tried again here: the worker does what the new error needs.
                error = next_error
        raise self._final(error)

    def _action_for(self, error: ReplicaError) -> Action:
        is_waiting = isinstance(error, LockWait) and not error.is_over
        if isinstance(error, ApplyRefused) and not isinstance(error, CorruptEvent) and not is_waiting:
            self._check_existence(error)
        self._history = self._history.at(self._publisher.status.position).with_error(error, time.monotonic())
        retry, apply = self._settings.retry, self._settings.apply
        action = action_for(
            error,
            self._history,
            Limits(retry.reconnect_attempts, apply.table_failures, retry.attempts),
            may_copy=self._request.may_transfer,
            stops_for_tables=any(map(apply.stops_for, tables_of(error))),
            is_standby=self._must_stand_by(),
        )
        side = self._side_of(error) if isinstance(action, Reconnect) else None
        self._publisher.measures.note_error(error.code, class_of(action), retry=retry_reason(action), side=side)
        return action

    def _side_of(self, error: ReplicaError) -> str:
        """Return to which side a connection was lost: `primary` or `secondary`."""
        is_secondary = isinstance(error, ServerError) and error.server != self._settings.primary.name
        return "secondary" if is_secondary else "primary"

    def _check_existence(self, error: ApplyRefused) -> None:
        """Raise TableChangedInWindow if the table of an error exists on neither server.

        Such a table was made just before the copy's start position and renamed or dropped before the copy read it: the
        log holds its end and not its beginning. If it exists under another name, the table of that name is copied.
        """
        table = error.table
        if table is None or not self._request.may_transfer:
            return
        if is_on_neither_side(self._settings, self._server, table):
            raise TableChangedInWindow((table,), "is on neither server any more")

    def _do(self, action: Action, error: ReplicaError) -> float:
        """Do what the policy says; return the seconds to wait before the next attempt. Raises what fails meanwhile."""
        match action:
            case Repeat():
                if isinstance(error, LockLost):
                    log(logger, logging.WARNING, Tag.RECONNECT, "%s", error.message, instance=self._server.name)
                self._must_diagnose = action.diagnoses
                self._must_copy_first = self._must_copy_first or action.copies_first
            case Reconnect():
                return self._reconnect(error, action)
            case WaitForLock():
                return self._wait_for_lock(error)
            case RetryTable():
                if isinstance(error, ApplyRefused) and error.table is not None:
                    return delay_after(action.count, self._settings.retry)
            case CopyAgain() | Quarantine():
                self._give_tables_up(error, action)
        return 0.0

    def _log_attempt(self, error: ApplyRefused, count: int, limit: int) -> None:
        """Log a failed attempt. An error that ends the worker at once is logged by the report of its end alone."""
        if not limit:
            return
        level, tag, where = logging.ERROR, Tag.DRIFT if isinstance(error, Drift) else Tag.FAILURE, ""
        if isinstance(error, Panic):
            tag, where = Tag.PANIC, f"; raised in {error.where}"
            level = logging.ERROR if error.table is not None else logging.CRITICAL
            logger.debug("the trace of the error", exc_info=error)
        table = error.table
        log(
            logger, level, tag, "%d/%d %s%s", count, limit, error.message.removeprefix(f"{table}: "), where,
            instance=self._server.name, schema=table.schema if table else None, table=table.table if table else None,
            position=self._publisher.status.position,
        )  # fmt: skip

    def _final(self, error: ReplicaError) -> ReplicaError:
        if isinstance(error, TableChangedInWindow):
            tables = self._altered.renames.with_new_names(error.tables)
            return ApplyRefused(error.message, hint=copy_advice(tables))
        return error

    def _wait_for_lock(self, error: ReplicaError) -> float:
        """Report that another connection of the secondary keeps a statement from running.

        Return the seconds to wait before the next attempt at it.
        """
        table = error.table if isinstance(error, LockWait) else None
        position = error.position if isinstance(error, LockWait) else None
        log(
            logger, logging.WARNING, Tag.RETRY, "attempt %d failed, waited %.0f s so far: %s", self._patience.attempts,
            self._patience.waited_seconds, error.message, instance=self._server.name, position=position,
            schema=table.schema if table else None, table=table.table if table else None,
        )  # fmt: skip
        # The connection works, only the batch waits.
        self._publisher.set(phase=Phase.STREAMING, message=error.message)
        return delay_after(self._patience.attempts, self._settings.retry)

    def _give_tables_up(self, error: ReplicaError, action: CopyAgain | Quarantine) -> None:
        """Record that tables are copied again, or quarantine them, so that the stream goes on with the others."""
        if isinstance(error, ApplyRefused) and isinstance(action, Quarantine):
            with self._open() as sessions:
                saved = sessions.stores.positions.load()
                # Only the hint of a drift is used: other hints are for a stream that stops at the table.
                advice = (error.hint or "") if isinstance(error, Drift) else ""
                stopped_at = error.position or (saved.position if saved else None)
                sessions.stores.tables.quarantine(
                    [
                        QuarantineCause(n, error.message, stopped_at, error.transaction_position, advice)
                        for n in action.tables
                    ]
                )
                for table in action.tables:
                    self._history = self._history.without(table)
            return
        position = error.transaction_position if isinstance(error, TableChangedInWindow) else None
        tables = self._altered.renames.with_new_names(action.tables)
        named = isinstance(error, TableChangedInWindow) or error.message.startswith(f"{action.tables[0]}: ")
        message = error.message if named else f"{action.tables[0]}: {error.message}"
        if isinstance(action, CopyAgain):
            log(logger, logging.WARNING, Tag.TRANSFER, "%s: copied again", message, instance=self._server.name)
        with self._open() as sessions:
            if isinstance(action, CopyAgain):
                ask_for_copies(self._settings, sessions.stores.tables, tables, message)
            else:
                self._quarantine_all(sessions, tables, message, position)
            for name in tables:
                self._asked_by[name] = position
                self._altered.forget(name)
                self._altered.renames.forget(name)
            if isinstance(error, StatementInDoubt):
                # The intent is forgotten only after the copies are recorded: without both, the statement would run a
                # second time after a kill.
                sessions.stores.intents.forget()

    def _quarantine_all(
        self, sessions: SecondarySessions, tables: Sequence[TableName], reason: str, position: Position | None
    ) -> None:
        """Quarantine the tables that only a copy can make equal, as the user allows no copies. The others stream on."""
        saved = sessions.stores.positions.load()
        stopped_at = position or (saved.position if saved else None)
        sessions.stores.tables.quarantine([QuarantineCause(n, reason, stopped_at, position) for n in tables])

    def _reconnect(self, error: ReplicaError, action: Reconnect) -> float:
        """Report that the worker connects again. Return the seconds to wait before; a stop waits for nothing."""
        if self._stop.is_set:
            self._log_rolled_back(error)
            return 0.0
        seconds = reconnect_delay(action.attempt, self._settings.retry)
        log(
            logger, logging.WARNING, Tag.RETRY if action.clears else Tag.RECONNECT,
            "waits until the error clears, attempt %d in %.0f s: %s" if action.clears else "attempt %d in %.0f s: %s",
            action.attempt, seconds, error.message,
            instance=self._server.name, position=self._publisher.status.position, subject=error.message,
        )  # fmt: skip
        self._publisher.set(
            phase=Phase.RECONNECTING, message=error.message, reconnects=self._publisher.status.reconnects + 1,
            lag_seconds=None, rows_per_second=0.0, transactions_per_second=0.0,
        )  # fmt: skip
        return seconds

    def _log_rolled_back(self, error: ReplicaError) -> None:
        """Log what a stop rolled back: if a batch takes too long, the stop ends the connections."""
        logger.debug("the stop ended the batch", exc_info=error)
        status = self._publisher.status
        log(
            logger, logging.INFO, Tag.INFO, "%s", rolled_back_text(status.rows_uncommitted),
            instance=self._server.name, position=status.position,
        )  # fmt: skip

    def _report(self, failure: ReplicaError | None, elapsed_seconds: float) -> WorkerReport:
        is_finished = failure is None and self._request.until_caught_up and not self._stop.is_set
        phase = Phase.FAILED if failure else Phase.FINISHED if is_finished else Phase.STOPPED
        message = failure.message if failure else ""
        self._publisher.set(phase=phase, message=message, rows_per_second=0.0, transactions_per_second=0.0)
        status = self._publisher.status
        return WorkerReport(
            instance=self._server.name,
            phase=phase,
            position=status.position,
            rows_total=status.rows_total,
            transactions_total=status.transactions_total,
            skipped_rows=status.skipped_rows,
            reconnects=status.reconnects,
            quarantined=status.quarantined,
            elapsed_seconds=elapsed_seconds,
            failure=Failure.of(failure) if failure else self._left_out(status.quarantined) if is_finished else None,
        )

    def _left_out(self, tables: tuple[str, ...]) -> Failure | None:
        """Return what is missing after a stream has caught up: rows of quarantined tables; None if there are none."""
        if not tables:
            return None
        text = (
            f"{self._server.name}: caught up, except for {counted(len(tables), 'quarantined table')}: "
            f"{', '.join(tables)}"
        )
        return Failure("quarantined", text, self._advice, ExitCode.FOUND)


def _bug(error: Exception) -> Panic:
    panic = Panic(f"{type(error).__name__} outside of an event", error=error)
    panic.__cause__ = error
    return panic
