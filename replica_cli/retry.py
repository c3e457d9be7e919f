"""Try again after errors, with exponential delays and jitter. A stop ends a wait at once."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import tenacity

from replica_cli.core.errors import Interrupted

if TYPE_CHECKING:
    from collections.abc import Callable

    from replica_cli.core.settings import Retry
    from replica_cli.stop import StopToken

_MAX_DOUBLINGS = 30  # 2**30 times any delay is beyond each limit; much more would overflow a float
_FIRST_LOCK_WAIT_SECONDS = 60.0
_LOCK_WAIT_DOUBLINGS = 10


def retrying(
    retry: Retry,
    stop: StopToken,
    *,
    is_retryable: Callable[[BaseException], bool],
    on_retry: Callable[[int, float, BaseException], None] | None = None,
    attempts: int | None = None,
) -> tenacity.Retrying:
    """Return a tenacity loop: call it with a function, or iterate over it.

    Args:
        retry: the settings of the delays.
        stop: ends the wait between two attempts.
        is_retryable: returns True for the errors after which another attempt is made.
        on_retry: called with the number of the failed attempt (from 1), the seconds until the next, and the error.
        attempts: the limit of all attempts, the first included; by default `retry.attempts`, 0 for no limit.

    Returns:
        The loop. It raises the last error unchanged, and Interrupted if a stop came during a wait.

    """
    limit = retry.attempts if attempts is None else attempts

    def wait(state: tenacity.RetryCallState) -> float:
        return delay_after(state.attempt_number, retry)

    def before_sleep(state: tenacity.RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        if on_retry is not None and error is not None:
            on_retry(state.attempt_number, float(state.upcoming_sleep), error)

    def sleep(seconds: float) -> None:
        if stop.wait(seconds):
            raise Interrupted("a stop was requested during the wait for another attempt")

    return tenacity.Retrying(
        retry=tenacity.retry_if_exception(is_retryable),
        stop=tenacity.stop_after_attempt(limit) if limit else tenacity.stop_never,
        wait=wait,
        before_sleep=before_sleep,
        sleep=sleep,
        reraise=True,
    )


def lock_wait_slice(attempts: int, waited: float, limit: float, longest: float) -> int:
    """Return how many seconds the next attempt at a statement may wait for a lock. It doubles after each attempt.

    Args:
        attempts: the number of attempts before.
        waited: how long those waited, in seconds.
        limit: how long all attempts may wait together, in seconds; 0 for no limit.
        longest: how long one attempt may wait, in seconds.

    """
    first = min(_FIRST_LOCK_WAIT_SECONDS, limit / 4) if limit else _FIRST_LOCK_WAIT_SECONDS
    seconds = min(first * float(1 << min(attempts, _LOCK_WAIT_DOUBLINGS)), longest)
    return max(1, round(min(seconds, limit - waited) if limit else seconds))


def delay_after(attempt: int, retry: Retry) -> float:
    """Return how many seconds to wait after an attempt: the delay doubles, is limited, and 50 to 100 % of it are used.

    The jitter keeps workers that lost the same server from connecting again at the same moment.

    Args:
        attempt: the number of the failed attempt, from 1.
        retry: the settings of the delays.

    """
    delay = min(retry.delay_limit, retry.delay * 2.0 ** min(attempt - 1, _MAX_DOUBLINGS))
    return delay * random.uniform(0.5, 1.0)  # noqa: S311 - jitter, not cryptography
