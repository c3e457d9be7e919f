"""Which work a copy worker repeats, and when it gives up."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from replica_cli.core.errors import Interrupted
from replica_cli.core.settings import Retry
from replica_cli.mysql.errnos import Remedy, ServerError
from replica_cli.stop import StopToken
from replica_cli.transfer.copy_worker import CopyWorker
from replica_cli.transfer.errors import OtherModeNeeded, TableAltered

if TYPE_CHECKING:
    from collections.abc import Callable

    from replica_cli.mysql.facts import ServerFacts
    from replica_cli.transfer.connections import Connections, Endpoints
    from replica_cli.transfer.planning.plan import CopyPlan
    from replica_cli.transfer.progress_tracker import ProgressTracker
    from replica_cli.transfer.work_queue import WorkQueue

DEADLOCK = ServerError(1213, "Deadlock found", "db2", remedy=Remedy.RETRY)
LOST = ServerError(2013, "Lost connection", "db2", remedy=Remedy.RECONNECT)
DENIED = ServerError(1142, "INSERT command denied", "db2", remedy=Remedy.FATAL)


class FakeConnections:
    """Counts how often the connections were opened and given up."""

    endpoints = cast("Endpoints", None)

    def __init__(self) -> None:
        self.calls: list[str] = []

    def open_all(self) -> None:
        self.calls.append("open")

    def close(self) -> None:
        self.calls.append("close")


class FakePlan:
    instance = "db2"


@pytest.fixture
def connections() -> FakeConnections:
    return FakeConnections()


@pytest.fixture
def stop() -> StopToken:
    return StopToken()


@pytest.fixture
def worker(connections: FakeConnections, stop: StopToken) -> CopyWorker:
    return CopyWorker(
        cast("CopyPlan", FakePlan()),
        cast("Connections", connections),
        cast("WorkQueue", None),
        cast("ProgressTracker", None),
        facts=cast("ServerFacts", None),
        retry=Retry(attempts=3, delay=0.001, delay_limit=0.001, reconnect_attempts=4),
        stop=stop,
    )


def failing(*errors: Exception | None) -> Callable[[], None]:
    """Return work that raises these errors, one for each attempt, and then succeeds."""
    waiting = list(errors)

    def work() -> None:
        if waiting and (error := waiting.pop(0)) is not None:
            raise error

    return work


def test_work_that_succeeds_is_done_once(worker: CopyWorker, connections: FakeConnections) -> None:
    worker._with_retries(failing())
    assert connections.calls == ["open"]


def test_the_connections_are_given_up_after_an_error_that_may_go_away(
    worker: CopyWorker, connections: FakeConnections
) -> None:
    worker._with_retries(failing(DEADLOCK, LOST))
    assert connections.calls == ["open", "close", "open", "close", "open"]


def test_the_last_error_is_raised_after_the_attempts_of_the_settings(worker: CopyWorker) -> None:
    with pytest.raises(ServerError) as raised:
        worker._with_retries(failing(*[DEADLOCK] * 3))
    assert raised.value is DEADLOCK


def test_after_a_commit_the_next_error_is_the_first_one_again(worker: CopyWorker) -> None:
    fail = failing(*[DEADLOCK] * 8)

    def work() -> None:
        worker._rows.commits += 1
        fail()

    worker._with_retries(work)


@pytest.mark.parametrize("error", [DENIED, TableAltered("altered"), RuntimeError("a bug")])
def test_other_errors_are_not_repeated(worker: CopyWorker, error: Exception) -> None:
    attempts: list[int] = []

    def work() -> None:
        attempts.append(1)
        raise error

    with pytest.raises(type(error)) as raised:
        worker._with_retries(work)
    assert raised.value is error
    assert len(attempts) == 1


def test_another_mode_is_tried_at_once_and_counts_as_no_error(worker: CopyWorker) -> None:
    other_mode = OtherModeNeeded("trying another sql_mode")
    worker._with_retries(failing(other_mode, DEADLOCK, other_mode, DEADLOCK, other_mode))


def test_a_stop_ends_the_wait_for_another_attempt(worker: CopyWorker, stop: StopToken) -> None:
    def work() -> None:
        stop.request()
        raise DEADLOCK

    with pytest.raises(Interrupted):
        worker._with_retries(work)
