"""A batch goes from one state to the next in one order; any other order is an error of the program."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from replica_cli.applier.batch import Batch, BatchState
from replica_cli.applier.commit_tracker import BatchStats, CommitPoint
from replica_cli.core.errors import ApplyRefused
from replica_cli.core.gtid import parse_gtids
from replica_cli.core.position import Position
from tests.unit.applier.rig import transaction

if TYPE_CHECKING:
    from collections.abc import Callable

POINT = CommitPoint(Position("binlog.000001", 10), parse_gtids("", is_mariadb=True), 1, BatchStats())
STEPS: dict[str, Callable[[Batch], None]] = {
    "sent": lambda b: b.mark_sent(POINT, is_saved=True, begun_at=2.0),
    "unsaved": lambda b: b.mark_sent(POINT, is_saved=False, begun_at=2.0),
    "flushed": Batch.mark_flushed,
    "committing": Batch.mark_committing,
    "committed": Batch.mark_committed,
    "failed": lambda b: b.mark_failed(ApplyRefused("why")),
}


def after(*steps: str) -> Batch:
    batch = Batch([transaction(10, "a")])
    for step in steps:
        STEPS[step](batch)
    return batch


@pytest.mark.parametrize(
    ("steps", "state"),
    [
        ((), BatchState.BUILT),
        (("sent",), BatchState.SENT),
        (("sent", "flushed"), BatchState.FLUSHED),
        (("sent", "flushed", "committing"), BatchState.COMMITTING),
        (("sent", "flushed", "committing", "committed"), BatchState.COMMITTED),
        (("unsaved", "flushed", "committed"), BatchState.COMMITTED),
        (("failed",), BatchState.FAILED),
        (("sent", "failed"), BatchState.FAILED),
        (("sent", "flushed", "failed"), BatchState.FAILED),
        (("sent", "flushed", "committing", "failed"), BatchState.FAILED),
    ],
)
def test_legal_orders(steps: tuple[str, ...], state: BatchState) -> None:
    assert after(*steps).state is state


@pytest.mark.parametrize(
    "steps",
    [
        ("flushed",),
        ("committing",),
        ("committed",),
        ("sent", "sent"),
        ("sent", "committing"),
        ("sent", "committed"),
        ("sent", "flushed", "flushed"),
        ("sent", "flushed", "committed"),
        ("unsaved", "flushed", "committing"),
        ("sent", "flushed", "committing", "committed", "committed"),
        ("sent", "flushed", "committing", "committed", "failed"),
        ("failed", "sent"),
        ("failed", "committed"),
        ("failed", "failed"),
    ],
)
def test_any_other_order_is_refused(steps: tuple[str, ...]) -> None:
    batch = after(*steps[:-1])
    before = batch.state
    with pytest.raises(ValueError, match="batch"):
        STEPS[steps[-1]](batch)
    assert batch.state is before


def test_what_is_known_when() -> None:
    batch = after()
    with pytest.raises(ValueError, match="commit point"):
        _ = batch.commit_point
    assert batch.stats.transactions == 1
    STEPS["sent"](batch)
    assert (batch.commit_point, batch.is_saved, batch.begun_at, batch.failure) == (POINT, True, 2.0, None)


def test_a_transaction_that_only_moves_the_position_is_not_counted() -> None:
    assert Batch([transaction(10), transaction(11, "a"), transaction(12)]).stats.transactions == 1
    assert Batch(()).stats.transactions == 0
