"""What limits a stream is decided each ten seconds, and logged once."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

import pytest

from replica_cli.core.limiting import Part
from replica_cli.core.position import Position
from replica_cli.core.status import Phase, WorkerStatus
from replica_cli.measures import StreamMeasures
from replica_cli.runtime.limit_watch import LimitWatch
from replica_cli.runtime.status_publisher import StatusPublisher

if TYPE_CHECKING:
    from collections.abc import Sequence


class Stream:
    """A stream that spends its time in one part after another."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(time, "monotonic", lambda: self.now)
        self.seconds = dict.fromkeys(Part, 0.0)
        self.watch = LimitWatch("db1", 60.0)

    def spend(self, part: Part, seconds: float, lag: float | None = 90.0) -> Part | None:
        self.now += seconds
        self.seconds[part] += seconds
        return self.watch.look(dict(self.seconds), lag, Position("binlog.000001", 4))


def warnings(caplog: pytest.LogCaptureFixture) -> Sequence[str]:
    return [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]


@pytest.fixture
def stream(monkeypatch: pytest.MonkeyPatch) -> Stream:
    return Stream(monkeypatch)


def test_a_part_is_named_after_ten_seconds_and_logged_once(stream: Stream, caplog: pytest.LogCaptureFixture) -> None:
    assert stream.spend(Part.SECONDARY, 9) is None
    assert stream.spend(Part.SECONDARY, 1) is Part.SECONDARY
    for _ in range(5):
        assert stream.spend(Part.SECONDARY, 10) is Part.SECONDARY
    (said,) = warnings(caplog)
    assert said.startswith("the lag is 1m30s, limited by the secondary's server: look for locks")


def test_another_part_is_logged_too_and_only_the_last_interval_counts(
    stream: Stream, caplog: pytest.LogCaptureFixture
) -> None:
    assert stream.spend(Part.SECONDARY, 100) is Part.SECONDARY
    assert stream.spend(Part.LINK, 10) is Part.LINK
    assert [said.partition(":")[0] for said in warnings(caplog)] == [
        "the lag is 1m30s, limited by the secondary's server",
        "the lag is 1m30s, limited by the link to the primary",
    ]


def test_a_lag_that_goes_up_and_down_around_its_limit_is_logged_once(
    stream: Stream, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(5):
        assert stream.spend(Part.COMMIT, 10, lag=61.0) is Part.COMMIT
        assert stream.spend(Part.COMMIT, 1, lag=59.0) is None  # at once
    assert len(warnings(caplog)) == 1
    stream.spend(Part.COMMIT, 10, lag=1.0)  # it had caught up: the next time is another one
    stream.spend(Part.COMMIT, 10, lag=61.0)
    assert len(warnings(caplog)) == 2


def test_the_limit_can_change(stream: Stream) -> None:
    stream.watch.max_lag_seconds = 100.0
    assert stream.spend(Part.COMMIT, 10) is None
    stream.watch.max_lag_seconds = 50.0
    assert stream.spend(Part.COMMIT, 10) is Part.COMMIT


def test_a_status_has_its_metrics_and_what_limits_it(stream: Stream) -> None:
    sent: list[WorkerStatus] = []
    measures = StreamMeasures()
    publisher = StatusPublisher("db1", sent.append, measures=measures, watch=stream.watch)
    publisher.set(phase=Phase.STREAMING)
    publisher.set_lag(100.0, grows=True, heard_at=stream.now)
    measures.parts.enter(Part.SECONDARY)
    stream.now += 10
    publisher.refresh()
    assert sent[-1].limiting_part == Part.SECONDARY
    assert publisher.status.limiting_part == Part.SECONDARY  # for the heartbeat
    metrics = sent[-1].metrics
    assert metrics is not None
    assert metrics.part_seconds[Part.SECONDARY] == 10.0
    # The main thread is blocked and nothing is sent: the lag grows with the clock of the reader.
    assert (metrics.lag_at(stream.now), metrics.lag_at(stream.now + 50)) == (110.0, 160.0)
    publisher.set_lag(0.0, grows=False, heard_at=stream.now)
    stream.now += 1
    publisher.refresh()
    assert (sent[-1].limiting_part, publisher.status.limiting_part) == ("", "")


def test_a_copy_has_no_metrics_of_a_stream() -> None:
    sent: list[WorkerStatus] = []
    publisher = StatusPublisher("db1", sent.append)
    publisher.set(phase=Phase.TRANSFERRING)
    assert (sent[-1].metrics, sent[-1].limiting_part) == (None, "")
