"""The number of log lines about applied rows."""

from __future__ import annotations

from collections import Counter

import pytest

from replica_cli.applier.commit_tracker import BatchStats
from replica_cli.core.events import RowKind
from replica_cli.core.position import Position
from replica_cli.core.settings import LogRows
from replica_cli.core.table import TableName
from replica_cli.worker.row_log import ReportSchedule, RowLog

TABLE, OTHER = TableName("shop", "orders"), TableName("shop", "items")


def batch(rows: int, table: TableName = TABLE) -> BatchStats:
    return BatchStats(Counter({(RowKind.INSERT, table): rows}), transactions=1)


def test_many_batches_are_few_lines_with_exact_sums(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "replica_cli")
    now = [100.0]
    lines = RowLog("db1", clock=lambda: now[0])
    for number in range(1000):
        lines.take(batch(1, TABLE if number % 4 else OTHER), Position("log.1", number))
        now[0] += 0.0101
    lines.flush(Position("log.1", 1000))
    assert len(caplog.records) <= 2 * 5
    sums: Counter[str] = Counter()
    for record in caplog.records:
        sums[record.table] += record.rows  # type: ignore[attr-defined]
    assert sums == {"orders": 750, "items": 250}
    assert not lines.is_waiting


def test_what_comes_after_a_quiet_second_is_logged_at_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "replica_cli")
    now = [100.0]
    lines = RowLog("db1", clock=lambda: now[0])
    for seconds, count in ((0.0, 1), (0.5, 1), (0.4, 1), (0.1, 2), (5.0, 3)):
        now[0] += seconds
        lines.take(batch(1), Position("log.1", 4))
        assert len(caplog.records) == count
    lines.take(BatchStats(ignored_statements=Counter({"a reason": 2})), Position("log.1", 5))
    assert lines.is_waiting
    now[0] += 1.0
    lines.take(BatchStats(), Position("log.1", 5))
    assert caplog.messages[-1] == "2 statements skipped: a reason"
    assert not lines.is_waiting


def test_reports_of_a_busy_stream_become_rare_and_a_quiet_second_makes_them_prompt_again() -> None:
    now = [100.0]
    schedule = ReportSchedule(lambda: now[0])
    reports: list[float] = []
    is_waiting = False
    while now[0] < 280:
        if not 200 <= now[0] < 220:  # busy, except for these twenty seconds
            schedule.note_change()
            is_waiting = True
        if is_waiting and schedule.is_due(1):
            reports.append(round(now[0]))
            schedule.note_report()
            is_waiting = False
        now[0] += 0.125
    assert reports == [100, 101, 103, 108, 118, 148, 178, 201, 220, 221, 223, 228, 238, 268]


@pytest.mark.parametrize("tables", [1, 20, 100, 400])
@pytest.mark.parametrize("pause", [0.01, 0.5, 1.5, 7.0])
def test_no_load_writes_more_than_ten_lines_a_second(
    caplog: pytest.LogCaptureFixture, tables: int, pause: float
) -> None:
    caplog.set_level("INFO", "replica_cli")
    now = [100.0]
    log = RowLog("db1", clock=lambda: now[0])
    names = [TableName("shop", f"t{number}") for number in range(tables)]
    written, busy_until = 0, 100.0
    for number in range(int(200 / pause)):
        stats = BatchStats(Counter({(kind, name): 2 for kind in RowKind for name in names}))
        written += 2 * 3 * tables
        log.take(stats, Position("log.1", number))
        busy_until = now[0]
        until = now[0] + pause
        while now[0] < until:  # as the stream does while something waits
            now[0] += min(0.25, pause)
            log.take(BatchStats(), Position("log.1", number))
    # The first report may follow any silence, so it is not counted.
    assert len(caplog.records) <= 10 * (busy_until + 1.5 - 100.0) + 3 * tables
    log.flush(Position("log.1", 0))
    assert sum(record.rows for record in caplog.records) == written  # type: ignore[attr-defined]


def test_each_batch_is_logged_if_that_is_wanted_and_the_wish_may_change(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "replica_cli")
    now = [100.0]
    log = RowLog("db1", LogRows.BATCH, lambda: now[0])
    for number in range(5):
        log.take(batch(3), Position("log.1", number))
    assert [record.rows for record in caplog.records] == [3] * 5  # type: ignore[attr-defined]
    assert log.takes_each_batch
    log.rows = LogRows.AUTO
    log.take(batch(3), Position("log.1", 5))
    assert len(caplog.records) == 5
    assert log.is_waiting
