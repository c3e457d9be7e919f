"""Catch up with the stream: apply only the changes of re-copied tables, from the start of their copy.

It runs in the re-sync thread. It has a dump connection with a reader thread, two sessions on the secondary and one on
the primary.
"""

from __future__ import annotations

import logging
from contextlib import ExitStack, closing
from dataclasses import replace
from typing import TYPE_CHECKING

from replica_cli.applier.ddl.altered import AlteredTables
from replica_cli.applier.ddl.catchup_policy import CatchupDdlPolicy, without_xa
from replica_cli.applier.ddl.lock_waits import LockPatience
from replica_cli.applier.window import Windows
from replica_cli.checkpoint.catchup_position import CatchupPosition
from replica_cli.checkpoint.intents import IntentStore
from replica_cli.checkpoint.lock import WriterLock
from replica_cli.checkpoint.positions import PositionStore
from replica_cli.checkpoint.stores import Stores
from replica_cli.checkpoint.table_lifecycle import TableLifecycle
from replica_cli.checkpoint.uncompared import UncomparedStore
from replica_cli.core.errors import Fenced, TableChangedInWindow
from replica_cli.logs import Tag, log
from replica_cli.mysql.facts import read_facts
from replica_cli.mysql.session import closing_on_error, connect
from replica_cli.reader.position_check import PositionCheck
from replica_cli.reader.reader import Reader
from replica_cli.runtime.factory import make_applier
from replica_cli.runtime.primary_access import PrimaryAccess
from replica_cli.runtime.primary_session import PrimarySession
from replica_cli.runtime.secondary_sessions import SecondarySessions, prepare_to_apply

if TYPE_CHECKING:
    from collections.abc import Sequence

    from replica_cli.applier.applier import Applier
    from replica_cli.checkpoint.positions import SavedPosition
    from replica_cli.checkpoint.table_records import TableRecord
    from replica_cli.core.events import Transaction
    from replica_cli.core.position import Position
    from replica_cli.core.settings import Server, Settings
    from replica_cli.core.table import TableName
    from replica_cli.mysql.facts import ServerFacts
    from replica_cli.mysql.session import Session
    from replica_cli.resync.handoff import Handoff
    from replica_cli.stop import StopToken

logger = logging.getLogger(__name__)

_TAKE_SECONDS = 0.1
# This number of bytes of binary log is applied in less than a second: the stream can wait for it.
_CLOSE_BYTES = 1024 * 1024


class TableCatchup:
    """One attempt to catch up with the stream for tables whose copies start at one position.

    The position of the catch-up is saved in the records of its tables, in one transaction with their rows. A commit
    succeeds only while the fencing token of the position row is `token`. Used by the re-sync thread, except for
    `abort`.
    """

    def __init__(
        self,
        settings: Settings,
        server: Server,
        group: Sequence[TableRecord],
        *,
        server_id: int,
        token: int,
        primary_facts: ServerFacts,
        handoff: Handoff,
        end: StopToken,
    ) -> None:
        self._settings = settings
        self._server = server
        self._group = group
        self._names = frozenset(r.name for r in group)
        self._server_id = server_id
        self._token = token
        self._facts = primary_facts
        self._handoff = handoff
        self._end = end
        self._sessions: list[Session] = []
        self._applier: Applier | None = None

    @property
    def position(self) -> Position | None:
        """Return the last committed position of the catch-up, None if it has not begun to apply."""
        return self._applier.position if self._applier is not None else None

    def run(self) -> None:
        """Apply changes until the stream has taken the tables over, or until the end is requested.

        Raises:
            TableChangedInWindow: the tables have to be copied again.
            PositionLost: the primary's log does not go on from the start of the copy.
            PreparedTransactionOverlap: a prepared transaction may hold rows from before the copy.
            ApplyRefused: a change cannot be applied.
            CatchupLost: the records of the tables were changed.
            Fenced: another process took over.
            ServerError: a server does not answer.

        """
        start = self._group[0].covered_to
        names = sorted(map(str, self._names))
        if start is None:
            raise TableChangedInWindow(tuple(self._names), "the start position of the copy is not known")
        log(logger, logging.INFO, Tag.TRANSFER, "%s: catching up with the stream from %s", ", ".join(names), start,
            instance=self._server.name)  # fmt: skip
        with closing(PrimarySession(self._settings)) as primary:
            # The stream has checked its own position against the log. The GTID set of a table's start need not be
            # exact.
            PositionCheck(primary.session, self._settings.network).check(start, is_thorough=False)
            self._catch_up(start, primary)

    def _catch_up(self, start: Position, primary: PrimarySession) -> None:
        saved, sessions = self._open(start)
        with sessions:
            reader = self._reader(start)
            positions = CatchupPosition(sessions.stores.tables, self._server.name, self._names, start)
            applier = self._applier = self._make_applier(sessions, saved, reader, primary, positions)
            with ExitStack() as stack:
                stack.callback(reader.stop)
                reader.start()
                self._approach(reader, applier)

    def abort(self) -> None:
        """Cut both connections to the secondary: the server rolls back what is not committed. From any thread."""
        for session in self._sessions:
            session.abort()

    def _approach(self, reader: Reader, applier: Applier) -> None:
        prepared: set[str] = set()
        pending: list[Transaction] = []
        while not self._is_over():
            pending = pending or list(without_xa(reader.take(_TAKE_SECONDS), prepared))
            offered = self._handoff.offered
            # A transaction begins where the one before it ends: the transactions up to the offered position are the
            # first ones.
            due = pending if offered is None else [t for t in pending if offered.at_least(t.end)]
            if due:
                applier.apply(due)
            if self._is_over():  # the applier may have left some of the due transactions
                break
            pending = pending[len(due) :]
            if offered is None:
                if self._is_close(applier.position):
                    self._handoff.announce_close()
            elif pending or applier.position.at_least(offered):
                # The next transaction begins at the offered position or after it.
                applier.save_position()
                self._handoff.reach(offered, self._end)

    def _is_over(self) -> bool:
        return self._end.is_set

    def _is_close(self, position: Position) -> bool:
        stream_position = self._handoff.published
        if stream_position is None:
            return False
        return position.at_least(stream_position) or (
            position.file == stream_position.file and stream_position.pos - position.pos < _CLOSE_BYTES
        )

    def _open(self, start: Position) -> tuple[SavedPosition, SecondarySessions]:
        settings, key = self._settings, (self._settings.state_schema, self._server.name)
        writer = connect(self._server, settings.network)
        self._sessions = [writer]
        with closing_on_error(writer):
            catalog = connect(self._server, settings.network)
        self._sessions.append(catalog)
        with closing_on_error(writer, catalog):
            facts = read_facts(catalog)
            prepare_to_apply(writer, facts)
            saved = self._saved(PositionStore(catalog, *key))
        stores = Stores(
            PositionStore(catalog, *key),
            TableLifecycle(catalog, *key),
            IntentStore(catalog, *key),
            UncomparedStore(catalog, *key),
        )
        lock = WriterLock(writer, *key)
        return replace(saved, position=start), SecondarySessions(writer, catalog, facts, stores, lock)

    def _saved(self, store: PositionStore) -> SavedPosition:
        saved = store.load()
        if saved is None or saved.token != self._token:
            raise Fenced(f"{self._server.name}: another process took over")
        return saved

    def _reader(self, start: Position) -> Reader:
        return Reader(
            self._settings.primary,
            self._settings.network,
            server_id=self._server_id,
            start=start,
            is_mariadb=self._facts.is_mariadb,
            wants=self._wants,
            queue_bytes=self._settings.batching.queue_bytes,
        )

    def _wants(self, name: TableName) -> bool:
        return name in self._names

    def _make_applier(
        self,
        sessions: SecondarySessions,
        saved: SavedPosition,
        reader: Reader,
        primary: PrimarySession,
        positions: CatchupPosition,
    ) -> Applier:
        return make_applier(
            self._settings,
            sessions,
            saved,
            windows=Windows({r.name: r for r in self._group}, is_catch_up=True),
            primary=PrimaryAccess(self._facts, primary.read, primary.ask, reader.format_event),
            # A catch-up runs no DDL statements.
            altered=AlteredTables(),
            patience=LockPatience(0.0, 1.0),
            stop=self._end,
            decisions_class=CatchupDdlPolicy,
            # One engine that names the row that fails, without measuring if another engine is faster.
            prefers_sql=True,
            positions=positions,
        )
