"""Run `replica position show`: report the saved position of each secondary."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from replica_cli.core.errors import ExitCode, ReplicaError
from replica_cli.core.reports.failure import Failure, Unknown
from replica_cli.core.reports.position import PositionReport, ProcessNote, TableNote
from replica_cli.core.status import ENDED, NOT_STREAMED, Phase
from replica_cli.health.distance import measure
from replica_cli.health.secondary import read_state
from replica_cli.mysql.errnos import ServerError
from replica_cli.mysql.session import connect
from replica_cli.runtime.instance_view import InstanceView, read_instance, try_read_primary
from replica_cli.runtime.primary_session import PrimarySession

if TYPE_CHECKING:
    from collections.abc import Sequence

    from replica_cli.checkpoint.table_records import TableRecord
    from replica_cli.core.position import Position
    from replica_cli.core.settings import Server, Settings
    from replica_cli.core.status import TableProgress
    from replica_cli.health.primary import PrimaryView
    from replica_cli.health.secondary import InstanceState


def show_positions(settings: Settings, secondaries: Sequence[Server]) -> tuple[PositionReport, ...]:
    """Return the position of each secondary. A server that cannot be asked is Unknown in the report, never an error."""
    with closing(PrimarySession(settings, idle_seconds=float("inf"))) as primary:
        return tuple(_shown(settings, server, primary) for server in secondaries)


def _shown(settings: Settings, server: Server, primary: PrimarySession) -> PositionReport:
    is_reachable = False
    try:
        with connect(server, settings.network) as session:
            is_reachable = True
            view = read_instance(
                partial(read_state, session, settings.state_schema, server.name),
                primary, settings.network,
            )  # fmt: skip
    except ReplicaError as error:
        is_reachable = is_reachable and not _is_lost_connection(error)
        return report_of_failure(server.name, error, try_read_primary(primary), is_reachable=is_reachable)
    return report_of(server.name, view)


def report_of_failure(
    instance: str, error: ReplicaError, primary: PrimaryView, *, is_reachable: bool = False
) -> PositionReport:
    """Return the report of a secondary that could not be asked."""
    unknown = Unknown(Failure.of(error), is_reachable=is_reachable)
    return PositionReport(instance, unknown, primary=_end_of_log(primary))


def report_of(instance: str, view: InstanceView) -> PositionReport:
    """Return the report of an instance from what both servers said."""
    state, primary = view.state, view.primary
    saved, beat = state.saved, state.beat
    distance = measure(primary, state, oldest=view.oldest, is_lost=view.is_lost)
    progress = {table.table: table for table in state.progress}
    process = _process(state)
    phase = process.phase if process is not None else None
    rows, transactions = state.reported_rates
    # A process that was killed could not write its end: its last phase is over, and nothing more is known.
    if not state.is_alive and phase not in ENDED:
        phase = None
    return PositionReport(
        instance,
        saved=saved.position if saved else None,
        saved_at=state.saved_at,
        source_time=datetime.fromtimestamp(saved.source_time, UTC) if saved and saved.source_time else None,
        primary=_end_of_log(primary),
        distance_bytes=distance.size_bytes,
        distance_seconds=distance.seconds,
        tables=tuple(_note(table, progress.get(str(table.name))) for table in state.tables),
        phase=phase,
        is_paused=beat is not None and (beat.is_pause_wanted or phase is Phase.PAUSED),
        lost=Failure.of(view.error) if view.is_lost and view.error is not None else None,
        is_copied=not state.is_first_copy,
        copy=state.copy,
        rows_uncommitted=state.rows_uncommitted,
        message=beat.message if beat is not None and state.is_alive else "",
        process=process,
        rows_per_second=rows,
        transactions_per_second=transactions,
        limiting_part=state.limiting_part,
    )


def _process(state: InstanceState) -> ProcessNote | None:
    beat = state.beat
    if beat is None:
        return None
    phase = Phase(beat.phase) if beat.phase in set(Phase) else None
    return ProcessNote(beat.holder, phase, state.is_alive, max(0.0, beat.age_seconds), beat.message)


def _note(table: TableRecord, progress: TableProgress | None) -> TableNote:
    shown = progress if table.state in NOT_STREAMED else None
    return TableNote(table.name, table.state, table.reason, table.stopped_at, shown)


def _end_of_log(primary: PrimaryView) -> Position | Unknown | None:
    if primary.error is None:
        return primary.position
    failure = replace(Failure.of(primary.error), exit_code=ExitCode.PRIMARY)
    return Unknown(failure, is_reachable=primary.facts is not None)


def _is_lost_connection(error: ReplicaError) -> bool:
    return isinstance(error, ServerError) and error.is_connection_lost
