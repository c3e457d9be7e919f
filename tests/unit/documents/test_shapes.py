from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from pydantic import TypeAdapter

from replica_cli import documents
from replica_cli.core.differences import Aspect, Difference, DriftReport, Severity
from replica_cli.core.errors import ExitCode
from replica_cli.core.position import Position
from replica_cli.core.reports.demo import DemoReport, DemoTable
from replica_cli.core.reports.failure import Failure
from replica_cli.core.reports.health import HealthCheck, HealthLevel, HealthReport
from replica_cli.core.reports.pause import PauseReport
from replica_cli.core.reports.position import PositionReport, TableNote
from replica_cli.core.reports.reset import ResetPlan
from replica_cli.core.reports.stream import StreamReport, WorkerReport
from replica_cli.core.reports.transfer import (
    CopyMethod,
    CopyReport,
    PlannedTable,
    TableAction,
    TransferPlan,
    TransferReport,
)
from replica_cli.core.requests.reset import ResetKind
from replica_cli.core.requests.transfer import TransferMode
from replica_cli.core.status import CopyProgress, CopyStatus, Phase, TableProgress, TableState, WorkerStatus
from replica_cli.core.table import TableName
from replica_cli.documents import shapes

if TYPE_CHECKING:
    from collections.abc import Mapping

AT = Position("binlog.000042", 1187, "0-1-100")
NAME = TableName("shop", "orders")
NOW = datetime(2026, 1, 1, tzinfo=UTC)
FAILURE = Failure("primary", "it does not answer", "start it", ExitCode.PRIMARY)
PROGRESS = TableProgress("shop.orders", 5, 10, 100, TableState.COPYING)
NOTE = TableNote(NAME, TableState.PENDING, "asked for", AT, PROGRESS)
DIFFERENCE = Difference(NAME, NAME, Aspect.COLUMN_TYPE, "id", "INT", "BIGINT", Severity.DIFFERS)
PLANNED = PlannedTable(NAME, NAME, TableAction.REPLACE, CopyMethod.RANGES, ("id",), 10, 100)

SAMPLES: list[tuple[str, Mapping[str, object]]] = [
    ("PositionsDocument", documents.positions_document([
        PositionReport("db2"), PositionReport("db2", AT, NOW, NOW, AT, 1, 2.0, (NOTE,), Phase.STREAMING,
                                              lost=FAILURE, copy=CopyStatus(1, 0, 5, 10, 1.0), message="waits"),
    ])),
    ("PausesDocument", documents.pauses_document([
        PauseReport("db2"), PauseReport("db2", is_pause_wanted=True, holder="1", phase=Phase.PAUSED),
    ])),
    ("ResetsDocument", documents.resets_document([ResetPlan("db2", ResetKind.FORGET, AT, None, "a", "b", ("w",))],
                                                 is_dry_run=True)),
    ("DriftDocument", documents.drift_document([DriftReport("db2", (DIFFERENCE,), ("ALTER",), (DIFFERENCE,))])),
    ("HealthDocument", documents.health_document(HealthReport((HealthCheck("lag", HealthLevel.OK, "0 s"),)))),
    ("PlansDocument", documents.plans_document([TransferPlan("db2", TransferMode.NEW, (PLANNED,), 4, 1000, ("w",))])),
    ("StatusLine", documents.status_line(WorkerStatus("db2", Phase.STREAMING, AT, 0.5, 0.5,
                                                      transfer=CopyProgress("db2", (PROGRESS,))))),
    ("StatusLine", documents.status_line(WorkerStatus("db2"))),
    ("NoteLine", documents.note_line("", "said")),
    ("StreamSummary", documents.stream_summary(StreamReport((WorkerReport("db2", Phase.FAILED, AT,
                                                                          failure=FAILURE),)))),
    ("TransferSummary", documents.transfer_summary(TransferReport((CopyReport("db2", 1, None, failure=FAILURE),)))),
    ("DemoSummary", documents.demo_summary(DemoReport((DemoTable("db2", NAME, 1, 1, is_equal=True),), 1, 1.0, 1, 1.0,
                                                      None))),
    ("ErrorDocument", documents.failure_document(FAILURE)),
    ("ErrorDocument", documents.failure_document(FAILURE, ("one", "two"))),
]  # fmt: skip


@pytest.mark.parametrize(("shape", "document"), SAMPLES, ids=[name for name, _ in SAMPLES])
def test_each_document_has_the_fields_of_its_type_and_no_others(shape: str, document: Mapping[str, object]) -> None:
    # A field that the type does not have is not in the result.
    assert TypeAdapter(getattr(shapes, shape)).validate_json(json.dumps(document), strict=True) == document
