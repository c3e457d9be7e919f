"""Ask both servers about one instance, in an order in which a healthy stream never looks wrong.

Used by `replica health`, `replica position show` and the health monitor of a worker. The secondary is read first: a
position that is read after the end of the primary's log may already have passed that end. If the position looks lost
and the saved position has moved meanwhile, both are read again, because the log file may be purged between the two.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from replica_cli.core.attempts import STATE_READ_ATTEMPTS
from replica_cli.core.errors import PositionLost, PositionPurged, PrimaryReplaced, ReplicaError
from replica_cli.health.distance import is_reached
from replica_cli.health.primary import PrimaryView, read_primary
from replica_cli.mysql.facts import read_facts
from replica_cli.reader.position_check import PositionCheck

if TYPE_CHECKING:
    from collections.abc import Callable

    from replica_cli.core.position import Position
    from replica_cli.core.settings import Network
    from replica_cli.health.secondary import InstanceState
    from replica_cli.mysql.facts import ServerFacts
    from replica_cli.mysql.session import Session
    from replica_cli.runtime.primary_session import PrimarySession, QuestionSession

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class InstanceView:
    """The state of one instance, the primary a moment later, and the error of the check of the saved position.

    `oldest` is the primary's time of the first transaction that is not applied, in Unix seconds. It is None if a live
    stream reports the lag, if everything is applied, or if the log cannot be read.
    """

    state: InstanceState
    primary: PrimaryView
    error: ReplicaError | None = None
    oldest: int | None = None

    @property
    def is_lost(self) -> bool:
        """Return True if the saved position is not true on the primary.

        A purged position is not lost while a stream runs: the stream read what follows before it was purged.
        """
        if isinstance(self.error, PositionPurged) and self.state.is_alive:
            return False
        return isinstance(self.error, PositionLost | PrimaryReplaced)


def read_instance(
    read: Callable[[], InstanceState],
    primary: PrimarySession,
    network: Network,
    *,
    is_thorough: Callable[[InstanceState, PrimaryView], bool] = lambda _state, _primary: True,
) -> InstanceView:
    """Read the state of an instance, then the primary, and check the saved position.

    Errors of the primary are part of the result. Errors of `read` are raised.

    Args:
        read: reads the state of the instance from the secondary.
        primary: the session on the primary.
        network: the timeouts of connections that the check opens.
        is_thorough: returns True if the log is to be compared with the GTID set of the position. The primary has to
            read a file of its log for that.

    """
    state = read()
    for _ in range(STATE_READ_ATTEMPTS):
        view = _read_once(state, primary, network, is_thorough)
        if view.error is None:
            break
        again = read()
        if (again.saved and again.saved.position) == (state.saved and state.saved.position):
            break
        state = again
    return view


def try_read_primary(primary: QuestionSession, facts_of: Callable[[Session], ServerFacts] = read_facts) -> PrimaryView:
    """Return the end of the primary's log, or the error that says why it cannot be read. Never raises ReplicaError.

    `facts_of` returns the facts of the server. The default reads all of its variables.
    """
    try:
        return primary.answer(lambda session: read_primary(session, facts_of(session)))
    except ReplicaError as error:
        primary.close()
        return PrimaryView(error=error)


def _read_once(
    state: InstanceState,
    primary: PrimarySession,
    network: Network,
    is_thorough: Callable[[InstanceState, PrimaryView], bool],
) -> InstanceView:
    primary_view = try_read_primary(primary)
    if state.saved is None or primary_view.position is None or primary_view.facts is None:
        return InstanceView(state, primary_view)
    try:
        check = PositionCheck(primary.session, network, facts=primary_view.facts)
        start = check.start_of(state.saved, is_thorough=is_thorough(state, primary_view))
    except ReplicaError as error:
        return InstanceView(state, primary_view, error)
    is_lag_known = state.reported_lag is not None or is_reached(state.saved.position, primary_view.position)
    return InstanceView(
        state, primary_view, oldest=None if is_lag_known else _first_time(check, start, int(primary_view.now))
    )


def _first_time(check: PositionCheck, start: Position, now: int) -> int | None:
    """Return the time of the first transaction after a position, in Unix seconds.

    Args:
        check: reads the log.
        start: the position to read from.
        now: the primary's current time, which is returned if there is no such transaction.

    Returns:
        The time, None if the log cannot be read.

    """
    try:
        return check.first_time(start) or now
    except ReplicaError as error:
        logger.debug("the first transaction that is not applied cannot be read: %s", error)
        return None
