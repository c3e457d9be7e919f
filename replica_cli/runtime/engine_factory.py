"""Build the engines of one applier: which one applies the rows of a table, by what both servers can do."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from replica_cli.applier.engines.auto_engine import AutoEngine
from replica_cli.applier.engines.compaction import Compaction
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
    from collections.abc import Callable, Mapping, Sequence

    from replica_cli.applier.ddl.altered import AlteredTables
    from replica_cli.applier.engines.definitions import Definitions
    from replica_cli.applier.engines.steps import RowEngine
    from replica_cli.core.selection import Selection
    from replica_cli.core.settings import Settings
    from replica_cli.core.table import TableDefinition, TableName
    from replica_cli.mysql.facts import ServerFacts
    from replica_cli.runtime.secondary_sessions import SecondarySessions

logger = logging.getLogger(__name__)

_STATEMENT_BYTES = 512 * 1024


def make_engines(
    settings: Settings,
    sessions: SecondarySessions,
    definitions: Definitions,
    primary_facts: ServerFacts,
    *,
    read_primary: Callable[[Sequence[TableName]], Mapping[TableName, TableDefinition]],
    format_event: Callable[[], bytes],
    altered: AlteredTables,
    prefers_sql: bool,
) -> Engines:
    """Return the engines for the tables of the selection. The arguments are as in `factory.make_applier`.

    Raises:
        SecondaryError: the user asked for the row image engine, and the secondary cannot apply row images.

    """
    limit = min(_STATEMENT_BYTES, sessions.facts.max_allowed_packet // 2)
    selection = settings.selection
    references = References(sessions.catalog, selection)

    def compaction(replaces: Callable[[TableDefinition], bool]) -> Compaction | None:
        if not settings.apply.compacts:
            return None
        return Compaction(definitions, selection, references, replaces=replaces)

    def sql_engine(compactor: Compaction | None) -> SqlEngine:
        # The queries that compare rows take time, and only the log at level DEBUG shows their results.
        compares = logger.isEnabledFor(logging.DEBUG)
        return SqlEngine(definitions, selection, statement_bytes=limit, compaction=compactor, compares=compares)

    def doubt(name: TableName) -> None:
        if name not in altered.before:
            # Stored before the rows: if this process is killed after the rows, the next process still compares the
            # table.
            sessions.stores.uncompared.add((name,))
        altered.doubt(name)

    single, sql = sql_engine(None), sql_engine(compaction(lambda table: not can_join(table)))
    replay = ReplayEngine(definitions, selection, statement_bytes=limit)
    strict: RowEngine = sql
    diagnostic: RowEngine = single
    if _can_take_images(settings, sessions, primary_facts):
        counts = RowCounts(definitions, selection)
        versions = _row_versions(definitions, selection, sessions, primary_facts)

        def image_engine(compactor: Compaction | None) -> RowImageEngine:
            return RowImageEngine(
                sessions.writer, selection, counts, compactor, format_event=format_event, statement_bytes=limit
            )

        strict = auto = AutoEngine(
            image_engine(compaction(lambda _: False)),
            sql,
            definitions,
            selection,
            versions,
            read_primary=read_primary,
            doubt=doubt,
            is_same_release=primary_facts.version[:2] == sessions.facts.version[:2],
            instance=sessions.writer.server.name,
        )
        diagnostic = SqlPreferringEngine(single, image_engine(None), versions, check=auto.check)
        if prefers_sql:
            strict = SqlPreferringEngine(sql, image_engine(None), versions, check=auto.check)
    if settings.apply.compacts:
        is_mariadb = sessions.facts.is_mariadb
        strict = KeylessEngine(strict, definitions, selection, statement_bytes=limit, is_mariadb=is_mariadb)
    return Engines(strict, replay, diagnostic, references)


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
    choice = settings.apply.engine
    if choice is EngineChoice.SQL:
        return False
    name = sessions.writer.server.name
    if primary_facts.is_mariadb != sessions.facts.is_mariadb:
        reason = "the servers are of different flavours"
    elif not can_replay(sessions):
        reason = "the right to replay row events is missing: " + _grant(sessions.facts)
    else:
        return True
    if choice is EngineChoice.ROW_IMAGE:
        raise SecondaryError(f"{name}: --engine row-image was asked for, and {reason}", hint="use `--engine auto`")
    log(logger, logging.INFO, Tag.INFO, "SQL engine for all tables: %s", reason, instance=name)
    return False


def can_replay(sessions: SecondarySessions) -> bool:
    """Return True if the user of the connection may run BINLOG statements on the secondary."""
    return may_replay(sessions.facts, read_grants(sessions.catalog))


def _grant(facts: ServerFacts) -> str:
    return f"GRANT {'BINLOG REPLAY' if facts.is_mariadb else 'REPLICATION_APPLIER'} ON *.* TO this user"
