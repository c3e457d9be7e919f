"""The supervisor's handle of one worker process: it starts the process, sends messages to it and notices its death."""

from __future__ import annotations

import logging
import signal
import subprocess
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from replica_cli.core.attempts import QUIET_SECONDS, RESTART_LIMIT_SECONDS, RESTART_SECONDS
from replica_cli.core.metrics import Newest, ProcessFacts
from replica_cli.core.settings import Http
from replica_cli.core.status import Phase, WorkerStatus
from replica_cli.logs import Tag, log
from replica_cli.supervisor.spawning import spawn
from replica_cli.worker.messages import PING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from multiprocessing.connection import Connection

    from replica_cli.core.reports.stream import WorkerReport
    from replica_cli.core.settings import Settings
    from replica_cli.supervisor.spawning import Process
    from replica_cli.worker.messages import WorkerConfig

logger = logging.getLogger(__name__)

_END_SECONDS = 5.0


class WorkerHandle:
    """A worker process and the pipe to it. A process that dies without a report is started again.

    `report` is the report of a worker that has ended, `status` the last status, `pipe` is None while no process runs,
    and `start_at` is the monotonic time of the next start. `missed_pings` is how often `ping` was called since the
    process was last heard, without the first time; `was_heard` is True if it was heard since its start. Used by the
    supervisor's main thread.
    """

    def __init__(self, config: WorkerConfig) -> None:
        self.config = config
        self.report: WorkerReport | None = None
        self.deaths = self._total_deaths = 0
        self._started_at = 0.0
        self._death = ""
        self.status = WorkerStatus(config.server.name)
        self.start_at = 0.0
        self.missed_pings = 0
        self.was_heard = self._is_pinged = False
        self._process: Process | None = None
        self.pipe: Connection | None = None

    def start(self) -> None:
        """Start the process and send its configuration. A process that cannot be started counts as one that died."""
        self._started_at = time.monotonic()
        self.missed_pings, self.was_heard, self._is_pinged = 0, False, False
        try:
            self._process, self.pipe = spawn()
        except OSError as error:
            self._note_death(f"it cannot be started: {error.strerror}")
            return
        settings = _for_worker(self.config.settings)
        self.send_message(replace(self.config, settings=settings, deaths=self.deaths, death=self._death))

    @property
    def age_seconds(self) -> float:
        """Return how long ago the process was started, in seconds."""
        return time.monotonic() - self._started_at

    def ping(self) -> None:
        """Ask the process for a sign of life; if the last one has not come yet, count that instead."""
        if self._is_pinged:
            self.missed_pings += 1
        else:
            self._is_pinged = True
            self.send_message(PING)

    def note_heard(self) -> None:
        """Note that a message of the process came."""
        self.missed_pings, self.was_heard, self._is_pinged = 0, True, False

    @property
    def facts(self) -> ProcessFacts:
        """Return what is known about the process without asking it. From any thread."""
        is_running = self.pipe is not None and self.report is None
        return ProcessFacts(is_running=is_running, deaths=self._total_deaths)

    def take(self, settings: Settings) -> None:
        """Let the worker, and each process that is started after it, use other settings."""
        self.config = replace(self.config, settings=settings, level=logging.getLevelName(settings.logging.level))
        self.send_message(_for_worker(settings))

    def send_message(self, message: str | Settings | WorkerConfig) -> None:
        """Send a message to the process, if there is one."""
        if self.pipe is not None:
            try:
                self.pipe.send(message)
            except OSError:
                logger.debug("the worker process of %s has already ended", self.config.server.name)

    def died(self) -> bool:
        """Close the pipe of a process that ended. Return True if it sent no report and will be started again.

        The wait before the start is longer each time. `status` then shows the wait, because the last status of the
        process is no longer true.
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
        # A death each week is not a loop.
        self._total_deaths += 1
        self.deaths = 1 if now - self._started_at > QUIET_SECONDS else self.deaths + 1
        seconds = min(RESTART_SECONDS * self.deaths, RESTART_LIMIT_SECONDS)
        self.start_at, self._death = now + seconds, death
        message = f"the worker process died ({self._death}), it starts again in {seconds:.0f} s"
        log(
            logger, logging.ERROR, Tag.PANIC, "%s; death %d", message, self.deaths,
            instance=self.config.server.name, position=self.status.position,
        )  # fmt: skip
        self.status = replace(
            self.status, phase=Phase.STARTING, message=message, lag_seconds=None, rows_per_second=0.0,
            transactions_per_second=0.0, limiting_part="", metrics=None,
        )  # fmt: skip

    def kill(self) -> None:
        """End the process at once. The server rolls back what is not committed when the connection ends."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _wait(self) -> int | None:
        if self._process is None:
            return None
        try:
            return self._process.wait(timeout=_END_SECONDS)
        except subprocess.TimeoutExpired:
            # The process closed its pipe and did not end. It must be gone before the next one starts.
            self.kill()
            return self._process.returncode


def _for_worker(settings: Settings) -> Settings:
    """Return settings without the token of HTTP: a worker needs no secret of it."""
    return replace(settings, http=Http())


def newest_of(workers: Sequence[WorkerHandle]) -> Newest:
    """Return the newest status of each worker and what is known of its process. From any thread."""
    return Newest([w.status for w in workers], {w.config.server.name: w.facts for w in workers})


def _ending(code: int | None) -> str:
    """Return how a process ended: by which signal, or with which exit code."""
    if code is None or code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"
