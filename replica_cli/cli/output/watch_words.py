"""Says in words what a watch knows of a secondary, for the board and for lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replica_cli.core.quarantine_texts import is_copy_refused, quarantine_advice
from replica_cli.core.reports.failure import Unknown
from replica_cli.core.reports.watch import NO_ANSWER
from replica_cli.core.status import ENDED, Phase, TableState
from replica_cli.core.wording import counted, duration, holder_text, phase_text, short_reason

if TYPE_CHECKING:
    from collections.abc import Sequence

    from replica_cli.core.reports.position import PositionReport, ProcessNote, TableNote

_NAMED_TABLES = 3
NO_PROCESS = "no process"


def state_text(report: PositionReport) -> str:
    """Return what a secondary does, in at most twelve characters: its phase, or why that is not known."""
    if isinstance(report.saved, Unknown):
        return "no answer" if report.saved.failure.code == NO_ANSWER else _reach(report.saved)
    if report.process is None or not report.process.is_running:
        return NO_PROCESS
    if report.is_paused and report.phase is not Phase.PAUSED:
        return "pausing"
    return phase_text(report.phase) if report.phase else "unknown"


def failure_text(report: PositionReport, since: str = "") -> str:
    """Return why a secondary could not be read; `since` says for how long. Empty if it was read."""
    return _unknown_text(report.saved, since, report.instance) if isinstance(report.saved, Unknown) else ""


def primary_text(report: PositionReport, since: str = "", name: str = "") -> str:
    """Return why the primary's position is not known, in the same form; empty if it is known."""
    return _unknown_text(report.primary, since, name) if isinstance(report.primary, Unknown) else ""


def _unknown_text(unknown: Unknown, since: str, name: str) -> str:
    reason = short_reason(unknown.failure.message, name)
    return reason if unknown.failure.code == NO_ANSWER else f"{_reach(unknown)}{since}: {reason}"


def _reach(unknown: Unknown) -> str:
    return "not readable" if unknown.is_reachable else "unreachable"


def absence_text(report: PositionReport) -> str:
    """Return since when no process is running, and why if that is known; empty if one is running."""
    process = report.process
    if process is None:
        return "no stream has ever run"
    if process.is_running:
        return ""
    age = duration(process.heartbeat_seconds)
    if process.phase in ENDED:
        reason = f": {short_reason(process.message, report.instance)}" if process.message else ""
        return f"{holder_text(process.holder)} {process.phase} {age} ago{reason}"
    return f"no heartbeat of {holder_text(process.holder)} for {age}, {_was(process)}"


def _was(process: ProcessNote) -> str:
    return f"it was {phase_text(process.phase)}" if process.phase else "its phase is not known here"


def quarantined(report: PositionReport) -> tuple[TableNote, ...]:
    """Return the tables that are quarantined."""
    return tuple(t for t in report.tables if t.state is TableState.QUARANTINED)


def quarantine_texts(tables: Sequence[TableNote]) -> list[str]:
    """Return a text for each of the first quarantined tables, one for the others, and what to type."""
    if not tables:
        return []
    texts = []
    for table in tables[:_NAMED_TABLES]:
        position = f" at {table.position}" if table.position else ""
        reason = f": {short_reason(table.reason, table.table, table.position)}" if table.reason else ""
        texts.append(f"quarantined {table.table}{position}{reason}")
    if more := len(tables) - _NAMED_TABLES:
        texts += [f"quarantined {counted(more, 'more table')}"] if more > 0 else []
    refused = {t.table for t in tables if is_copy_refused(t.reason)}
    return [*texts, quarantine_advice([t.table for t in tables], refused=refused, gone=())]
