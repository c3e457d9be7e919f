"""The number of log lines about applied rows."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from replica_cli.applier.commit_tracker import BatchStats
from replica_cli.core.events import RowKind
from replica_cli.core.position import Position
from replica_cli.core.table import TableName
from replica_cli.worker.row_log import RowLog

if TYPE_CHECKING:
    import pytest

TABLE, OTHER = TableName("shop", "orders"), TableName("shop", "items")


def batch(rows: int, table: TableName = TABLE) -> BatchStats:
    return BatchStats(Counter({(RowKind.INSERT, table): rows}), transactions=1)


def test_many_batches_are_one_line_a_second_for_each_table(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "replica_cli")
    now = [100.0]
    lines = RowLog("db1", lambda: now[0])
    for number in range(1000):
        lines.take(batch(1, TABLE if number % 4 else OTHER), Position("log.1", number))
        now[0] += 0.0101
    lines.flush(Position("log.1", 1000))
    assert len(caplog.records) <= 2 * 12
    sums: Counter[str] = Counter()
    for record in caplog.records:
        sums[record.table] += record.rows  # type: ignore[attr-defined]
    assert sums == {"orders": 750, "items": 250}
    assert not lines.is_waiting


def test_what_comes_after_a_quiet_second_is_logged_at_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "replica_cli")
    now = [100.0]
    lines = RowLog("db1", lambda: now[0])
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
