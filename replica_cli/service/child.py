"""A worker process as its supervisor sees it."""

from __future__ import annotations

import logging
import subprocess
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from replica_cli.core.status import WorkerStatus
from replica_cli.logs import Tag, log
from replica_cli.service.spawning import spawn

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from replica_cli.core.reports import WorkerReport
    from replica_cli.core.settings import Settings
    from replica_cli.service.orders import Orders

logger = logging.getLogger(__name__)

_RESTART_SECONDS = 1.0
_END_SECONDS = 5.0


class Child:
    """A worker process and the pipe to it; started again with the same orders where it dies without a word."""

    def __init__(self, orders: Orders) -> None:
        self.orders = orders
        self.report: WorkerReport | None = None
        self.deaths = 0
        self.status = WorkerStatus(orders.server.name)
        self.start_at = 0.0
        self._process: subprocess.Popen[bytes] | None = None
        self.pipe: Connection | None = None

    def start(self) -> None:
        """Start the process and give it its orders."""
        self._process, self.pipe = spawn()
        self.tell(self.orders)

    def take(self, settings: Settings) -> None:
        """Let the worker, and each that is started after it, go on with other settings."""
        self.orders = replace(self.orders, settings=settings, level=logging.getLevelName(settings.logging.level))
        self.tell(settings)

    def tell(self, order: str | Settings | Orders) -> None:
        """Send an order."""
        if self.pipe is not None:
            try:
                self.pipe.send(order)
            except OSError:
                logger.debug("%s is gone already", self.orders.server.name)

    def died(self) -> None:
        """Take leave of a process that ended; without a report it is started again, later each time."""
        if self.pipe is not None:
            self.pipe.close()
        self.pipe = None
        code = self._wait()
        if self.report is None:
            self.deaths += 1
            self.start_at = time.monotonic() + min(_RESTART_SECONDS * self.deaths, 30.0)
            log(
                logger, logging.ERROR, Tag.PANIC, "the worker process died (exit code %s), starting it again", code,
                instance=self.orders.server.name,
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
