"""What is repeated, what is split, and with which engine, after a batch has failed."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest

from replica_cli.applier.batch import Batch
from replica_cli.applier.failure_isolator import FailureIsolator
from replica_cli.core.errors import ApplyRefused, Fenced, Interrupted, ReplicaError, TableChangedInWindow
from replica_cli.core.position import Position
from replica_cli.core.settings import Retry
from replica_cli.stop import StopToken
from tests.unit.applier.rig import DEADLOCK, TABLE, Rig, server_error, transaction

if TYPE_CHECKING:
    from collections.abc import Sequence

    from replica_cli.core.events import Transaction

GONE = 2013
ONE, TWO, THREE = (transaction(number, "row") for number in (10, 20, 30))


class FakePipeline:
    """Notes what is called, and fails with the errors that are given for a call, one each time."""

    position = Position("binlog.000001", 4)

    def __init__(self, steps: Any) -> None:
        self._steps = steps
        self.calls: list[str] = []
        self.errors: dict[str, list[ReplicaError]] = {}

    def finish(self, batch: Batch, *, waits: bool) -> None:
        self._call("finish" + (" and wait" if waits else ""), batch.transactions)

    def apply_now(self, transactions: Sequence[Transaction]) -> None:
        self._call("diagnose" if self._steps.is_diagnostic else "apply", transactions)

    def rollback(self) -> None:
        self.calls.append("rollback")

    def _call(self, name: str, transactions: Sequence[Transaction]) -> None:
        call = f"{name} {'+'.join(str(t.end.pos) for t in transactions)}"
        self.calls.append(call)
        if self.errors.get(call):
            raise self.errors[call].pop(0)


@pytest.fixture
def rig() -> Rig:
    return Rig()


@pytest.fixture
def pipeline(rig: Rig) -> FakePipeline:
    return FakePipeline(rig.steps)


def isolator(rig: Rig, stop: StopToken | None = None, delay: float = 0.0) -> FailureIsolator:
    retry = Retry(attempts=3, delay=delay, delay_limit=delay)
    return FailureIsolator(rig.steps, retry, stop or StopToken(), instance="db1")


@pytest.mark.parametrize("waits", [False, True])
def test_a_batch_that_is_good_is_finished_once(rig: Rig, pipeline: FakePipeline, *, waits: bool) -> None:
    isolator(rig).finish(pipeline, Batch([ONE, TWO]), waits=waits)
    assert pipeline.calls == ["finish and wait 10+20" if waits else "finish 10+20"]


def test_the_first_attempt_is_what_was_sent_and_each_later_one_is_built_again(
    rig: Rig, pipeline: FakePipeline, caplog: pytest.LogCaptureFixture
) -> None:
    pipeline.errors = {"finish 10+20": [server_error(DEADLOCK)], "apply 10+20": [server_error(DEADLOCK)]}
    with caplog.at_level(logging.WARNING, "replica_cli"):
        isolator(rig).finish(pipeline, Batch([ONE, TWO]), waits=False)
    assert pipeline.calls == ["finish 10+20", "rollback", "apply 10+20", "rollback", "apply 10+20"]
    assert [r.getMessage()[:24] for r in caplog.records] == ["attempt 1 failed, again ", "attempt 2 failed, again "]


def test_attempts_are_limited_and_the_last_error_is_raised(rig: Rig, pipeline: FakePipeline) -> None:
    last = server_error(DEADLOCK)
    pipeline.errors = {"finish 10": [server_error(DEADLOCK)], "apply 10": [server_error(DEADLOCK), last]}
    with pytest.raises(ReplicaError) as raised:
        isolator(rig).finish(pipeline, Batch([ONE]), waits=False)
    assert raised.value is last


@pytest.mark.parametrize("error", [server_error(GONE), Fenced("another process took over")])
def test_what_no_attempt_helps_is_raised_at_once(rig: Rig, pipeline: FakePipeline, error: ReplicaError) -> None:
    pipeline.errors = {"finish 10+20": [error]}
    with pytest.raises(type(error)):
        isolator(rig).finish(pipeline, Batch([ONE, TWO]), waits=False)
    assert pipeline.calls == ["finish 10+20"]


def test_a_stop_ends_the_wait_for_another_attempt(rig: Rig, pipeline: FakePipeline) -> None:
    stop = StopToken()
    stop.request()
    pipeline.errors = {"finish 10": [server_error(DEADLOCK)]}
    with pytest.raises(Interrupted):
        isolator(rig, stop, delay=60.0).finish(pipeline, Batch([ONE]), waits=False)


@pytest.mark.parametrize(
    "error", [ApplyRefused("a row", table=TABLE.name), TableChangedInWindow((TABLE.name,), "a row")]
)
def test_a_batch_is_split_at_the_transaction_that_fails(
    rig: Rig, pipeline: FakePipeline, error: ApplyRefused | TableChangedInWindow
) -> None:
    pipeline.errors = {"finish 10+20+30": [error], "apply 20": [error], "diagnose 20": [error]}
    with pytest.raises(type(error), match=r"in the transaction at binlog\.000001:19") as raised:
        isolator(rig).finish(pipeline, Batch([ONE, TWO, THREE]), waits=False)
    assert pipeline.calls == [
        "finish 10+20+30", "rollback", "apply 10", "apply 20", "rollback", "diagnose 20", "rollback",
    ]  # fmt: skip
    assert raised.value is error
    assert not rig.steps.is_diagnostic


def test_one_transaction_is_diagnosed_without_another_attempt_before(rig: Rig, pipeline: FakePipeline) -> None:
    pipeline.errors = {"finish 10": [ApplyRefused("the batch")], "diagnose 10": [ApplyRefused("the row")]}
    with pytest.raises(ApplyRefused, match="the row") as raised:
        isolator(rig).finish(pipeline, Batch([ONE]), waits=False)
    assert pipeline.calls == ["finish 10", "rollback", "diagnose 10", "rollback"]
    assert str(raised.value.__cause__) == "the batch"


def test_the_diagnosis_may_succeed_and_the_strict_engine_goes_on(rig: Rig, pipeline: FakePipeline) -> None:
    pipeline.errors = {"finish 10+20": [ApplyRefused("the batch")], "apply 10": [ApplyRefused("once")]}
    isolator(rig).finish(pipeline, Batch([ONE, TWO]), waits=False)
    assert pipeline.calls == ["finish 10+20", "rollback", "apply 10", "rollback", "diagnose 10", "apply 20"]
    assert not rig.steps.is_diagnostic


def test_a_transaction_of_a_split_batch_is_repeated_too(rig: Rig, pipeline: FakePipeline) -> None:
    pipeline.errors = {"apply 10": [server_error(DEADLOCK)]}
    isolator(rig).isolate(pipeline, [ONE, TWO], ApplyRefused("it cannot be built"))
    assert pipeline.calls == ["rollback", "apply 10", "rollback", "apply 10", "apply 20"]
