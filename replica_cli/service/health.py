"""Run `replica health`: check both servers of each instance."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

from replica_cli.checkpoint.proofs import ProofStore
from replica_cli.core.errors import ReplicaError
from replica_cli.core.reports.health import HealthCheck, HealthLevel, HealthReport
from replica_cli.core.settings import EngineChoice
from replica_cli.health.checks import (
    check_alive,
    check_filters,
    check_lag,
    check_position,
    check_quarantine,
    check_retention,
    check_rows,
    check_transfer,
    check_watch,
)
from replica_cli.health.distance import measure
from replica_cli.health.movement import check_moving
from replica_cli.health.secondary import read_state
from replica_cli.mysql.facts import read_facts
from replica_cli.mysql.preflight.selection_check import look_at_selection
from replica_cli.mysql.preflight.server_checks import check_primary, check_secondary
from replica_cli.mysql.session import connect
from replica_cli.runtime.instance_view import read_instance
from replica_cli.runtime.primary_session import PrimarySession

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from replica_cli.core.names import TableName
    from replica_cli.core.reports.health import Finding
    from replica_cli.core.requests.health import HealthRequest
    from replica_cli.core.settings import Server, Settings
    from replica_cli.health.distance import Distance
    from replica_cli.health.secondary import InstanceState
    from replica_cli.mysql.facts import ServerFacts
    from replica_cli.mysql.preflight.selection_check import Selected
    from replica_cli.mysql.session import Session

# A server that takes longer to answer a SHOW has a problem, and cron must not wait an hour.
ANSWER_SECONDS = 30.0


def check_health(settings: Settings, request: HealthRequest) -> HealthReport:
    """Check the primary and the requested secondaries. An error of a server is a check in the report, never raised."""
    network = replace(settings.network, query_timeout=min(settings.network.query_timeout, ANSWER_SECONDS))
    settings = replace(settings, network=network)
    with closing(PrimarySession(settings, idle_seconds=float("inf"))) as primary:
        facts, checks, selected = _check_primary(settings, primary)
        for server in request.secondaries:
            checks.extend(_check_secondary(settings.of(server.name), server, primary, facts, selected=selected))
    return HealthReport(tuple(checks))


def _check_primary(
    settings: Settings, primary: PrimarySession
) -> tuple[ServerFacts | None, list[HealthCheck], Selected | None]:
    """Return the primary's facts, its checks, and the tables that the filters select on it."""
    name = "primary-connection"
    try:
        session = primary.session
        facts = read_facts(session)
        checks = [HealthCheck(name, HealthLevel.OK, f"{settings.primary} is {facts}")]
        selected = look_at_selection(session, settings.selection)
        findings = check_primary(
            session, facts, settings.selection, server_ids=settings.server_ids, absent=selected.absent,
            sessions=settings.primary_sessions,
        )  # fmt: skip
        checks.extend(_checks((*findings, selected.finding), ""))
    except ReplicaError as error:
        primary.close()
        return None, [_unreachable(name, settings.primary, error, "")], None
    return facts, checks, selected


def _check_secondary(
    settings: Settings,
    server: Server,
    primary: PrimarySession,
    primary_facts: ServerFacts | None,
    *,
    selected: Selected | None,
) -> Iterator[HealthCheck]:
    name, instance = "secondary-connection", server.name
    try:
        with connect(server, settings.network) as session:
            facts = read_facts(session)
            yield HealthCheck(name, HealthLevel.OK, f"{server} is {facts}", instance=instance)
            if primary_facts is not None and selected is not None:
                findings = check_secondary(
                    session, facts, primary_facts, settings.state_schema,
                    selection=settings.selection, server_ids=settings.server_ids,
                    is_sql_wanted=settings.apply.engine is EngineChoice.SQL, absent=selected.absent,
                    sessions=settings.secondary_sessions, versioned=selected.versioned,
                )  # fmt: skip
                yield from _checks(findings, instance)
            yield from _state_checks(settings, session, instance, primary, selected.tables if selected else ())
    except ReplicaError as error:
        yield _unreachable(name, server, error, instance)


def _state_checks(
    settings: Settings, session: Session, instance: str, primary: PrimarySession, tables: Collection[TableName]
) -> Iterator[HealthCheck]:
    try:
        view = read_instance(lambda: read_state(session, settings.state_schema, instance), primary, settings.network)
    except ReplicaError as error:
        message = f"the state in `{settings.state_schema}` cannot be read: {error.message}"
        yield HealthCheck("state", HealthLevel.UNKNOWN, message, error.hint or "", instance=instance)
        return
    state, primary_view = view.state, view.primary
    unproven: Collection[TableName] = ()
    if settings.verify.max_age_seconds and state.proofs is not None:
        unproven = set(tables) - ProofStore(session, settings.state_schema, instance).proven()
    distance = measure(primary_view, state, oldest=view.oldest, is_lost=view.is_lost)
    checks = [
        check_position(primary_view, state, instance, error=view.error),
        check_filters(state, settings.selection, instance),
        _check_lag(state, distance, settings.max_lag_seconds, instance) if state.saved else None,
        check_alive(state, instance),
        check_moving(session, settings.state_schema, state, distance, instance),
        check_quarantine(state, instance, gone=primary.lacks([t.name for t in state.quarantined])),
        check_transfer(state, instance),
        check_rows(state, instance, settings.verify.max_age_seconds, unproven),
        None if view.is_lost else check_retention(primary_view, state, instance),
    ]
    answered = {check.name for check in checks if check is not None and check.level is not HealthLevel.UNKNOWN}
    checks.append(check_watch(state, instance, answered=answered))
    yield from (check for check in checks if check is not None)


def _check_lag(state: InstanceState, distance: Distance, max_lag_seconds: float, instance: str) -> HealthCheck:
    return check_lag(
        distance, max_lag_seconds, instance, is_first_copy=state.is_first_copy, limiting_part=state.limiting_part
    )


def _checks(findings: Iterable[Finding], instance: str) -> Iterator[HealthCheck]:
    for f in findings:
        yield HealthCheck(f.name, f.level, f.message, f.hint, f.value, f.unit, instance)


def _unreachable(name: str, server: Server, error: ReplicaError, instance: str) -> HealthCheck:
    hint = error.hint or f"check that {server.host}:{server.port} is right and that the server is up"
    return HealthCheck(name, HealthLevel.CRITICAL, error.message, hint, instance=instance)
