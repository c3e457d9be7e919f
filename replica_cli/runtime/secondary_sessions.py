"""The sessions of one worker on its secondary, and the stores that use them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from replica_cli.checkpoint.intents import IntentStore
from replica_cli.checkpoint.lock import LockGuard, WriterLock, work_of
from replica_cli.checkpoint.positions import PositionStore
from replica_cli.checkpoint.schema import create_state_schema
from replica_cli.checkpoint.stores import Stores
from replica_cli.checkpoint.table_lifecycle import TableLifecycle
from replica_cli.checkpoint.uncompared import UncomparedStore
from replica_cli.core.attempts import WRITER_LOCK_SECONDS
from replica_cli.mysql.errnos import ER_SPECIFIC_ACCESS_DENIED, ServerError
from replica_cli.mysql.facts import read_facts
from replica_cli.mysql.session import closing_on_error, connect
from replica_cli.sqlbuilder.session_context import APPLY_SESSION
from replica_cli.sqlbuilder.session_variables import allowing_statements

if TYPE_CHECKING:
    from replica_cli.checkpoint.lock import FormerWriter
    from replica_cli.core.settings import Server, Settings
    from replica_cli.mysql.facts import ServerFacts
    from replica_cli.mysql.session import Session
    from replica_cli.stop import StopToken


def prepare_to_apply(writer: Session, facts: ServerFacts) -> None:
    """Set the variables of a session that applies the primary's rows unchanged. Raises ServerError."""
    writer.execute(APPLY_SESSION)
    # These settings only let the server accept more. They turn checks off as well: the primary has accepted these rows,
    # and the server does not check a row event again either.
    settings = allowing_statements(facts.variables)
    if facts.is_mariadb:
        # Otherwise the secondary's binary log holds each of these statements, with all its rows, in addition to the row
        # events.
        settings.append("SET SESSION binlog_annotate_row_events = 0")
    for setting in settings:
        try:
            writer.execute(setting)
        except ServerError as error:
            if error.errno != ER_SPECIFIC_ACCESS_DENIED:
                raise


def open_ahead(settings: Settings, server: Server) -> Session:
    """Open a session for `applier.prefetch` that reads rows before they are changed: no locks, no row versions.

    Raises ServerError.
    """
    session = connect(server, settings.network, init="SET SESSION TRANSACTION ISOLATION LEVEL READ UNCOMMITTED")
    with closing_on_error(session):
        # A query that the server executes as a full scan is of no use.
        limit = "max_statement_time = 5" if session.is_mariadb else "max_execution_time = 5000"
        session.execute(f"SET SESSION {limit}")
    return session


@dataclass(frozen=True, slots=True)
class SecondarySessions:
    """The two sessions of a stream or of a catch-up on the secondary, and the stores on them.

    `writer` writes rows with their position, and runs the stream's DDL statements. `catalog` reads definitions
    and uses the state schema; it returns text as str. One thread at a time uses a session. The stream's `writer` holds
    the writer's lock, which ends when it is closed; that of a catch-up does not, and its commits check the token.
    """

    writer: Session
    catalog: Session
    facts: ServerFacts
    stores: Stores
    lock: WriterLock

    @classmethod
    def open(
        cls, settings: Settings, server: Server, *, former: FormerWriter | None = None, stop: StopToken | None = None
    ) -> Self:
        """Connect and take the writer's lock.

        Args:
            settings: the settings of the process.
            server: the secondary.
            former: the connection on which this process held the lock before.
            stop: ends the wait for the server, which may still roll back what the former connection did.

        Raises:
            LockHeld: another process holds the lock.
            Interrupted: a stop ended the wait.
            ServerError: the secondary does not answer.

        """
        writer = connect(server, settings.network)
        with closing_on_error(writer):
            catalog = connect(server, settings.network)
        with closing_on_error(writer, catalog):
            create_state_schema(catalog, settings.state_schema)
            work = work_of(settings.primary, settings.selection)
            lock = WriterLock(writer, settings.state_schema, server.name, work=work)
            # The server notices that a process was killed when its running statement ends: wait a moment for that.
            lock.acquire(WRITER_LOCK_SECONDS, former=former, stop=stop)
            facts = read_facts(catalog)
            prepare_to_apply(writer, facts)
        key = (settings.state_schema, server.name)
        # What belongs in the transaction of the rows is written on the writer's session, with statements that the
        # stores return: the position, the end of an intent and of a quarantine, and `PreparedStore`. All else uses the
        # catalog session.
        stores = Stores(
            PositionStore(catalog, *key),
            TableLifecycle(catalog, *key),
            IntentStore(catalog, *key),
            UncomparedStore(catalog, *key),
        )
        return cls(writer, catalog, facts, stores, lock)

    def guard(self, settings: Settings) -> LockGuard:
        """Return the check that other connections of this process run before they write."""
        return LockGuard(settings.state_schema, self.writer.server.name, self.writer.connection_id)

    def close(self) -> None:
        """Close both sessions. The server releases the lock with the writer's connection."""
        self.writer.close()
        self.catalog.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
