"""Build the applier of one secondary from the current sessions: engines, definitions and DDL.

Used by the stream and by the catch-up of a re-sync.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from replica_cli.applier.applier import Applier
from replica_cli.applier.auto_engine import AutoEngine
from replica_cli.applier.compaction import Compaction
from replica_cli.applier.ddl_decisions import DdlDecisions
from replica_cli.applier.ddl_execution import DdlExecution
from replica_cli.applier.ddl_schemas import SchemaStatements
from replica_cli.applier.definitions import Definitions
from replica_cli.applier.effects import StatementEffects
from replica_cli.applier.engines import Engines
from replica_cli.applier.history import ExactEngine, History
from replica_cli.applier.keyless import KeylessEngine
from replica_cli.applier.plan import can_join
from replica_cli.applier.prefetch import Prefetch
from replica_cli.applier.prepared import PreparedTransactions
from replica_cli.applier.refusals import Refusals
from replica_cli.applier.replay_engine import ReplayEngine
from replica_cli.applier.row_counts import RowCounts
from replica_cli.applier.row_ends import RowEnds
from replica_cli.applier.row_image_engine import RowImageEngine
from replica_cli.applier.running import StatementRunner
from replica_cli.applier.secondary_names import SecondaryNames
from replica_cli.applier.sql_engine import SqlEngine
from replica_cli.applier.statement_session import StatementSession
from replica_cli.applier.writer import Writer
from replica_cli.checkpoint.prepared import PreparedStore
from replica_cli.core.errors import SecondaryError
from replica_cli.core.settings import EngineChoice, TableFailurePolicy
from replica_cli.logs import Tag, log
from replica_cli.mysql.catalog.collations import read_collations
from replica_cli.mysql.catalog.foreign_key_parents import References
from replica_cli.mysql.preflight.grants import read_grants
from replica_cli.mysql.preflight.versioned_tables import may_replay
from replica_cli.reader.prepared_changes import PreparedChangesCodec
from replica_cli.sqlbuilder.statements.system_versioning import last_year

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from replica_cli.applier.altered import AlteredTables
    from replica_cli.applier.lock_waits import LockPatience
    from replica_cli.applier.steps import RowEngine
    from replica_cli.applier.time_zones import Ask
    from replica_cli.applier.window import Windows
    from replica_cli.checkpoint.positions import SavedPosition
    from replica_cli.checkpoint.stores import CommitPosition
    from replica_cli.core.selection import Selection
    from replica_cli.core.settings import Settings
    from replica_cli.core.table import TableDefinition, TableName
    from replica_cli.mysql.facts import ServerFacts
    from replica_cli.mysql.session import Session
    from replica_cli.runtime.secondary_sessions import SecondarySessions
    from replica_cli.stop import StopToken

logger = logging.getLogger(__name__)

_STATEMENT_BYTES = 512 * 1024


def make_prefetch(settings: Settings, connect: Callable[[], Session], instance: str) -> Prefetch:
    """Return the part that reads rows ahead of an applier. It connects when it has something to read."""
    return Prefetch(connect, settings.selection, instance=instance)


def make_applier(
    settings: Settings,
    sessions: SecondarySessions,
    saved: SavedPosition,
    *,
    windows: Windows,
    primary_facts: ServerFacts,
    read_primary: Callable[[Sequence[TableName]], Mapping[TableName, TableDefinition]],
    ask_primary: Ask,
    format_event: Callable[[], bytes],
    stop: StopToken,
    altered: AlteredTables,
    patience: LockPatience,
    is_exact: bool = False,
    decisions_class: type[DdlDecisions] = DdlDecisions,
    prefers_sql: bool = False,
    prefetch: Prefetch | None = None,
    positions: CommitPosition | None = None,
) -> Applier:
    """Return an applier that goes on from the saved position.

    Args:
        settings: the settings of the worker.
        sessions: the sessions on the secondary.
        saved: the saved position.
        windows: the records of the tables.
        primary_facts: version and variables of the primary.
        read_primary: returns the primary's current definitions of tables.
        ask_primary: runs a query on the primary.
        format_event: returns the format description event of the log file that is read.
        stop: ends or pauses the applier.
        altered: takes the tables that statements alter.
        patience: counts the waits of DDL statements for locks.
        is_exact: use the diagnostic engine.
        decisions_class: decides about DDL statements.
        prefers_sql: use row images only for rows that SQL cannot write.
        prefetch: reads rows ahead; the caller stops it.
        positions: what each commit advances, None for the position row of the stream.

    """
    selection = settings.selection
    definitions = Definitions(sessions.catalog, selection, from_mariadb=primary_facts.is_mariadb)
    engines = _engines(
        settings,
        sessions,
        definitions,
        primary_facts,
        read_primary=read_primary,
        format_event=format_event,
        altered=altered,
        prefers_sql=prefers_sql,
    )
    names = SecondaryNames(sessions.catalog, selection)
    effects = StatementEffects(
        sessions.catalog, selection, read_primary, altered.renames, renames_temporary=primary_facts.is_mariadb
    )
    statement_session = _statement_session(sessions, primary_facts, ask_primary)
    decisions = decisions_class(
        sessions.catalog,
        selection,
        names,
        sessions.stores.intents,
        statement_session,
        effects=effects,
        policy=settings.apply.ddl,
    )
    ddl = _execution(settings, sessions, names, statement_session, effects=effects, altered=altered, patience=patience)
    writer = Writer(sessions.writer, max_packet=sessions.facts.max_allowed_packet)
    return Applier(
        sessions.writer,
        saved,
        writer=writer,
        engines=engines,
        decisions=decisions,
        ddl=ddl,
        names=names,
        prepared=_prepared(settings, sessions, writer, primary_facts),
        definitions=definitions,
        stores=sessions.stores,
        positions=positions or sessions.stores.positions,
        windows=windows,
        batching=settings.batching,
        retry=settings.retry,
        stop=stop,
        is_mariadb=primary_facts.is_mariadb,
        is_exact=is_exact,
        prefetch=prefetch,
    )


def _execution(
    settings: Settings,
    sessions: SecondarySessions,
    names: SecondaryNames,
    statement_session: StatementSession,
    *,
    effects: StatementEffects,
    altered: AlteredTables,
    patience: LockPatience,
) -> DdlExecution:
    """Return the part that runs statements for tables and schemas, on the session that holds the writer's lock."""
    runner = StatementRunner(sessions.writer, patience)
    refusals = Refusals(sessions.writer, names, effects, runner)
    schemas = SchemaStatements(
        sessions.writer,
        sessions.catalog,
        settings.selection,
        names,
        statement_session,
        runner=runner,
        refusals=refusals,
        stops_at_failure=settings.apply.on_table_failure is TableFailurePolicy.STOP,
    )
    return DdlExecution(
        sessions.writer,
        sessions.catalog,
        sessions.stores.intents,
        names,
        statement_session,
        runner=runner,
        refusals=refusals,
        schemas=schemas,
        uncompared=sessions.stores.uncompared,
        effects=effects,
        altered=altered,
    )


def _engines(
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
    exact: RowEngine = single
    if _can_take_images(settings, sessions, primary_facts):
        counts = RowCounts(definitions, selection)
        history = _history(definitions, selection, sessions, primary_facts)

        def image_engine(compactor: Compaction | None) -> RowImageEngine:
            return RowImageEngine(
                sessions.writer, selection, counts, compactor, format_event=format_event, statement_bytes=limit
            )

        strict = auto = AutoEngine(
            image_engine(compaction(lambda _: False)),
            sql,
            definitions,
            selection,
            history,
            read_primary=read_primary,
            doubt=doubt,
            is_same_release=primary_facts.version[:2] == sessions.facts.version[:2],
            instance=sessions.writer.server.name,
        )
        exact = ExactEngine(single, image_engine(None), history, check=auto.check)
        if prefers_sql:
            strict = ExactEngine(sql, image_engine(None), history, check=auto.check)
    if settings.apply.compacts:
        is_mariadb = sessions.facts.is_mariadb
        strict = KeylessEngine(strict, definitions, selection, statement_bytes=limit, is_mariadb=is_mariadb)
    return Engines(strict, replay, exact, references)


def _history(
    definitions: Definitions, selection: Selection, sessions: SecondarySessions, primary_facts: ServerFacts
) -> History:
    old, new = (last_year(facts.version) for facts in (primary_facts, sessions.facts))
    return History(definitions, selection, RowEnds(definitions, selection, old=old, new=new) if old != new else None)


def _statement_session(sessions: SecondarySessions, primary_facts: ServerFacts, ask_primary: Ask) -> StatementSession:
    own_variables = {str(name).lower(): str(value) for name, value in sessions.writer.texts("SHOW SESSION VARIABLES")}
    return StatementSession(
        primary_facts,
        sessions.facts,
        read_collations(sessions.catalog),
        own_variables,
        ask_primary=ask_primary,
        ask_secondary=sessions.catalog.rows,
    )


def _prepared(
    settings: Settings, sessions: SecondarySessions, writer: Writer, primary_facts: ServerFacts
) -> PreparedTransactions:
    store = PreparedStore(sessions.writer, settings.state_schema, sessions.writer.server.name)
    codec = PreparedChangesCodec(
        lambda name: settings.selection.target(name) is not None, is_mariadb=primary_facts.is_mariadb
    )
    return PreparedTransactions(writer, store, codec, max_packet=sessions.facts.max_allowed_packet)


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
