"""Signals that end a run politely: the first drains, the second is at once."""

from __future__ import annotations

import contextlib
import signal
import threading
from typing import TYPE_CHECKING

from replica_cli.stop import StopToken

if TYPE_CHECKING:
    from collections.abc import Iterator


class SignalledStop(StopToken):
    """A token that remembers which signal asked; None where none did."""

    def __init__(self) -> None:
        super().__init__()
        self.signal: int | None = None


@contextlib.contextmanager
def stopping_on_signals() -> Iterator[SignalledStop]:
    """Give a token that SIGINT and SIGTERM set; handlers are put back afterwards. In the main thread only."""
    stop = SignalledStop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def hear(number: int, _frame: object) -> None:
        stop.signal = stop.signal or number
        stop.request()

    before = {number: signal.signal(number, hear) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
