"""The re-sync thread: it copies tables while the stream runs and catches up, until the stream takes them over.

The worker's main thread streams. Between two batches it calls `TableResync.try_hand_over`, which waits a moment if the
catch-up is close, and then takes the tables over.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

from replica_cli.checkpoint.catchup_position import CatchupLost
from replica_cli.checkpoint.table_lifecycle import TableLifecycle
from replica_cli.checkpoint.table_records import QuarantineCause
from replica_cli.core.attempts import CHANGED_RECORD_SECONDS
from replica_cli.core.errors import (
    ApplyRefused,
    Drift,
    Interrupted,
    Panic,
    PositionLost,
    ReplicaError,
    TableChangedInWindow,
)
from replica_cli.core.quarantine_texts import with_failure, with_refusal
from replica_cli.core.requests.transfer import TransferMode
from replica_cli.core.status import NOT_STREAMED, UNFINISHED, TableState
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
    action_for,
    class_of,
    retry_reason,
    tables_of,
)
from replica_cli.logs import Tag, log
from replica_cli.mysql.errnos import ServerError
from replica_cli.mysql.session import connect
from replica_cli.resync.catchup import TableCatchup
from replica_cli.resync.handoff import Handoff
from replica_cli.retry import delay_after, reconnect_delay, repeating
from replica_cli.runtime.copying import ask_for_copies, copy_to_the_end
from replica_cli.stop import StopToken
from replica_cli.transfer.errors import CopyIncomplete, TablesRefused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from replica_cli.applier.applier import Applier
    from replica_cli.checkpoint.lock import LockGuard
    from replica_cli.checkpoint.table_records import TableRecord
    from replica_cli.core.position import Position
    from replica_cli.core.settings import Server, Settings
    from replica_cli.core.status import CopyProgress
    from replica_cli.core.table import TableName
    from replica_cli.mysql.facts import ServerFacts
    from replica_cli.runtime.status_publisher import StatusPublisher

logger = logging.getLogger(__name__)

_OFFER_SECONDS = 5.0
# How long `stop` waits for the thread: before it cuts the connections, and before it leaves it if the process ends.
_STOP_SECONDS = 3.0
_LEAVE_SECONDS = 6.0


class TableResync:
    """One run of copying and catching up, made for one `Streaming`. After an error of either a new one is made.

    It touches no other tables than `names`, because the stream still applies the changes of all others. Thread safety:
    the stream's thread calls the public methods, all else runs in the re-sync thread.
    """

    def __init__(
        self,
        settings: Settings,
        server: Server,
        *,
        names: frozenset[TableName],
        asked_by: Mapping[TableName, Position | None],
        server_id: int,
        token: int,
        guard: LockGuard,
        primary_facts: ServerFacts,
        publisher: StatusPublisher,
        stop: StopToken,
        refusals: Mapping[TableName, int],
    ) -> None:
        """Create the re-sync; no thread is started.

        Args:
            settings: the settings of the worker.
            server: the secondary.
            names: the tables that the stream leaves to the re-sync.
            asked_by: the position of the transaction that caused the copy of a table. If the copy is refused, the table
                is quarantined at that position: if the same statement comes again, it does not cause the same copy
                again.
            server_id: the server id of the catch-up's dump connection.
            token: the fencing token of this process.
            guard: checks that this process still holds the writer's lock.
            primary_facts: version and variables of the primary.
            publisher: takes the progress.
            stop: the stop token of the worker, which ends the waits.
            refusals: how many windows of each table have ended with a refused row, one after another.

        """
        self._settings = settings
        self._server = server
        self._names = names
        self._asked_by = asked_by
        self._server_id = server_id
        self._token = token
        self._guard = guard
        self._facts = primary_facts
        self._publisher = publisher
        self._stop = stop
        self._end = StopToken()
        self._handoff = Handoff()
        self._catchup: TableCatchup | None = None
        self._error: ReplicaError | None = None
        self._has_ended = threading.Event()
        self._catching_up: tuple[TableName, ...] = ()
        self._history = History(refusals=refusals)
        self._copies = 0
        self._thread = threading.Thread(target=self._run, name="re-sync", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread. What was copied and applied is kept.

        Waits for the thread, because the next re-sync must not write the same rows at the same time. After
        `_STOP_SECONDS` it cuts the connections to the secondary. If the process ends, it waits only `_LEAVE_SECONDS`.
        """
        self._end.request()
        began = time.monotonic()
        while self._thread.is_alive():
            self._thread.join(0.1)
            waited = time.monotonic() - began
            if waited > _STOP_SECONDS and self._catchup is not None:
                self._catchup.abort()
            if waited > _LEAVE_SECONDS and self._stop.is_set:
                break

    @property
    def refusals(self) -> Mapping[TableName, int]:
        """Return how many windows of each table have ended with a refused row, one after another."""
        return self._history.refusals

    def try_hand_over(self, stream: Applier, tables: TableLifecycle) -> bool:
        """Take tables over from their catch-up if it is close. Called by the stream between two batches.

        Args:
            stream: the applier of the stream.
            tables: the store of the records.

        Returns:
            True if records have changed: the stream has to read them again.

        Raises:
            ReplicaError: the error that ended the thread.

        """
        if self._error is not None:
            raise self._error
        if self._has_ended.is_set():
            return True
        self._handoff.publish_position(stream.position)
        if not self._handoff.is_close:
            return False
        # The catch-up applies the tables' changes up to this position, the stream applies the later ones. The position
        # is saved before the records are deleted: otherwise, after a kill, the stream would apply the former changes
        # again.
        stream.save_position()
        position = stream.position
        if not self._handoff.offer(position, _OFFER_SECONDS, self._stop):
            return False
        for name in tables.hand_over(self._catching_up, position, self._token):
            log(logger, logging.INFO, Tag.SUCCESS, "has joined the stream", instance=self._server.name,
                schema=name.schema, table=name.table, position=position)  # fmt: skip
        return True

    def _run(self) -> None:
        try:
            repeating(self._handle, self._end.wait)(self._attempt)
        except Interrupted:
            pass
        except ReplicaError as error:
            self._error = error
        except Exception as error:  # noqa: BLE001 - the outermost function of a thread: the stream raises it
            self._error = Panic(f"{type(error).__name__} during a re-sync", error=error)
            self._error.__cause__ = error
        else:
            self._has_ended.set()

    def _attempt(self) -> None:
        try:
            if not self._end.is_set:
                self._copy_and_catch_up()
        finally:
            self._handoff.withdraw()

    def _handle(self, error: Exception) -> float:
        """Do what an error needs before the next attempt. Return the seconds to wait for it.

        Raises:
            Exception: the error that ends the re-sync, and that the stream raises.

        """
        if isinstance(error, CatchupLost):
            # A changed record is read again. If another process took over, the stream notices it too.
            return CHANGED_RECORD_SECONDS
        if not isinstance(error, ReplicaError):
            raise error
        action = self._action_for(error)
        if isinstance(action, CopyAgain | RetryTable | Quarantine):  # the worker counts what ends the re-sync
            self._publisher.measures.note_error(error.code, class_of(action), retry=retry_reason(action), side=None)
        if isinstance(error, ApplyRefused) and error.table is not None:
            return self._handle_failure(error, error.table, action)
        match action:
            case CopyAgain(tables=tables):
                return self._request_copy(tables, error.message)
            case Repeat(copies_first=True):
                # The stream waits for this copy, so it makes the copy itself.
                self._request_copy(self._catching_up, error.message)
            case Reconnect() if isinstance(error, ServerError):
                log(
                    logger, logging.WARNING, Tag.WARN, "the re-sync waits: %s", error.message,
                    instance=self._server.name,
                )  # fmt: skip
                return reconnect_delay(action.attempt, self._settings.retry)
        raise error

    def _handle_failure(self, error: ApplyRefused, table: TableName, action: Action) -> float:
        """Do what the failure of a table needs before the next attempt. Return the seconds to wait for it.

        Raises:
            ApplyRefused: the failure ends the stream.

        """
        if not isinstance(action, CopyAgain | RetryTable | Quarantine | Stop):
            raise error
        log(
            logger, logging.ERROR, Tag.DRIFT if isinstance(error, Drift) else Tag.FAILURE, "%d/%d %s", action.count,
            action.limit, error.message.removeprefix(f"{table}: "),
            instance=self._server.name, schema=table.schema, table=table.table,
        )  # fmt: skip
        match action:
            case CopyAgain():
                return self._request_copy(action.tables, error.message)
            case RetryTable():
                return delay_after(action.count, self._settings.retry)
            case Quarantine():
                self._quarantine(action.tables, error.message)
                self._history = self._history.without(table)
                return 0.0
            case Stop():
                # Without the name of the table: otherwise the stream would count the failure as one of its own.
                raise ApplyRefused(error.message, hint=error.hint)

    def _action_for(self, error: ReplicaError) -> Action:
        position = self._catchup.position if self._catchup is not None else None
        if position is not None:
            self._history = self._history.at(position)
        self._history = self._history.with_error(error, time.monotonic())
        # The stream ends with its own limit of attempts, which also ends the re-sync.
        limits = Limits(0, self._settings.apply.table_failures, self._settings.retry.attempts)
        stops = any(map(self._settings.apply.stops_for, tables_of(error)))
        return action_for(error, self._history, limits, stops_for_tables=stops)

    def _copy_and_catch_up(self) -> None:
        with connect(self._server, self._settings.network) as session:
            store = TableLifecycle(session, self._settings.state_schema, self._server.name)
            if any(r.state in UNFINISHED for r in self._records(store)):
                self._copy(store)
            self._catch_up_all(store)

    def _catch_up_all(self, store: TableLifecycle) -> None:
        while not self._end.is_set:
            group = _of_one_start(self._records(store))
            if not group:
                return
            self._catch_up(group)

    def _records(self, store: TableLifecycle) -> list[TableRecord]:
        return [r for r in store.load().values() if r.name in self._names and r.state in NOT_STREAMED]

    def _copy(self, store: TableLifecycle) -> None:
        try:
            result = copy_to_the_end(
                self._settings, self._server, TransferMode.RESUME,
                store=store, stop=self._end, report=self._publish, guard=self._guard, resync_tables=self._names,
            )  # fmt: skip
        except TablesRefused as error:
            self._raise_if_fatal(error, error.refused)
            # Other tables that wait are copied in the next turn.
            for name, reason in error.refused.items():
                self._quarantine([name], reason, with_refusal)
            return
        except ApplyRefused as error:
            unfinished = [r.name for r in self._records(store) if r.state in UNFINISHED]
            self._raise_if_fatal(error, unfinished)
            self._quarantine(unfinished, error.message, with_failure)
            return
        finally:
            self._publisher.set(transfer=None)
        failed = dict(result.errors)
        names = [r.name for r in self._records(store) if r.state in UNFINISHED and str(r.name) in failed]
        if failed:
            self._raise_if_fatal(CopyIncomplete(self._server.name, failed), names)
        for name in names:
            self._quarantine([name], failed[str(name)], with_failure)

    def _raise_if_fatal(self, error: ApplyRefused, tables: Iterable[TableName]) -> None:
        """Raise the error if the failure of one of the tables ends the stream."""
        if any(map(self._settings.apply.stops_for, tables)):
            raise error

    def _publish(self, progress: CopyProgress) -> None:
        self._publisher.resyncing(progress)

    def _catch_up(self, group: Sequence[TableRecord]) -> None:
        self._catching_up = tuple(r.name for r in group)
        self._catchup = TableCatchup(
            self._settings,
            self._server,
            group,
            server_id=self._server_id,
            token=self._token,
            primary_facts=self._facts,
            handoff=self._handoff,
            end=self._end,
        )
        try:
            self._catchup.run()
        except PositionLost as error:
            # Only these tables start there: the stream has checked its own position.
            raise TableChangedInWindow(self._catching_up, error.message) from error

    def _quarantine(
        self,
        names: Sequence[TableName],
        failure: str,
        explained_by: Callable[[str, str], str] = lambda _, failure: failure,
    ) -> None:
        """Quarantine tables, on a connection that checks the writer's lock just before.

        Args:
            names: the tables.
            failure: why their copy or their catch-up failed.
            explained_by: makes the new reason of a table from its reason for the copy and from `failure`.

        """
        with connect(self._server, self._settings.network) as session:
            store = TableLifecycle(session, self._settings.state_schema, self._server.name)
            records = store.load()
            causes = []
            for name in names:
                record, asked_by = records.get(name), self._asked_by.get(name)
                reason, covered_to = (record.reason, record.covered_to) if record is not None else ("", None)
                causes.append(QuarantineCause(name, explained_by(reason, failure), covered_to or asked_by, asked_by))
            self._guard.check(session)
            store.quarantine(causes)

    def _request_copy(self, names: Sequence[TableName], reason: str) -> float:
        """Request a new copy of tables. Return the seconds to wait before it."""
        tables = ", ".join(map(str, names))
        log(logger, logging.WARNING, Tag.TRANSFER, "%s: copied again: %s", tables, reason.removeprefix(f"{tables}: "),
            instance=self._server.name)  # fmt: skip
        with connect(self._server, self._settings.network) as session:
            self._guard.check(session)
            store = TableLifecycle(session, self._settings.state_schema, self._server.name)
            ask_for_copies(self._settings, store, names, reason)
        # A table may be altered all the time, or the reason may not go away: wait longer each time.
        self._copies += 1
        return delay_after(self._copies, self._settings.retry)


def _of_one_start(records: Sequence[TableRecord]) -> list[TableRecord]:
    """Return the tables that wait for their catch-up from the earliest start position. They catch up together."""
    waiting = sorted((r for r in records if r.state is TableState.CATCHING_UP), key=_order)
    return [r for r in waiting if r.covered_to == waiting[0].covered_to]


def _order(record: TableRecord) -> tuple[int, int]:
    return record.covered_to.order if record.covered_to else (-1, 0)
