"""Handle signals: the first SIGINT or SIGTERM drains, the second stops at once; other signals request something."""

from __future__ import annotations

import contextlib
import signal
import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from replica_cli.core.errors import ExitCode
from replica_cli.stop import StopToken

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from replica_cli.core.reports.failure import Failure


_POLL_SECONDS = 0.1


@dataclass(slots=True)
class StopSignals:
    """The token that signals set, and the first of these signals, None if there was none."""

    token: StopToken
    signal: int | None = None

    def coded(self, failure: Failure | None) -> Failure | None:
        """Return the failure of work that a signal has interrupted with the exit code of that signal."""
        if failure is None or failure.exit_code is not ExitCode.INTERRUPTED or self.signal != signal.SIGTERM:
            return failure
        return replace(failure, exit_code=ExitCode.TERMINATED)


def draining_text(stop_signals: StopSignals, seconds: float) -> str:
    """Return the text about a stop that waits for batches, and about the second signal, which stops at once.

    Args:
        stop_signals: the signal that came.
        seconds: how long the stop waits.

    """
    again = {int(signal.SIGINT): "Ctrl-C again", int(signal.SIGTERM): "a second SIGTERM"}
    second = f" ({again[stop_signals.signal]}: at once)" if stop_signals.signal in again else ""
    return f"stopping: what was read is applied and committed within {seconds:.0f} s, or rolled back{second}"


@contextlib.contextmanager
def calling_at_stop(stop_signals: StopSignals, callback: Callable[[], None]) -> Iterator[None]:
    """Call `callback` once, from a thread, if a stop comes while the context lasts."""
    is_over = threading.Event()

    def wait() -> None:
        while not is_over.is_set():
            if stop_signals.token.wait(_POLL_SECONDS):
                callback()
                return

    thread = threading.Thread(target=wait, name="stop callback", daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


@contextlib.contextmanager
def stopping_on_signals(
    token: StopToken | None = None, *, also: Mapping[int, Callable[[], None]] | None = None
) -> Iterator[StopSignals]:
    """Let SIGINT and SIGTERM set a token while the context lasts. Afterwards the former handlers are set again.

    Outside the main thread no signal handler can be set: then only the token itself can stop.

    Args:
        token: the token to set, None for a new one.
        also: more signals and the functions that they call. Such a function may only set a flag.

    """
    stop_signals = StopSignals(token or StopToken())
    if threading.current_thread() is not threading.main_thread():
        yield stop_signals
        return
    others = also or {}

    def handle(number: int, _frame: object) -> None:
        if number in others:
            others[number]()
            return
        stop_signals.signal = stop_signals.signal or number
        stop_signals.token.request()

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM, *others)}
    try:
        yield stop_signals
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
