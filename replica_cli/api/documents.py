"""The JSON documents that only the HTTP API has. Those of `--json` are in `replica_cli.documents.shapes`."""

from __future__ import annotations

from typing import Literal

from typing_extensions import TypedDict

from replica_cli.documents.shapes import (
    DriftDocument,
    ErrorDocument,
    PlansDocument,
    ResetsDocument,
    StatusLine,
    TableNoteDocument,
    TransferProgressDocument,
    TransferSummary,
)


class QuarantinedTable(TypedDict):
    """A quarantined table, and the command that copies it again."""

    table: str
    command: str


class SecondaryDocument(StatusLine):
    """The newest status of one secondary, as a status line of `stream --json`, and what the page shows beside it."""

    snapshot_age_seconds: float
    lag_limit_seconds: float
    quarantine: list[QuarantinedTable]


class SecondariesDocument(TypedDict):
    """The primary's name, the version, and each secondary; `can_change` says if a token is set for changes."""

    primary: str
    version: str
    can_change: bool
    secondaries: list[SecondaryDocument]


class NotReady(TypedDict):
    """Why a secondary is not ready."""

    instance: str
    reason: Literal["phase", "silent", "lag_unknown", "lag"]
    message: str


class ReadinessDocument(TypedDict):
    """Whether every secondary streams within its lag limit."""

    is_ready: bool
    reasons: list[NotReady]


class AliveDocument(TypedDict):
    """The process is alive."""

    is_alive: bool


class TableDocument(TableNoteDocument):
    """A table with a record in the state schema; `command` copies it again, null if nothing is to be done."""

    command: str | None


class TablesDocument(TypedDict):
    """The tables of one secondary that have a record: each that is not mentioned is live."""

    instance: str
    failure: str | None
    tables: list[TableDocument]


class EventDocument(TypedDict):
    """One record of the log."""

    time: str
    level: str
    tag: str
    instance: str | None
    table: str | None
    position: str | None
    message: str


class EventsDocument(TypedDict):
    """The last warnings, errors and changes of state, the newest first."""

    events: list[EventDocument]


class SampleDocument(TypedDict):
    """One point of a history; `time` in Unix seconds."""

    time: float
    phase: str
    lag_seconds: float | None
    rows_per_second: float


class SecondaryHistory(TypedDict):
    """The history of one secondary, the oldest sample first."""

    instance: str
    samples: list[SampleDocument]


class HistoryDocument(TypedDict):
    """The last hour of each secondary."""

    interval_seconds: float
    secondaries: list[SecondaryHistory]


class DifferencesDocument(TypedDict):
    """The last comparison of definitions; `checked_at` and `drift` are null if there was none since the start."""

    checked_at: str | None
    drift: DriftDocument | None


class ChangeDocument(TypedDict):
    """A setting with another value; secrets are masked."""

    name: str
    before: str | None
    after: str | None
    note: str | None


class ReloadDocument(TypedDict):
    """The settings that are in use with another value now, and those that need a new start."""

    taken: list[ChangeDocument]
    refused: list[ChangeDocument]


class LevelDocument(TypedDict):
    """The lowest level that is logged."""

    level: str


class PlanDocument(TypedDict):
    """A plan that a second call confirms. It is used once, and not after `expires_at`."""

    id: str
    kind: Literal["transfer", "position-reset"]
    expires_at: str
    plan: PlansDocument | ResetsDocument


class JobProgress(TypedDict):
    """How far a job is on one secondary."""

    instance: str
    phase: str
    transfer: TransferProgressDocument | None


class JobSummary(TypedDict):
    """Long work: `error` is null until it fails. A job that was cancelled has the error `interrupted`."""

    id: str
    kind: Literal["transfer", "drift"]
    state: Literal["running", "done", "failed", "cancelled"]
    started_at: str
    ended_at: str | None
    secondaries: list[str]
    progress: list[JobProgress]
    error: ErrorDocument | None


class JobDocument(JobSummary):
    """A job and its `result`: null until it ends, and if a newer comparison has replaced that of this job."""

    result: TransferSummary | DriftDocument | None


class JobsDocument(TypedDict):
    """The jobs that run, and the last ones that ended, the newest first. Each job alone has its `result`."""

    jobs: list[JobSummary]
