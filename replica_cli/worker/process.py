"""The process of one worker: its messages go to the supervisor through a pipe, its records of the log too."""

from __future__ import annotations

import contextlib
import gc
import importlib
import logging
import logging.handlers
import signal
import sys
import threading
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING

from replica_cli.core.reports.failure import Failure
from replica_cli.core.reports.stream import WorkerReport
from replica_cli.core.settings import Settings
from replica_cli.core.status import Phase
from replica_cli.logs import Tag, install_redactor, setup_logging
from replica_cli.runtime.heartbeat import Heartbeat
from replica_cli.runtime.status_publisher import StatusPublisher
from replica_cli.stop import StopToken
from replica_cli.worker.health_monitor import HealthMonitor
from replica_cli.worker.messages import ABORT, STOP
from replica_cli.worker.wakeup import Wakeup
from replica_cli.worker.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable

    from replica_cli.worker.messages import WorkerConfig

logger = logging.getLogger(__name__)

_YOUNG_OBJECTS = 50_000
_COMM_LENGTH = 15
_LOAD_SECONDS = 5.0


class _PipeHandler(logging.handlers.QueueHandler):
    def __init__(self, send: object) -> None:
        super().__init__(send)  # type: ignore[arg-type]

    def enqueue(self, record: logging.LogRecord) -> None:
        self.queue(record)  # type: ignore[operator]


def main() -> None:
    """Run a worker: the last argument is the descriptor of its pipe."""
    work(Connection(int(sys.argv[-1])))


def work(pipe: Connection) -> None:
    """Run a worker to its end: its orders come through the pipe."""
    try:
        orders = pipe.recv()
    except EOFError:
        return  # the supervisor went before it had given any
    with contextlib.suppress(OSError):
        # What `ps` and `top` show: there is a worker for each secondary.
        Path("/proc/self/comm").write_text(orders.server.name[:_COMM_LENGTH])
    loading = threading.Timer(_LOAD_SECONDS, _load_all)
    if orders.request.until_caught_up:
        # Where there is nothing to apply it ends before that, and would load as much again as it needs.
        _rest_the_collector()
        loading.start()
    else:
        _load_all()
    try:
        _run(orders, pipe)
    finally:
        loading.cancel()
        if loading.is_alive():
            loading.join()


def _load_all() -> None:
    """Load what a stream may need later: while it runs, the package may be replaced."""
    importlib.import_module("replica_cli.worker.preload")
    _rest_the_collector()


def _rest_the_collector() -> None:
    # Row events come and go by the hundred thousand, and while a stream runs none of them is part of a cycle: looked
    # through at Python's own pace they cost a third of all our time. What is loaded by now stays. The worker collects
    # what a failed attempt leaves.
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS, 20, 20)


def _run(orders: WorkerConfig, pipe: Connection) -> None:
    stop = StopToken()
    lock = threading.Lock()

    def send(message: object) -> None:
        # The supervisor may be gone: then nobody listens, and the watching thread stops us.
        with lock, contextlib.suppress(OSError):
            pipe.send(message)

    # SIGTERM may be meant for us, these are the supervisor's, as is SIGINT, which it has blocked.
    for number in (signal.SIGHUP, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)
    terminated = Wakeup()
    terminated.wake_at_signals()
    signal.signal(signal.SIGTERM, lambda _number, _frame: None)  # the thread of the orders hears it
    setup_logging(orders.settings.logging, handler=_PipeHandler(send))
    logging.getLogger("replica_cli").setLevel(orders.level)
    install_redactor([orders.settings.primary.password, orders.server.password])
    board = StatusPublisher(orders.server.name, send)
    board.set(deaths=orders.deaths, death=orders.death)
    worker = Worker(orders.settings, orders.request, orders.server, server_id=orders.server_id, board=board, stop=stop)
    heartbeat = Heartbeat(orders.settings, orders.server, board, stop, cut=worker.abort, on_doubt=worker.look)
    watch = HealthMonitor(orders.settings, orders.server, board, worker.doubt)

    def take(settings: Settings) -> None:
        logging.getLogger("replica_cli").setLevel(settings.logging.level)
        heartbeat.take(settings)
        watch.take(settings)
        worker.take(settings)

    listening = (pipe, terminated, stop, take, worker.abort)
    threading.Thread(target=_listen, args=listening, name="orders", daemon=True).start()
    try:
        with heartbeat, watch:
            report = worker.run()
    except Exception as error:
        extra = {"tag": str(Tag.PANIC), "instance": orders.server.name}
        logger.log(logging.CRITICAL, "unexpected: %s: %s", type(error).__name__, error, exc_info=True, extra=extra)
        report = WorkerReport(
            orders.server.name, Phase.FAILED, board.status.position,
            failure=Failure("failure", f"{type(error).__name__}: {error}"),
        )  # fmt: skip
    send(report)
    pipe.close()


def _listen(
    pipe: Connection,
    terminated: Wakeup,
    stop: StopToken,
    take: Callable[[Settings], None],
    abort: Callable[[], None],
) -> None:
    """Do what the supervisor orders, and hear SIGTERM: no wait of the main thread has to end for it."""
    is_last = False
    while not is_last:
        order: object = STOP
        try:
            if terminated.wait([pipe]):
                order = pipe.recv()
        except (EOFError, OSError):
            # The supervisor died: finish the batch in hand and end; the next one starts from the position row.
            is_last = True
        if isinstance(order, Settings):
            take(order)
            continue
        if not stop.is_set or order == ABORT:
            stop.request()
        if order == ABORT or stop.must_abort:
            abort()
            return


if __name__ == "__main__":
    main()
