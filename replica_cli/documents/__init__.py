"""The JSON documents of all commands, of the lines of running commands, and of errors: built from frozen reports.

Used by `cli`, which writes them to stdout, and by every other front end that answers in JSON.

Names are in snake_case, integers in base units, times RFC 3339 in UTC, and unknown values null. Fields may be added,
but never renamed or removed.

| command | form | documents |
|---|---|---|
| `position show` | one document | `secondaries`: instance, phase, is_paused, failure, primary_failure, lost, saved, |
| | | saved_at, source_time, primary, distance_bytes, distance_seconds, rows_uncommitted, message, limiting_part, |
| | | rows_per_second, transactions_per_second, process (holder, phase, is_running, heartbeat_seconds, message), |
| | | copy (tables, tables_done, rows_copied, rows_estimated, rows_per_second, eta_seconds), tables (table, state, |
| | | reason, position, rows_copied, rows_estimated, step) |
| `position show --watch` | JSON lines | `type` (positions), time, and the fields of `position show` |
| `config check` | one document | `is_valid`, file, primary, secondaries, warnings |
| `config show` | one document | `file`, `settings`: name, variable, value, source, origin |
| `position reset` | one document | `is_dry_run`, `plans`: instance, kind, before, after, filters_before, |
| | | filters_after, failure, warnings |
| `pause`, `resume` | one document | `secondaries`: instance, is_pause_wanted, holder, phase, failure |
| `drift check` | one document | `is_same`, `secondaries`: instance, is_same, failure, differences, accepted (table, |
| | | secondary_table, aspect, name, primary, secondary, severity), statements |
| `health` | one document | `level` (0..3), `status`, `checks`: name, instance, level, status, |
| | | message, hint, value, unit |
| `transfer --dry-run` | one document | `plans`: instance, mode, workers, chunk_rows, is_destructive, is_done, |
| | | failure, warnings, tables |
| `verify run` | JSON lines | `type` is `verify`, `difference`, `note` or (once, last) `summary` |
| `verify show` | one document | `secondaries`: instance, has_run, is_unfinished, failure, tables (table, rows, |
| | | is_whole, position, time, differences), undecided, differences, rows |
| `verify repair --dry-run` | one document | `plans`: instance, failure, tables (table, missing, extra, differs, |
| | | refusal) |
| `verify repair` | one document | `secondaries`: instance, is_stopped, error, tables (table, written, vanished, |
| | | refused, reason, position) |
| `stream`, `transfer`, `demo` | JSON lines | `type` is `status`, `note` or (once, last) `summary` |
| any error | one line on stderr | type `error`, code (exit status), error (name), message, hint, problems |

A position is {"file", "pos", "gtid"}: file and pos are null if only the GTID set is known, gtid if there is none.
"""

from replica_cli.documents.reports import (
    Document,
    configuration_document,
    demo_summary,
    difference_line,
    drift_document,
    dumps,
    failure_document,
    health_document,
    note_line,
    pauses_document,
    plans_document,
    position_document,
    positions_document,
    proofs_document,
    repair_plans_document,
    repairs_document,
    resets_document,
    settings_document,
    status_line,
    stream_summary,
    transfer_summary,
    verify_line,
    verify_summary,
    watch_line,
)

__all__ = [
    "Document",
    "configuration_document",
    "demo_summary",
    "difference_line",
    "drift_document",
    "dumps",
    "failure_document",
    "health_document",
    "note_line",
    "pauses_document",
    "plans_document",
    "position_document",
    "positions_document",
    "proofs_document",
    "repair_plans_document",
    "repairs_document",
    "resets_document",
    "settings_document",
    "status_line",
    "stream_summary",
    "transfer_summary",
    "verify_line",
    "verify_summary",
    "watch_line",
]
