"""Build the applier of one secondary from the current sessions.

Used by the stream and by the catch-up of a re-sync.
"""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

from replica_cli.applier.applier import Applier
from replica_cli.applier.batch_size import AdaptiveBatchSize
from replica_cli.applier.commit_pipeline import CommitPipeline
from replica_cli.applier.commit_tracker import CommitTracker
from replica_cli.applier.ddl.decisions import DdlDecisions
from replica_cli.applier.ddl.open_intent import OpenIntent
from replica_cli.applier.deferrable_queries import DeferrableQueries
from replica_cli.applier.ended_windows import EndedWindows
from replica_cli.applier.engines.definitions import Definitions
from replica_cli.applier.engines.step_builder import StepBuilder
from replica_cli.applier.failure_isolator import FailureIsolator
from replica_cli.applier.prefetch.prefetch import Prefetch
from replica_cli.applier.prepared_transactions import PreparedTransactions
from replica_cli.applier.serial_transactions import SerialTransactions
from replica_cli.applier.transaction_router import TransactionRouter
from replica_cli.applier.writer import Writer
from replica_cli.checkpoint.prepared import PreparedStore
from replica_cli.measures import StreamMeasures
from replica_cli.reader.prepared_changes import PreparedChangesCodec
from replica_cli.runtime.engine_factory import make_engines
from replica_cli.runtime.statement_factory import make_statement_applier

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from replica_cli.applier.ddl.altered import AlteredTables
    from replica_cli.applier.ddl.lock_waits import LockPatience
    from replica_cli.applier.engines.step_builder import Engines
    from replica_cli.applier.window import Windows
    from replica_cli.checkpoint.positions import SavedPosition
    from replica_cli.checkpoint.stores import CommitPosition
    from replica_cli.core.events import Transaction
    from replica_cli.core.settings import Settings
    from replica_cli.mysql.facts import ServerFacts
    from replica_cli.mysql.session import Session
    from replica_cli.runtime.primary_access import PrimaryAccess
    from replica_cli.runtime.secondary_sessions import SecondarySessions
    from replica_cli.stop import StopToken


def make_prefetch(settings: Settings, connect: Callable[[], Session], instance: str) -> Prefetch:
    """Return the part that reads rows ahead of an applier. It connects when it has something to read."""
    return Prefetch(connect, settings.selection, instance=instance)


def make_applier(
    settings: Settings,
    sessions: SecondarySessions,
    saved: SavedPosition,
    *,
    windows: Windows,
    primary: PrimaryAccess,
    stop: StopToken,
    altered: AlteredTables,
    patience: LockPatience,
    is_diagnostic: bool = False,
    decisions_class: type[DdlDecisions] = DdlDecisions,
    prefers_sql: bool = False,
    prefetch: Prefetch | None = None,
    positions: CommitPosition | None = None,
    measures: StreamMeasures | None = None,
) -> Applier:
    """Return an applier that goes on from the saved position.

    Args:
        settings: the settings of the worker.
        sessions: the sessions on the secondary.
        saved: the saved position.
        windows: the records of the tables.
        primary: the primary, and the log that is read.
        stop: ends or pauses the applier.
        altered: takes the tables that statements alter.
        patience: counts the waits of DDL statements for locks.
        is_diagnostic: use the diagnostic engine.
        decisions_class: decides about DDL statements.
        prefers_sql: use row images only for rows that SQL cannot write.
        prefetch: reads rows ahead; the caller stops it.
        positions: what each commit advances, None for the position row of the stream.
        measures: counts what the applier does, None if it is not wanted.

    """
    definitions = Definitions(sessions.catalog, settings.selection, from_mariadb=primary.facts.is_mariadb)
    engines = make_engines(settings, sessions, definitions, primary, altered=altered, prefers_sql=prefers_sql)
    measures = measures or StreamMeasures()
    writer = Writer(sessions.writer, max_packet=sessions.facts.max_allowed_packet, parts=measures.parts)
    steps = StepBuilder(engines, windows, definitions, is_diagnostic=is_diagnostic)
    intent, round_trip_seconds = _load_intent(sessions, windows)
    positions = positions or sessions.stores.positions
    pipeline = CommitPipeline(
        sessions.writer,
        writer,
        positions,
        CommitTracker(saved, is_mariadb=primary.facts.is_mariadb),
        token=saved.token,
        batch_size=AdaptiveBatchSize(settings.batching, round_trip_seconds),
        steps=steps,
        isolator=FailureIsolator(steps, settings.retry, stop, instance=sessions.writer.server.name),
        intent=intent,
        ended_windows=_ended_windows(settings, sessions, saved, windows, engines),
        read_ahead=_ignore if prefetch is None else partial(prefetch.take, definitions=definitions),
        measures=measures,
    )
    statements = make_statement_applier(
        settings,
        sessions,
        writer,
        positions=positions,
        token=saved.token,
        windows=windows,
        definitions=definitions,
        engines=engines,
        intent=intent,
        primary=primary,
        altered=altered,
        patience=patience,
        decisions_class=decisions_class,
    )
    prepared = _prepared(settings, sessions, writer, primary.facts)
    return Applier(
        TransactionRouter(settings.batching.size_bytes, stop),
        pipeline,
        SerialTransactions(pipeline, writer, steps, statements, prepared, parts=measures.parts),
        writer=writer,
        engines=engines,
        definitions=definitions,
    )


def _load_intent(sessions: SecondarySessions, windows: Windows) -> tuple[OpenIntent, float]:
    """Return the intent that an earlier process left, and how many seconds the secondary took to answer.

    A catch-up runs no statements, so the intent that may be there is the stream's.
    """
    started_at = time.monotonic()
    intent = None if windows.is_catch_up else sessions.stores.intents.load()
    seconds = time.monotonic() - started_at
    return OpenIntent(sessions.stores.intents, None if intent is None else intent.position), seconds


def _ended_windows(
    settings: Settings, sessions: SecondarySessions, saved: SavedPosition, windows: Windows, engines: Engines
) -> EndedWindows:
    """Return the part that deletes the records of ended windows, after it has deleted those of the saved position."""
    queries = DeferrableQueries(sessions.writer.server.name, settings.retry)
    ended_windows = EndedWindows(windows, sessions.stores.tables, engines.replay, queries, saved.token)
    ended_windows.forget(saved.position)
    return ended_windows


def _prepared(
    settings: Settings, sessions: SecondarySessions, writer: Writer, primary_facts: ServerFacts
) -> PreparedTransactions:
    store = PreparedStore(sessions.writer, settings.state_schema, sessions.writer.server.name)
    codec = PreparedChangesCodec(
        lambda name: settings.selection.target(name) is not None, is_mariadb=primary_facts.is_mariadb
    )
    return PreparedTransactions(writer, store, codec, max_packet=sessions.facts.max_allowed_packet)


def _ignore(_: Sequence[Transaction]) -> None:
    pass
