"""What must be right before a row moves: warnings are logged, what would lose or change rows stops the start."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from replica_cli.core.errors import PrimaryError, SecondaryError
from replica_cli.core.reports.health import HealthLevel
from replica_cli.core.settings import EngineChoice
from replica_cli.logs import Tag, log
from replica_cli.mysql.facts import read_facts
from replica_cli.mysql.preflight import check_primary, check_secondary
from replica_cli.mysql.selected import look_at_selection
from replica_cli.mysql.session import connect

if TYPE_CHECKING:
    from collections.abc import Iterable

    from replica_cli.core.settings import Server, Settings
    from replica_cli.mysql.findings import Finding
    from replica_cli.mysql.session import Session

logger = logging.getLogger(__name__)

# A secondary that is read-only for a while is waited for.
_WAITED_FOR = frozenset({"secondary-read-only"})


def check_before_start(settings: Settings, server: Server) -> None:
    """Check both servers and log what a start warns of.

    Raises PrimaryError or SecondaryError with every fault and the SQL that mends it.
    """
    with connect(settings.primary, settings.network) as primary, connect(server, settings.network) as secondary:
        ours, theirs = _findings(settings, primary, secondary)
    log_warnings((*ours, *theirs), server)
    _raise_faults(settings, server, ours, theirs)


def find_before_start(settings: Settings, primary: Session, secondary: Session) -> tuple[Finding, ...]:
    """Return what was found of both servers. Raises as `check_before_start`."""
    ours, theirs = _findings(settings, primary, secondary)
    _raise_faults(settings, secondary.server, ours, theirs)
    return (*ours, *theirs)


def log_warnings(findings: Iterable[Finding], server: Server) -> None:
    """Log those of the findings that a start warns of."""
    for finding in findings:
        if finding.level is HealthLevel.WARNING:
            log(
                logger, logging.WARNING, Tag.WARN, "%s: %s%s", finding.name, finding.message,
                f" ({finding.hint})" if finding.hint else "", instance=server.name,
            )  # fmt: skip


def warnings_of(findings: Iterable[Finding]) -> tuple[str, ...]:
    """Return in sentences what a start warns of."""
    warnings = (f for f in findings if f.level is HealthLevel.WARNING)
    return tuple(f"{f.message} ({f.hint})" if f.hint else f.message for f in warnings)


def _findings(
    settings: Settings, primary: Session, secondary: Session
) -> tuple[tuple[Finding, ...], tuple[Finding, ...]]:
    server_ids = settings.server_ids
    selection = settings.selection
    facts, target_facts = read_facts(primary), read_facts(secondary)
    selected = look_at_selection(primary, selection)
    ours = (
        *check_primary(
            primary, facts, selection, server_ids=server_ids, absent=selected.absent,
            sessions=settings.primary_sessions,
        ), selected.finding,
    )  # fmt: skip
    theirs = check_secondary(
        secondary, target_facts, facts, settings.state_schema, selection=selection, server_ids=server_ids,
        is_sql_wanted=settings.apply.engine is EngineChoice.SQL, absent=selected.absent,
        sessions=settings.secondary_sessions, versioned=selected.versioned,
    )  # fmt: skip
    return ours, tuple(theirs)


def _raise_faults(settings: Settings, server: Server, ours: Iterable[Finding], theirs: Iterable[Finding]) -> None:
    if faults := _faults(ours):
        raise PrimaryError(f"{settings.primary}: {_messages(faults)}", hint=_hints(faults))
    if faults := _faults(theirs):
        raise SecondaryError(f"{server}: {_messages(faults)}", hint=_hints(faults))


def _faults(findings: Iterable[Finding]) -> list[Finding]:
    return [f for f in findings if f.level is HealthLevel.CRITICAL and f.name not in _WAITED_FOR]


def _messages(findings: Iterable[Finding]) -> str:
    return "; ".join(f.message for f in findings)


def _hints(findings: Iterable[Finding]) -> str:
    return " ".join(f.hint for f in findings if f.hint)
