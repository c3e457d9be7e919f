"""How many workers copy: over a long link more of them, as each waits most of the time."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from replica_cli.side_by_side import side_by_side

if TYPE_CHECKING:
    from replica_cli.core.settings import TransferSettings
    from replica_cli.mysql.session import Session

# About how long a server works for one answer: if the link takes as long, a worker does half as much.
_WORK_SECONDS = 0.025
_NEAR_SECONDS = 0.005
# Most connections that one worker has to one server.
_PER_WORKER = 3
# Half of the free connections are left for others.
_SHARE = 2
_CONNECTIONS = (
    "SELECT @@GLOBAL.max_connections, @@SESSION.max_user_connections",
    "SHOW STATUS LIKE 'Threads_connected'",
)


def worker_count(settings: TransferSettings, primary: Session, secondary: Session) -> int:
    """Return how many workers copy over links to these servers. Raises ServerError."""
    if settings.far_workers <= settings.workers:
        return settings.workers
    found = side_by_side(lambda: _look(primary), lambda: _look(secondary))
    seconds = max(took for took, _ in found)
    wanted = min(int(settings.workers * (1 + seconds / _WORK_SECONDS)), settings.far_workers)
    if wanted <= settings.workers:
        return settings.workers
    return max(settings.workers, min(wanted, *(free // _SHARE // _PER_WORKER for _, free in found)))


def _look(session: Session) -> tuple[float, int]:
    """Return how long an answer takes, seconds, and how many connections the server may still take of us."""
    began = time.monotonic()
    limits, used = session.rows_of_each(_CONNECTIONS)
    took = time.monotonic() - began
    if took > _NEAR_SECONDS:
        # The server may be near, and busy for a moment.
        began = time.monotonic()
        session.execute("DO 0")
        took = min(took, time.monotonic() - began)
    whole, ours = map(int, limits[0])
    left = whole - int(used[0][1])
    return took, min(left, ours) if ours else left
