"""Check both servers before a row is copied or applied.

Warnings are logged. A fault that would lose or change rows stops the start.
"""

from __future__ import annotations

import logging
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from replica_cli.core.errors import PrimaryError, SecondaryError
from replica_cli.core.reports.health import HealthLevel
from replica_cli.core.settings import EngineChoice
from replica_cli.logs import Tag, log
from replica_cli.mysql.facts import read_facts
from replica_cli.mysql.preflight.grants import read_grants
from replica_cli.mysql.preflight.selection_check import look_at_selection
from replica_cli.mysql.preflight.server_checks import check_primary, check_secondary
from replica_cli.mysql.session import connect
from replica_cli.side_by_side import side_by_side

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from replica_cli.core.reports.health import Finding
    from replica_cli.core.settings import Server, Settings
    from replica_cli.mysql.session import Session

logger = logging.getLogger(__name__)

# The stream waits for a secondary that is read-only for a while, so this is no fault.
_WAITED_FOR = frozenset({"secondary-read-only"})


def check_before_start(settings: Settings, server: Server) -> None:
    """Check both servers and log the warnings.

    Raises:
        PrimaryError: the primary has faults; the error holds each with the SQL that corrects it.
        SecondaryError: the same of the secondary.

    """
    with connect_both(settings, server) as (primary, secondary):
        primary_findings, secondary_findings = _findings(settings, primary, secondary)
    log_warnings((*primary_findings, *secondary_findings), server)
    _raise_faults(settings, server, primary_findings, secondary_findings)


@contextmanager
def connect_both(settings: Settings, server: Server) -> Iterator[tuple[Session, Session]]:
    """Open sessions to the primary and to a secondary at the same time; the context closes them."""
    with ExitStack() as stack:
        yield side_by_side(
            lambda: stack.enter_context(connect(settings.primary, settings.network)),
            lambda: stack.enter_context(connect(server, settings.network)),
        )


def find_before_start(settings: Settings, primary: Session, secondary: Session) -> tuple[Finding, ...]:
    """Return the findings of both servers. Raises as `check_before_start` does."""
    primary_findings, secondary_findings = _findings(settings, primary, secondary)
    _raise_faults(settings, secondary.server, primary_findings, secondary_findings)
    return (*primary_findings, *secondary_findings)


def log_warnings(findings: Iterable[Finding], server: Server) -> None:
    """Log the findings that are warnings."""
    for finding in findings:
        if finding.level is HealthLevel.WARNING:
            log(
                logger, logging.WARNING, Tag.WARN, "%s: %s%s", finding.name, finding.message,
                f" ({finding.hint})" if finding.hint else "", instance=server.name,
            )  # fmt: skip


def warnings_of(findings: Iterable[Finding]) -> tuple[str, ...]:
    """Return the warnings among the findings as sentences."""
    warnings = (f for f in findings if f.level is HealthLevel.WARNING)
    return tuple(f"{f.message} ({f.hint})" if f.hint else f.message for f in warnings)


def _findings(
    settings: Settings, primary: Session, secondary: Session
) -> tuple[tuple[Finding, ...], tuple[Finding, ...]]:
    server_ids = settings.server_ids
    selection = settings.selection
    facts, target_facts = side_by_side(lambda: read_facts(primary), lambda: read_facts(secondary))
    grants = read_grants(primary)
    selected = look_at_selection(primary, selection, grants)
    primary_findings, secondary_findings = side_by_side(
        lambda: check_primary(
            primary, facts, selection, server_ids=server_ids, absent=selected.absent,
            sessions=settings.primary_sessions, grants=grants,
        ),
        lambda: check_secondary(
            secondary, target_facts, facts, settings.state_schema, selection=selection, server_ids=server_ids,
            is_sql_wanted=settings.apply.engine is EngineChoice.SQL, absent=selected.absent,
            sessions=settings.secondary_sessions, versioned=selected.versioned,
        ),
    )  # fmt: skip
    return (*primary_findings, selected.finding), secondary_findings


def _raise_faults(
    settings: Settings, server: Server, primary_findings: Iterable[Finding], secondary_findings: Iterable[Finding]
) -> None:
    if faults := _faults(primary_findings):
        raise PrimaryError(f"{settings.primary}: {_messages(faults)}", hint=_hints(faults))
    if faults := _faults(secondary_findings):
        raise SecondaryError(f"{server}: {_messages(faults)}", hint=_hints(faults))


def _faults(findings: Iterable[Finding]) -> list[Finding]:
    return [f for f in findings if f.level is HealthLevel.CRITICAL and f.name not in _WAITED_FOR]


def _messages(findings: Iterable[Finding]) -> str:
    return "; ".join(f.message for f in findings)


def _hints(findings: Iterable[Finding]) -> str:
    return " ".join(f.hint for f in findings if f.hint)
