"""A worker process as its supervisor sees it."""

from __future__ import annotations

import logging
import signal
import subprocess
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from replica_cli.core.status import Phase, WorkerStatus
from replica_cli.logs import Tag, log
from replica_cli.supervisor.spawning import spawn
from replica_cli.worker.messages import QUIET_SECONDS

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from replica_cli.core.reports.stream import WorkerReport
    from replica_cli.core.settings import Settings
    from replica_cli.supervisor.spawning import Process
    from replica_cli.worker.messages import WorkerConfig

logger = logging.getLogger(__name__)

_RESTART_SECONDS = 1.0
_END_SECONDS = 5.0


class WorkerHandle:
    """A worker process and the pipe to it; started again with the same orders where it dies without a word."""

    def __init__(self, orders: WorkerConfig) -> None:
        self.orders = orders
        self.report: WorkerReport | None = None
        self.deaths = 0
        self._started_at = 0.0
        self._death = ""
        self.status = WorkerStatus(orders.server.name)
        self.start_at = 0.0
        self._process: Process | None = None
        self.pipe: Connection | None = None

    def start(self) -> None:
        """Start the process and give it its orders; one that cannot be started counts as one that died."""
        self._started_at = time.monotonic()
        try:
            self._process, self.pipe = spawn()
        except OSError as error:
            self._note_death(f"it cannot be started: {error.strerror}")
            return
        self.tell(replace(self.orders, deaths=self.deaths, death=self._death))

    def take(self, settings: Settings) -> None:
        """Let the worker, and each that is started after it, go on with other settings."""
        self.orders = replace(self.orders, settings=settings, level=logging.getLevelName(settings.logging.level))
        self.tell(settings)

    def tell(self, order: str | Settings | WorkerConfig) -> None:
        """Send an order."""
        if self.pipe is not None:
            try:
                self.pipe.send(order)
            except OSError:
                logger.debug("%s is gone already", self.orders.server.name)

    def died(self) -> bool:
        """Close the pipe of a process that ended; return True if it gave no report and will be started again.

        The wait is longer each time, and `status` says so: what the process told last is over.
        """
        if self.pipe is not None:
            self.pipe.close()
        self.pipe = None
        code = self._wait()
        if self.report is not None:
            return False
        self._note_death(_ending(code))
        return True

    def _note_death(self, death: str) -> None:
        now = time.monotonic()
        # A death a week is not a loop.
        self.deaths = 1 if now - self._started_at > QUIET_SECONDS else self.deaths + 1
        seconds = min(_RESTART_SECONDS * self.deaths, 30.0)
        self.start_at, self._death = now + seconds, death
        message = f"the worker process died ({self._death}), it starts again in {seconds:.0f} s"
        log(
            logger, logging.ERROR, Tag.PANIC, "%s; death %d", message, self.deaths,
            instance=self.orders.server.name, position=self.status.position,
        )  # fmt: skip
        self.status = replace(
            self.status, phase=Phase.STARTING, message=message, lag_seconds=None, rows_per_second=0.0,
            transactions_per_second=0.0,
        )  # fmt: skip

    def kill(self) -> None:
        """End the process at once; what it has not committed is rolled back with its connection."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _wait(self) -> int | None:
        if self._process is None:
            return None
        try:
            return self._process.wait(timeout=_END_SECONDS)
        except subprocess.TimeoutExpired:
            # It closed its pipe and stays: its successor must not find it beside itself.
            self.kill()
            return self._process.returncode


def _ending(code: int | None) -> str:
    """Return how a process ended: by which signal, or with which exit code."""
    if code is None or code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"
