"""Lag by a monotonic clock."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from replica_cli.core.status import Phase, WorkerStatus
from replica_cli.runtime.lag import Lag, PrimaryClock, with_lag
from replica_cli.runtime.status_publisher import StatusPublisher

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    # A step of the machine's clock: no code may read it.
    monkeypatch.setattr(time, "time", lambda: 1 / 0)
    yield now
    monkeypatch.undo()


def test_the_primarys_time_is_counted_on_from_one_look_at_it(clock: list[float]) -> None:
    primary = PrimaryClock()
    assert primary.age(1_700_000_000) is None
    primary.read(1_700_000_100.0, asked_at=999.0)  # the answer took a second, and was made in the middle of it
    assert primary.age(1_700_000_000) == 100.5
    clock[0] += 10
    assert primary.age(1_700_000_000) == 110.5
    assert primary.age(1_700_000_999) == 0.0
    assert primary.age(0) is None


def test_lag_grows_only_while_something_waits(clock: list[float]) -> None:
    status = WorkerStatus("db1", phase=Phase.STREAMING)
    waiting, idle = Lag(0.5, grows=True, known_at=1000.0), Lag(0.0, known_at=1000.0)
    assert with_lag(status, waiting, None).phase is Phase.CAUGHT_UP
    clock[0] += 7
    seen = with_lag(status, waiting, 1001.0)
    assert (seen.phase, seen.lag_seconds, seen.seconds_since_event) == (Phase.STREAMING, 7.5, 6.0)
    assert with_lag(status, idle, None).lag_seconds == 0.0
    assert with_lag(status, Lag(), None).phase is Phase.STREAMING


def test_what_a_stream_knew_as_it_ended_is_kept(clock: list[float]) -> None:
    publisher = StatusPublisher("db1", lambda _: None)
    publisher.set_lag(600.0, grows=True, heard_at=1000.0)
    publisher.set(phase=Phase.STREAMING)
    clock[0] += 6
    publisher.set(phase=Phase.STOPPED)
    clock[0] += 60
    assert (publisher.status.phase, publisher.status.lag_seconds) == (Phase.STOPPED, 606.0)
    publisher.set(phase=Phase.RECONNECTING, lag_seconds=None)
    assert publisher.status.lag_seconds is None
