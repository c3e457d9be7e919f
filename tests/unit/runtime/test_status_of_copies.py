"""The status and the heartbeat of a copy of many tables cost as much as those of a hundred tables."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from replica_cli.checkpoint.beats import _transfer, _transfer_data
from replica_cli.core.reports.transfer import CopyMethod, PlannedTable, TableAction
from replica_cli.core.status import CopiedTable, CopyProgress, CopyStatus, CopyStep, TableProgress, TableState
from replica_cli.core.table import TableName
from replica_cli.runtime.status_publisher import StatusPublisher
from replica_cli.transfer import progress_tracker as metering
from replica_cli.transfer.progress_tracker import ProgressTracker

if TYPE_CHECKING:
    from replica_cli.transfer.planning.plan import CopyPlan


class Plan:
    """What a meter asks of a plan."""

    instance = "db2"

    def __init__(self, count: int) -> None:
        self.tables = [Table(number) for number in range(count)]


class Table:
    def __init__(self, number: int) -> None:
        name = TableName("shop", f"t{number}")
        self.planned = PlannedTable(name, name, TableAction.CREATE, CopyMethod.RANGES, ("id",), 100, 1000, 1, 0)


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> list[CopyProgress]:
    """Return the list of all published progress."""
    monkeypatch.setattr(metering, "_REPORT_SECONDS", 0.0)
    return []


def _meter(count: int, published: list[CopyProgress]) -> ProgressTracker:
    plan: CopyPlan = Plan(count)  # type: ignore[assignment]
    return ProgressTracker(plan, report=published.append, folder=None)


def _work(meter: ProgressTracker, count: int) -> None:
    for number in range(count):
        name = f"shop.t{number}"
        meter.begin(name, CopyStep.PREPARING)
        meter.begin(name, CopyStep.ROWS)
        meter.add(name, 90 + number % 20, 1000)
        if number % 3:
            meter.finish(name)
    meter.start_over("shop.t0")
    meter.wait("shop.t3", "a lock")


def test_the_sums_are_those_of_all_tables(published: list[CopyProgress]) -> None:
    for count in (100, 1000):
        meter = _meter(count, published)
        _work(meter, count)
        sums = replace(CopyStatus.of(tuple(meter._tables.values()), None), steps=())
        assert replace(published[-1].status, steps=(), rows_per_second=None) == sums
        assert published[-1].rows_copied == meter.rows_copied


def test_the_status_of_a_copy_does_not_grow_with_the_number_of_tables(published: list[CopyProgress]) -> None:
    sizes = []
    for count in (500, 2000):
        _work(_meter(count, published), count)
        assert len(published[-1].tables) == 100
        assert {t.state for t in published[-1].tables} == {TableState.COPYING}
        publisher = StatusPublisher("db2", lambda _: None)
        publisher.copying(published[-1])
        sizes.append(len(json.dumps(_transfer_data(published[-1]))) + len(str(publisher.status.copied)))
    assert sizes[1] < sizes[0] * 1.05
    assert sizes[1] < 20_000


def test_a_heartbeat_is_read_as_it_was_written() -> None:
    busy = TableProgress("shop.busy", 5, 9, 70, TableState.COPYING, CopyStep.INDEXES, 3.5, "a table metadata lock")
    tables = (busy, TableProgress("shop.small", 1, None, 7, TableState.COPYING), TableProgress("shop.later"))
    few = CopyProgress("db2", tables, 12.5, 3.25, 1)
    many = replace(few, totals=CopyStatus(3000, 7, 99, 100_000, 3.25, (busy,)))
    for copy in (few, many):
        assert _transfer(json.loads(json.dumps(_transfer_data(copy)))) == copy


def test_the_last_copied_tables_are_listed_for_a_minute() -> None:
    publisher = StatusPublisher("db2", lambda _: None)
    ended = tuple(CopiedTable(f"shop.t{n}", n, "now") for n in range(150))
    for end in range(10, 151, 10):
        publisher.copying(CopyProgress("db2", ended=ended[max(0, end - 100) : end]))
    assert [table.rows for table in publisher.status.copied] == list(range(50, 150))
