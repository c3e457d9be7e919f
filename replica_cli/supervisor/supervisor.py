"""Run the worker processes of `replica stream` until each has reported its end; start a worker again when it dies.

It runs in the thread that calls `supervise`, the main thread of `replica stream`.
"""

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
from replica_cli.supervisor.signals import draining_text
from replica_cli.supervisor.stopped_secondaries import StoppedSecondaries
from replica_cli.worker.messages import ABORT, STOP

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from replica_cli.core.reporter import Reporter
    from replica_cli.stop import StopToken
    from replica_cli.supervisor.service_manager import ServiceManager
    from replica_cli.supervisor.signals import StopSignals
    from replica_cli.supervisor.worker_handle import WorkerHandle
    from replica_cli.worker.wakeup import Wakeup

logger = logging.getLogger(__name__)

# After a stop: when the workers get the message to roll back, and when `supervise` ends without them and they are
# killed.
_ABORT_SECONDS = 7.0
_KILL_SECONDS = 9.5
_SLACK_SECONDS = 0.01


def supervise(
    workers: Sequence[WorkerHandle],
    stop_signals: StopSignals,
    reporter: Reporter,
    answer: Callable[[], None],
    wakeup: Wakeup,
    *,
    service: ServiceManager,
) -> None:
    """Run the workers until each has reported its end; after a stop no longer than `_KILL_SECONDS`.

    Args:
        workers: one handle for each secondary, already started. Each has its `report` at the end.
        stop_signals: the stop token of the command, and the signal that set it.
        reporter: receives each status that a worker sends.
        answer: answers the requests that came by signals since its last call; called in each turn.
        wakeup: ends the wait for messages when a signal arrives.
        service: gets the state of the stream in each turn.

    """
    stop = stop_signals.token
    stopping_since: float | None = None
    has_aborted = False
    stopped = StoppedSecondaries()
    while any(worker.report is None for worker in workers):
        if stop.is_set and stopping_since is None:
            stopping_since = time.monotonic()
            service.stop()
            reporter.on_stopping(draining_text(stop_signals, _ABORT_SECONDS))
            _give_restarts_up(workers)
            _send_all(workers, STOP)
        if stopping_since is not None and not has_aborted and (stop.must_abort or _is_late(stopping_since)):
            has_aborted = True
            _send_all(workers, ABORT)
        if stopping_since is not None and (_is_late(stopping_since, _KILL_SECONDS) or stop.must_abort):
            # The servers roll back what is not committed when the connections end, so nothing is lost. A stop must end
            # in time.
            for worker in workers:
                worker.report = worker.report or _rolled_back(worker)
            return
        for worker in workers:
            _start_if_due(worker, stop)
        answer()
        service.turn(workers)
        if any(worker.report is None for worker in workers):
            _receive(workers, reporter, wakeup, _next_at(workers, stopping_since, stopped.next_at, service.next_at))
        stopped.log_due(worker.report for worker in workers if worker.report is not None)


def _give_restarts_up(workers: Sequence[WorkerHandle]) -> None:
    """Report the workers that wait for their restart when a stop comes as stopped: there is nothing to drain."""
    for worker in workers:
        if worker.report is None and worker.pipe is None:
            worker.report = _stopped(worker)


def _start_if_due(worker: WorkerHandle, stop: StopToken) -> None:
    if worker.report is None and worker.pipe is None:
        if stop.is_set:
            # It died after the stop, instead of draining.
            worker.report = report_of_dead_worker(worker)
        elif time.monotonic() >= worker.start_at:
            worker.start()


def _next_at(workers: Sequence[WorkerHandle], stopping_since: float | None, *others: float | None) -> float | None:
    """Return the monotonic time at which something is due even if no message comes, None if nothing is."""
    due = [worker.start_at for worker in workers if worker.report is None and worker.pipe is None]
    if stopping_since is not None:
        due += [at for limit in (_ABORT_SECONDS, _KILL_SECONDS) if (at := stopping_since + limit) > time.monotonic()]
    due += [at for at in others if at is not None]
    return min(due, default=None)


def _is_late(since: float, seconds: float = _ABORT_SECONDS) -> bool:
    return time.monotonic() - since > seconds


def _send_all(workers: Sequence[WorkerHandle], message: str) -> None:
    for worker in workers:
        worker.send_message(message)


def _receive(workers: Sequence[WorkerHandle], reporter: Reporter, wakeup: Wakeup, until: float | None) -> None:
    """Receive messages of the workers. Waits for them until a monotonic time, a signal or a stop."""
    by_pipe: dict[object, WorkerHandle] = {worker.pipe: worker for worker in workers if worker.pipe is not None}
    pipes = [worker.pipe for worker in workers if worker.pipe is not None]
    # A little more than the time that is left: after a wait that is too short there would be a second one.
    seconds = None if until is None else max(0.0, until - time.monotonic()) + _SLACK_SECONDS
    for pipe in wakeup.wait(pipes, seconds):
        worker = by_pipe[pipe]
        try:
            message = pipe.recv()
        except (EOFError, OSError):
            if worker.died():
                reporter.on_status(worker.status)
            continue
        worker.note_heard()
        if isinstance(message, WorkerStatus):
            worker.status = message
            reporter.on_status(message)
        elif isinstance(message, WorkerReport):
            worker.report = message
        elif isinstance(message, logging.LogRecord):
            origin = logging.getLogger(message.name)
            if origin.isEnabledFor(message.levelno):
                origin.handle(message)


def _rolled_back(worker: WorkerHandle) -> WorkerReport:
    status = worker.status
    log(
        logger, logging.INFO, Tag.INFO, "%s", rolled_back_text(status.rows_uncommitted),
        instance=status.instance, position=status.position,
    )  # fmt: skip
    return _stopped(worker)


def _stopped(worker: WorkerHandle) -> WorkerReport:
    status = worker.status
    return WorkerReport(
        status.instance, Phase.STOPPED, status.position, status.rows_total, status.transactions_total,
        status.skipped_rows, status.reconnects, status.quarantined,
    )  # fmt: skip


def report_of_dead_worker(worker: WorkerHandle) -> WorkerReport:
    """Return the report of a worker process that ended without sending one."""
    failure = Failure("failure", f"{worker.config.server.name}: the worker process ended without a report",
                      "`replica position show` shows what is saved; nothing is lost", ExitCode.FAILURE)  # fmt: skip
    return WorkerReport(worker.config.server.name, Phase.FAILED, failure=failure)
