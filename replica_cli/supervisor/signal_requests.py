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
from replica_cli.core.wording import counted, duration, phase_text, uncommitted_text
from replica_cli.logs import Tag, log, set_level
from replica_cli.supervisor.control import NotStreaming
from replica_cli.supervisor.reload import Reloaded, reloaded

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

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

    def __init__(self, wake: Callable[[], None], control: StreamControl | None = None) -> None:
        self._wake = wake
        self._control = control
        self._reload = threading.Event()
        self._status = threading.Event()

    @property
    def handlers(self) -> Mapping[int, Callable[[], None]]:
        """Return the function to call for each signal."""
        return {signal.SIGHUP: lambda: self._request(self._reload), signal.SIGUSR1: lambda: self._request(self._status)}

    def _request(self, flag: threading.Event) -> None:
        flag.set()
        self._wake()

    def answer(
        self, workers: Sequence[ReloadableWorker], reporter: Reporter, reload: Callable[[], Settings] | None
    ) -> None:
        """Answer the requests that came since the last call.

        Args:
            workers: the workers.
            reporter: receives the status of each worker.
            reload: reads the settings again, None if the caller cannot.

        """
        if self._status.is_set():
            self._status.clear()
            for worker in workers:
                reporter.on_note(worker.status.instance, _status_text(worker.status))
        if self._reload.is_set():
            self._reload.clear()
            if reload is not None and workers:
                with contextlib.suppress(ConfigurationError):  # it is logged
                    self._use(workers, _reload(workers, reload, "SIGHUP"))
        for request in self._control.take() if self._control is not None else ():
            self._answer(request, workers, reload)

    def _answer(
        self, request: ControlRequest, workers: Sequence[ReloadableWorker], reload: Callable[[], Settings] | None
    ) -> None:
        """Do what another thread requests, and let it know the result or the error."""
        try:
            result = _result(request, workers, reload)
            self._use(workers, result)
        except Exception as error:  # noqa: BLE001 - the thread that asked raises it, and the stream goes on
            request.answer.set_exception(error)
        else:
            request.answer.set_result(result)

    def _use(self, workers: Sequence[ReloadableWorker], result: Reloaded) -> None:
        if not result.taken:
            return
        if result.settings.logging.level != workers[0].config.settings.logging.level:
            set_level(result.settings.logging.level)
        for worker in workers:
            worker.take(result.settings)
        if self._control is not None:
            self._control.settings = result.settings


def _result(
    request: ControlRequest, workers: Sequence[ReloadableWorker], reload: Callable[[], Settings] | None
) -> Reloaded:
    if request.level is not None:
        return _with_level(workers[0].config.settings, request.level, request.by)
    if reload is None:
        raise NotStreaming("this stream cannot read its settings again")
    return _reload(workers, reload, request.by)


def _reload(workers: Sequence[ReloadableWorker], reload: Callable[[], Settings], by: str) -> Reloaded:
    """Return the settings to use from now on, and log what changes. Raises ConfigurationError, which it logs too."""
    try:
        result = reloaded(workers[0].config.settings, reload())
    except ConfigurationError as error:
        log(logger, logging.ERROR, Tag.ERROR, "%s: the settings are wrong, the old ones stay in use: %s", by, error)
        raise
    for names, level, text in (
        (result.taken, logging.INFO, "%s: new values in use: %s"),
        (result.refused, logging.WARNING, "%s: changed, in use only after a new start: %s"),
    ):
        if names:
            log(logger, level, Tag.INFO if level == logging.INFO else Tag.WARN, text, by, ", ".join(names))
    if not result.taken and not result.refused:
        log(logger, logging.INFO, Tag.INFO, "%s: settings unchanged", by)
    return result


def _with_level(settings: Settings, level: str, by: str) -> Reloaded:
    log(logger, logging.INFO, Tag.INFO, "%s: the log level is %s", by, level)
    changed = replace(settings, logging=replace(settings.logging, level=level))
    return Reloaded(changed, ("REPLICA_LOG_LEVEL",) if changed != settings else (), ())


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
