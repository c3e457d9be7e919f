"""Signals: the first that ends a run drains, the second is at once; others ask for something."""

from __future__ import annotations

import contextlib
import signal
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from replica_cli.stop import StopToken

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping


_LOOK_SECONDS = 0.1


@dataclass(slots=True)
class Heard:
    """The token that signals set, and which signal came first; None where none did."""

    token: StopToken
    signal: int | None = None


def draining(heard: Heard, seconds: float) -> str:
    """Return in words what a stop does that waits this long, and a second signal of the kind that asked for it."""
    again = {int(signal.SIGINT): "Ctrl-C again", int(signal.SIGTERM): "a second SIGTERM"}
    second = f" ({again[heard.signal]}: at once)" if heard.signal in again else ""
    return f"stopping: what was read is applied and committed within {seconds:.0f} s, or rolled back{second}"


@contextlib.contextmanager
def telling_a_stop(heard: Heard, tell: Callable[[], None]) -> Iterator[None]:
    """Call `tell` once, from a thread, when a stop is heard while the context lasts."""
    is_over = threading.Event()

    def wait() -> None:
        while not is_over.is_set():
            if heard.token.wait(_LOOK_SECONDS):
                tell()
                return

    thread = threading.Thread(target=wait, name="stop", daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


@contextlib.contextmanager
def stopping_on_signals(
    token: StopToken | None = None, *, also: Mapping[int, Callable[[], None]] | None = None
) -> Iterator[Heard]:
    """Let SIGINT and SIGTERM set a token; handlers are put back afterwards. Outside the main thread it only waits.

    `also` are further signals and what they call: it must do no more than set a flag.
    """
    heard = Heard(token or StopToken())
    if threading.current_thread() is not threading.main_thread():
        yield heard
        return
    others = also or {}

    def hear(number: int, _frame: object) -> None:
        if number in others:
            others[number]()
            return
        heard.signal = heard.signal or number
        heard.token.request()

    before = {number: signal.signal(number, hear) for number in (signal.SIGINT, signal.SIGTERM, *others)}
    try:
        yield heard
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
