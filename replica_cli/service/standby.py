"""The standby: waits for another process's lease to end, then makes sure that it cannot write any more.

The lease is the holder's heartbeat. It has run out when the heartbeat did not change for `REPLICA_LEASE` by this
process's own monotonic clock: no two clocks are compared.
"""

from __future__ import annotations

import contextlib
import logging
import time
from typing import TYPE_CHECKING

from replica_cli.checkpoint.beats import Beat, BeatStore, this_holder
from replica_cli.checkpoint.lock import WriterLock
from replica_cli.checkpoint.schema import create_state_schema
from replica_cli.core.status import ENDED, Phase
from replica_cli.core.wording import duration, holder_text
from replica_cli.logs import Tag, log
from replica_cli.mysql.errnos import ServerError
from replica_cli.mysql.session import connect

if TYPE_CHECKING:
    from replica_cli.core.settings import Server, Settings
    from replica_cli.mysql.session import Session
    from replica_cli.service.board import StatusBoard
    from replica_cli.stop import StopToken

logger = logging.getLogger(__name__)
_LOOK_SECONDS = 0.5
_NOBODY = "another process"


def stand_by(settings: Settings, server: Server, board: StatusBoard, stop: StopToken) -> None:
    """Return when nobody holds the instance any more, or a stop was asked for. Raises ServerError."""
    with connect(server, settings.network) as session:
        create_state_schema(session, settings.state_schema)
        store = BeatStore(session, settings.state_schema, server.name)
        lock = WriterLock(session, settings.state_schema, server.name)
        seen: tuple[object, ...] = ()
        seen_at = time.monotonic()
        while not stop.is_set:
            beat, holder = store.load(), lock.holder_id()
            if holder is None and _is_over(beat):
                return
            sign = (holder, beat.beat_at if beat else "", beat.holder if beat else "")
            if sign != seen:
                seen, seen_at = sign, time.monotonic()
            silent = time.monotonic() - seen_at
            if silent >= settings.network.lease:
                _take_over(session, server, beat, holder, silent)
                if holder is None:
                    return
            if board.status.phase is not Phase.STANDBY:
                board.set(phase=Phase.STANDBY, message=f"{holder_text(lock.holder() or _NOBODY)} writes")
                log(logger, logging.INFO, Tag.INFO, "standing by: %s writes", holder_text(lock.holder() or _NOBODY),
                    instance=server.name)  # fmt: skip
            stop.wait(_LOOK_SECONDS)


def _is_over(beat: Beat | None) -> bool:
    """Say whether the one that beat last has ended by itself, or was this very process."""
    return beat is None or beat.phase in ENDED or beat.holder == this_holder()


def _take_over(session: Session, server: Server, beat: Beat | None, holder: int | None, silent: float) -> None:
    name = holder_text(beat.holder) if beat else f"connection {holder}"
    log(
        logger, logging.WARNING, Tag.WARN, "%s has been silent for %s: taking over", name, duration(silent),
        instance=server.name,
    )  # fmt: skip
    for number in sorted(_connections(session, beat) | ({holder} if holder else set())):
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
