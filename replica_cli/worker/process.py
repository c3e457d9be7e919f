"""The process of one worker. Its status, report and log records go to the supervisor through a pipe.

The main thread runs the `Worker`. The messages thread receives the supervisor's messages and SIGTERM.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import logging
import logging.handlers
import signal
import sys
import threading
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING

from replica_cli.core.reports.failure import Failure
from replica_cli.core.reports.stream import WorkerReport
from replica_cli.core.settings import Settings
from replica_cli.core.status import Phase
from replica_cli.logs import Tag, install_redactor, setup_logging
from replica_cli.measures import StreamMeasures
from replica_cli.runtime.heartbeat import Heartbeat
from replica_cli.runtime.limit_watch import LimitWatch
from replica_cli.runtime.status_publisher import StatusPublisher
from replica_cli.stop import StopToken
from replica_cli.worker.health_monitor import HealthMonitor
from replica_cli.worker.messages import ABORT, PING, PONG, STOP
from replica_cli.worker.wakeup import Wakeup
from replica_cli.worker.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable

    from replica_cli.runtime.scrubbing import Scrub
    from replica_cli.worker.messages import WorkerConfig

logger = logging.getLogger(__name__)

_YOUNG_OBJECTS = 50_000
# The kernel keeps no more characters of a process name.
_COMM_LENGTH = 15
_LOAD_SECONDS = 5.0


class _PipeHandler(logging.handlers.QueueHandler):
    """Sends log records through the pipe. It takes a function where its base class takes a queue."""

    def __init__(self, send: object) -> None:
        super().__init__(send)  # type: ignore[arg-type]

    def enqueue(self, record: logging.LogRecord) -> None:
        self.queue(record)  # type: ignore[operator]


def main() -> None:
    """Run a worker. The last argument of the command is the file descriptor of its pipe."""
    work(Connection(int(sys.argv[-1])))


def work(pipe: Connection) -> None:
    """Run a worker to its end. Its configuration comes through the pipe."""
    try:
        config = pipe.recv()
    except EOFError:
        return  # the supervisor ended before it sent any
    with contextlib.suppress(OSError):
        # `ps` and `top` show this name: there is one worker for each secondary.
        Path("/proc/self/comm").write_text(config.server.name[:_COMM_LENGTH])
    loading = threading.Timer(_LOAD_SECONDS, _load_all)
    if config.request.until_caught_up:
        # If there is nothing to apply, the worker ends before the timer. Loading would then double what it has to load.
        _relax_collector()
        loading.start()
    else:
        _load_all()
    try:
        _run(config, pipe)
    finally:
        loading.cancel()
        if loading.is_alive():
            loading.join()


def _load_all() -> None:
    """Load the modules that a stream may need later: the package may be replaced while the stream runs."""
    importlib.import_module("replica_cli.worker.preload")
    _relax_collector()


def _relax_collector() -> None:
    # Row events are created and freed by the hundred thousand, and while a stream runs none of them is part of a
    # reference cycle. At Python's default thresholds the collector would take a third of the process's time for them.
    # Objects that are loaded by this time stay until the end. The worker itself collects what a failed attempt leaves.
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS, 20, 20)


def _run(config: WorkerConfig, pipe: Connection) -> None:
    stop = StopToken()
    lock = threading.Lock()

    def send(message: object) -> None:
        # If the supervisor is gone, the message is lost, and the messages thread stops this process.
        with lock, contextlib.suppress(OSError):
            pipe.send(message)

    # SIGTERM may be sent to the worker itself. SIGHUP and SIGUSR1 are the supervisor's; so is SIGINT, which it has
    # blocked.
    for number in (signal.SIGHUP, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)
    terminated = Wakeup()
    terminated.wake_at_signals()
    signal.signal(signal.SIGTERM, lambda _number, _frame: None)  # the messages thread handles it
    setup_logging(config.settings.logging, handler=_PipeHandler(send))
    logging.getLogger("replica_cli").setLevel(config.level)
    install_redactor([config.settings.primary.password, config.server.password])
    watch = LimitWatch(config.server.name, config.settings.max_lag_seconds)
    publisher = StatusPublisher(config.server.name, send, measures=StreamMeasures(), watch=watch)
    publisher.set(deaths=config.deaths, death=config.death)
    worker = Worker(
        config.settings, config.request, config.server, server_id=config.server_id, publisher=publisher, stop=stop
    )
    heartbeat = Heartbeat(
        config.settings,
        config.server,
        publisher,
        stop,
        cut=worker.abort,
        request_state_check=worker.request_state_check,
    )
    monitor = HealthMonitor(config.settings, config.server, publisher, worker.request_position_check)
    scrub = None if config.request.until_caught_up else _make_scrub(config, publisher)

    def take(settings: Settings) -> None:
        logging.getLogger("replica_cli").setLevel(settings.logging.level)
        watch.max_lag_seconds = settings.max_lag_seconds
        heartbeat.take(settings)
        monitor.take(settings)
        if scrub is not None:
            scrub.take(settings)
        worker.take(settings)

    listen = partial(_listen, pipe, terminated, stop, send=send, take=take, abort=worker.abort)
    threading.Thread(target=listen, name="supervisor messages", daemon=True).start()
    try:
        with heartbeat, monitor, scrub or contextlib.nullcontext():
            report = worker.run()
    except Exception as error:
        extra = {"tag": str(Tag.PANIC), "instance": config.server.name}
        logger.log(logging.CRITICAL, "unexpected: %s: %s", type(error).__name__, error, exc_info=True, extra=extra)
        report = WorkerReport(
            config.server.name, Phase.FAILED, publisher.status.position,
            failure=Failure("failure", f"{type(error).__name__}: {error}"),
        )  # fmt: skip
    send(report)
    pipe.close()


def _make_scrub(config: WorkerConfig, publisher: StatusPublisher) -> Scrub:
    from replica_cli.runtime.scrubbing import Scrub  # noqa: PLC0415 - worker/preload.py loads it before

    return Scrub(config.settings, config.server, publisher)


def _listen(
    pipe: Connection,
    terminated: Wakeup,
    stop: StopToken,
    *,
    send: Callable[[object], None],
    take: Callable[[Settings], None],
    abort: Callable[[], None],
) -> None:
    """Handle the supervisor's messages and SIGTERM, so that no wait of the main thread has to end for them.

    It runs in the messages thread. If the supervisor dies, the pipe reports its end, and the worker is asked to stop.
    """
    is_last = False
    while not is_last:
        message: object = STOP
        try:
            if terminated.wait([pipe]):
                message = pipe.recv()
        except (EOFError, OSError):
            # The supervisor died: finish the current batch and end. The next process starts from the position row.
            is_last = True
        if isinstance(message, Settings):
            take(message)
            continue
        if message == PING:
            send(PONG)
            continue
        if not stop.is_set or message == ABORT:
            stop.request()
        if message == ABORT or stop.must_abort:
            abort()
            return


if __name__ == "__main__":
    main()
