"""Builds the JSON documents of reports and snapshots, and makes text of them.

The names in them stay: fields may only be added.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from replica_cli.core.printable import printable_json
from replica_cli.core.reports.failure import Unknown
from replica_cli.documents.complete_commands import with_complete_commands
from replica_cli.logs.redaction import redact

if TYPE_CHECKING:
    from collections.abc import Sequence

    from replica_cli.core.differences import Difference, DriftReport
    from replica_cli.core.position import Position
    from replica_cli.core.reports.configuration import ConfigurationReport, SettingReport
    from replica_cli.core.reports.demo import DemoReport
    from replica_cli.core.reports.failure import Failure
    from replica_cli.core.reports.health import HealthReport
    from replica_cli.core.reports.pause import PauseReport
    from replica_cli.core.reports.position import PositionReport, ProcessNote
    from replica_cli.core.reports.repair import RepairPlan, RepairReport
    from replica_cli.core.reports.reset import ResetPlan
    from replica_cli.core.reports.stream import StreamReport
    from replica_cli.core.reports.transfer import TransferPlan, TransferReport
    from replica_cli.core.reports.verify import ProofReport, VerifyReport
    from replica_cli.core.reports.watch import WatchRound
    from replica_cli.core.status import CopyProgress, CopyStatus, WorkerStatus
    from replica_cli.core.verification import Difference as RowDifferenceReport
    from replica_cli.core.verification import VerifyProgress
    from replica_cli.documents.shapes import (
        ConfigurationDocument,
        CopySums,
        DemoSummary,
        DifferenceDocument,
        DifferenceLine,
        DriftDocument,
        ErrorDocument,
        HealthDocument,
        NoteLine,
        PausesDocument,
        PlansDocument,
        PositionDocument,
        PositionsDocument,
        PositionsLine,
        ProcessDocument,
        ProofsDocument,
        RepairPlansDocument,
        RepairsDocument,
        ResetsDocument,
        RowDifference,
        SecondaryPosition,
        SettingsDocument,
        StatusLine,
        StreamSummary,
        TransferProgressDocument,
        TransferSummary,
        VerifyLine,
        VerifySummary,
    )

Document = Mapping[str, object]


def dumps(document: Document, *, is_line: bool = False) -> str:
    """Return a document as text, indented or as one line, with secrets masked in its values."""
    # Secrets are masked before the document becomes text, so that a password such as "type" does not replace a key.
    return printable_json(json.dumps(_masked(document), ensure_ascii=False, indent=None if is_line else 2))


def position_document(position: Position | None) -> PositionDocument | None:
    """Return a position as JSON, None if there is none."""
    if position is None:
        return None
    has_file = bool(position.file)
    return {
        "file": position.file or None,
        "pos": position.pos if has_file else None,
        "gtid": position.gtid or None,
    }


@with_complete_commands
def positions_document(reports: Sequence[PositionReport]) -> PositionsDocument:
    """Return the answer of `position show`."""
    return {"secondaries": [_position_report(r) for r in reports]}


def watch_line(each: WatchRound) -> PositionsLine:
    """Return one round of `position show --watch` as one JSON line."""
    return {"type": "positions", "time": _time(each.time), **positions_document(each.reports)}


def configuration_document(report: ConfigurationReport) -> ConfigurationDocument:
    """Return the answer of `config check`; problems are an error."""
    return {
        "is_valid": True,
        "file": report.file or None,
        "primary": report.primary,
        "secondaries": list(report.secondaries),
        "warnings": list(report.warnings),
    }


def settings_document(settings: Sequence[SettingReport], file: str) -> SettingsDocument:
    """Return the answer of `config show`."""
    return {
        "file": file or None,
        "settings": [
            {
                "name": s.name,
                "variable": s.variable or None,
                "value": s.value,
                "source": s.source,
                "origin": s.origin or None,
            }
            for s in settings
        ],
    }


@with_complete_commands
def pauses_document(reports: Sequence[PauseReport]) -> PausesDocument:
    """Return the answer of `pause` and `resume`."""
    return {
        "secondaries": [
            {
                "instance": r.instance,
                "is_pause_wanted": r.is_pause_wanted,
                "holder": r.holder or None,
                "phase": r.phase.value if r.phase else None,
                "failure": r.failure.message if r.failure else None,
            }
            for r in reports
        ]
    }


@with_complete_commands
def resets_document(plans: Sequence[ResetPlan], *, is_dry_run: bool) -> ResetsDocument:
    """Return the answer of `position reset`."""
    return {
        "is_dry_run": is_dry_run,
        "plans": [
            {
                "instance": p.instance,
                "kind": p.kind.value,
                "before": position_document(p.before),
                "after": position_document(p.after),
                "filters_before": p.filters_before or None,
                "filters_after": p.filters_after or None,
                "failure": p.failure.message if p.failure else None,
                "warnings": list(p.warnings),
            }
            for p in plans
        ],
    }


def drift_document(reports: Sequence[DriftReport]) -> DriftDocument:
    """Return the answer of `drift check`.

    `is_same` is null if a secondary could not be asked and no other secondary has differences.
    """
    each = [None if r.failure else not r.differences for r in reports]
    return {
        "is_same": False if False in each else None if None in each else True,
        "secondaries": [
            {
                "instance": report.instance,
                "is_same": is_same,
                "differences": [_difference(d) for d in report.differences],
                "accepted": [_difference(d) for d in report.accepted],
                "statements": list(report.statements),
                "failure": report.failure.message if report.failure else None,
            }
            for report, is_same in zip(reports, each, strict=True)
        ],
    }


@with_complete_commands
def health_document(report: HealthReport) -> HealthDocument:
    """Return the answer of `health`."""
    return {
        "level": report.level.value,
        "status": report.level.name.lower(),
        "checks": [
            {
                "name": c.name,
                "instance": c.instance or None,
                "level": c.level.value,
                "status": c.level.name.lower(),
                "message": c.message,
                "hint": c.hint or None,
                "value": c.value,
                "unit": c.unit or None,
            }
            for c in report.checks
        ],
    }


@with_complete_commands
def plans_document(plans: Sequence[TransferPlan]) -> PlansDocument:
    """Return the answer of `transfer --dry-run`."""
    return {
        "plans": [
            {
                "instance": p.instance,
                "mode": p.mode.value,
                "workers": p.workers,
                "chunk_rows": p.chunk_rows,
                "is_destructive": p.is_destructive,
                "is_done": p.is_done,
                "failure": p.failure.message if p.failure else None,
                "warnings": list(p.warnings),
                "tables": [
                    {
                        "table": str(t.name),
                        "secondary_table": str(t.target),
                        "action": t.action.value,
                        "method": t.method.value,
                        "key": list(t.key),
                        "rows_estimated": t.rows_estimated,
                        "bytes_estimated": t.bytes_estimated,
                        "ranges": t.ranges,
                        "rows_copied": t.rows_copied,
                    }
                    for t in p.tables
                ],
            }
            for p in plans
        ]
    }


def status_line(status: WorkerStatus) -> StatusLine:
    """Return a snapshot as one JSON line of `stream`, `transfer` or `demo`."""
    return {
        "type": "status",
        "time": _time(datetime.now(UTC)),
        "instance": status.instance,
        "phase": status.phase.value,
        "position": position_document(status.position),
        "lag_seconds": status.lag_seconds,
        "seconds_since_event": status.seconds_since_event,
        "rows_per_second": round(status.rows_per_second, 1),
        "transactions_per_second": round(status.transactions_per_second, 1),
        "rows_total": status.rows_total,
        "rows_uncommitted": status.rows_uncommitted,
        "transactions_total": status.transactions_total,
        "skipped_rows": status.skipped_rows,
        "reconnects": status.reconnects,
        "quarantined": list(status.quarantined),
        "message": status.message or None,
        "limiting_part": status.limiting_part or None,
        "transfer": transfer_progress(status.transfer) if status.transfer else None,
    }


def note_line(instance: str, message: str) -> NoteLine:
    """Return a message for people as one JSON line."""
    return {"type": "note", "time": _time(datetime.now(UTC)), "instance": instance or None, "message": message}


@with_complete_commands
def stream_summary(report: StreamReport) -> StreamSummary:
    """Return the last JSON line of `stream`."""
    return {
        "type": "summary",
        "code": report.exit_code.value,
        "secondaries": [
            {
                "instance": w.instance,
                "phase": w.phase.value,
                "position": position_document(w.position),
                "rows_total": w.rows_total,
                "transactions_total": w.transactions_total,
                "skipped_rows": w.skipped_rows,
                "reconnects": w.reconnects,
                "quarantined": list(w.quarantined),
                "elapsed_seconds": round(w.elapsed_seconds, 3),
                "error": failure_document(w.failure) if w.failure else None,
            }
            for w in report.workers
        ],
    }


@with_complete_commands
def transfer_summary(report: TransferReport) -> TransferSummary:
    """Return the last JSON line of `transfer`."""
    return {
        "type": "summary",
        "code": report.exit_code.value,
        "secondaries": [
            {
                "instance": c.instance,
                "tables": c.tables,
                "rows": c.rows,
                "elapsed_milliseconds": c.elapsed_milliseconds,
                "errors": c.errors,
                "start": position_document(c.start),
                "end": position_document(c.end),
                "error": failure_document(c.failure) if c.failure else None,
            }
            for c in report.copies
        ],
    }


def verify_line(progress: VerifyProgress) -> VerifyLine:
    """Return the progress of `verify run` as one JSON line."""
    eta = progress.eta_seconds
    return {
        "type": "verify",
        "time": _time(datetime.now(UTC)),
        "instance": progress.instance,
        "tables_done": progress.tables_done,
        "tables": progress.tables_total,
        "rows": progress.rows,
        "rows_per_second": round(progress.rows_per_second, 1),
        "eta_seconds": None if eta is None else round(eta, 1),
        "differences": progress.differences,
        "waits_for": progress.waits_for or None,
    }


def difference_line(instance: str, difference: RowDifferenceReport) -> DifferenceLine:
    """Return a row that differs as one JSON line of `verify run`."""
    return {
        "type": "difference",
        "time": _time(datetime.now(UTC)),
        "instance": instance,
        **_row_difference(difference),
    }


@with_complete_commands
def verify_summary(reports: Sequence[VerifyReport], code: int) -> VerifySummary:
    """Return the last JSON line of `verify run`."""
    return {
        "type": "summary",
        "code": code,
        "secondaries": [
            {
                "instance": r.instance,
                "is_equal": r.is_equal and not r.is_count_only,
                "is_count_only": r.is_count_only,
                "is_stopped": r.is_stopped,
                "elapsed_milliseconds": r.elapsed_milliseconds,
                "tables": [
                    {
                        "table": str(v.table),
                        "is_equal": v.is_equal and not r.is_count_only,
                        "rows": v.rows,
                        "missing": v.missing,
                        "extra": v.extra,
                        "differs": v.differs,
                        "position": position_document(v.position),
                        "undecided": v.undecided or None,
                    }
                    for v in r.tables
                ],
                "error": failure_document(r.failure) if r.failure else None,
            }
            for r in reports
        ],
    }


@with_complete_commands
def proofs_document(reports: Sequence[ProofReport]) -> ProofsDocument:
    """Return the answer of `verify show`."""
    return {
        "secondaries": [
            {
                "instance": r.instance,
                "has_run": r.has_run,
                "is_unfinished": r.is_unfinished,
                "failure": r.failure.message if r.failure else None,
                "tables": [
                    {
                        "table": str(t.table),
                        "rows": t.rows,
                        "is_whole": t.is_whole,
                        "position": position_document(t.position),
                        "time": _time(t.proven_at),
                        "differences": t.differences,
                    }
                    for t in r.tables
                ],
                "undecided": [{"table": table, "reason": reason} for table, reason in r.undecided],
                "differences": r.difference_count,
                "rows": [_row_difference(d) for d in r.differences],
            }
            for r in reports
        ]
    }


@with_complete_commands
def repair_plans_document(plans: Sequence[RepairPlan]) -> RepairPlansDocument:
    """Return the answer of `verify repair --dry-run`."""
    return {
        "plans": [
            {
                "instance": p.instance,
                "failure": p.failure.message if p.failure else None,
                "tables": [
                    {
                        "table": str(t.table),
                        "missing": t.missing,
                        "extra": t.extra,
                        "differs": t.differs,
                        "refusal": t.refusal or None,
                    }
                    for t in p.tables
                ],
            }
            for p in plans
        ]
    }


@with_complete_commands
def repairs_document(reports: Sequence[RepairReport]) -> RepairsDocument:
    """Return the answer of `verify repair`."""
    return {
        "secondaries": [
            {
                "instance": r.instance,
                "is_stopped": r.is_stopped,
                "tables": [
                    {
                        "table": str(t.table),
                        "written": t.written,
                        "vanished": t.vanished,
                        "refused": t.refused,
                        "reason": t.reason or None,
                        "position": position_document(t.position),
                    }
                    for t in r.tables
                ],
                "error": failure_document(r.failure) if r.failure else None,
            }
            for r in reports
        ]
    }


def _row_difference(d: RowDifferenceReport) -> RowDifference:
    return {
        "table": str(d.table),
        "kind": d.kind.value,
        "key": dict(d.key),
        "hash": d.row_hash or None,
        "columns": list(d.columns),
        "rows": d.count,
        "position": position_document(d.position),
        "primary": None if d.primary_row is None else dict(d.primary_row),
        "secondary": None if d.secondary_row is None else dict(d.secondary_row),
    }


def demo_summary(report: DemoReport) -> DemoSummary:
    """Return the last JSON line of `demo`."""
    return {
        "type": "summary",
        "code": 0 if report.is_equal else 3,
        "is_equal": report.is_equal,
        "rows_transferred": report.rows_transferred,
        "transfer_seconds": round(report.transfer_seconds, 3),
        "rows_streamed": report.rows_streamed,
        "elapsed_seconds": round(report.elapsed_seconds, 3),
        "env_file": report.env_file,
        "tables": [
            {
                "instance": t.instance,
                "table": str(t.table),
                "rows_primary": t.rows_primary,
                "rows_secondary": t.rows_secondary,
                "is_equal": t.is_equal,
                "detail": t.detail or None,
                "rows_proven": t.rows_proven,
                "proven_at": position_document(t.proven_at),
                "is_proven": t.is_proven,
            }
            for t in report.tables
        ],
    }


def transfer_progress(progress: CopyProgress) -> TransferProgressDocument:
    """Return the progress of a copy to one secondary."""
    return {
        "elapsed_seconds": round(progress.elapsed_seconds, 3),
        "rows_copied": progress.rows_copied,
        "rows_per_second": round(progress.rows_per_second, 1),
        "errors": progress.errors,
        "tables_total": progress.status.tables,
        "tables_done": progress.status.tables_done,
        "tables": [
            {
                "table": t.table,
                "state": t.state.value,
                "rows_copied": t.rows_copied,
                "rows_estimated": t.rows_estimated,
                "bytes_copied": t.bytes_copied,
                "step": t.step.value,
                "step_seconds": round(t.step_seconds, 1),
            }
            for t in progress.tables
        ],
    }


def failure_document(failure: Failure, problems: Sequence[str] = ()) -> ErrorDocument:
    """Return an error; `code` is the exit status, `error` the name of the error."""
    document: ErrorDocument = {
        "type": "error",
        "code": int(failure.exit_code),
        "error": failure.code,
        "message": failure.message,
        "hint": failure.hint,
    }
    if problems:
        document["problems"] = list(problems)
    return document


def _position_report(report: PositionReport) -> SecondaryPosition:
    return {
        "instance": report.instance,
        "phase": report.phase.value if report.phase else None,
        "is_paused": report.is_paused,
        "failure": report.failure.message if report.failure else None,
        "primary_failure": report.primary_failure.message if report.primary_failure else None,
        "lost": report.lost.message if report.lost else None,
        "saved": _known(report.saved),
        "saved_at": _time(report.saved_at),
        "source_time": _time(report.source_time),
        "primary": _known(report.primary),
        "distance_bytes": report.distance_bytes,
        "distance_seconds": report.distance_seconds,
        "copy": _copy_status(report.copy) if report.copy else None,
        "rows_uncommitted": report.rows_uncommitted,
        "message": report.message or None,
        "limiting_part": report.limiting_part.value if report.limiting_part else None,
        "rows_per_second": _rounded(report.rows_per_second, 1),
        "transactions_per_second": _rounded(report.transactions_per_second, 1),
        "process": _process_note(report.process) if report.process else None,
        "tables": [
            {
                "table": str(t.table),
                "state": t.state.value,
                "reason": t.reason or None,
                "position": position_document(t.position),
                "rows_copied": t.progress.rows_copied if t.progress else None,
                "rows_estimated": t.progress.rows_estimated if t.progress else None,
                "step": t.progress.step.value if t.progress else None,
            }
            for t in report.tables
        ],
    }


def _process_note(process: ProcessNote) -> ProcessDocument:
    return {
        "holder": process.holder or None,
        "phase": process.phase.value if process.phase else None,
        "is_running": process.is_running,
        "heartbeat_seconds": round(process.heartbeat_seconds, 3),
        "message": process.message or None,
    }


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)


def _copy_status(copy: CopyStatus) -> CopySums:
    return {
        "tables": copy.tables,
        "tables_done": copy.tables_done,
        "rows_copied": copy.rows_copied,
        "rows_estimated": copy.rows_estimated,
        "rows_per_second": None if copy.rows_per_second is None else round(copy.rows_per_second, 1),
        "eta_seconds": None if copy.eta_seconds is None else round(copy.eta_seconds, 1),
    }


def _known(position: Position | Unknown | None) -> PositionDocument | None:
    return None if isinstance(position, Unknown) else position_document(position)


def _difference(difference: Difference) -> DifferenceDocument:
    return {
        "table": str(difference.table),
        "secondary_table": str(difference.secondary_table),
        "aspect": difference.aspect,
        "name": difference.name or None,
        "primary": difference.primary,
        "secondary": difference.secondary,
        "severity": str(difference.severity),
    }


def _masked(value: object) -> object:
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, Mapping):
        return {key: _masked(each) for key, each in value.items()}
    return [_masked(each) for each in value] if isinstance(value, list) else value


def _time(moment: datetime | None) -> str | None:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z") if moment else None
