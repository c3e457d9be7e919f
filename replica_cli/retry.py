"""Try again after errors: loops of tenacity, and how long they wait between two attempts. A stop ends a wait at once.

`retrying` repeats work after errors of one kind. `repeating` asks its caller after each error what to do, as the worker
and the re-sync do with `error_policy`.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import tenacity

from replica_cli.core.attempts import QUICK_ATTEMPTS
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

    return tenacity.Retrying(
        retry=tenacity.retry_if_exception(is_retryable),
        stop=tenacity.stop_after_attempt(limit) if limit else tenacity.stop_never,
        wait=wait,
        before_sleep=before_sleep,
        sleep=_raising_at_stop(stop.wait),
        reraise=True,
    )


def repeating(on_error: Callable[[Exception], float], wait: Callable[[float], bool]) -> tenacity.Retrying:
    """Return a tenacity loop whose caller decides after each error if there is another attempt.

    Call it with a function.

    Args:
        on_error: called with each error. Returns the seconds to wait before the next attempt, or raises the error that
            ends the loop.
        wait: waits that many seconds, 0 included. Returns True if a stop was requested.

    Returns:
        The loop. It raises what `on_error` raises, and Interrupted if there is a stop instead of another attempt.

    """
    delay = 0.0

    def goes_on(error: BaseException) -> bool:
        nonlocal delay
        if not isinstance(error, Exception):
            return False
        delay = on_error(error)
        return True

    return tenacity.Retrying(
        retry=tenacity.retry_if_exception(goes_on),
        stop=tenacity.stop_never,
        wait=lambda _: delay,
        sleep=_raising_at_stop(wait),
        reraise=True,
    )


def _raising_at_stop(wait: Callable[[float], bool]) -> Callable[[float], None]:
    def sleep(seconds: float) -> None:
        if wait(seconds):
            raise Interrupted("a stop was requested during the wait for another attempt")

    return sleep


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


def reconnect_delay(attempt: int, retry: Retry) -> float:
    """Return how many seconds to wait before a lost server is connected to again; a second at least.

    The first waits are a second longer each time, later ones are those of `delay_after`.

    Args:
        attempt: the number of the attempt, from 1.
        retry: the settings of the delays.

    """
    seconds = float(attempt) if attempt <= QUICK_ATTEMPTS else delay_after(attempt, retry)
    return max(1.0, min(seconds, retry.delay_limit))
