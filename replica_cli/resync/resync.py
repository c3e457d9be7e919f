"""Tables that are copied while the others stream on, and join the stream without a gap.

A thread of the stream's worker copies them and brings them up to the stream. Near the stream's place the stream waits
for a moment at a transaction's end; the thread goes up to exactly there; the stream takes the tables over.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from replica_cli.applier.catchup_ddl import PreparedTransactionOverlap
from replica_cli.applier.side_questions import UNKNOWN_ATTEMPTS
from replica_cli.applier.window import REFUSALS_LIMIT, RefusedInWindow, TableChangedInWindow
from replica_cli.checkpoint.joining import JoinLost
from replica_cli.checkpoint.quarantine import quarantine
from replica_cli.checkpoint.tables import TableRecord, TableStore
from replica_cli.core.errors import ApplyRefused, Drift, Interrupted, Panic, PositionLost, ReplicaError
from replica_cli.core.gtid import covers
from replica_cli.core.quarantine import with_failure, with_refusal
from replica_cli.core.requests.transfer import TransferMode
from replica_cli.core.settings import TableFailurePolicy
from replica_cli.core.status import BESIDE, UNFINISHED, TableState
from replica_cli.logs import Tag, log
from replica_cli.mysql.errnos import ServerError
from replica_cli.mysql.session import connect
from replica_cli.resync.catchup import TableCatchup
from replica_cli.resync.copying import ask_for_copies, copy_to_the_end
from replica_cli.resync.handoff import Handoff
from replica_cli.retry import delay_after
from replica_cli.stop import StopToken
from replica_cli.transfer.errors import CopyIncomplete, TablesRefused

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from replica_cli.applier.applier import Applier
    from replica_cli.checkpoint.lock import LockGuard
    from replica_cli.core.position import Position
    from replica_cli.core.settings import Server, Settings
    from replica_cli.core.status import TransferProgress
    from replica_cli.core.table import TableName
    from replica_cli.mysql.facts import ServerFacts
    from replica_cli.runtime.status_publisher import StatusPublisher

logger = logging.getLogger(__name__)

_PATIENCE_SECONDS = 5.0
_STOP_SECONDS = 3.0
_LEAVE_SECONDS = 6.0


class TableResync:
    """One stretch of copying and bringing up, beside one stretch of streaming; made anew after each error of either.

    `names` are the tables that the stream leaves to it: it touches no other one, as the stream still applies to those.
    `asked_by` tells the transactions that made tables be copied: one whose copy is refused is set aside at that place,
    so that the same statement, if it comes again, does not ask for the same copy.
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
        board: StatusPublisher,
        stop: StopToken,
    ) -> None:
        self._settings = settings
        self._server = server
        self._names = names
        self._asked_by = asked_by
        self._server_id = server_id
        self._token = token
        self._guard = guard
        self._facts = primary_facts
        self._board = board
        self._stop = stop
        self._end = StopToken()
        self._handoff = Handoff()
        self._catchup: TableCatchup | None = None
        self._error: ReplicaError | None = None
        self._has_ended = threading.Event()
        self._joined: tuple[TableName, ...] = ()
        self._failures: Counter[TableName] = Counter()
        self._lost = self._unknown = self._copies = 0
        self._thread = threading.Thread(target=self._run, name="joining", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End: what was copied and applied is kept.

        Waits for the thread, as the next one must not meet it at the same rows; not for long where the process ends.
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

    def meet(self, stream: Applier, tables: TableStore) -> bool:
        """Called by the stream between two batches: let tables that are near join.

        Returns True where records have changed, so that the stream has to read them anew. Raises what ended the thread.
        """
        if self._error is not None:
            raise self._error
        if self._has_ended.is_set():
            return True
        self._handoff.publish_position(stream.position)
        if not self._handoff.is_close:
            return False
        # What is behind the stream's place is the tables' own business up to there, and the stream's from there on: so
        # that place is saved before a record goes.
        stream.save_position()
        place = stream.position
        if not self._handoff.offer(place, _PATIENCE_SECONDS, self._stop):
            return False
        self._take_over(tables, place)
        return True

    def _take_over(self, tables: TableStore, place: Position) -> None:
        records = tables.load()
        joined = [r for name in self._joined if (r := records.get(name)) and r.state is TableState.JOINING]
        live: list[TableName] = []
        for record in joined:
            start = record.start if record.start and self._is_ahead(record.start, place) else place
            end = record.end if record.end and self._is_ahead(record.end, start) else start
            if not self._is_ahead(end, place):
                live.append(record.name)
            else:
                # The stream has still to come to where the copy is, or to the end of its window.
                tables.save(replace(record, state=TableState.COPIED, start=start, end=end))
        tables.forget(live, TableState.JOINING)
        for name in (record.name for record in joined):
            log(logger, logging.INFO, Tag.SUCCESS, "has joined the stream", instance=self._server.name,
                schema=name.schema, table=name.table, position=place)  # fmt: skip

    def _is_ahead(self, one: Position, other: Position) -> bool:
        if one.file and other.file:
            return one.order > other.order
        return not covers(other.gtid, one.gtid, is_mariadb=self._facts.is_mariadb)

    def _run(self) -> None:
        while not self._end.is_set and self._error is None:
            try:
                self._work()
            except Interrupted:
                return
            except ReplicaError as error:
                self._outlive(error)
            except Exception as error:  # noqa: BLE001 - the top of a thread: the stream raises it
                self._error = Panic(f"{type(error).__name__} while tables joined", error=error)
                self._error.__cause__ = error
            else:
                self._has_ended.set()
                return
            finally:
                self._handoff.withdraw()

    def _outlive(self, error: ReplicaError) -> None:
        """Do what an error asks for, or leave it to the stream."""
        if isinstance(error, TableChangedInWindow):
            self._again(error.tables, error.message)
        elif isinstance(error, PositionLost):
            self._again(self._joined, error.message)
        elif isinstance(error, JoinLost):
            # A record that somebody changed is read again; where another process took over the stream notices too.
            self._end.wait(1.0)
        elif isinstance(error, PreparedTransactionOverlap):
            self._again(self._joined, error.message)
            self._error = self._error or error
        elif isinstance(error, ServerError) and error.may_clear and self._may_wait(error):
            self._lost += 1
            self._unknown += error.is_unknown
            log(
                logger, logging.WARNING, Tag.WARN, "the joining tables wait: %s", error.message,
                instance=self._server.name,
            )  # fmt: skip
            self._end.wait(max(1.0, delay_after(self._lost, self._settings.retry)))
        else:
            self._error = error

    def _may_wait(self, error: ServerError) -> bool:
        return not error.is_unknown or self._unknown + 1 < UNKNOWN_ATTEMPTS

    def _work(self) -> None:
        with connect(self._server, self._settings.network) as session:
            store = TableStore(session, self._settings.state_schema, self._server.name)
            if any(r.state in UNFINISHED for r in self._records(store)):
                self._copy(store)
            while not self._end.is_set:
                group = _of_one_start(self._records(store))
                if not group:
                    return
                try:
                    self._catch_up(group)
                except ApplyRefused as error:
                    self._failed(store, error)

    def _records(self, store: TableStore) -> list[TableRecord]:
        return [r for r in store.load().values() if r.name in self._names and r.state in BESIDE]

    def _copy(self, store: TableStore) -> None:
        try:
            result = copy_to_the_end(
                self._settings, self._server, TransferMode.RESUME,
                store=store, stop=self._end, report=self._tell, guard=self._guard, beside=self._names,
            )  # fmt: skip
        except TablesRefused as error:
            self._may_go_on(error)
            # What else waits is copied in the next turn.
            for name, reason in error.refused.items():
                self._set_aside(store, [name], reason, with_refusal)
            return
        except ApplyRefused as error:
            self._may_go_on(error)
            unfinished = [r.name for r in self._records(store) if r.state in UNFINISHED]
            self._set_aside(store, unfinished, error.message, with_failure)
            return
        finally:
            self._board.set(transfer=None)
        failed = dict(result.errors)
        if failed:
            self._may_go_on(CopyIncomplete(self._server.name, failed))
        for record in self._records(store):
            if record.state in UNFINISHED and str(record.name) in failed:
                self._set_aside(store, [record.name], failed[str(record.name)], with_failure)

    def _may_go_on(self, error: ApplyRefused) -> None:
        """Raise the error if a table's failure ends the stream."""
        if self._settings.apply.on_table_failure is TableFailurePolicy.STOP:
            raise error

    def _tell(self, progress: TransferProgress) -> None:
        self._board.copying_beside(progress)

    def _catch_up(self, group: Sequence[TableRecord]) -> None:
        self._joined = tuple(r.name for r in group)
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
        self._catchup.run()

    def _failed(self, store: TableStore, error: ApplyRefused) -> None:
        """Try a table again from its saved place; set it aside where it keeps failing."""
        table = error.table
        if table is None:
            raise error
        self._failures[table] += 1
        count, limit = self._failures[table], self._settings.apply.table_failures
        tag = Tag.DRIFT if isinstance(error, Drift) else Tag.FAILURE
        if isinstance(error, RefusedInWindow):
            limit = REFUSALS_LIMIT
        log(
            logger, logging.ERROR, tag, "%d/%d %s", count, limit, error.message.removeprefix(f"{table}: "),
            instance=self._server.name, schema=table.schema, table=table.table,
        )  # fmt: skip
        if isinstance(error, RefusedInWindow) and count < limit:
            self._again((table,), error.message)
            return
        if count < limit and not isinstance(error, Drift | Panic):
            self._end.wait(delay_after(count, self._settings.retry))
            return
        self._may_go_on(ApplyRefused(error.message, hint=error.hint))
        self._set_aside(store, [table], error.message)

    def _set_aside(
        self,
        store: TableStore,
        names: Sequence[TableName],
        failure: str,
        explained_by: Callable[[str, str], str] = lambda _, failure: failure,
    ) -> None:
        """Quarantine tables; `explained_by` makes the reason from that of the copy and from its failure."""
        found = store.load()
        known = {name: found.get(name, TableRecord(name, TableState.PENDING)) for name in names}
        quarantine(
            store,
            [
                TableRecord(
                    n,
                    TableState.QUARANTINED,
                    start=r.start or self._asked_by.get(n),
                    end=self._asked_by.get(n),
                    reason=explained_by(r.reason, failure),
                )
                for n, r in known.items()
            ],
            instance=self._server.name,
        )

    def _again(self, names: Sequence[TableName], reason: str) -> None:
        log(logger, logging.WARNING, Tag.TRANSFER, "%s: copied again: %s", ", ".join(map(str, names)), reason,
            instance=self._server.name)  # fmt: skip
        try:
            with connect(self._server, self._settings.network) as session:
                self._guard.check(session)
                store = TableStore(session, self._settings.state_schema, self._server.name)
                ask_for_copies(self._settings, store, names, reason)
        except ReplicaError as error:
            self._error = error
        # A table that is altered all the time, or a reason that does not go away: less and less often.
        self._copies += 1
        self._end.wait(delay_after(self._copies, self._settings.retry))


def _of_one_start(records: Sequence[TableRecord]) -> list[TableRecord]:
    """Return the tables that join from the first place that any of them waits at."""
    joining = sorted((r for r in records if r.state is TableState.JOINING), key=_order)
    return [r for r in joining if r.start == joining[0].start]


def _order(record: TableRecord) -> tuple[int, int]:
    return record.start.order if record.start else (-1, 0)
