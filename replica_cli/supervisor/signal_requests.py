"""What a running stream's supervisor is asked by signals: read the settings anew, say how it goes."""

from __future__ import annotations

import logging
import signal
import threading
from typing import TYPE_CHECKING, Protocol

from replica_cli.core.errors import ConfigurationError
from replica_cli.core.wording import counted, duration, phase_text, uncommitted_text
from replica_cli.logs import Tag, log, set_level
from replica_cli.supervisor.reload import reloaded

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from replica_cli.core.reporter import Reporter
    from replica_cli.core.settings import Settings
    from replica_cli.core.status import WorkerStatus
    from replica_cli.worker.messages import WorkerConfig

logger = logging.getLogger(__name__)


class ReloadableWorker(Protocol):
    """A worker's process, as far as this is concerned."""

    orders: WorkerConfig
    status: WorkerStatus

    def take(self, settings: Settings) -> None:
        """Go on with other settings."""


class SignalRequests:
    """Signals set flags and call `wake`; `answer` does what they ask for, outside of the handlers."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._reload = threading.Event()
        self._status = threading.Event()

    @property
    def handlers(self) -> Mapping[int, Callable[[], None]]:
        """Return what each signal calls."""
        return {signal.SIGHUP: lambda: self._ask(self._reload), signal.SIGUSR1: lambda: self._ask(self._status)}

    def _ask(self, flag: threading.Event) -> None:
        flag.set()
        self._wake()

    def answer(
        self, children: Sequence[ReloadableWorker], reporter: Reporter, reload: Callable[[], Settings] | None
    ) -> None:
        """Do what was asked for since the last call."""
        if self._status.is_set():
            self._status.clear()
            for child in children:
                reporter.on_note(child.status.instance, _told(child.status))
        if self._reload.is_set():
            self._reload.clear()
            if reload is not None and children:
                _reload(children, reload)


def _reload(children: Sequence[ReloadableWorker], reload: Callable[[], Settings]) -> None:
    try:
        found = reloaded(children[0].orders.settings, reload())
    except ConfigurationError as error:
        log(logger, logging.ERROR, Tag.ERROR, "SIGHUP: the settings are wrong, all stays as it is: %s", error)
        return
    for names, level, text in (
        (found.taken, logging.INFO, "SIGHUP: taken: %s"),
        (found.refused, logging.WARNING, "SIGHUP: changed, and not taken before a new start: %s"),
    ):
        if names:
            log(logger, level, Tag.INFO if level == logging.INFO else Tag.WARN, text, ", ".join(names))
    if not found.taken:
        if not found.refused:
            log(logger, logging.INFO, Tag.INFO, "SIGHUP: settings unchanged")
        return
    if found.settings.logging.level != children[0].orders.settings.logging.level:
        set_level(found.settings.logging.level)
    for child in children:
        child.take(found.settings)


def _told(status: WorkerStatus) -> str:
    parts = [
        f"{phase_text(status.phase)} at {status.position or 'no position'}",
        f"lag {duration(status.lag_seconds)}",
        f"{status.rows_per_second:.0f} rows/s",
        f"{counted(status.rows_total, 'row')} and {counted(status.transactions_total, 'transaction')} in all",
    ]  # fmt: skip
    if status.rows_uncommitted:
        parts.append(uncommitted_text(status.rows_uncommitted))
    if status.quarantined:
        parts.append(f"quarantined: {', '.join(status.quarantined)}")
    return ", ".join(parts) + (f" ({status.message})" if status.message else "")
