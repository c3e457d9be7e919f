"""The sessions of one worker on its secondary, and the stores on them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from replica_cli.checkpoint.intents import IntentStore
from replica_cli.checkpoint.lock import LockGuard, WriterLock, work_of
from replica_cli.checkpoint.positions import PositionStore
from replica_cli.checkpoint.schema import create_state_schema
from replica_cli.checkpoint.stores import Stores
from replica_cli.checkpoint.tables import TableStore
from replica_cli.checkpoint.uncompared import UncomparedStore
from replica_cli.mysql.errnos import ER_SPECIFIC_ACCESS_DENIED, ServerError
from replica_cli.mysql.facts import read_facts
from replica_cli.mysql.session import connect
from replica_cli.sqlbuilder.context import APPLY_SESSION
from replica_cli.sqlbuilder.session_variables import allowing_statements

if TYPE_CHECKING:
    from types import TracebackType

    from replica_cli.checkpoint.lock import FormerWriter
    from replica_cli.core.settings import Server, Settings
    from replica_cli.mysql.facts import ServerFacts
    from replica_cli.mysql.session import Session
    from replica_cli.stop import StopToken

LOCK_PATIENCE_SECONDS = 10.0


def prepare_to_apply(writer: Session, facts: ServerFacts) -> None:
    """Make a session one that applies the primary's rows as they are. Raises ServerError."""
    writer.execute(APPLY_SESSION)
    # Checks among them: the primary took these rows; a row event is not checked again either.
    settings = allowing_statements(facts.variables)
    if facts.is_mariadb:
        # Else each of our statements, all rows in it, stands in the secondary's binary log beside the rows themselves.
        settings.append("SET SESSION binlog_annotate_row_events = 0")
    for setting in settings:
        try:
            writer.execute(setting)
        except ServerError as error:
            if error.errno != ER_SPECIFIC_ACCESS_DENIED:
                raise


def open_ahead(settings: Settings, server: Server) -> Session:
    """Open a session that reads what will be changed (applier/prefetch.py): it locks nothing, and keeps no versions.

    Raises ServerError.
    """
    session = connect(server, settings.network, init="SET SESSION TRANSACTION ISOLATION LEVEL READ UNCOMMITTED")
    try:
        # One that is planned as a scan is of no use.
        limit = "max_statement_time = 5" if session.is_mariadb else "max_execution_time = 5000"
        session.execute(f"SET SESSION {limit}")
    except BaseException:
        session.close()
        raise
    return session


@dataclass(frozen=True, slots=True)
class SecondarySessions:
    """`writer` holds the lock and writes rows, position and definitions; `catalog` reads, with text as text."""

    writer: Session
    catalog: Session
    facts: ServerFacts
    stores: Stores
    lock: WriterLock

    @classmethod
    def open(
        cls, settings: Settings, server: Server, *, former: FormerWriter | None = None, stop: StopToken | None = None
    ) -> Self:
        """Connect and take the writer's lock. Raises LockHeld, ServerError, Interrupted.

        `former` is the writer's connection that this process had before; `stop` ends the wait for what the server still
        rolls back of it.
        """
        writer = connect(server, settings.network)
        try:
            catalog = connect(server, settings.network)
        except BaseException:
            writer.close()
            raise
        try:
            create_state_schema(catalog, settings.state_schema)
            work = work_of(settings.primary, settings.selection)
            lock = WriterLock(writer, settings.state_schema, server.name, work=work)
            # The server notices a killed process when its running statement ends: give it a moment.
            lock.acquire(LOCK_PATIENCE_SECONDS, former=former, stop=stop)
            facts = read_facts(catalog)
            prepare_to_apply(writer, facts)
        except BaseException:
            writer.close()
            catalog.close()
            raise
        place = (settings.state_schema, server.name)
        # The position is written on the writer's session, by text that the store builds; all else on the other one.
        stores = Stores(
            PositionStore(catalog, *place),
            TableStore(catalog, *place),
            IntentStore(catalog, *place),
            UncomparedStore(catalog, *place),
        )
        return cls(writer, catalog, facts, stores, lock)

    def guard(self, settings: Settings) -> LockGuard:
        """Return what other connections of this process check before they write."""
        return LockGuard(settings.state_schema, self.writer.server.name, self.writer.connection_id)

    def close(self) -> None:
        """Close both; the lock goes with the writer's connection."""
        self.writer.close()
        self.catalog.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
