"""Choose how many workers copy: more over a long link, because each of them waits most of the time."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from replica_cli.side_by_side import side_by_side

if TYPE_CHECKING:
    from replica_cli.core.settings import TransferSettings
    from replica_cli.mysql.session import Session

# About how long a server works for one answer. If the link takes as long as that, a worker does half as much.
_WORK_SECONDS = 0.025
_NEAR_SECONDS = 0.005
# The largest number of connections that one worker has to one server.
_PER_WORKER = 3
# Half of the free connections are left to other clients.
_SHARE = 2
_CONNECTIONS = (
    "SELECT @@GLOBAL.max_connections, @@SESSION.max_user_connections",
    "SHOW STATUS LIKE 'Threads_connected'",
)


def worker_count(settings: TransferSettings, primary: Session, secondary: Session) -> int:
    """Return how many workers copy over the links to these servers. Raises ServerError."""
    if settings.far_workers <= settings.workers:
        return settings.workers
    measured = side_by_side(lambda: _measure(primary), lambda: _measure(secondary))
    answer_seconds = max(seconds for seconds, _ in measured)
    wanted = min(int(settings.workers * (1 + answer_seconds / _WORK_SECONDS)), settings.far_workers)
    if wanted <= settings.workers:
        return settings.workers
    return max(settings.workers, min(wanted, *(free // _SHARE // _PER_WORKER for _, free in measured)))


def _measure(session: Session) -> tuple[float, int]:
    """Return how many seconds an answer takes, and how many connections the server may still accept from our user."""
    began = time.monotonic()
    limits, used = session.rows_of_each(_CONNECTIONS)
    seconds = time.monotonic() - began
    if seconds > _NEAR_SECONDS:
        # The server may be near and only busy for a moment.
        began = time.monotonic()
        session.execute("DO 0")
        seconds = min(seconds, time.monotonic() - began)
    server_limit, user_limit = map(int, limits[0])
    free = server_limit - int(used[0][1])
    return seconds, min(free, user_limit) if user_limit else free
