from __future__ import annotations

import gc
import threading
import time
import weakref

import pytest

from replica_cli.core.errors import Interrupted
from replica_cli.core.settings import Retry
from replica_cli.retry import delay_after, reconnect_delay, repeating, retrying
from replica_cli.stop import StopToken

FAST = Retry(attempts=3, delay=0.001, delay_limit=0.002)


def test_the_last_error_is_raised_as_it_was_after_the_last_attempt() -> None:
    calls: list[int] = []
    heard: list[tuple[int, str]] = []

    def fail() -> None:
        calls.append(1)
        raise OSError(f"attempt {len(calls)}")

    loop = retrying(
        FAST, StopToken(), is_retryable=lambda e: isinstance(e, OSError),
        on_retry=lambda attempt, _, error: heard.append((attempt, str(error))),
    )  # fmt: skip
    with pytest.raises(OSError, match="attempt 3"):
        loop(fail)
    assert heard == [(1, "attempt 1"), (2, "attempt 2")]


def test_what_is_not_retryable_is_raised_at_once() -> None:
    calls: list[int] = []

    def fail() -> None:
        calls.append(1)
        raise KeyError("x")

    with pytest.raises(KeyError):
        retrying(FAST, StopToken(), is_retryable=lambda e: isinstance(e, OSError))(fail)
    assert len(calls) == 1


def test_no_limit_of_attempts() -> None:
    calls: list[int] = []

    def fail_often() -> int:
        calls.append(1)
        if len(calls) < 50:
            raise OSError
        return len(calls)

    assert retrying(FAST, StopToken(), is_retryable=lambda _: True, attempts=0)(fail_often) == 50


def test_a_stop_ends_a_wait() -> None:
    stop = StopToken()
    threading.Timer(0.1, stop.request).start()
    before = time.monotonic()

    def fail() -> None:
        raise OSError

    with pytest.raises(Interrupted):
        retrying(Retry(delay=30.0), stop, is_retryable=lambda _: True)(fail)
    assert time.monotonic() - before < 5


def test_delays_double_up_to_the_limit_with_jitter_below() -> None:
    retry = Retry(delay=0.1, delay_limit=1.0)
    for attempt, full in ((1, 0.1), (2, 0.2), (3, 0.4), (5, 1.0), (10_000, 1.0)):
        assert full / 2 <= delay_after(attempt, retry) <= full


def test_the_waits_for_a_lost_server_are_short_at_first_and_a_second_at_least() -> None:
    retry = Retry(delay=0.1, delay_limit=8.0)
    assert [reconnect_delay(attempt, retry) for attempt in range(1, 6)] == [1.0, 2.0, 3.0, 4.0, 5.0]
    assert 1.6 <= reconnect_delay(6, retry) <= 3.2
    assert 4.0 <= reconnect_delay(100, retry) <= 8.0
    assert reconnect_delay(5, Retry(delay=0.1, delay_limit=2.5)) == 2.5
    assert reconnect_delay(5, Retry(delay=0.1, delay_limit=0.5)) == 1.0


def test_the_caller_decides_after_each_error_if_and_when_the_work_is_repeated() -> None:
    errors = iter([OSError("first"), KeyError("second")])
    seen: list[Exception] = []
    waits: list[float] = []

    def work() -> str:
        error = next(errors, None)
        if error is not None:
            raise error
        return "done"

    def decide(error: Exception) -> float:
        seen.append(error)
        return float(len(seen) - 1)

    def wait(seconds: float) -> bool:
        waits.append(seconds)
        return False

    assert repeating(decide, wait)(work) == "done"
    assert list(map(type, seen)) == [OSError, KeyError]
    assert waits == [0.0, 1.0]


def test_the_error_that_the_caller_raises_ends_the_loop() -> None:
    def fail() -> None:
        raise OSError

    def decide(_: Exception) -> float:
        raise KeyError("final")

    with pytest.raises(KeyError, match="final"):
        repeating(decide, StopToken().wait)(fail)


def test_a_stop_ends_the_loop_also_if_there_is_nothing_to_wait_for() -> None:
    stop, calls = StopToken(), []

    def fail() -> None:
        calls.append(1)
        stop.request()
        raise OSError

    with pytest.raises(Interrupted):
        repeating(lambda _: 0.0, stop.wait)(fail)
    assert len(calls) == 1


def test_what_is_no_error_of_the_work_is_not_asked_about() -> None:
    def leave() -> None:
        raise SystemExit(3)

    def decide(_: Exception) -> float:
        raise AssertionError

    with pytest.raises(SystemExit):
        repeating(decide, StopToken().wait)(leave)


def test_nothing_of_a_failed_attempt_is_kept_during_the_next_one() -> None:
    class Batch:
        pass

    batches: list[weakref.ref[Batch]] = []

    def work() -> bool:
        if batches:
            gc.collect()
            return batches[0]() is None
        batch = Batch()
        batches.append(weakref.ref(batch))
        raise OSError(batch)

    assert repeating(lambda _: 0.0, StopToken().wait)(work)
