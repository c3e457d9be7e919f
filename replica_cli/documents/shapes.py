"""The types of the JSON documents, with which a type checker, and the description of the HTTP API, know their fields.

Only the HTTP server imports this module at run time.
"""

from __future__ import annotations

from typing import Literal, NotRequired

# Pydantic reads typing's own class only from Python 3.12 on.
from typing_extensions import TypedDict


class PositionDocument(TypedDict):
    """A position: `file` and `pos` are null if only the GTID set is known, `gtid` is null if there is none."""

    file: str | None
    pos: int | None
    gtid: str | None


class ErrorDocument(TypedDict):
    """An error; `code` is the exit status, `error` the name of the error."""

    type: Literal["error"]
    code: int
    error: str
    message: str
    hint: str | None
    problems: NotRequired[list[str]]


class CopySums(TypedDict):
    """The sums of a copy that is not finished."""

    tables: int
    tables_done: int
    rows_copied: int
    rows_estimated: int | None
    rows_per_second: float | None
    eta_seconds: float | None


class TableNoteDocument(TypedDict):
    """The state of one table, as the state schema records it."""

    table: str
    state: str
    reason: str | None
    position: PositionDocument | None
    rows_copied: int | None
    rows_estimated: int | None
    step: str | None


class ProcessDocument(TypedDict):
    """The process that wrote the last heartbeat of a secondary."""

    holder: str | None
    phase: str | None
    is_running: bool
    heartbeat_seconds: float
    message: str | None


class SecondaryPosition(TypedDict):
    """The saved position of one secondary, the end of the primary's log, and the distance."""

    instance: str
    phase: str | None
    is_paused: bool
    failure: str | None
    primary_failure: str | None
    lost: str | None
    saved: PositionDocument | None
    saved_at: str | None
    source_time: str | None
    primary: PositionDocument | None
    distance_bytes: int | None
    distance_seconds: float | None
    copy: CopySums | None
    rows_uncommitted: int
    message: str | None
    limiting_part: str | None
    rows_per_second: float | None
    transactions_per_second: float | None
    process: ProcessDocument | None
    tables: list[TableNoteDocument]


class PositionsDocument(TypedDict):
    """The answer of `position show`."""

    secondaries: list[SecondaryPosition]


class PositionsLine(PositionsDocument):
    """One round of `position show --watch`."""

    type: Literal["positions"]
    time: str | None


class ConfigurationDocument(TypedDict):
    """The answer of `config check`."""

    is_valid: Literal[True]
    file: str | None
    primary: str
    secondaries: list[str]
    warnings: list[str]


class SettingDocument(TypedDict):
    """A setting that is in effect, and where it comes from."""

    name: str
    variable: str | None
    value: str | None
    source: str
    origin: str | None


class SettingsDocument(TypedDict):
    """The answer of `config show`."""

    file: str | None
    settings: list[SettingDocument]


class SecondaryPause(TypedDict):
    """The pause state of one secondary; `holder` is the live process that writes to it."""

    instance: str
    is_pause_wanted: bool
    holder: str | None
    phase: str | None
    failure: str | None


class PausesDocument(TypedDict):
    """The answer of `pause` and `resume`."""

    secondaries: list[SecondaryPause]


class ResetPlanDocument(TypedDict):
    """What a reset changes for one secondary."""

    instance: str
    kind: str
    before: PositionDocument | None
    after: PositionDocument | None
    filters_before: str | None
    filters_after: str | None
    failure: str | None
    warnings: list[str]


class ResetsDocument(TypedDict):
    """The answer of `position reset`."""

    is_dry_run: bool
    plans: list[ResetPlanDocument]


class DifferenceDocument(TypedDict):
    """A difference between the definitions of a table."""

    table: str
    secondary_table: str
    aspect: str
    name: str | None
    primary: str | None
    secondary: str | None
    severity: str


class SecondaryDrift(TypedDict):
    """The differences of one secondary's tables, and the statements that end them."""

    instance: str
    is_same: bool | None
    differences: list[DifferenceDocument]
    accepted: list[DifferenceDocument]
    statements: list[str]
    failure: str | None


class DriftDocument(TypedDict):
    """The answer of `drift check`."""

    is_same: bool | None
    secondaries: list[SecondaryDrift]


class CheckDocument(TypedDict):
    """One check of `health`; `instance` is null for checks of the primary."""

    name: str
    instance: str | None
    level: int
    status: str
    message: str
    hint: str | None
    value: float | None
    unit: str | None


class HealthDocument(TypedDict):
    """The answer of `health`."""

    level: int
    status: str
    checks: list[CheckDocument]


class PlannedTableDocument(TypedDict):
    """One table of a transfer's plan."""

    table: str
    secondary_table: str
    action: str
    method: str
    key: list[str]
    rows_estimated: int | None
    bytes_estimated: int | None
    ranges: int
    rows_copied: int


class TransferPlanDocument(TypedDict):
    """What a transfer does to one secondary."""

    instance: str
    mode: str
    workers: int
    chunk_rows: int
    is_destructive: bool
    is_done: bool
    failure: str | None
    warnings: list[str]
    tables: list[PlannedTableDocument]


class PlansDocument(TypedDict):
    """The answer of `transfer --dry-run`."""

    plans: list[TransferPlanDocument]


class TableProgressDocument(TypedDict):
    """The progress of one table's copy."""

    table: str
    state: str
    rows_copied: int
    rows_estimated: int | None
    bytes_copied: int
    step: str
    step_seconds: float


class TransferProgressDocument(TypedDict):
    """The progress of a copy to one secondary."""

    elapsed_seconds: float
    rows_copied: int
    rows_per_second: float
    errors: int
    tables_total: int
    tables_done: int
    tables: list[TableProgressDocument]


class StatusLine(TypedDict):
    """The state of one worker at one moment."""

    type: Literal["status"]
    time: str | None
    instance: str
    phase: str
    position: PositionDocument | None
    lag_seconds: float | None
    seconds_since_event: float | None
    rows_per_second: float
    transactions_per_second: float
    rows_total: int
    rows_uncommitted: int
    transactions_total: int
    skipped_rows: int
    reconnects: int
    quarantined: list[str]
    message: str | None
    limiting_part: str | None
    transfer: TransferProgressDocument | None


class NoteLine(TypedDict):
    """A message for people."""

    type: Literal["note"]
    time: str | None
    instance: str | None
    message: str


class StreamedSecondary(TypedDict):
    """What the stream of one secondary did."""

    instance: str
    phase: str
    position: PositionDocument | None
    rows_total: int
    transactions_total: int
    skipped_rows: int
    reconnects: int
    quarantined: list[str]
    elapsed_seconds: float
    error: ErrorDocument | None


class StreamSummary(TypedDict):
    """The last line of `stream`."""

    type: Literal["summary"]
    code: int
    secondaries: list[StreamedSecondary]


class CopiedSecondary(TypedDict):
    """What was copied to one secondary; `rows` is null if a stream made the copy and does not report the number."""

    instance: str
    tables: int
    rows: int | None
    elapsed_milliseconds: int
    errors: int
    start: PositionDocument | None
    end: PositionDocument | None
    error: ErrorDocument | None


class TransferSummary(TypedDict):
    """The last line of `transfer`."""

    type: Literal["summary"]
    code: int
    secondaries: list[CopiedSecondary]


class VerifyLine(TypedDict):
    """The progress of a comparison of rows."""

    type: Literal["verify"]
    time: str | None
    instance: str
    tables_done: int
    tables: int
    rows: int
    rows_per_second: float
    eta_seconds: float | None
    differences: int
    waits_for: str | None


class RowDifference(TypedDict):
    """A row that differs. `key` and the rows have SQL literals by column; the rows are null unless they were stored."""

    table: str
    kind: Literal["missing", "extra", "differs"]
    key: dict[str, str]
    hash: str | None
    columns: list[str]
    rows: int
    position: PositionDocument | None
    primary: dict[str, str] | None
    secondary: dict[str, str] | None


class DifferenceLine(RowDifference):
    """A row that differs, as it is met."""

    type: Literal["difference"]
    time: str | None
    instance: str


class TableVerdictDocument(TypedDict):
    """What a run found of one table."""

    table: str
    is_equal: bool
    rows: int
    missing: int
    extra: int
    differs: int
    position: PositionDocument | None
    undecided: str | None


class VerifiedSecondary(TypedDict):
    """What a run found on one secondary. With `is_count_only` nothing is proven, so `is_equal` is false everywhere."""

    instance: str
    is_equal: bool
    is_count_only: bool
    is_stopped: bool
    elapsed_milliseconds: int
    tables: list[TableVerdictDocument]
    error: ErrorDocument | None


class VerifySummary(TypedDict):
    """The last line of `verify run`."""

    type: Literal["summary"]
    code: int
    secondaries: list[VerifiedSecondary]


class ProofDocument(TypedDict):
    """What is proven of one table: its rows were compared at `position` or later, the first of them at `time`."""

    table: str
    rows: int
    is_whole: bool
    position: PositionDocument | None
    time: str | None
    differences: int


class UndecidedTable(TypedDict):
    """A table that the last run could not compare."""

    table: str
    reason: str


class ProvenSecondary(TypedDict):
    """What is proven on one secondary. `rows` has the first rows that differ."""

    instance: str
    has_run: bool
    is_unfinished: bool
    failure: str | None
    tables: list[ProofDocument]
    undecided: list[UndecidedTable]
    differences: int
    rows: list[RowDifference]


class ProofsDocument(TypedDict):
    """The answer of `verify show`."""

    secondaries: list[ProvenSecondary]


class PlannedTableRepair(TypedDict):
    """The rows of one table that a repair concerns."""

    table: str
    missing: int
    extra: int
    differs: int
    refusal: str | None


class SecondaryRepairPlan(TypedDict):
    """What a repair would do on one secondary."""

    instance: str
    failure: str | None
    tables: list[PlannedTableRepair]


class RepairPlansDocument(TypedDict):
    """The answer of `verify repair --dry-run`."""

    plans: list[SecondaryRepairPlan]


class RepairedTableDocument(TypedDict):
    """What a repair did about one table."""

    table: str
    written: int
    vanished: int
    refused: int
    reason: str | None
    position: PositionDocument | None


class RepairedSecondary(TypedDict):
    """What a repair did on one secondary."""

    instance: str
    is_stopped: bool
    tables: list[RepairedTableDocument]
    error: ErrorDocument | None


class RepairsDocument(TypedDict):
    """The answer of `verify repair`."""

    secondaries: list[RepairedSecondary]


class ComparedTable(TypedDict):
    """The comparison of one table at the end of the demo."""

    instance: str
    table: str
    rows_primary: int
    rows_secondary: int
    is_equal: bool
    detail: str | None
    rows_proven: int
    proven_at: PositionDocument | None
    is_proven: bool


class DemoSummary(TypedDict):
    """The last line of `demo`."""

    type: Literal["summary"]
    code: int
    is_equal: bool
    rows_transferred: int
    transfer_seconds: float
    rows_streamed: int
    elapsed_seconds: float
    env_file: str | None
    tables: list[ComparedTable]
