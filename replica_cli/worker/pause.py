"""Hold a worker during a pause: it keeps the writer's lock and the heartbeat, and reads nothing from the primary."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from replica_cli.core.errors import Fenced
from replica_cli.core.status import Phase
from replica_cli.logs import Tag, log

if TYPE_CHECKING:
    from replica_cli.runtime.secondary_sessions import SecondarySessions
    from replica_cli.runtime.status_publisher import StatusPublisher
    from replica_cli.stop import StopToken

logger = logging.getLogger(__name__)
# How often the worker checks during a pause that it still holds the writer's lock.
_LOCK_SECONDS = 5.0


def hold(sessions: SecondarySessions, publisher: StatusPublisher, stop: StopToken) -> None:
    """Wait in the worker's main thread while a pause lasts; return at once if there is none.

    Raises:
        Fenced: the writer's lock was lost during the pause.
        ServerError: the secondary was lost during the pause.

    """
    if stop.is_paused:
        _wait_for_resume(sessions, publisher, stop)


def _wait_for_resume(sessions: SecondarySessions, publisher: StatusPublisher, stop: StopToken) -> None:
    instance = publisher.status.instance
    log(logger, logging.INFO, Tag.INFO, "paused; `replica resume` goes on",
        instance=instance, position=publisher.status.position)  # fmt: skip
    publisher.forget_lag()
    publisher.set(phase=Phase.PAUSED, lag_seconds=None, rows_per_second=0.0, transactions_per_second=0.0)
    checked_at = time.monotonic()
    while stop.is_paused:
        stop.hold(_LOCK_SECONDS)
        if time.monotonic() - checked_at >= _LOCK_SECONDS:
            checked_at = time.monotonic()
            if not sessions.lock.is_ours():
                raise Fenced(f"{instance}: the writer's lock was lost during the pause")
    if not stop.is_set:
        log(logger, logging.INFO, Tag.INFO, "resumed", instance=instance)
        publisher.set(phase=Phase.STARTING)
