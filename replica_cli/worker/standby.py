"""The standby: waits for another process's lease to end, then makes sure that it cannot write any more.

The lease is the holder's heartbeat. It has run out when the heartbeat did not change for `REPLICA_LEASE` by this
process's own monotonic clock: no two clocks are compared. A holder beats each second once it knows of a standby, which
it does within a few seconds.
"""

from __future__ import annotations

import contextlib
import logging
import time
from typing import TYPE_CHECKING

from replica_cli.checkpoint.beats import BeatStore, this_holder
from replica_cli.checkpoint.lock import WriterLock
from replica_cli.checkpoint.looks import IDLE_LOOK_SECONDS, Looks
from replica_cli.checkpoint.schema import create_state_schema
from replica_cli.core.status import ENDED, Phase
from replica_cli.core.wording import duration, holder_text
from replica_cli.logs import Tag, log
from replica_cli.mysql.errnos import ServerError
from replica_cli.mysql.session import connect

if TYPE_CHECKING:
    from replica_cli.checkpoint.beats import Beat
    from replica_cli.checkpoint.looks import Sign
    from replica_cli.core.settings import Server, Settings
    from replica_cli.mysql.session import Session
    from replica_cli.runtime.status_publisher import StatusPublisher
    from replica_cli.stop import StopToken

logger = logging.getLogger(__name__)
_LOOK_SECONDS = 2.0
# After the connections of a silent holder were killed.
_FREE_SECONDS = 0.5
# An idle holder looks for a standby that often. From then on it beats each second.
_UNHEARD_SECONDS = IDLE_LOOK_SECONDS + 1.0
_NOBODY = "another process"


def stand_by(settings: Settings, server: Server, board: StatusPublisher, stop: StopToken) -> None:
    """Return when nobody holds the instance any more, or a stop was asked for. Raises ServerError."""
    with connect(server, settings.network) as session:
        create_state_schema(session, settings.state_schema)
        looks = Looks(session, settings.state_schema, server.name)
        seen: Sign | None = None
        has_killed = False
        while not stop.is_set:
            sign = looks.stand()
            if sign.writer_id is None and (_is_over(sign) or (has_killed and _is_silent(sign, seen))):
                return
            if sign != seen:
                seen_at, patience, has_killed = time.monotonic(), settings.network.lease, False
                if seen is None and sign.writer_id is not None:
                    # It may be idle, and not know yet that somebody waits. One that has lost the lock says so at once.
                    patience += _UNHEARD_SECONDS
            seen = sign
            _tell(session, settings, server, board)
            silent = time.monotonic() - seen_at
            if silent >= patience and not has_killed:
                _take_over(session, settings, server, sign, silent)
                if sign.writer_id is None:
                    return
                has_killed = True
            stop.wait(_FREE_SECONDS if has_killed else min(_LOOK_SECONDS, max(patience - silent, 0.0)))


def _is_over(sign: Sign) -> bool:
    """Say whether the one that beat last has ended by itself, or was this very process."""
    return not sign.holder or sign.phase in ENDED or sign.holder == this_holder()


def _is_silent(sign: Sign, before: Sign | None) -> bool:
    """Say whether nobody has beaten since."""
    return before is not None and (sign.holder, sign.beat_at) == (before.holder, before.beat_at)


def _tell(session: Session, settings: Settings, server: Server, board: StatusPublisher) -> None:
    if board.status.phase is not Phase.STANDBY:
        name = holder_text(WriterLock(session, settings.state_schema, server.name).holder() or _NOBODY)
        board.set(phase=Phase.STANDBY, message=f"{name} writes")
        log(logger, logging.INFO, Tag.INFO, "standing by: %s writes", name, instance=server.name)


def _take_over(session: Session, settings: Settings, server: Server, sign: Sign, silent: float) -> None:
    beat = BeatStore(session, settings.state_schema, server.name).load()
    name = holder_text(sign.holder) if sign.holder else f"connection {sign.writer_id}"
    log(
        logger, logging.WARNING, Tag.WARN, "%s has been silent for %s: taking over", name,
        duration(silent), instance=server.name,
    )  # fmt: skip
    for number in sorted(_connections(session, beat) | ({sign.writer_id} if sign.writer_id else set())):
        # Gone already is as good; and the lock alone decides who writes.
        with contextlib.suppress(ServerError):
            session.execute(f"KILL {number}")


def _connections(session: Session, beat: Beat | None) -> set[int]:
    """Return the connections that the holder last said were its own, none where the server has begun to count anew."""
    row = session.row("SHOW GLOBAL STATUS LIKE 'Uptime'")
    if beat is None or row is None or float(row[1]) <= beat.age_seconds + 1:
        return set()
    ours = session.connection_id
    named = beat.snapshot.get("connections")
    return {n for n in named if isinstance(n, int) and n != ours} if isinstance(named, list) else set()
