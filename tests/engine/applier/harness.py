"""Two servers and the real stream between them: write on the primary, copy by hand, stream, compare."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from replica_cli.applier.ddl.altered import AlteredTables
from replica_cli.applier.ddl.lock_waits import LockPatience
from replica_cli.checkpoint.positions import PositionStore
from replica_cli.checkpoint.schema import create_state_schema
from replica_cli.checkpoint.table_lifecycle import TableLifecycle
from replica_cli.checkpoint.table_records import EndedCopy
from replica_cli.core.errors import NeedsDiagnosis
from replica_cli.core.requests.stream import StreamRequest
from replica_cli.core.selection import Selection
from replica_cli.core.settings import Batching, Network, Retry, Settings
from replica_cli.core.table import TableName
from replica_cli.mysql.binlog.log_state import current_position
from replica_cli.mysql.facts import read_facts
from replica_cli.runtime.primary_session import PrimarySession
from replica_cli.runtime.secondary_sessions import SecondarySessions
from replica_cli.runtime.status_publisher import StatusPublisher
from replica_cli.stop import StopToken
from replica_cli.worker.row_log import RowLog
from replica_cli.worker.streaming import Streaming
from replica_cli.worker.worker import Worker
from tests.support.equality import assert_equal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from replica_cli.checkpoint.positions import SavedPosition
    from replica_cli.core.position import Position
    from replica_cli.core.reports.stream import WorkerReport
    from replica_cli.core.settings import Server
    from replica_cli.mysql.facts import ServerFacts
    from replica_cli.mysql.session import Session
    from replica_cli.sandbox.server import SandboxServer

INSTANCE = "db1"


def wait_until(holds: Callable[[], bool], patience_seconds: float = 20.0, pause: float = 0.005) -> None:
    """Wait for a condition; fail when it does not come."""
    deadline = time.monotonic() + patience_seconds
    while not holds():
        assert time.monotonic() < deadline, "waited in vain"
        StopToken().wait(pause)


@dataclass
class Harness:
    """One schema on both servers, and a state schema; `settings` may be replaced before streaming."""

    primary: SandboxServer
    secondary: SandboxServer
    schema: str
    settings: Settings = field(init=False)
    altered: AlteredTables = field(default_factory=AlteredTables)
    _sessions: dict[str, Session] = field(default_factory=dict)
    _primaries: list[PrimarySession] = field(default_factory=list)

    def __post_init__(self) -> None:
        state = f"{self.schema}_state"
        self.settings = Settings(
            self.primary.address(name="primary"),
            (self.target,),
            Selection(((self.schema, self.schema),), state_schema=state),
            server_id=4000,
            state_schema=state,
            network=Network(connect_timeout=5.0, heartbeat=0.5, read_timeout=5.0, query_timeout=60.0),
            retry=Retry(attempts=3, delay=0.01, delay_limit=0.1, reconnect_attempts=3),
            batching=Batching(),
        )
        create_state_schema(self.other, state)

    @property
    def target(self) -> Server:
        return self.secondary.address(name=INSTANCE)

    @property
    def is_mariadb(self) -> bool:
        return str(self.primary.binary).startswith("mariadb")

    @property
    def is_one_flavour(self) -> bool:
        return self.primary.binary.flavour == self.secondary.binary.flavour

    @property
    def is_one_release(self) -> bool:
        return str(self.primary.binary) == str(self.secondary.binary)

    @property
    def default_charset(self) -> str:
        """Options of a schema that give it the same default on both servers, as a copy of its tables would."""
        # Releases differ in the collation that a charset means where none is named.
        return "CHARACTER SET utf8mb4" + ("" if self.is_one_release else " COLLATE utf8mb4_general_ci")

    def name(self, table: str) -> TableName:
        return TableName(self.schema, table)

    @property
    def source(self) -> Session:
        """An application's session on the primary."""
        return self._session(self.primary, "source")

    @property
    def other(self) -> Session:
        """Somebody's session on the secondary, behind replica's back."""
        return self._session(self.secondary, "other")

    def on_primary(self, *statements: str) -> None:
        for statement in statements:
            self.source.execute(statement)

    def on_secondary(self, *statements: str) -> None:
        self.other.execute("SET SESSION foreign_key_checks=0")
        for statement in statements:
            self.other.execute(statement)
        self.other.execute("SET SESSION foreign_key_checks=1")

    def on_both(self, *statements: str) -> None:
        for session in (self.source, self.other):
            for statement in statements:
                session.execute(statement)

    def close(self) -> None:
        for session in self._sessions.values():
            session.close()
        for primary in self._primaries:
            primary.close()

    def _session(self, server: SandboxServer, role: str) -> Session:
        if role not in self._sessions:
            self._sessions[role] = server.session()
            self._sessions[role].execute(f"CREATE DATABASE IF NOT EXISTS `{self.schema}` {self.default_charset}")
            self._sessions[role].execute(f"USE `{self.schema}`")
        return self._sessions[role]

    @cached_property
    def facts(self) -> ServerFacts:
        """What the primary is."""
        return read_facts(self.source)

    def here(self) -> Position:
        return current_position(self.source, self.facts)

    @property
    def positions(self) -> PositionStore:
        return PositionStore(self.other, self.settings.state_schema, INSTANCE)

    @property
    def tables(self) -> TableLifecycle:
        return TableLifecycle(self.other, self.settings.state_schema, INSTANCE)

    def begin_here(self, position: Position | None = None) -> Position:
        """Save the primary's position of now as the one to stream from."""
        position = position or self.here()
        self.positions.start(position, source_identity=self.facts.identity, selection=self.settings.selection)
        return position

    def save_window(self, table: str, start: Position, end: Position) -> None:
        self.tables.end_copies([EndedCopy(self.name(table), start, end)])

    def saved(self) -> SavedPosition:
        saved = self.positions.load()
        assert saved is not None
        return saved

    def copy(self, table: str, where: str = "1") -> None:
        """Copy rows as the transfer does: what they are at this moment; a row in the way on another key goes."""
        rows = self.source.rows(f"SELECT * FROM `{table}` WHERE {where}")
        self.on_secondary(
            *(f"REPLACE INTO `{table}` VALUES ({', '.join(self.other.escape(v) for v in row)})" for row in rows)
        )

    def open(self) -> SecondarySessions:
        return SecondarySessions.open(self.settings, self.target)

    def streaming(
        self,
        sessions: SecondarySessions,
        *,
        is_diagnostic: bool = False,
        refusals: Mapping[TableName, int] | None = None,
        **changes: Any,
    ) -> Streaming:
        """Make a stream with everything as the service makes it: its token is the newest."""
        settings = replace(self.settings, **changes)
        sessions.stores.positions.take_token()
        publisher = StatusPublisher(INSTANCE, lambda _: None)
        self._primaries.append(PrimarySession(settings))
        return Streaming(
            settings,
            sessions,
            self._primaries[-1],
            self.saved(),
            server_id=4000,
            altered=self.altered,
            asked_by={},
            refusals=refusals or {},
            publisher=publisher,
            stop=StopToken(),
            patience=LockPatience(settings.apply.ddl_lock_wait, settings.network.query_timeout / 2),
            row_log=RowLog(INSTANCE, settings.logging.rows),
            is_diagnostic=is_diagnostic,
        )

    def stream(self, **changes: Any) -> None:
        """Stream to the primary's end of now. Raises what ends it, named exactly, as the service does."""
        try:
            self._stream(is_diagnostic=False, **changes)
        except NeedsDiagnosis:
            self._stream(is_diagnostic=True, **changes)

    def _stream(self, *, is_diagnostic: bool, **changes: Any) -> None:
        try:
            with self.open() as sessions:
                self.streaming(sessions, is_diagnostic=is_diagnostic, **changes).run(until_caught_up=True)
        finally:
            while self._primaries:
                self._primaries.pop().close()

    def work(self, *, may_transfer: bool = True, **changes: Any) -> WorkerReport:
        """Let the service's worker stream to the primary's end of now, with copies: it outlives what it can."""
        settings = replace(self.settings, **changes)
        request = StreamRequest((self.target,), until_caught_up=True, may_transfer=may_transfer)
        publisher = StatusPublisher(INSTANCE, lambda _: None)
        return Worker(settings, request, self.target, server_id=4000, publisher=publisher, stop=StopToken()).run()

    def follow(self, *, may_transfer: bool = True, **changes: object) -> None:
        """Let the worker stream to the primary's end of now; fail where it does not get there with some table."""
        failure = self.work(may_transfer=may_transfer, **changes).failure
        # A quarantined table does not keep the others from the end.
        assert failure is None or failure.code == "quarantined", failure

    def assert_equal(self) -> None:
        assert_equal(self.primary, self.secondary, self.schema)

    def rows(self, sql: str) -> list[tuple[object, ...]]:
        """Ask the secondary."""
        return self.other.rows(sql)
