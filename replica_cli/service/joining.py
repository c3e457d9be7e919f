"""Tables that are copied while the others stream on, and brought up to the stream without a gap.

A thread of the stream's worker copies them, then applies their changes, and theirs alone, from the start of the copy,
on connections of its own. Their place is saved with their rows, in their records. Near the stream's place the stream
waits for a moment at a transaction's end; the thread goes up to exactly there; the stream takes the tables over.
"""

from __future__ import annotations

import logging
import threading
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

from replica_cli.applier.beside import DdlBeside, XaMet, without_xa
from replica_cli.applier.window import TableChangedInWindow, Windows
from replica_cli.checkpoint.joining import JoinLost, JoinPositions, NoIntents
from replica_cli.checkpoint.lock import WriterLock
from replica_cli.checkpoint.positions import PositionStore
from replica_cli.checkpoint.stores import Stores
from replica_cli.checkpoint.tables import TableRecord, TableStore
from replica_cli.core.errors import ApplyRefused, CorruptEvent, Fenced, Panic, PositionLost, ReplicaError
from replica_cli.core.requests import TransferMode
from replica_cli.core.settings import EngineChoice
from replica_cli.core.status import UNFINISHED, TableState
from replica_cli.logs import Tag, log
from replica_cli.mysql.errnos import Remedy, ServerError
from replica_cli.mysql.facts import read_facts
from replica_cli.mysql.session import connect
from replica_cli.reader.reader import Reader
from replica_cli.retry import delay_after
from replica_cli.service.applying import make_applier
from replica_cli.service.copying import ask_for_copies, copy_to_the_end
from replica_cli.service.sessions import SecondarySessions
from replica_cli.sqlbuilder.context import APPLY_SESSION
from replica_cli.stop import StopToken

if TYPE_CHECKING:
    from collections.abc import Sequence

    from replica_cli.applier.applier import Applier
    from replica_cli.core.position import Position
    from replica_cli.core.settings import Server, Settings
    from replica_cli.core.status import TransferProgress
    from replica_cli.core.table import TableName
    from replica_cli.mysql.facts import ServerFacts
    from replica_cli.service.board import StatusBoard

logger = logging.getLogger(__name__)

_TAKE_SECONDS = 0.1
_MEET_SECONDS = 0.05
_STOP_SECONDS = 8.0
# So much binary log is applied in less than a second: the stream can wait for it.
_NEAR_BYTES = 1024 * 1024


class Joining:
    """One stretch of copying and bringing up, beside one stretch of streaming; made anew after each error of either."""

    def __init__(
        self,
        settings: Settings,
        server: Server,
        *,
        server_id: int,
        token: int,
        primary_facts: ServerFacts,
        board: StatusBoard,
    ) -> None:
        # One engine that names what fails, without asking whether another one would be faster.
        self._settings = replace(settings, apply=replace(settings.apply, engine=EngineChoice.SQL))
        self._server = server
        self._server_id = server_id
        self._token = token
        self._facts = primary_facts
        self._board = board
        self._end = StopToken()
        self._error: ReplicaError | None = None
        self._has_ended = threading.Event()
        self._is_near = threading.Event()
        self._is_there = threading.Event()
        self._goal: Position | None = None
        self._here: Position | None = None
        self._joined: tuple[TableName, ...] = ()
        self._thread = threading.Thread(target=self._run, name="joining", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End: what was copied and applied is kept."""
        self._end.request()
        if self._thread.is_alive():
            self._thread.join(_STOP_SECONDS)

    def meet(self, stream: Applier, tables: TableStore) -> bool:
        """Called by the stream between two batches: let tables that are near join.

        Returns True where records have changed, so that the stream has to read them anew. Raises what ended the thread.
        """
        if self._error is not None:
            raise self._error
        self._here = stream.position
        if self._has_ended.is_set():
            return True
        if not self._is_near.is_set():
            return False
        # What is behind the stream's place is the tables' own business up to there, and the stream's from there on: so
        # that place is saved before a record goes.
        stream.save_position()
        self._goal = stream.position
        while not self._is_there.wait(_MEET_SECONDS):
            if self._error is not None or not self._is_near.is_set():
                self._goal = None
                return False
        self._take_over(tables, self._goal)
        return True

    def _take_over(self, tables: TableStore, place: Position) -> None:
        records = tables.load()
        for name in self._joined:
            record = records.get(name)
            if record is None or record.state is not TableState.JOINING:
                continue
            start = record.start if record.start and record.start.order > place.order else place
            end = record.end if record.end and record.end.order > start.order else start
            if end.order <= place.order:
                tables.forget(name)
            else:
                # The stream has still to come to where the copy is, or to the end of its window.
                tables.save(replace(record, state=TableState.COPIED, start=start, end=end))
            log(logger, logging.INFO, Tag.SUCCESS, "has joined the stream", instance=self._server.name,
                schema=name.schema, table=name.table, position=place)  # fmt: skip

    def _run(self) -> None:
        attempt = 0
        while not self._end.is_set:
            try:
                self._work()
            except TableChangedInWindow as error:
                self._again(error.tables, error.message)
            except (JoinLost, PositionLost) as error:
                self._look_again(error)
            except ServerError as error:
                if error.remedy is Remedy.FATAL:
                    self._error = error
                    return
                attempt += 1
                logger.warning("the joining tables wait: %s", error.message)
                self._end.wait(max(1.0, delay_after(attempt, self._settings.retry)))
            except XaMet as error:
                self._again(self._joined, error.message)
                self._error = self._error or error
                return
            except ReplicaError as error:
                self._error = error
                return
            except Exception as error:  # noqa: BLE001 - the top of a thread: the stream raises it
                self._error = Panic(f"{type(error).__name__} while tables joined")
                self._error.__cause__ = error
                return
            else:
                self._has_ended.set()
                return
            finally:
                self._is_near.clear()

    def _work(self) -> None:
        with connect(self._server, self._settings.network) as session:
            store = TableStore(session, self._settings.state_schema, self._server.name)
            if any(r.state in UNFINISHED for r in store.load().values()):
                self._copy(store)
            while not self._end.is_set:
                group = _of_one_start(store)
                if not group:
                    return
                try:
                    self._bring_up(group)
                except ApplyRefused as error:
                    if error.table is None:
                        raise
                    self._set_aside(store, (error.table,), error.message)
                else:
                    return

    def _copy(self, store: TableStore) -> None:
        try:
            result = copy_to_the_end(
                self._settings, self._server, TransferMode.RESUME,
                store=store, stop=self._end, report=self._tell, joins=True,
            )  # fmt: skip
        except ApplyRefused as error:
            names = tuple(r.name for r in store.load().values() if r.state in UNFINISHED)
            self._set_aside(store, names, error.message)
            return
        finally:
            self._board.set(transfer=None)
        failed = dict(result.errors)
        for name in [r.name for r in store.load().values() if r.state in UNFINISHED and str(r.name) in failed]:
            self._set_aside(store, (name,), failed[str(name)])

    def _tell(self, progress: TransferProgress) -> None:
        self._board.set(transfer=progress)

    def _set_aside(self, store: TableStore, names: Sequence[TableName], reason: str) -> None:
        records = store.load()
        for name in names:
            start = records[name].start if name in records else None
            store.save(TableRecord(name, TableState.QUARANTINED, start=start, reason=reason))
            log(
                logger, logging.ERROR, Tag.SKIPPED, "is set aside: %s; `replica transfer --table %s` brings it back",
                reason.removeprefix(f"{name}: "), name, instance=self._server.name, schema=name.schema,
                table=name.table, position=start,
            )  # fmt: skip

    def _bring_up(self, group: Sequence[TableRecord]) -> None:
        names = self._joined = tuple(r.name for r in group)
        start = group[0].start
        if start is None or not start.file:
            raise TableChangedInWindow(names, "the copy's place is not known by file")
        log(logger, logging.INFO, Tag.TRANSFER, "%s: brought up to the stream from %s", ", ".join(map(str, names)),
            start, instance=self._server.name)  # fmt: skip
        with self._sessions(names) as sessions:
            reader, applier = self._ends(sessions, group, start)
            with closing(_Stopping(reader)):
                reader.start()
                self._approach(reader, applier)

    def _approach(self, reader: Reader, applier: Applier) -> None:
        self._is_there.clear()
        prepared: set[str] = set()
        while not self._end.is_set:
            goal = self._goal if self._is_near.is_set() else None
            if goal is not None and applier.position.order >= goal.order:
                break
            found = list(without_xa(reader.take(_TAKE_SECONDS), prepared))
            due = found if goal is None else [t for t in found if t.end.order <= goal.order]
            if due:
                applier.apply(due)
            if len(due) < len(found):
                # The next transaction begins at the stream's place, or behind it.
                break
            if goal is None and self._is_close(applier.position):
                self._is_near.set()
        if not self._end.is_set:
            applier.save_position()
            self._is_there.set()
            # The stream takes the tables over from here, and begins anew: this thread is not needed any more.
            self._end.wait(_STOP_SECONDS)

    def _is_close(self, place: Position) -> bool:
        here = self._here
        if here is None:
            return False
        return place.order >= here.order or (place.file == here.file and here.pos - place.pos < _NEAR_BYTES)

    def _sessions(self, names: Sequence[TableName]) -> SecondarySessions:
        settings, place = self._settings, (self._settings.state_schema, self._server.name)
        writer = connect(self._server, settings.network)
        try:
            catalog = connect(self._server, settings.network)
        except BaseException:
            writer.close()
            raise
        writer.execute(APPLY_SESSION)
        saved = PositionStore(catalog, *place).load()
        if saved is None or saved.token != self._token:
            writer.close()
            catalog.close()
            raise Fenced(f"{self._server.name}: another process took over")
        stores = Stores(JoinPositions(catalog, *place, names), TableStore(catalog, *place), NoIntents(catalog, *place))
        return SecondarySessions(writer, catalog, read_facts(catalog), stores, WriterLock(writer, *place))

    def _ends(
        self, sessions: SecondarySessions, group: Sequence[TableRecord], start: Position
    ) -> tuple[Reader, Applier]:
        names = frozenset(r.name for r in group)
        saved = PositionStore(sessions.catalog, self._settings.state_schema, self._server.name).load()
        if saved is None:
            raise Fenced(f"{self._server.name}: the position is gone")
        reader = Reader(
            self._settings.primary,
            self._settings.network,
            server_id=self._server_id,
            start=start,
            is_mariadb=self._facts.is_mariadb,
            wants=names.__contains__,
            queue_bytes=self._settings.batching.queue_bytes,
        )

        def format_event() -> bytes:
            if reader.format is None:
                raise CorruptEvent("rows came before the log's format description")
            return reader.format.raw

        applier = make_applier(
            self._settings,
            sessions,
            replace(saved, position=start, token=self._token),
            windows=Windows({r.name: r for r in group}, is_mariadb=self._facts.is_mariadb, is_beside=True),
            primary_facts=self._facts,
            format_event=format_event,
            stop=self._end,
            ddl_class=DdlBeside,
        )
        return reader, applier

    def _again(self, names: Sequence[TableName], reason: str) -> None:
        log(logger, logging.WARNING, Tag.TRANSFER, "%s: copied anew: %s", ", ".join(map(str, names)), reason,
            instance=self._server.name)  # fmt: skip
        try:
            with connect(self._server, self._settings.network) as session:
                store = TableStore(session, self._settings.state_schema, self._server.name)
                ask_for_copies(self._settings, store, names, reason)
        except ReplicaError as error:
            self._error = error

    def _look_again(self, error: ReplicaError) -> None:
        """Copy anew what can be brought up no more; a record that somebody changed is read again by itself."""
        if isinstance(error, PositionLost):
            self._again(self._joined, error.message)
        self._end.wait(1.0)


class _Stopping:
    """Gives a reader a `close`."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def close(self) -> None:
        self._reader.stop()


def _of_one_start(store: TableStore) -> list[TableRecord]:
    """Return the tables that join from the first place that any of them waits at."""
    joining = [r for r in store.load().values() if r.state is TableState.JOINING]
    joining.sort(key=lambda r: r.start.order if r.start else (-1, 0))
    return [r for r in joining if r.start == joining[0].start]
