"""What both servers say of one instance, in an order in which a healthy stream never looks wrong.

`health`, `position show` and the stream's own watch ask here. The secondary is read first: a position that is read
after the primary's end may have passed it. What looks lost is asked again if the saved position moved meanwhile, as a
file may be purged between the two looks.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from replica_cli.core.errors import PositionLost, PositionPurged, PrimaryReplaced, ReplicaError
from replica_cli.health.distance import is_reached
from replica_cli.health.primary import PrimaryView, read_primary
from replica_cli.mysql.facts import read_facts
from replica_cli.reader.truth import PositionCheck

if TYPE_CHECKING:
    from collections.abc import Callable

    from replica_cli.core.position import Position
    from replica_cli.core.settings import Network
    from replica_cli.health.secondary import InstanceState
    from replica_cli.runtime.primary_session import PrimarySession

logger = logging.getLogger(__name__)

_LOOKS = 10


@dataclass(frozen=True, slots=True)
class Judgement:
    """One instance's state, the primary a moment later, and what the check of the saved position raised.

    `oldest` is the primary's time of the first transaction that is not applied, where no live stream tells the lag.
    """

    state: InstanceState
    primary: PrimaryView
    error: ReplicaError | None = None
    oldest: int | None = None

    @property
    def is_lost(self) -> bool:
        """Return True if the saved position is not true on the primary.

        Not so for one that is purged while a stream lives: what follows was read before it was purged.
        """
        if isinstance(self.error, PositionPurged) and self.state.is_alive:
            return False
        return isinstance(self.error, PositionLost | PrimaryReplaced)


def judge(
    read: Callable[[], InstanceState],
    primary: PrimarySession,
    network: Network,
    *,
    is_thorough: Callable[[InstanceState, PrimaryView], bool] = lambda _state, _primary: True,
) -> Judgement:
    """Read an instance's state, then the primary, and check the saved position.

    `is_thorough` says whether to hold the log against the GTID set, which makes the primary read a file of its log.
    Never raises for the primary's sake; what `read` raises is passed on.
    """
    state = read()
    for _ in range(_LOOKS):
        found = _look(state, primary, network, is_thorough)
        if found.error is None:
            break
        again = read()
        if (again.saved and again.saved.position) == (state.saved and state.saved.position):
            break
        state = again
    return found


def look_at_primary(primary: PrimarySession) -> PrimaryView:
    """Return where the primary's log ends, or the error that says why that cannot be read; never raise it."""
    try:
        return primary.answer(lambda session: read_primary(session, read_facts(session)))
    except ReplicaError as error:
        primary.close()
        return PrimaryView(error=error)


def _look(
    state: InstanceState,
    primary: PrimarySession,
    network: Network,
    is_thorough: Callable[[InstanceState, PrimaryView], bool],
) -> Judgement:
    view = look_at_primary(primary)
    if state.saved is None or view.position is None or view.facts is None:
        return Judgement(state, view)
    try:
        check = PositionCheck(primary.session, network, facts=view.facts)
        start = check.start_of(state.saved, is_thorough=is_thorough(state, view))
    except ReplicaError as error:
        return Judgement(state, view, error)
    position, is_mariadb = state.saved.position, view.facts.is_mariadb
    is_told = state.told_lag is not None or is_reached(position, view.position, is_mariadb=is_mariadb)
    return Judgement(state, view, oldest=None if is_told else _first_time(check, start, int(view.now)))


def _first_time(check: PositionCheck, start: Position, now: int) -> int | None:
    """Return the time of the first transaction after a position, that of now if there is none; None if not readable."""
    try:
        return check.first_time(start) or now
    except ReplicaError as error:
        logger.debug("the first transaction that is not applied cannot be read: %s", error)
        return None
