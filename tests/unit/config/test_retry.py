from __future__ import annotations

import threading
import time

import pytest

from replica_cli.core.errors import Interrupted
from replica_cli.core.settings import Retry
from replica_cli.retry import delay_after, retrying
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
