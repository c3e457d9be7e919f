"""Writes the rounds of a watch without a terminal: as lines in the form of status lines, or as JSON lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replica_cli import documents
from replica_cli.cli.output import units
from replica_cli.cli.output.console import answer, write_document
from replica_cli.cli.output.outlets import has_no_reader
from replica_cli.cli.output.watch_words import absence_text, failure_text, primary_text, quarantined, state_text
from replica_cli.core.position import Position
from replica_cli.core.printable import printable
from replica_cli.core.wording import copy_text, short_reason, uncommitted_text
from replica_cli.documents.complete_commands import filled
from replica_cli.logs import Tag
from replica_cli.logs.formats import timestamp

if TYPE_CHECKING:
    from replica_cli.core.reports.position import PositionReport
    from replica_cli.core.reports.watch import WatchRound

_NAMED_TABLES = 3


def write_round(each: WatchRound) -> bool:
    """Write one line for each secondary; return False if stdout has no reader any more."""
    time = timestamp(each.time.timestamp())
    for report in filled(each.reports):
        tag = Tag.WARN if report.failure or report.primary_failure or report.lost else Tag.INFO
        answer(printable(f"{time} [{tag}] [{report.instance}] {report_text(report)}"))
    return not has_no_reader()


def write_json_round(each: WatchRound) -> bool:
    """Write one JSON line; return False if stdout has no reader any more."""
    write_document(documents.watch_line(each), is_line=True)
    return not has_no_reader()


def report_text(report: PositionReport) -> str:
    """Return what is known of a secondary as one line; the order of its parts is that of a stream's status lines."""
    parts = [failure_text(report) or state_text(report)]
    if isinstance(report.saved, Position):
        parts.append(f"at {report.saved}")
    parts += _numbers(report)
    if report.rows_uncommitted:
        parts.append(f"and {uncommitted_text(report.rows_uncommitted)}")
    if tables := [str(t.table) for t in quarantined(report)]:
        more = ", …" if len(tables) > _NAMED_TABLES else ""
        parts.append(f"quarantined {len(tables)}: {', '.join(tables[:_NAMED_TABLES])}{more}")
    if report.copy:
        parts.append(f"copying {copy_text(report.copy)}")
    notes = [] if report.failure else [absence_text(report)]
    process = report.process
    if process is not None and process.is_running:
        notes = [f"process {process.holder}, heartbeat {units.duration(process.heartbeat_seconds)} ago"]
    notes += [short_reason(report.message, report.instance)] if report.message else []
    notes += [report.lost.message] if report.lost else []
    notes += [f"primary {text}"] if (text := primary_text(report)) else []
    return " ".join(parts) + "".join(f" ({note})" for note in notes if note)


def _numbers(report: PositionReport) -> list[str]:
    parts = []
    if report.distance_seconds is not None:
        parts.append(f"lag {units.duration(report.distance_seconds)}")
    if report.rows_per_second is not None and not report.copy:
        parts.append(f"rows {report.rows_per_second:.0f}/s")
    if report.transactions_per_second is not None:
        parts.append(f"trx {report.transactions_per_second:.0f}/s")
    if report.distance_bytes is not None:
        parts.append(f"distance {units.size(report.distance_bytes)}")
    return parts
