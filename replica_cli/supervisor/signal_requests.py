"""Do what is requested of a running stream: SIGHUP reads the settings again, SIGUSR1 reports the status.

Other threads of the process request the same through a `StreamControl`.
"""

from __future__ import annotations

import contextlib
import logging
import signal
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from replica_cli.core.errors import ConfigurationError
from replica_cli.core.reports.reload import Change, ReloadReport
from replica_cli.core.wording import counted, duration, phase_text, uncommitted_text
from replica_cli.logs import Tag, log, set_level
from replica_cli.supervisor.control import NotStreaming

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from replica_cli.core.reporter import Reporter
    from replica_cli.core.settings import Settings
    from replica_cli.core.status import WorkerStatus
    from replica_cli.supervisor.control import ControlRequest, StreamControl
    from replica_cli.worker.messages import WorkerConfig

logger = logging.getLogger(__name__)


class ReloadableWorker(Protocol):
    """The part of a worker's handle that a reload and a status report need."""

    config: WorkerConfig
    status: WorkerStatus

    def take(self, settings: Settings) -> None:
        """Use other settings."""


class SignalRequests:
    """Records which requests came by signals, and answers them later outside of the signal handlers.

    A handler only sets a flag and calls `wake`. The supervisor's main thread calls `answer`.
    """

    def __init__(
        self,
        wake: Callable[[], None],
        control: StreamControl | None = None,
        reloading: Callable[[], AbstractContextManager[None]] = contextlib.nullcontext,
    ) -> None:
        """Prepare for requests.

        Args:
            wake: ends the wait of the thread that calls `answer`.
            control: has the requests of other threads, None if there are none.
            reloading: its context lasts while the settings are read again.

        """
        self._wake = wake
        self._control = control
        self._reloading = reloading
        self._reload = threading.Event()
        self._cause = ""
        self._status = threading.Event()

    @property
    def handlers(self) -> Mapping[int, Callable[[], None]]:
        """Return the function to call for each signal."""
        return {
            signal.SIGHUP: lambda: self.request_reload("SIGHUP"),
            signal.SIGUSR1: lambda: self._request(self._status),
        }

    def request_reload(self, cause: str) -> None:
        """Request that the settings are read again; `cause` begins the log records about it. From any thread."""
        self._cause = cause
        self._request(self._reload)

    def _request(self, flag: threading.Event) -> None:
        flag.set()
        self._wake()

    def answer(
        self, workers: Sequence[ReloadableWorker], reporter: Reporter, reload: Callable[[], ReloadReport] | None
    ) -> None:
        """Answer the requests that came since the last call.

        Args:
            workers: the workers.
            reporter: receives the status of each worker.
            reload: reads the settings again and returns what has changed, None if the caller cannot.

        """
        if self._status.is_set():
            self._status.clear()
            for worker in workers:
                reporter.on_note(worker.status.instance, _status_text(worker.status))
        if self._reload.is_set():
            self._reload.clear()
            if reload is not None and workers:
                with contextlib.suppress(Exception):  # it is logged, and the stream goes on
                    self._use(workers, self._reread(workers, reload, self._cause))
        if self._control is not None:
            for request in self._control.take():
                self._answer(request, self._control, workers, reload)

    def _answer(
        self,
        request: ControlRequest,
        control: StreamControl,
        workers: Sequence[ReloadableWorker],
        reload: Callable[[], ReloadReport] | None,
    ) -> None:
        """Do what another thread requests, and let it know the result or the error."""
        try:
            result = self._result(request, control, workers, reload)
            self._use(workers, result)
        except Exception as error:  # noqa: BLE001 - the thread that asked raises it, and the stream goes on
            request.answer.set_exception(error)
        else:
            request.answer.set_result(result)

    def _result(
        self,
        request: ControlRequest,
        control: StreamControl,
        workers: Sequence[ReloadableWorker],
        reload: Callable[[], ReloadReport] | None,
    ) -> ReloadReport:
        if request.level is not None:
            return _with_level(control.settings, request.level, request.by)
        if reload is None:
            raise NotStreaming("this stream cannot read its settings again")
        return self._reread(workers, reload, request.by)

    def _reread(
        self, workers: Sequence[ReloadableWorker], reload: Callable[[], ReloadReport], cause: str
    ) -> ReloadReport:
        with self._reloading():
            return _logged(reload, cause, workers[0].config.settings.logging.level)

    def _use(self, workers: Sequence[ReloadableWorker], result: ReloadReport) -> None:
        if not result.taken:
            return
        if result.settings.logging.level != workers[0].config.settings.logging.level:
            set_level(result.settings.logging.level)
        for worker in workers:
            worker.take(result.settings.of(worker.config.server.name))
        if self._control is not None:
            self._control.settings = result.settings


def _logged(reload: Callable[[], ReloadReport], cause: str, level_before: str) -> ReloadReport:
    """Return what a reload changes, and log it. Raises the error of the reload, which it logs too."""
    try:
        result = reload()
    except ConfigurationError as error:
        log(logger, logging.ERROR, Tag.ERROR, "%s: the settings are wrong, the old ones stay in use: %s", cause, error)
        raise
    except Exception as error:
        text = "%s: the settings cannot be read, the old ones stay in use: %s: %s"
        log(logger, logging.ERROR, Tag.ERROR, text, cause, type(error).__name__, error)
        raise
    level_now = result.settings.logging.level
    if level_now != level_before and not any(c.after == level_now for c in result.taken):
        # The level that was set through HTTP lasts until the next reload.
        result = replace(result, taken=(*result.taken, Change("REPLICA_LOG_LEVEL", level_before, level_now)))
    for changes, level, text in (
        (result.taken, logging.INFO, "%s: new values in use: %s"),
        (result.refused, logging.WARNING, "%s: changed, in use only after a new start: %s"),
    ):
        if changes:
            tag = Tag.INFO if level == logging.INFO else Tag.WARN
            log(logger, level, tag, text, cause, ", ".join(map(str, changes)))
    if not result.taken and not result.refused:
        log(logger, logging.INFO, Tag.INFO, "%s: settings unchanged", cause)
    return result


def _with_level(settings: Settings, level: str, by: str) -> ReloadReport:
    log(logger, logging.INFO, Tag.INFO, "%s: the log level is %s", by, level)
    change = Change("REPLICA_LOG_LEVEL", settings.logging.level, level)
    changed = replace(settings, logging=replace(settings.logging, level=level))
    return ReloadReport(changed, (change,) if changed != settings else ())


def _status_text(status: WorkerStatus) -> str:
    parts = [
        f"{phase_text(status.phase)} at {status.position or 'no position'}",
        f"lag {duration(status.lag_seconds)}",
        f"{status.rows_per_second:.0f} rows/s",
        f"{counted(status.rows_total, 'row')} and {counted(status.transactions_total, 'transaction')} in all",
    ]  # fmt: skip
    if status.rows_uncommitted:
        parts.append(uncommitted_text(status.rows_uncommitted))
    if status.quarantined:
        parts.append(f"quarantined: {', '.join(status.quarantined)}")
    return ", ".join(parts) + (f" ({status.message})" if status.message else "")
