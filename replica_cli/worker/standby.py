"""Wait on standby until the lease of another process has run out, then make sure that it cannot write any more.

The worker's main thread waits here, on a session of its own. The lease has run out when the holder's heartbeat has not
changed for `REPLICA_LEASE` by this process's own monotonic clock: the clocks of two servers are never compared. A
holder notices a standby within a few seconds and from then on sends a heartbeat each second.
"""

from __future__ import annotations

import contextlib
import logging
import time
from typing import TYPE_CHECKING

from replica_cli.checkpoint.beats import BeatStore, this_holder
from replica_cli.checkpoint.lock import WriterLock
from replica_cli.checkpoint.schema import create_state_schema
from replica_cli.checkpoint.status_reader import IDLE_POLL_SECONDS, StatusReader
from replica_cli.core.status import ENDED, Phase
from replica_cli.core.wording import duration, holder_text
from replica_cli.logs import Tag, log
from replica_cli.mysql.errnos import ServerError
from replica_cli.mysql.session import connect

if TYPE_CHECKING:
    from replica_cli.checkpoint.beats import Beat
    from replica_cli.checkpoint.status_reader import LifeSign
    from replica_cli.core.settings import Server, Settings
    from replica_cli.mysql.session import Session
    from replica_cli.runtime.status_publisher import StatusPublisher
    from replica_cli.stop import StopToken

logger = logging.getLogger(__name__)
_POLL_SECONDS = 2.0
# How often the standby looks after it has killed the connections of a silent holder.
_KILLED_POLL_SECONDS = 0.5
# An idle holder looks this seldom for a standby. After it has noticed one it sends a heartbeat each second.
_UNNOTICED_SECONDS = IDLE_POLL_SECONDS + 1.0
_UNKNOWN_HOLDER = "another process"


def stand_by(settings: Settings, server: Server, publisher: StatusPublisher, stop: StopToken) -> None:
    """Return when no process holds the instance any more, or after a stop.

    Raises:
        ServerError: the secondary does not answer.

    """
    with connect(server, settings.network) as session:
        create_state_schema(session, settings.state_schema)
        status_reader = StatusReader(session, settings.state_schema, server.name)
        seen: LifeSign | None = None
        has_killed = False
        while not stop.is_set:
            sign = status_reader.announce_standby()
            if sign.writer_id is None and (_has_ended(sign) or (has_killed and _is_unchanged(sign, seen))):
                return
            if sign != seen:
                seen_at, patience, has_killed = time.monotonic(), settings.network.lease, False
                if seen is None and sign.writer_id is not None:
                    # The holder may be idle and not have noticed this standby yet. A holder that has lost the lock
                    # reports that at once.
                    patience += _UNNOTICED_SECONDS
            seen = sign
            _announce(session, settings, server, publisher)
            silent = time.monotonic() - seen_at
            if silent >= patience and not has_killed:
                _take_over(session, settings, server, sign, silent)
                if sign.writer_id is None:
                    return
                has_killed = True
            stop.wait(_KILLED_POLL_SECONDS if has_killed else min(_POLL_SECONDS, max(patience - silent, 0.0)))


def _has_ended(sign: LifeSign) -> bool:
    """Return True if there was no heartbeat yet, or if the last holder has ended by itself or is this very process."""
    return not sign.holder or sign.phase in ENDED or sign.holder == this_holder()


def _is_unchanged(sign: LifeSign, before: LifeSign | None) -> bool:
    """Return True if there was no heartbeat since the last look."""
    return before is not None and (sign.holder, sign.beat_at) == (before.holder, before.beat_at)


def _announce(session: Session, settings: Settings, server: Server, publisher: StatusPublisher) -> None:
    if publisher.status.phase is not Phase.STANDBY:
        name = holder_text(WriterLock(session, settings.state_schema, server.name).holder() or _UNKNOWN_HOLDER)
        publisher.set(phase=Phase.STANDBY, message=f"{name} writes")
        log(logger, logging.INFO, Tag.INFO, "standing by: %s writes", name, instance=server.name)


def _take_over(session: Session, settings: Settings, server: Server, sign: LifeSign, silent: float) -> None:
    beat = BeatStore(session, settings.state_schema, server.name).load()
    name = holder_text(sign.holder) if sign.holder else f"connection {sign.writer_id}"
    log(
        logger, logging.WARNING, Tag.WARN, "%s has been silent for %s: taking over", name,
        duration(silent), instance=server.name,
    )  # fmt: skip
    for number in sorted(_connections(session, beat) | ({sign.writer_id} if sign.writer_id else set())):
        # A connection may be gone already. And the writer's lock alone decides which process writes.
        with contextlib.suppress(ServerError):
            session.execute(f"KILL {number}")


def _connections(session: Session, beat: Beat | None) -> set[int]:
    """Return the connections that the holder reported as its own.

    Returns an empty set if the server was restarted since that heartbeat: it counts connections from 1 again.
    """
    row = session.row("SHOW GLOBAL STATUS LIKE 'Uptime'")
    if beat is None or row is None or float(row[1]) <= beat.age_seconds + 1:
        return set()
    own_id = session.connection_id
    reported = beat.snapshot.get("connections")
    return {n for n in reported if isinstance(n, int) and n != own_id} if isinstance(reported, list) else set()
