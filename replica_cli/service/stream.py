"""`replica stream`: one worker process for each secondary, under a supervisor that starts it again when it dies."""

from __future__ import annotations

import contextlib
import logging
import signal
from typing import TYPE_CHECKING

from replica_cli.core.reports.stream import StreamReport
from replica_cli.core.status import WorkerStatus
from replica_cli.supervisor.signal_requests import SignalRequests
from replica_cli.supervisor.signals import stopping_on_signals
from replica_cli.supervisor.supervisor import report_without_word, supervise
from replica_cli.supervisor.worker_handle import WorkerHandle
from replica_cli.worker.messages import WorkerConfig
from replica_cli.worker.wakeup import Wakeup

if TYPE_CHECKING:
    from collections.abc import Callable

    from replica_cli.core.reporter import Reporter
    from replica_cli.core.requests.stream import StreamRequest
    from replica_cli.core.settings import Settings
    from replica_cli.stop import StopToken


def run_stream(
    settings: Settings,
    request: StreamRequest,
    reporter: Reporter,
    stop: StopToken | None = None,
    reload: Callable[[], Settings] | None = None,
) -> StreamReport:
    """Stream to all secondaries until stopped (SIGINT, SIGTERM or `stop`), or until each has ended by itself.

    SIGHUP takes what it can of the settings that `reload` reads; SIGUSR1 tells how each secondary stands.
    """
    children = [WorkerHandle(_orders(settings, request, index)) for index in _indexes(settings, request)]
    with contextlib.ExitStack() as context:
        wakeup = context.enter_context(Wakeup())
        asked = SignalRequests(wakeup.wake)
        heard = context.enter_context(stopping_on_signals(stop, also=asked.handlers))
        context.enter_context(heard.token.telling(wakeup.wake))
        for child in children:
            reporter.on_status(WorkerStatus(child.orders.server.name))
            child.start()
        try:
            supervise(children, heard, reporter, lambda: asked.answer(children, reporter, reload), wakeup)
        finally:
            for child in children:
                child.kill()
    reports = tuple(child.report or report_without_word(child) for child in children)
    return StreamReport(reports, was_interrupted=heard.signal == signal.SIGINT and not request.until_caught_up)


def _indexes(settings: Settings, request: StreamRequest) -> list[int]:
    wanted = {s.name for s in request.secondaries}
    return [i for i, s in enumerate(settings.secondaries) if s.name in wanted]


def _orders(settings: Settings, request: StreamRequest, index: int) -> WorkerConfig:
    level = logging.getLogger("replica_cli").getEffectiveLevel()
    return WorkerConfig(settings, request, settings.secondaries[index], settings.server_id + index, level)
