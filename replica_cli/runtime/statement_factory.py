"""Build the part of an applier that decides about statements of the log, and runs them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replica_cli.applier.ddl.execution import DdlExecution
from replica_cli.applier.ddl.refusals import Refusals
from replica_cli.applier.ddl.schema_statements import SchemaStatements
from replica_cli.applier.ddl.secondary_names import SecondaryNames
from replica_cli.applier.ddl.statement_applier import StatementApplier
from replica_cli.applier.ddl.statement_effects import StatementEffects
from replica_cli.applier.ddl.statement_runner import StatementRunner
from replica_cli.applier.ddl.statement_session import StatementSession
from replica_cli.mysql.catalog.collations import read_collations

if TYPE_CHECKING:
    from replica_cli.applier.ddl.altered import AlteredTables
    from replica_cli.applier.ddl.decisions import DdlDecisions
    from replica_cli.applier.ddl.lock_waits import LockPatience
    from replica_cli.applier.ddl.open_intent import OpenIntent
    from replica_cli.applier.engines.definitions import Definitions
    from replica_cli.applier.engines.step_builder import Engines
    from replica_cli.applier.window import Windows
    from replica_cli.applier.writer import Writer
    from replica_cli.checkpoint.stores import CommitPosition
    from replica_cli.core.settings import Settings
    from replica_cli.runtime.primary_access import PrimaryAccess
    from replica_cli.runtime.secondary_sessions import SecondarySessions


def make_statement_applier(
    settings: Settings,
    sessions: SecondarySessions,
    writer: Writer,
    *,
    positions: CommitPosition,
    token: int,
    windows: Windows,
    definitions: Definitions,
    engines: Engines,
    intent: OpenIntent,
    primary: PrimaryAccess,
    altered: AlteredTables,
    patience: LockPatience,
    decisions_class: type[DdlDecisions],
) -> StatementApplier:
    """Return the part that applies statements on the writer's session.

    `positions` is what a commit advances, `token` the fencing token, and `intent` the intent in the state schema. The
    other arguments are as in `factory.make_applier`.
    """
    selection = settings.selection
    names = SecondaryNames(sessions.catalog, selection)
    effects = StatementEffects(
        sessions.catalog, selection, primary.read, altered.renames, renames_temporary=primary.facts.is_mariadb
    )
    statement_session = _statement_session(sessions, primary)
    decisions = decisions_class(
        sessions.catalog,
        selection,
        names,
        sessions.stores.intents,
        statement_session,
        effects=effects,
        apply=settings.apply,
    )
    return StatementApplier(
        sessions.writer,
        writer,
        decisions,
        _execution(settings, sessions, names, statement_session, effects=effects, altered=altered, patience=patience),
        names=names,
        definitions=definitions,
        engines=engines,
        tables=sessions.stores.tables,
        positions=positions,
        windows=windows,
        intent=intent,
        token=token,
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
        stops_for=settings.apply.stops_for,
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


def _statement_session(sessions: SecondarySessions, primary: PrimaryAccess) -> StatementSession:
    own_variables = {str(name).lower(): str(value) for name, value in sessions.writer.texts("SHOW SESSION VARIABLES")}
    return StatementSession(
        primary.facts,
        sessions.facts,
        read_collations(sessions.catalog),
        own_variables,
        ask_primary=primary.ask,
        ask_secondary=sessions.catalog.rows,
    )
