"""`replica stream`: one worker process for each secondary, under a supervisor that starts it again when it dies."""

from __future__ import annotations

import contextlib
import logging
import signal
import time
from typing import TYPE_CHECKING

from replica_cli.core.errors import ExitCode
from replica_cli.core.reports.failure import Failure
from replica_cli.core.reports.stream import StreamReport, WorkerReport
from replica_cli.core.status import Phase, WorkerStatus
from replica_cli.core.wording import rolled_back_text
from replica_cli.logs import Tag, log
from replica_cli.service.asking import Asked
from replica_cli.service.child import Child
from replica_cli.service.fallen import Fallen
from replica_cli.service.orders import ABORT, STOP, Orders
from replica_cli.service.signals import draining, stopping_on_signals
from replica_cli.service.wakeup import Wakeup

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from replica_cli.core.reporter import Reporter
    from replica_cli.core.requests.stream import StreamRequest
    from replica_cli.core.settings import Settings
    from replica_cli.service.signals import Heard
    from replica_cli.stop import StopToken

logger = logging.getLogger(__name__)

_ABORT_SECONDS = 7.0
_KILL_SECONDS = 9.5
_SLACK_SECONDS = 0.01


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
    children = [Child(_orders(settings, request, index)) for index in _indexes(settings, request)]
    with contextlib.ExitStack() as context:
        wakeup = context.enter_context(Wakeup())
        asked = Asked(wakeup.wake)
        heard = context.enter_context(stopping_on_signals(stop, also=asked.handlers))
        context.enter_context(heard.token.telling(wakeup.wake))
        for child in children:
            reporter.on_status(WorkerStatus(child.orders.server.name))
            child.start()
        try:
            _supervise(children, heard, reporter, lambda: asked.answer(children, reporter, reload), wakeup)
        finally:
            for child in children:
                child.kill()
    reports = tuple(child.report or _without_report(child) for child in children)
    return StreamReport(reports, was_interrupted=heard.signal == signal.SIGINT and not request.until_caught_up)


def _indexes(settings: Settings, request: StreamRequest) -> list[int]:
    wanted = {s.name for s in request.secondaries}
    return [i for i, s in enumerate(settings.secondaries) if s.name in wanted]


def _orders(settings: Settings, request: StreamRequest, index: int) -> Orders:
    level = logging.getLogger("replica_cli").getEffectiveLevel()
    return Orders(settings, request, settings.secondaries[index], settings.server_id + index, level)


def _supervise(
    children: Sequence[Child], heard: Heard, reporter: Reporter, answer: Callable[[], None], wakeup: Wakeup
) -> None:
    stop = heard.token
    asked_at: float | None = None
    has_aborted = False
    fallen = Fallen()
    while any(child.report is None for child in children):
        if stop.is_set and asked_at is None:
            asked_at = time.monotonic()
            reporter.on_stopping(draining(heard, _ABORT_SECONDS))
            _tell_all(children, STOP)
        if asked_at is not None and not has_aborted and (stop.must_abort or _is_late(asked_at)):
            has_aborted = True
            _tell_all(children, ABORT)
        if asked_at is not None and (_is_late(asked_at, _KILL_SECONDS) or stop.must_abort):
            # What is not committed is rolled back with the connection: nothing is lost, and a stop is a stop.
            for child in children:
                child.report = child.report or _rolled_back(child)
            return
        for child in children:
            _start_if_due(child, stop)
        answer()
        if any(child.report is None for child in children):
            _hear(children, reporter, wakeup, _next_at(children, asked_at, fallen))
        fallen.say(child.report for child in children if child.report is not None)


def _start_if_due(child: Child, stop: StopToken) -> None:
    if child.report is None and child.pipe is None:
        if stop.is_set:
            child.report = _without_report(child)
        elif time.monotonic() >= child.start_at:
            child.start()


def _next_at(children: Sequence[Child], asked_at: float | None, fallen: Fallen) -> float | None:
    """Return the monotonic time at which something is to be done though nobody says anything, None if nothing is."""
    due = [child.start_at for child in children if child.report is None and child.pipe is None]
    if asked_at is not None:
        due += [at for limit in (_ABORT_SECONDS, _KILL_SECONDS) if (at := asked_at + limit) > time.monotonic()]
    if fallen.next_at is not None:
        due.append(fallen.next_at)
    return min(due, default=None)


def _is_late(since: float, seconds: float = _ABORT_SECONDS) -> bool:
    return time.monotonic() - since > seconds


def _tell_all(children: Sequence[Child], order: str) -> None:
    for child in children:
        child.tell(order)


def _hear(children: Sequence[Child], reporter: Reporter, wakeup: Wakeup, until: float | None) -> None:
    """Take what the workers say, waiting for it until a monotonic time, for a signal or for a stop."""
    by_pipe: dict[object, Child] = {child.pipe: child for child in children if child.pipe is not None}
    pipes = [child.pipe for child in children if child.pipe is not None]
    # A moment more than is left: who looks a moment too soon looks twice.
    seconds = None if until is None else max(0.0, until - time.monotonic()) + _SLACK_SECONDS
    for pipe in wakeup.wait(pipes, seconds):
        child = by_pipe[pipe]
        try:
            message = pipe.recv()
        except (EOFError, OSError):
            if child.died():
                reporter.on_status(child.status)
            continue
        if isinstance(message, WorkerStatus):
            child.status = message
            reporter.on_status(message)
        elif isinstance(message, WorkerReport):
            child.report = message
        elif isinstance(message, logging.LogRecord):
            origin = logging.getLogger(message.name)
            if origin.isEnabledFor(message.levelno):
                origin.handle(message)


def _rolled_back(child: Child) -> WorkerReport:
    status = child.status
    log(
        logger, logging.INFO, Tag.INFO, "%s", rolled_back_text(status.rows_uncommitted),
        instance=status.instance, position=status.position,
    )  # fmt: skip
    return WorkerReport(
        status.instance, Phase.STOPPED, status.position, status.rows_total, status.transactions_total,
        status.skipped_rows, status.reconnects, status.quarantined,
    )  # fmt: skip


def _without_report(child: Child) -> WorkerReport:
    failure = Failure("failure", f"{child.orders.server.name}: the worker process ended without a word",
                      "`replica position show` tells what is saved; nothing is lost", ExitCode.FAILURE)  # fmt: skip
    return WorkerReport(child.orders.server.name, Phase.FAILED, failure=failure)
