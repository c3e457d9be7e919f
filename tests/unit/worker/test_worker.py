"""How a worker goes on after errors: without a server, as its connections are the first thing that fails."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from replica_cli.core.errors import Interrupted, LockWait, NeedsDiagnosis, PositionMissing, RowMissing
from replica_cli.core.names import TableName
from replica_cli.core.requests.stream import StreamRequest
from replica_cli.core.selection import Selection
from replica_cli.core.settings import Apply, Retry, Secret, Server, Settings, TableFailurePolicy
from replica_cli.core.status import Phase
from replica_cli.mysql.errnos import Remedy, ServerError
from replica_cli.runtime.status_publisher import StatusPublisher
from replica_cli.stop import StopToken
from replica_cli.worker import worker as module
from replica_cli.worker.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pytest

    from replica_cli.core.status import WorkerStatus

PRIMARY = Server("db1", "127.0.0.1", 3306, "user", Secret("secret"))
SECONDARY = Server("db2", "127.0.0.1", 3307, "user", Secret("secret"))
LOST = ServerError(2013, "lost", "db2", remedy=Remedy.RECONNECT)
ITEMS = TableName("shop", "items")


class Waits(StopToken):
    """A stop token whose waits take no time; `stop_at` is the wait at which the stop comes."""

    def __init__(self, stop_at: int = 0) -> None:
        super().__init__()
        self.seconds: list[float] = []
        self.stop_at = stop_at

    def wait(self, seconds: float) -> bool:
        self.seconds.append(seconds)
        if len(self.seconds) == self.stop_at:
            self.request()
        return self.is_set


class Failing(Worker):
    """A worker whose attempts fail with these errors, one after another; the one after them works."""

    def __init__(self, errors: Iterable[Exception], stop: StopToken | None = None, retry: Retry | None = None) -> None:
        self.seen: list[WorkerStatus] = []
        settings = Settings(
            PRIMARY, (SECONDARY,), Selection((("shop", "shop"),)), retry=retry or Retry(),
            apply=Apply(on_table_failure=TableFailurePolicy.STOP),
        )  # fmt: skip
        self.waits = stop or Waits()
        self.publisher = StatusPublisher("db2", self.seen.append)
        super().__init__(
            settings,
            StreamRequest((SECONDARY,), may_transfer=False),
            SECONDARY,
            server_id=1,
            publisher=self.publisher,
            stop=self.waits,
        )
        self.errors = iter(errors)
        self.attempts = 0

    def _connect_and_run(self) -> None:
        self.attempts += 1
        error = next(self.errors, None)
        if error is not None:
            raise error


def test_a_lost_server_is_connected_to_again_after_longer_and_longer_waits() -> None:
    worker = Failing([LOST] * 3)
    report = worker.run()
    assert (report.phase, report.failure, worker.attempts) == (Phase.STOPPED, None, 4)
    assert isinstance(worker.waits, Waits)
    assert worker.waits.seconds == [1.0, 2.0, 3.0]
    assert worker.publisher.status.reconnects == 3
    waiting = [status for status in worker.seen if status.phase is Phase.RECONNECTING]
    assert LOST.message in {status.message for status in waiting}
    assert worker.publisher.status.message == ""


def test_errors_attempts_and_lost_connections_are_counted() -> None:
    primary = ServerError(2013, "lost", "db1", remedy=Remedy.RECONNECT)
    full = ServerError(1021, "disk full", "db2", remedy=Remedy.WAIT)
    worker = Failing([LOST, primary, LOST, full, NeedsDiagnosis("diagnose"), LockWait("waits", table=ITEMS)])
    assert worker.run().failure is None
    assert worker.publisher.status.reconnects == 4
    metrics = worker.publisher.measures.snapshot(lag_seconds=None, lag_grows=False, lag_known_at=0.0, heard_at=None)
    assert metrics.reconnects == {"secondary": 3, "primary": 1}
    assert metrics.retries == {"connection": 3, "state": 1, "diagnosis": 1, "lock": 1}
    assert metrics.errors == {
        ("server_error", "connection"): 4, ("not_exact", "retryable"): 1, ("lock_wait", "retryable"): 1,
    }  # fmt: skip


def test_the_error_that_ends_a_worker_is_counted_as_fatal() -> None:
    worker = Failing([PositionMissing("wrong")])
    worker.run()
    metrics = worker.publisher.measures.snapshot(lag_seconds=None, lag_grows=False, lag_known_at=0.0, heard_at=None)
    assert (metrics.errors, metrics.retries, metrics.reconnects) == ({("position_missing", "fatal"): 1}, {}, {})


def test_the_attempts_to_connect_are_limited_by_the_settings() -> None:
    worker = Failing([LOST] * 3, retry=Retry(reconnect_attempts=2))
    report = worker.run()
    assert report.phase is Phase.FAILED
    assert report.failure is not None
    assert report.failure.message == LOST.message
    assert worker.attempts == 2


def test_an_error_that_stays_ends_the_worker_at_once() -> None:
    worker = Failing([PositionMissing("wrong")])
    report = worker.run()
    assert report.failure is not None
    assert (report.phase, report.failure.message, worker.attempts) == (Phase.FAILED, "wrong", 1)


def test_a_stop_during_a_wait_is_no_failure() -> None:
    worker = Failing([LOST] * 3, Waits(stop_at=2))
    report = worker.run()
    assert (report.phase, report.failure, worker.attempts) == (Phase.STOPPED, None, 2)


def test_a_wait_ends_at_once_when_a_stop_comes() -> None:
    stop = StopToken()
    worker = Failing([LOST] * 3, stop, Retry(delay=60.0, delay_limit=60.0))
    began = time.monotonic()
    worker.publisher.listen(lambda: stop.request() if worker.publisher.status.phase is Phase.RECONNECTING else None)
    assert worker.run().phase is Phase.STOPPED
    assert time.monotonic() - began < 1.0


def test_a_stop_while_an_error_is_handled_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(*_: object) -> bool:
        raise Interrupted("asked to stop while waiting for the writer's lock")

    worker = Failing([RowMissing("missing", table=ITEMS)])
    monkeypatch.setattr(worker, "_do", stopped)
    report = worker.run()
    assert (report.phase, report.failure) == (Phase.STOPPED, None)


def test_what_an_error_needs_may_fail_itself_and_then_that_error_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    worker = Failing([RowMissing("missing", table=ITEMS)])

    def cannot_connect(*_: object) -> bool:
        raise LOST

    worker._request = StreamRequest((SECONDARY,), may_transfer=True)
    monkeypatch.setattr(module, "is_on_neither_side", cannot_connect)
    report = worker.run()
    assert (report.failure, worker.attempts) == (None, 2)
    assert isinstance(worker.waits, Waits)
    assert worker.waits.seconds == [1.0]


def test_a_bug_is_tried_once_more_and_then_ends_the_worker() -> None:
    worker = Failing([ZeroDivisionError(), ZeroDivisionError()])
    report = worker.run()
    assert report.failure is not None
    assert (report.phase, worker.attempts) == (Phase.FAILED, 2)
    assert "ZeroDivisionError" in report.failure.message


def test_a_diagnosis_and_a_lock_wait_are_only_for_the_next_attempt() -> None:
    diagnosing = []

    class Noting(Failing):
        def _connect_and_run(self) -> None:
            diagnosing.append(self._must_diagnose)
            super()._connect_and_run()

    error = LockWait("waits", table=ITEMS)
    worker = Noting([NeedsDiagnosis("diagnose"), error])
    assert worker.run().failure is None
    assert diagnosing == [False, True, False]
    assert isinstance(worker.waits, Waits)
    assert worker.waits.seconds[0] == 0.0
    assert worker.waits.seconds[1] > 0.0
    assert error.message in {status.message for status in worker.seen}
    assert worker.publisher.status.message == ""
