"""Build the engines of one applier: which one applies the rows of a table, by what both servers can do."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING

from replica_cli.applier.engines.auto_engine import AutoEngine
from replica_cli.applier.engines.compaction import Compaction
from replica_cli.applier.engines.event_log import EventLog
from replica_cli.applier.engines.keyless_engine import KeylessEngine
from replica_cli.applier.engines.replay_engine import ReplayEngine
from replica_cli.applier.engines.row_counts import RowCounts
from replica_cli.applier.engines.row_ends import RowEnds
from replica_cli.applier.engines.row_image_engine import RowImageEngine
from replica_cli.applier.engines.row_plan import can_join
from replica_cli.applier.engines.row_versions import RowVersions, SqlPreferringEngine
from replica_cli.applier.engines.sql_engine import SqlEngine
from replica_cli.applier.engines.step_builder import Engines
from replica_cli.core.errors import SecondaryError
from replica_cli.core.settings import EngineChoice
from replica_cli.logs import Tag, log
from replica_cli.mysql.catalog.foreign_key_parents import References
from replica_cli.mysql.preflight.grants import read_grants
from replica_cli.mysql.preflight.versioned_tables import may_replay
from replica_cli.sqlbuilder.statements.system_versioning import last_year

if TYPE_CHECKING:
    from collections.abc import Callable

    from replica_cli.applier.ddl.altered import AlteredTables
    from replica_cli.applier.engines.definitions import Definitions
    from replica_cli.applier.engines.steps import RowEngine
    from replica_cli.core.selection import Selection
    from replica_cli.core.settings import Settings
    from replica_cli.core.table import TableDefinition, TableName
    from replica_cli.mysql.facts import ServerFacts
    from replica_cli.runtime.primary_access import PrimaryAccess
    from replica_cli.runtime.secondary_sessions import SecondarySessions

logger = logging.getLogger(__name__)

_STATEMENT_BYTES = 512 * 1024


def make_engines(
    settings: Settings,
    sessions: SecondarySessions,
    definitions: Definitions,
    primary: PrimaryAccess,
    *,
    altered: AlteredTables,
    prefers_sql: bool,
) -> Engines:
    """Return the engines for the tables of the selection. The arguments are as in `factory.make_applier`.

    Raises:
        SecondaryError: the user asked for the row image engine, and the secondary cannot apply row images.

    """
    parts = _Parts(settings, sessions, definitions, primary.format_event)
    single, sql = parts.sql_engine(None), parts.sql_engine(parts.compaction(lambda table: not can_join(table)))
    strict: RowEngine = sql
    diagnostic: RowEngine = single
    if _can_take_images(settings, sessions, primary.facts):
        versions = _row_versions(definitions, settings.selection, sessions, primary.facts)
        strict = auto = AutoEngine(
            parts.image_engine(parts.compaction(lambda _: False)),
            sql,
            definitions,
            settings.selection,
            versions,
            read_primary=primary.read,
            doubt=partial(_doubt, sessions, altered),
            is_same_release=primary.facts.version[:2] == sessions.facts.version[:2],
            instance=sessions.writer.server.name,
            wants_sql=lambda name: settings.apply.engine_for(name) is EngineChoice.SQL,
        )
        diagnostic = SqlPreferringEngine(single, parts.image_engine(None), versions, check=auto.check)
        if prefers_sql:
            strict = SqlPreferringEngine(sql, parts.image_engine(None), versions, check=auto.check)
    if settings.apply.compacts:
        is_mariadb, limit = sessions.facts.is_mariadb, parts.statement_bytes
        strict = KeylessEngine(strict, definitions, settings.selection, statement_bytes=limit, is_mariadb=is_mariadb)
    replay = ReplayEngine(definitions, settings.selection, statement_bytes=parts.statement_bytes)
    return Engines(strict, replay, diagnostic, parts.references, parts.event_log())


class _Parts:
    """Makes the engines that write rows; they share one list of references and one counter of rows."""

    def __init__(
        self,
        settings: Settings,
        sessions: SecondarySessions,
        definitions: Definitions,
        format_event: Callable[[], bytes],
    ) -> None:
        self._compacts = settings.apply.compacts
        self._selection = settings.selection
        self._writer = sessions.writer
        self._definitions = definitions
        self._format_event = format_event
        self._counts = RowCounts(definitions, settings.selection)
        self.references = References(sessions.catalog, settings.selection)
        self.statement_bytes = min(_STATEMENT_BYTES, sessions.facts.max_allowed_packet // 2)

    def event_log(self) -> EventLog | None:
        # Only at this level the events are logged, and their rows counted one event at a time.
        return EventLog(self._counts, self._writer.server.name) if logger.isEnabledFor(logging.DEBUG) else None

    def compaction(self, replaces: Callable[[TableDefinition], bool]) -> Compaction | None:
        if not self._compacts:
            return None
        return Compaction(self._definitions, self._selection, self.references, replaces=replaces)

    def sql_engine(self, compaction: Compaction | None) -> SqlEngine:
        # The queries that compare rows take time, and only the log at level DEBUG shows their results.
        compares = logger.isEnabledFor(logging.DEBUG)
        limit = self.statement_bytes
        return SqlEngine(
            self._definitions, self._selection, statement_bytes=limit, compaction=compaction, compares=compares
        )

    def image_engine(self, compaction: Compaction | None) -> RowImageEngine:
        return RowImageEngine(
            self._writer,
            self._selection,
            self._counts,
            compaction,
            format_event=self._format_event,
            statement_bytes=self.statement_bytes,
        )


def _doubt(sessions: SecondarySessions, altered: AlteredTables, name: TableName) -> None:
    """Let a table's definitions be compared, because its rows do not fit what is known of it."""
    if name not in altered.before:
        # Stored before the rows: if this process is killed after the rows, the next process still compares the table.
        sessions.stores.uncompared.add((name,))
    altered.doubt(name)


def _row_versions(
    definitions: Definitions, selection: Selection, sessions: SecondarySessions, primary_facts: ServerFacts
) -> RowVersions:
    old, new = (last_year(facts.version) for facts in (primary_facts, sessions.facts))
    return RowVersions(
        definitions, selection, RowEnds(definitions, selection, old=old, new=new) if old != new else None
    )


def _can_take_images(settings: Settings, sessions: SecondarySessions, primary_facts: ServerFacts) -> bool:
    """Return True if the secondary can apply the primary's row images, else log why not.

    Raises:
        SecondaryError: it cannot, and the user asked for the row image engine.

    """
    if settings.apply.is_sql_only:
        return False
    name = sessions.writer.server.name
    if primary_facts.is_mariadb != sessions.facts.is_mariadb:
        reason = "the servers are of different flavours"
    elif not can_replay(sessions):
        reason = "the right to replay row events is missing: " + _grant(sessions.facts)
    else:
        return True
    if settings.apply.engine is EngineChoice.ROW_IMAGE:
        raise SecondaryError(f"{name}: --engine row-image was asked for, and {reason}", hint="use `--engine auto`")
    log(logger, logging.INFO, Tag.INFO, "SQL engine for all tables: %s", reason, instance=name)
    return False


def can_replay(sessions: SecondarySessions) -> bool:
    """Return True if the user of the connection may run BINLOG statements on the secondary."""
    return may_replay(sessions.facts, read_grants(sessions.catalog))


def _grant(facts: ServerFacts) -> str:
    return f"GRANT {'BINLOG REPLAY' if facts.is_mariadb else 'REPLICATION_APPLIER'} ON *.* TO this user"
