"""`replica stream` that answers HTTP, with clients beside it: a scraper, or a thousand that mean no good."""

from __future__ import annotations

import contextlib
import re
import threading
import time
import urllib.request
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from replica_cli.stop import StopToken
from tests.bench import replica
from tests.bench.failure import RunFailed
from tests.support.http import LISTEN, hostile_clients

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.bench.result import Timing
    from tests.bench.rig import Rig

_PATIENCE_SECONDS = 30.0
_SCRAPE_SECONDS = 1.0
_SCRAPED = ("/metrics", "/api/v1/secondaries", "/api/v1/history", "/readyz")
_HOSTILE = 1000

Clients = contextlib.AbstractContextManager[None]


def no_clients(_port: int) -> Clients:
    """Let nothing connect."""
    return contextlib.nullcontext()


@contextlib.contextmanager
def scraping(port: int) -> Iterator[None]:
    """Ask each second for what a page and a monitoring system ask for."""
    is_over = threading.Event()

    def scrape() -> None:
        while not is_over.wait(_SCRAPE_SECONDS):
            for path in _SCRAPED:
                with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}{path}") as answer:
                    answer.read()

    thread = threading.Thread(target=scrape, daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


def hostile(port: int) -> Clients:
    """Let a thousand slow clients connect, in a process of their own."""
    return hostile_clients(port, _HOSTILE)


@dataclass
class Listening:
    """`replica stream --listen`, with clients."""

    clients: Callable[[int], Clients]
    _command: replica.Command | None = field(default=None, init=False)
    _context: contextlib.ExitStack = field(default_factory=contextlib.ExitStack, init=False)

    def start(self, rig: Rig) -> None:
        """Stream from before the log's begin, and let the clients connect."""
        replica.begin_at_start(rig)
        self._command = replica.start(rig, "stream", "--no-transfer", *LISTEN)
        self._command.wait_until_streaming()
        self._context.enter_context(self.clients(_port_of(self._command)))

    def stop(self, rig: Rig) -> Timing:  # noqa: ARG002 - a follower's signature
        """End the clients and the stream."""
        command, self._command = self._command, None
        self._context.close()
        if command is None:
            raise RunFailed("replica was not started")
        return command.stop()


@dataclass(frozen=True, slots=True)
class OursListening:
    """`replica stream --until-caught-up`, which listens and has clients, or does not listen (no `clients`)."""

    clients: Callable[[int], Clients] | None = None

    def prepare(self, rig: Rig) -> None:
        """Save the position before the log."""
        replica.begin_at_start(rig)

    def run(self, rig: Rig) -> Timing:
        """Stream to the log's end; the time is without the start, which does not stream yet."""
        words = () if self.clients is None else LISTEN
        command = replica.start(rig, "stream", "--until-caught-up", "--no-transfer", *words)
        with contextlib.ExitStack() as context:
            if self.clients is not None:
                context.enter_context(self.clients(_port_of(command)))
            timing = command.wait()
        return replace(timing, seconds=timing.streaming_seconds or timing.seconds)


def _port_of(command: replica.Command) -> int:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < deadline:
        for line in tuple(command.lines):
            if (found := re.search(r"listening on http://127\.0\.0\.1:(\d+)", line)) is not None:
                return int(found[1])
        StopToken().wait(0.02)
    raise RunFailed("replica does not listen")
