"""A real reader on a real log: everything that it yields up to a position, as data."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from replica_cli.core.events import RowEvent, Statement
from replica_cli.core.position import Position
from replica_cli.core.settings import Network
from replica_cli.mysql.binlog.log_state import current_position
from replica_cli.mysql.errnos import ServerError
from replica_cli.mysql.facts import read_facts
from replica_cli.reader.reader import Reader

if TYPE_CHECKING:
    from replica_cli.core.events import Transaction
    from replica_cli.core.settings import Server
    from replica_cli.mysql.session import Session
    from replica_cli.sandbox.server import SandboxServer

NETWORK = Network(connect_timeout=3.0, heartbeat=0.3, read_timeout=1.5, query_timeout=30.0)
SERVER_ID = 4100


@dataclass
class Log:
    """A primary's log from `start` on; `session` writes it."""

    server: SandboxServer
    schema: str
    session: Session = field(init=False)
    start: Position = field(init=False)

    def __post_init__(self) -> None:
        self.reopen()
        self.session.execute(f"CREATE DATABASE {self.schema} CHARACTER SET utf8mb4")
        self.session.execute(f"CREATE DATABASE {self.schema}_mark")
        self.session.execute(f"CREATE TABLE {self.schema}_mark.m (id INT AUTO_INCREMENT PRIMARY KEY)")
        self.session.execute(f"USE {self.schema}")
        self.start = self.here()

    def reopen(self) -> None:
        self.session = self.server.session()

    @property
    def is_mariadb(self) -> bool:
        return self.session.is_mariadb

    def run(self, *statements: str) -> None:
        for statement in statements:
            self.session.execute(statement)

    def mark(self) -> None:
        """Write a transaction outside of what the reader wants: it has an end and no changes."""
        self.run(f"INSERT INTO {self.schema}_mark.m VALUES ()")

    def purge(self) -> None:
        """Purge all files but the newest, of which no dump may keep one."""
        newest = self.here().file
        dumps = "SELECT id FROM information_schema.processlist WHERE command LIKE 'Binlog Dump%'"
        deadline = time.monotonic() + 10
        while [str(row[0]) for row in self.session.rows("SHOW BINARY LOGS")] != [newest]:
            assert time.monotonic() < deadline
            for (thread,) in self.session.rows(dumps):
                with contextlib.suppress(ServerError):
                    self.run(f"KILL {thread}")
            self.run(f"PURGE BINARY LOGS TO '{newest}'")

    def here(self) -> Position:
        return current_position(self.session, read_facts(self.session))

    def reader(
        self,
        start: Position | None = None,
        *,
        server_id: int = SERVER_ID,
        address: Server | None = None,
        by_gtid: bool = False,
        queue_bytes: int = 64 * 1024 * 1024,
    ) -> Reader:
        start = start or self.start
        return Reader(
            address or self.server.address(),
            NETWORK,
            server_id=server_id,
            start=Position("", 0, start.gtid) if by_gtid else start,
            is_mariadb=self.is_mariadb,
            wants=lambda name: name.schema == self.schema,
            queue_bytes=queue_bytes,
        )

    def read(self, start: Position | None = None, *, by_gtid: bool = False) -> list[Transaction]:
        """Return everything up to the log's end of now."""
        self.mark()
        reader = self.reader(start, by_gtid=by_gtid)
        reader.start()
        try:
            return read_to(reader, self.here())
        finally:
            reader.stop()


def read_to(reader: Reader, end: Position, patience_seconds: float = 20.0) -> list[Transaction]:
    """Take from a started reader until `end` (by file) is reached. Raises what ends the reading."""
    found: list[Transaction] = []
    deadline = time.monotonic() + patience_seconds
    while not found or not found[-1].is_end or found[-1].end.order < end.order:
        assert time.monotonic() < deadline, f"{end} was not reached, {found[-1].end if found else 'nothing'} was"
        found.extend(reader.take(0.1))
    return found


def changing(transactions: list[Transaction]) -> list[Transaction]:
    """Return those with changes."""
    return [t for t in transactions if t.changes]


def shown(transactions: list[Transaction]) -> list[str]:
    """Return what each change is: `INSERT table` or the statement's text."""
    words = []
    for transaction in transactions:
        for change in transaction.changes:
            if isinstance(change, Statement):
                words.append(change.text.decode("utf-8", "replace"))
            elif isinstance(change, RowEvent):
                words.append(f"{change.kind.name} {change.table.name.table}")
    return words


def rows_of(transactions: list[Transaction]) -> list[bytes]:
    """Return the row images of every row event."""
    events = [c for t in transactions for c in t.changes if isinstance(c, RowEvent)]
    return [e.raw[e.head.rows_start :] for e in events]
