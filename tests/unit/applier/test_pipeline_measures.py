"""What a commit pipeline counts: batches, and where its time goes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from replica_cli.core.errors import RowExists
from replica_cli.core.limiting import Part
from replica_cli.mysql.errnos import ServerError
from tests.unit.applier.rig import DEADLOCK, Rig, transaction

if TYPE_CHECKING:
    from replica_cli.core.metrics import StreamMetrics

_SECONDS = {"SET": 0.0, "COMMIT": 0.5, "pos:": 0.25}


class Timed(Rig):
    """A rig on whose clock each answer takes a time: a row a second, a position a quarter, a COMMIT a half."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        patch.setattr(time, "monotonic", lambda: self.now)
        super().__init__()
        receive = self.session.receive

        def slow(*, is_first: bool) -> int:
            text = self.session._packets[0][0]
            self.now += next((seconds for start, seconds in _SECONDS.items() if text.startswith(start)), 1.0)
            return receive(is_first=is_first)

        self.session.receive = slow  # type: ignore[method-assign]
        self.measures.parts.enter(Part.BUILDING)

    def metrics(self) -> StreamMetrics:
        return self.measures.snapshot(lag_seconds=None, lag_grows=False, lag_known_at=0.0, heard_at=None)

    def parts(self) -> dict[Part, float]:
        return {part: seconds for part, seconds in self.measures.parts.seconds.items() if seconds}


@pytest.fixture
def rig(monkeypatch: pytest.MonkeyPatch) -> Timed:
    return Timed(monkeypatch)


def test_a_batch_counts_when_its_commit_is_answered(rig: Timed) -> None:
    rig.pipeline.submit([transaction(1, "a"), transaction(2, "b", "c")])
    rig.pipeline.submit([transaction(3, "d")])
    assert rig.metrics().batches == 0  # COMMIT is sent and not answered
    rig.pipeline.drain()
    metrics = rig.metrics()
    assert (metrics.batches, metrics.batch_transactions, metrics.batch_rows) == (2, 1, 1)
    assert metrics.batch_limit == rig.pipeline.batch_limit
    # The answer to the first COMMIT is read before the results of the second batch; so is each time what the secondary
    # has taken for it.
    assert metrics.commit_seconds.total_seconds == pytest.approx(1.0)
    # 3 rows, a position and a COMMIT; then the second batch, which was sent while the first COMMIT was not answered.
    assert metrics.apply_seconds.total_seconds == pytest.approx(3.75 + 2.25)


def test_waits_for_results_and_for_commits_are_apart_and_the_rest_is_building(rig: Timed) -> None:
    rig.pipeline.submit([transaction(1, "a"), transaction(2, "b", "c")])
    rig.now += 7.0
    rig.pipeline.submit([transaction(3, "d")])
    rig.pipeline.drain()
    assert rig.parts() == {Part.BUILDING: 7.0, Part.SECONDARY: 4.5, Part.COMMIT: 1.0}
    assert rig.measures.parts.enter(None) is Part.BUILDING


def test_the_part_is_the_one_from_before_after_an_error_too(rig: Timed) -> None:
    rig.fail("a", 1062, 1062)
    with pytest.raises(RowExists):
        rig.pipeline.apply_now([transaction(1, "a")])
    assert rig.measures.parts.enter(None) is Part.BUILDING
    rig.measures.parts.enter(Part.BUILDING)
    rig.session.errors.clear()
    rig.fail("COMMIT", DEADLOCK)
    rig.pipeline.rollback()
    with pytest.raises(ServerError):
        rig.pipeline.apply_now([transaction(1, "b")])
    assert rig.measures.parts.enter(None) is Part.BUILDING
    assert rig.metrics().batches == 0


def test_a_saved_position_alone_is_no_batch(rig: Timed) -> None:
    rig.pipeline.submit([transaction(1, "a")])
    rig.pipeline.drain()
    rig.now += 5.0
    rig.pipeline.submit([transaction(9)])
    rig.pipeline.drain()
    assert "pos:9" in rig.durable
    assert (rig.metrics().batches, rig.metrics().batch_transactions) == (1, 1)
