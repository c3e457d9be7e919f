"""A pair of servers whose state on the secondary a test can spoil, for the tests of health."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from replica_cli.checkpoint.beats import BeatStore
from replica_cli.checkpoint.positions import PositionStore
from replica_cli.checkpoint.table_lifecycle import TableLifecycle
from replica_cli.checkpoint.table_records import TableRecord
from replica_cli.core.requests.health import HealthRequest
from replica_cli.core.status import Phase, TableState, WorkerStatus
from replica_cli.core.table import TableName
from replica_cli.mysql.binlog.log_state import current_position
from replica_cli.mysql.facts import read_facts
from replica_cli.service.health import check_health
from tests.support.table_records import put

if TYPE_CHECKING:
    from replica_cli.core.position import Position
    from replica_cli.core.reports.health import HealthCheck, HealthReport
    from replica_cli.core.settings import Settings
    from replica_cli.sandbox.server import SandboxServer

NAME = TableName("shop", "orders")


@dataclass
class Watched:
    """A pair with a saved position and a live heartbeat, and ways to spoil each."""

    primary: SandboxServer
    secondary: SandboxServer
    settings: Settings
    schema: str

    def report(self, max_lag_seconds: float = 60.0) -> HealthReport:
        settings = replace(self.settings, max_lag_seconds=max_lag_seconds)
        return check_health(settings, HealthRequest(settings.secondaries))

    def check(self, name: str) -> HealthCheck:
        return next(c for c in self.report().checks if c.name == name)

    def end(self) -> Position:
        with self.primary.session() as session:
            return current_position(session, read_facts(session))

    def on_primary(self, *statements: str) -> None:
        with self.primary.session() as session:
            for statement in statements:
                session.execute(statement)

    def on_state(self, statement: str, *args: object) -> None:
        with self.secondary.session(self.settings.state_schema) as session:
            session.execute(statement, *args)

    def save(self, position: Position) -> None:
        with self.primary.session() as session:
            identity = read_facts(session).identity
        with self.secondary.session() as session:
            store = PositionStore(session, self.settings.state_schema, "db1")
            store.start(position, source_identity=identity, selection=self.settings.selection)

    def beat(self, phase: Phase = Phase.CAUGHT_UP, **fields: object) -> None:
        status = replace(WorkerStatus("db1", phase), **fields)  # type: ignore[arg-type]
        with self.secondary.session() as session:
            BeatStore(session, self.settings.state_schema, "db1").beat(status)

    def age(self, column: str, seconds: int) -> None:
        self.on_state(f"UPDATE stream_status SET {column} = UTC_TIMESTAMP(6) - INTERVAL {seconds} SECOND")

    def save_table(self, state: TableState, **fields: object) -> None:
        with self.secondary.session() as session:
            record = replace(TableRecord(NAME, state), **fields)  # type: ignore[arg-type]
            put(TableLifecycle(session, self.settings.state_schema, "db1"), record)

    def write(self) -> None:
        self.on_primary(f"CREATE TABLE {self.schema}.t_{time.monotonic_ns()} (id INT PRIMARY KEY)")
