"""Report to systemd: ready, status, reloading, stopping, and alive for its watchdog (`Type=notify`, `WatchdogSec=`).

Each note is a datagram to the socket that systemd names, so no library is needed. Without systemd nothing is done.
https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html
"""

from __future__ import annotations

import contextlib
import logging
import socket
import time
from collections import Counter
from typing import TYPE_CHECKING

from replica_cli.core.wording import duration, phase_text
from replica_cli.logs import Tag, log

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from replica_cli.config.service_variables import ServiceVariables
    from replica_cli.core.status import Phase
    from replica_cli.supervisor.worker_handle import WorkerHandle

logger = logging.getLogger(__name__)

# A note is sent from the supervisor's loop. A systemd that does not read may delay the loop, but not stop it.
_SEND_SECONDS = 0.5
_STATUS_SECONDS = 3.0
# A worker that leaves this number of pings in a row unanswered is frozen. A process that starts has more time.
_MISSED_PINGS = 2
_START_SECONDS = 30.0
_NAMED_WORKERS = 3
_SHOWN_LAG_SECONDS = 1.0


class ServiceManager:
    """Reports the state of a stream to systemd. Used by the supervisor's main thread.

    The watchdog gets its note from the supervisor's loop, and only if each worker process that runs has answered: its
    messages thread does, also while a statement takes hours. So a loop that hangs is noticed, and so is a worker that
    is frozen. Then systemd ends and starts the service.
    """

    def __init__(self, variables: ServiceVariables, clock: Callable[[], float] = time.monotonic) -> None:
        self._address = variables.socket
        # Twice in the time after which systemd would act, as its manual advises.
        self._interval = variables.watchdog_seconds / 2 if self._address else 0.0
        self._clock = clock
        self._watchdog_at = clock()
        self._status = ""
        self._status_at = float("-inf")
        self._is_status_late = self._is_ready = self._is_stopping = False
        self._frozen: frozenset[str] = frozenset()

    @property
    def next_at(self) -> float | None:
        """Return the monotonic time at which `turn` must be called at the latest, None if it does not matter."""
        due = [self._watchdog_at] if self._interval else []
        due += [self._status_at + _STATUS_SECONDS] if self._is_status_late else []
        return min(due, default=None)

    def turn(self, workers: Sequence[WorkerHandle]) -> None:
        """Send what is due. The supervisor's loop calls it in each turn."""
        if not self._address:
            return
        if not self._is_ready and all(worker.pipe is not None or worker.report is not None for worker in workers):
            # Not when all stream: a first copy may take hours.
            self._is_ready = True
            self._send("READY=1")
        self._send_status(workers)
        if self._interval and self._clock() >= self._watchdog_at:
            self._watchdog_at = self._clock() + self._interval
            self._feed_watchdog(workers)

    @contextlib.contextmanager
    def reloading(self) -> Iterator[None]:
        """Report that the settings are read again while the context lasts."""
        self._send("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")
        try:
            yield
        finally:
            self._send("READY=1")

    def stop(self) -> None:
        """Report that the stream ends; a second call does nothing."""
        if not self._is_stopping:
            self._is_stopping = True
            self._send("STOPPING=1")

    def _send_status(self, workers: Sequence[WorkerHandle]) -> None:
        text = status_text(workers)
        is_new, is_due = text != self._status, self._clock() - self._status_at >= _STATUS_SECONDS
        self._is_status_late = is_new and not is_due
        if is_new and is_due:
            self._status, self._status_at = text, self._clock()
            self._send(f"STATUS={text}")

    def _feed_watchdog(self, workers: Sequence[WorkerHandle]) -> None:
        running = [worker for worker in workers if worker.pipe is not None and worker.report is None]
        for worker in running:
            worker.ping()
        # A stop has an end in any case, and workers that roll back do not answer any more.
        frozen = frozenset() if self._is_stopping else frozenset(w.config.server.name for w in running if _is_frozen(w))
        for name in frozen - self._frozen:
            log(
                logger, logging.ERROR, Tag.ERROR,
                "the worker process does not answer: systemd's watchdog gets no sign of life either, "
                "and starts the service again unless the process goes on soon",
                instance=name,
            )  # fmt: skip
        for name in self._frozen - frozen:
            log(logger, logging.INFO, Tag.INFO, "the worker process answers again, or was replaced", instance=name)
        self._frozen = frozen
        if not frozen:
            self._send("WATCHDOG=1")

    def _send(self, *lines: str) -> None:
        if not self._address:
            return
        # An address with @ is in the abstract namespace, in which a NUL is the first byte.
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notes:
                notes.settimeout(_SEND_SECONDS)
                notes.sendto("\n".join(lines).encode(), address)
        except OSError as error:
            logger.debug("no note to systemd (%s): %s", lines[0], error)


def status_text(workers: Sequence[WorkerHandle]) -> str:
    """Return the phases of a few workers with their lags; of many the number in each phase and the largest lag."""
    states = [_state(worker) for worker in workers]
    if len(states) <= _NAMED_WORKERS:
        parts = [(f"{name} {phase_text(phase)}", _lag_text(lag)) for name, phase, lag in states]
        return "; ".join(text + ("," + lag if lag else "") for text, lag in parts)
    counts = Counter(phase for _, phase, _ in states)
    lag, name = max((lag or 0.0, name) for name, _, lag in states)
    text = ", ".join(f"{count} {phase_text(phase)}" for phase, count in counts.most_common())
    return text + (f"; largest{_lag_text(lag)} ({name})" if _lag_text(lag) else "")


def _state(worker: WorkerHandle) -> tuple[str, Phase, float | None]:
    if worker.report is not None:
        return worker.config.server.name, worker.report.phase, None
    return worker.config.server.name, worker.status.phase, worker.status.lag_seconds


def _lag_text(seconds: float | None) -> str:
    # Smaller lags change all the time and mean nothing.
    return f" lag {duration(round(seconds))}" if seconds is not None and seconds >= _SHOWN_LAG_SECONDS else ""


def _is_frozen(worker: WorkerHandle) -> bool:
    return worker.missed_pings >= _MISSED_PINGS and (worker.was_heard or worker.age_seconds > _START_SECONDS)
