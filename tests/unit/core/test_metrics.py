"""Values that grow or shrink between the moment at which they were measured and the one at which they are read."""

from __future__ import annotations

from replica_cli.core.metrics import Histogram, StreamMetrics


def test_the_lag_grows_while_something_waits_to_be_applied() -> None:
    waiting = StreamMetrics(lag_seconds=2.0, lag_grows=True, lag_known_at=99.0)
    assert (waiting.lag_at(100.0), waiting.lag_at(160.0)) == (3.0, 63.0)
    idle = StreamMetrics(lag_seconds=0.0, lag_grows=False, lag_known_at=99.0)
    assert idle.lag_at(160.0) == 0.0
    assert StreamMetrics(lag_grows=True).lag_at(160.0) is None


def test_the_retention_shrinks_until_the_position_is_looked_at_again() -> None:
    metrics = StreamMetrics(retention_seconds=50.0, retention_known_at=100.0)
    assert [metrics.retention_at(now) for now in (100.0, 130.0, 200.0)] == [50.0, 20.0, 0.0]
    assert StreamMetrics().retention_at(130.0) is None


def test_a_histogram_knows_how_many_times_it_has() -> None:
    assert Histogram().count == 0
    assert Histogram((1, 2, *(0,) * 13, 4), 9.5).count == 7
