"""What a worker counts, and where its time goes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

import pytest

from replica_cli.core.limiting import Part
from replica_cli.core.metrics import BOUNDS
from replica_cli.measures import HistogramCounter, PartClock, StreamMeasures, resident_bytes

if TYPE_CHECKING:
    from replica_cli.core.metrics import StreamMetrics


class Clock:
    """A monotonic clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def pass_by(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(time, "monotonic", lambda: made.now)
    return made


def snapshot(measures: StreamMeasures) -> StreamMetrics:
    return measures.snapshot(lag_seconds=1.5, lag_grows=True, lag_known_at=990.0, heard_at=995.0)


def known(parts: PartClock) -> dict[Part, float]:
    return {part: seconds for part, seconds in parts.seconds.items() if seconds}


def test_each_second_belongs_to_one_part(clock: Clock) -> None:
    parts = PartClock()
    clock.pass_by(5)  # it does not stream yet
    assert parts.enter(Part.PRIMARY) is None
    clock.pass_by(3)
    assert known(parts) == {Part.PRIMARY: 3.0}  # also while it lasts
    assert parts.enter(Part.BUILDING) is Part.PRIMARY
    clock.pass_by(2)
    before = parts.enter(Part.SECONDARY)
    clock.pass_by(4)
    parts.enter(before)
    clock.pass_by(1)
    assert parts.enter(None) is Part.BUILDING
    clock.pass_by(100)
    assert known(parts) == {Part.PRIMARY: 3.0, Part.BUILDING: 3.0, Part.SECONDARY: 4.0}


def test_a_wait_during_which_the_reader_was_busy_is_work(clock: Clock) -> None:
    parts = PartClock()
    parts.enter(Part.LINK)
    clock.pass_by(10)
    parts.begin_work(3.0)
    assert known(parts) == {Part.LINK: 3.0, Part.BUILDING: 7.0}
    parts.enter(Part.LINK)
    clock.pass_by(2)
    parts.begin_work(3.0)
    assert known(parts) == {Part.LINK: 5.0, Part.BUILDING: 7.0}


def test_a_sum_never_becomes_less(clock: Clock) -> None:
    parts = PartClock()
    parts.enter(Part.COMMIT)
    clock.pass_by(2)
    assert known(parts) == {Part.COMMIT: 2.0}
    clock.pass_by(-1)  # as if the part had ended between the two readings of another thread
    parts.enter(Part.BUILDING)
    assert known(parts) == {Part.COMMIT: 2.0}


def test_a_time_is_counted_in_the_bucket_of_the_first_bound_that_is_not_less() -> None:
    counter = HistogramCounter()
    for seconds in (0.0, BOUNDS[0], BOUNDS[0] * 1.01, BOUNDS[-1], BOUNDS[-1] * 2):
        counter.add(seconds)
    counts = counter.snapshot.counts
    assert (counts[0], counts[1], counts[-2], counts[-1]) == (2, 1, 1, 1)
    assert counter.snapshot.count == 5
    assert counter.snapshot.total_seconds == pytest.approx(BOUNDS[0] * 2.01 + BOUNDS[-1] * 3)


def test_batches_and_rows_are_counted_and_the_last_batch_is_described(clock: Clock) -> None:
    measures = StreamMeasures()
    for transactions, rows in ((10, 30), (2, 5)):
        begun_at = clock.now
        clock.pass_by(0.2)
        commit_at = clock.now
        clock.pass_by(0.04)
        measures.note_batch(transactions, rows, 77, begun_at=begun_at, commit_at=commit_at)
    measures.note_rows("insert", 30)
    measures.note_rows("insert", 4)
    measures.note_rows("delete", 1)
    metrics = snapshot(measures)
    assert (metrics.batches, metrics.batch_transactions, metrics.batch_rows, metrics.batch_limit) == (2, 2, 5, 77)
    assert metrics.rows == {"insert": 34, "delete": 1}
    assert (metrics.commit_seconds.count, metrics.apply_seconds.count) == (2, 2)
    assert metrics.commit_seconds.total_seconds == pytest.approx(0.08)
    assert metrics.apply_seconds.total_seconds == pytest.approx(0.48)


def test_errors_are_counted_by_code_class_reason_and_side() -> None:
    measures = StreamMeasures()
    measures.note_error("server_error", "connection", retry="connection", side="primary")
    measures.note_error("server_error", "connection", retry="connection", side="secondary")
    before = snapshot(measures)
    measures.note_error("server_error", "connection", retry="connection", side="secondary")
    measures.note_error("drift", "table", retry=None, side=None)
    metrics = snapshot(measures)
    assert metrics.errors == {("server_error", "connection"): 3, ("drift", "table"): 1}
    assert metrics.retries == {"connection": 3}
    assert metrics.reconnects == {"primary": 1, "secondary": 2}
    assert before.reconnects == {"primary": 1, "secondary": 1}  # a snapshot does not change


def test_the_distance_is_forgotten_with_the_primary_and_the_retention_is_not(clock: Clock) -> None:
    measures = StreamMeasures()
    assert (snapshot(measures).distance_bytes, snapshot(measures).retention_seconds) == (None, None)
    measures.note_primary(500, 3600.0)
    clock.pass_by(60)
    measures.forget_distance()
    metrics = snapshot(measures)
    assert (metrics.distance_bytes, metrics.retention_seconds) == (None, 3600.0)
    assert metrics.retention_at(clock.now) == 3540.0


def test_the_memory_is_that_of_this_process_and_read_at_most_once_a_second(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = resident_bytes()
    assert size is not None
    assert 5 << 20 < size < 5 << 30
    sizes = iter((10, 20))
    monkeypatch.setattr("replica_cli.measures.resident_bytes", lambda: next(sizes))
    measures = StreamMeasures()
    assert [snapshot(measures).memory_bytes for _ in range(3)] == [10, 10, 10]
    clock.pass_by(1)
    assert snapshot(measures).memory_bytes == 20


class Reader(NamedTuple):
    queue_bytes: int
    changed_at: float | None


def test_what_a_reader_holds_is_forgotten_with_it_and_what_it_has_read_is_not() -> None:
    measures = StreamMeasures()
    seen = []
    for reader in (None, Reader(4096, 12.5), None, Reader(10, None), Reader(0, 20.0), None):
        measures.watch(reader)
        seen.append((snapshot(measures).queue_bytes, snapshot(measures).changed_at))
    assert seen == [(0, None), (4096, 12.5), (0, 12.5), (10, 12.5), (0, 20.0), (0, 20.0)]


def test_a_snapshot_has_what_others_measure() -> None:
    measures = StreamMeasures()
    measures.writer_token = 9
    measures.tables = {"quarantined": 1}
    metrics = snapshot(measures)
    assert (metrics.writer_token, metrics.tables) == (9, {"quarantined": 1})
    assert (metrics.lag_seconds, metrics.lag_grows, metrics.lag_known_at, metrics.heard_at) == (1.5, True, 990.0, 995.0)
