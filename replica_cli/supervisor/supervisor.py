"""Runs the worker processes of `replica stream` until each has reported its end; starts one again when it dies."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from replica_cli.core.errors import ExitCode
from replica_cli.core.reports.failure import Failure
from replica_cli.core.reports.stream import WorkerReport
from replica_cli.core.status import Phase, WorkerStatus
from replica_cli.core.wording import rolled_back_text
from replica_cli.logs import Tag, log
from replica_cli.supervisor.signals import draining
from replica_cli.supervisor.stopped_secondaries import StoppedSecondaries
from replica_cli.worker.messages import ABORT, STOP

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from replica_cli.core.reporter import Reporter
    from replica_cli.stop import StopToken
    from replica_cli.supervisor.signals import Heard
    from replica_cli.supervisor.worker_handle import WorkerHandle
    from replica_cli.worker.wakeup import Wakeup

logger = logging.getLogger(__name__)

_ABORT_SECONDS = 7.0
_KILL_SECONDS = 9.5
_SLACK_SECONDS = 0.01


def supervise(
    children: Sequence[WorkerHandle], heard: Heard, reporter: Reporter, answer: Callable[[], None], wakeup: Wakeup
) -> None:
    """Run the workers until each has reported its end; after a stop no longer than `_KILL_SECONDS`.

    Args:
        children: one handle for each secondary, already started. Each has its `report` at the end.
        heard: the stop token of the command, and the signal that set it.
        reporter: receives each status that a worker sends.
        answer: does what signals asked for since its last call; called in each turn.
        wakeup: ends the wait for messages when a signal arrives.

    """
    stop = heard.token
    asked_at: float | None = None
    has_aborted = False
    fallen = StoppedSecondaries()
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


def _start_if_due(child: WorkerHandle, stop: StopToken) -> None:
    if child.report is None and child.pipe is None:
        if stop.is_set:
            child.report = report_without_word(child)
        elif time.monotonic() >= child.start_at:
            child.start()


def _next_at(children: Sequence[WorkerHandle], asked_at: float | None, fallen: StoppedSecondaries) -> float | None:
    """Return the monotonic time at which something is to be done though nobody says anything, None if nothing is."""
    due = [child.start_at for child in children if child.report is None and child.pipe is None]
    if asked_at is not None:
        due += [at for limit in (_ABORT_SECONDS, _KILL_SECONDS) if (at := asked_at + limit) > time.monotonic()]
    if fallen.next_at is not None:
        due.append(fallen.next_at)
    return min(due, default=None)


def _is_late(since: float, seconds: float = _ABORT_SECONDS) -> bool:
    return time.monotonic() - since > seconds


def _tell_all(children: Sequence[WorkerHandle], order: str) -> None:
    for child in children:
        child.tell(order)


def _hear(children: Sequence[WorkerHandle], reporter: Reporter, wakeup: Wakeup, until: float | None) -> None:
    """Take what the workers say, waiting for it until a monotonic time, for a signal or for a stop."""
    by_pipe: dict[object, WorkerHandle] = {child.pipe: child for child in children if child.pipe is not None}
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


def _rolled_back(child: WorkerHandle) -> WorkerReport:
    status = child.status
    log(
        logger, logging.INFO, Tag.INFO, "%s", rolled_back_text(status.rows_uncommitted),
        instance=status.instance, position=status.position,
    )  # fmt: skip
    return WorkerReport(
        status.instance, Phase.STOPPED, status.position, status.rows_total, status.transactions_total,
        status.skipped_rows, status.reconnects, status.quarantined,
    )  # fmt: skip


def report_without_word(child: WorkerHandle) -> WorkerReport:
    """Return the report of a worker process that ended without sending one."""
    failure = Failure("failure", f"{child.orders.server.name}: the worker process ended without a word",
                      "`replica position show` tells what is saved; nothing is lost", ExitCode.FAILURE)  # fmt: skip
    return WorkerReport(child.orders.server.name, Phase.FAILED, failure=failure)
