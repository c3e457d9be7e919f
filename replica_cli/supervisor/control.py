"""Requests of other threads to a running stream, such as those of the HTTP API. The supervisor's main thread answers.

So a reload by HTTP and one by SIGHUP are the same code in the same thread.
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from replica_cli.core.errors import ReplicaError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from replica_cli.core.metrics import Newest
    from replica_cli.core.reports.reload import ReloadReport
    from replica_cli.core.settings import Settings

# The main thread waits for nothing longer than the start of a worker process.
_PATIENCE_SECONDS = 15.0


class NotStreaming(ReplicaError):
    """There is no supervisor that could answer: it ends, or has not begun."""

    code = "not_streaming"


@dataclass(frozen=True, slots=True)
class ControlRequest:
    """A request and its answer.

    Attributes:
        by: who asks, for the log.
        level: the log level to use, None to read all settings again.
    """

    by: str
    level: str | None = None
    answer: Future[ReloadReport] = field(default_factory=Future)


class StreamControl:
    """Takes requests from any thread. `settings` are those that the stream uses at the moment."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._lock = threading.Lock()
        self._waiting: deque[ControlRequest] = deque()
        self._wake: Callable[[], None] | None = None
        self._newest: Callable[[], Newest] | None = None

    def newest(self) -> Newest | None:
        """Return the newest statuses with what is known of the processes, None if the stream does not run."""
        read = self._newest
        return None if read is None else read()

    def reload(self, by: str) -> ReloadReport:
        """Let the stream read the settings again, and return what changed.

        Raises:
            ConfigurationError: the settings are wrong, and the old ones stay in use.
            NotStreaming: the stream does not run.

        """
        return self._ask(ControlRequest(by))

    def set_level(self, level: str, by: str) -> ReloadReport:
        """Let the stream and its workers log from another level on, until the next reload.

        Raises:
            NotStreaming: the stream does not run.

        """
        return self._ask(ControlRequest(by, level))

    @contextlib.contextmanager
    def attached(self, wake: Callable[[], None], newest: Callable[[], Newest]) -> Iterator[None]:
        """Take requests while the context lasts.

        Args:
            wake: wakes the thread that calls `take`.
            newest: returns the newest statuses; called from any thread.

        """
        with self._lock:
            self._wake, self._newest = wake, newest
        try:
            yield
        finally:
            with self._lock:
                self._wake = self._newest = None
            for request in self.take():
                request.answer.set_exception(NotStreaming("the stream ends"))

    def take(self) -> tuple[ControlRequest, ...]:
        """Return the requests that came since the last call, without those whose thread has given up."""
        with self._lock:
            requests = tuple(self._waiting)
            self._waiting.clear()
        return tuple(request for request in requests if request.answer.set_running_or_notify_cancel())

    def _ask(self, request: ControlRequest) -> ReloadReport:
        with self._lock:
            if self._wake is None:
                raise NotStreaming("the stream does not run")
            self._waiting.append(request)
            self._wake()
        try:
            return request.answer.result(_PATIENCE_SECONDS)
        except TimeoutError:
            late = f"the supervisor did not answer within {_PATIENCE_SECONDS:.0f} s"
            if request.answer.cancel():
                raise NotStreaming(f"{late}: nothing is changed") from None
            raise NotStreaming(f"{late}: what was requested may still be applied") from None
