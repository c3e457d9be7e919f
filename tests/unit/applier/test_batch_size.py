"""How many transactions share a commit, by what the last ones took."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from replica_cli.applier.batch_size import AdaptiveBatchSize
from replica_cli.core.settings import Batching

if TYPE_CHECKING:
    from collections.abc import Callable

    Land = Callable[[int, float], None]


@pytest.fixture
def pace() -> AdaptiveBatchSize:
    return AdaptiveBatchSize(Batching(transactions=1000, age_seconds=0.2))


@pytest.fixture
def land(pace: AdaptiveBatchSize, monkeypatch: pytest.MonkeyPatch) -> Land:
    """Return what lets a batch of a number of transactions be committed after some seconds of work."""
    clock = 1000.0

    def landed(count: int, seconds: float) -> None:
        nonlocal clock
        begun, clock = clock, clock + seconds
        pace.note_committed(count, begun)

    monkeypatch.setattr(time, "monotonic", lambda: clock)
    return landed


def test_as_many_as_are_wanted_until_something_is_known(pace: AdaptiveBatchSize, land: Land) -> None:
    assert pace.transactions == 1000
    land(0, 1.0)  # nothing but a position
    assert pace.transactions == 1000


def test_slow_transactions_are_few_and_fast_ones_become_many_again(pace: AdaptiveBatchSize, land: Land) -> None:
    land(100, 10.0)
    assert pace.transactions == 2
    land(1, 30.0)
    assert pace.transactions == 1  # one goes out however long it takes
    for _ in range(20):
        land(1000, 0.01)
    assert pace.transactions == 1000


def test_the_time_of_the_batch_before_is_not_counted_twice(pace: AdaptiveBatchSize, land: Land) -> None:
    land(10, 1.0)
    land(10, 0.0)
    # Begun together with the one before it: as if nothing of the time were its own.
    assert pace.transactions == int(0.2 / (0.1 / 2))


def test_the_way_to_the_secondary_is_not_the_transactions_time(monkeypatch: pytest.MonkeyPatch) -> None:
    pace = AdaptiveBatchSize(Batching(transactions=1000, age_seconds=0.2), round_trip_seconds=0.5)
    monkeypatch.setattr(time, "monotonic", lambda: 0.6)
    pace.note_committed(10, 0.0)
    # Ten took a tenth of a second; that each batch waits for half a second is no reason for small ones.
    assert pace.transactions == 20
