"""Run `replica stream`: one worker process for each secondary, and a supervisor that starts a dead worker again.

The supervisor runs in the thread that calls `run_stream`, the main thread of the command.
"""

from __future__ import annotations

import contextlib
import logging
import signal
from functools import partial
from typing import TYPE_CHECKING

from replica_cli.config.service_variables import take_service_variables
from replica_cli.core.reports.stream import StreamReport
from replica_cli.core.status import WorkerStatus
from replica_cli.supervisor.file_watch import FileWatch
from replica_cli.supervisor.service_manager import ServiceManager
from replica_cli.supervisor.signal_requests import SignalRequests
from replica_cli.supervisor.signals import stopping_on_signals
from replica_cli.supervisor.supervisor import report_of_dead_worker, supervise
from replica_cli.supervisor.worker_handle import WorkerHandle, newest_of
from replica_cli.worker.messages import WorkerConfig
from replica_cli.worker.wakeup import Wakeup

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from replica_cli.core.reporter import Reporter
    from replica_cli.core.reports.reload import ReloadReport
    from replica_cli.core.requests.stream import StreamRequest
    from replica_cli.core.settings import Settings
    from replica_cli.stop import StopToken
    from replica_cli.supervisor.control import StreamControl


def run_stream(
    settings: Settings,
    request: StreamRequest,
    reporter: Reporter,
    *,
    stop: StopToken | None = None,
    reload: Callable[[], ReloadReport] | None = None,
    watched: Sequence[Path] = (),
    control: StreamControl | None = None,
) -> StreamReport:
    """Stream to all secondaries until a stop (SIGINT, SIGTERM or `stop`), or until each stream has ended by itself.

    Args:
        settings: the settings of the command.
        request: what to stream, and until when.
        reporter: receives the status of each worker.
        stop: the token that stops all streams, None for a new one.
        reload: reads the settings again for SIGHUP, and returns what has changed. SIGUSR1 reports the status of each
            secondary.
        watched: files of settings; if one changes, the settings are read again as at SIGHUP.
        control: takes requests of other threads while the stream runs.

    """
    workers = [WorkerHandle(_config(settings, request, index)) for index in _indexes(settings, request)]
    with contextlib.ExitStack() as context:
        wakeup = context.enter_context(Wakeup())
        service = ServiceManager(take_service_variables())
        requests = SignalRequests(wakeup.wake, control, service.reloading)
        stop_signals = context.enter_context(stopping_on_signals(stop, also=requests.handlers))
        context.enter_context(stop_signals.token.waking(wakeup.wake))
        if control is not None:
            context.enter_context(control.attached(wakeup.wake, lambda: newest_of(workers)))
        context.enter_context(FileWatch(watched, lambda: requests.request_reload("changed file")))
        for worker in workers:
            reporter.on_status(WorkerStatus(worker.config.server.name))
            worker.start()
        try:
            answer = partial(requests.answer, workers, reporter, reload)
            supervise(workers, stop_signals, reporter, answer, wakeup, service=service)
        finally:
            service.stop()
            for worker in workers:
                worker.kill()
    reports = tuple(worker.report or report_of_dead_worker(worker) for worker in workers)
    return StreamReport(reports, was_interrupted=stop_signals.signal == signal.SIGINT and not request.until_caught_up)


def _indexes(settings: Settings, request: StreamRequest) -> list[int]:
    requested = {s.name for s in request.secondaries}
    return [i for i, s in enumerate(settings.secondaries) if s.name in requested]


def _config(settings: Settings, request: StreamRequest, index: int) -> WorkerConfig:
    level = logging.getLogger("replica_cli").getEffectiveLevel()
    server = settings.secondaries[index]
    return WorkerConfig(settings.of(server.name), request, server, settings.server_id + index, level)
