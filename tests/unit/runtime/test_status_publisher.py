"""A worker's status and when its changes are published."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from replica_cli.core.status import CopiedTable, CopyProgress, Phase, TableProgress, TableState, WorkerStatus
from replica_cli.runtime.status_publisher import StatusPublisher

if TYPE_CHECKING:
    import pytest


def test_the_end_of_a_table_is_published_at_once_with_its_rows() -> None:
    published: list[WorkerStatus] = []
    publisher = StatusPublisher("db1", published.append)
    for rows, state in ((1, TableState.COPYING), (2, TableState.COPYING), (3, TableState.COPIED)):
        for take in (publisher.copying, publisher.resyncing):
            ended = (CopiedTable("shop.t", rows, "now"),) if state is TableState.COPIED else ()
            take(CopyProgress("db1", (TableProgress("shop.t", rows, 3, 0, state),), 1.0, 1.0, ended=ended))
    transfer = published[-1].transfer
    assert transfer is not None
    assert (published[-1].phase, transfer.rows_copied) == (Phase.TRANSFERRING, 3)
    assert [(table.table, table.rows) for table in published[-1].copied] == [("shop.t", 3)]


def test_the_rate_counts_rows_of_a_transaction_that_is_not_committed_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    publisher = StatusPublisher("db1", lambda _: None)

    def count(rows: int, uncommitted: int) -> tuple[int, int, float]:
        now[0] += 1
        publisher.count(rows, 1 if rows else 0, 0, uncommitted=uncommitted)
        status = publisher.status
        return status.rows_total, status.rows_uncommitted, status.rows_per_second

    assert count(10, 0) == (10, 0, 0.0)
    assert count(0, 500) == (10, 500, 500.0)
    assert count(0, 1000) == (10, 1000, 500.0)
    # It was rolled back, and is applied again.
    assert count(0, 400) == (10, 400, 0.0)
    assert count(0, 1400) == (10, 1400, 1000.0)
    assert count(1400, 0) == (1410, 0, 500.0)


def test_a_rate_ends_while_nothing_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    publisher = StatusPublisher("db1", lambda _: None)
    publisher.set(phase=Phase.STREAMING)
    for _ in range(3):
        now[0] += 1
        publisher.count(100, 10, 0)
    assert (publisher.status.rows_per_second, publisher.status.transactions_per_second) == (100.0, 10.0)
    now[0] += 6
    assert (publisher.status.rows_per_second, publisher.status.transactions_per_second) == (0.0, 0.0)


def test_a_change_is_signalled_once_until_it_is_taken_and_equal_values_are_no_change() -> None:
    published: list[int] = []
    publisher = StatusPublisher("db1", lambda _: None)
    publisher.listen(lambda: published.append(1))
    publisher.set(phase=Phase.STREAMING)
    publisher.set(message="waits")
    assert (len(published), publisher.is_changed) == (1, True)
    publisher.take_change()
    publisher.set(phase=Phase.STREAMING, message="waits")
    publisher.set_lag(0.0, grows=False, heard_at=time.monotonic())
    assert (len(published), publisher.is_changed) == (1, False)
    publisher.set_lag(0.0, grows=True, heard_at=time.monotonic())
    assert (len(published), publisher.is_changed) == (2, True)
    assert publisher.waiting_seconds > 0
    # There may be a change that was not taken yet before the process holds the lock of the instance.
    publisher.has_held_lock = True
    assert len(published) == 3
    publisher.forget_lag()
    assert publisher.waiting_seconds == 0
