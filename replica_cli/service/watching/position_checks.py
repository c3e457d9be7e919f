"""Check saved positions in the primary's log now and then, at the price of a few cheap statements.

A board stays open for hours, so it must not make the primary read its log in each round. The log is not compared with
the GTID set of the position, which `replica position show` does once.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from replica_cli.core.errors import ReplicaError
from replica_cli.health.distance import is_reached
from replica_cli.reader.position_check import PositionCheck
from replica_cli.runtime.instance_view import InstanceView

if TYPE_CHECKING:
    from collections.abc import Callable

    from replica_cli.core.position import Position
    from replica_cli.core.settings import Network
    from replica_cli.health.primary import PrimaryView
    from replica_cli.health.secondary import InstanceState
    from replica_cli.runtime.primary_session import QuestionSession

# The health monitor of a stream checks as often.
CHECK_SECONDS = 30.0
# To read the time of the first change that is not applied, the primary opens a dump connection.
_DUMP_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class _Checked:
    """The result for a position, made at a monotonic time.

    Attributes:
        has_read: the log after the position was read.
        oldest: the time of the first change after the position, 0 if there was none; None if it could not be read.
    """

    position: Position
    at: float
    error: ReplicaError | None = None
    has_read: bool = False
    oldest: int | None = None


class PositionChecks:
    """The last check of each instance. All are made on one session, by one thread at a time."""

    def __init__(self, primary: QuestionSession, network: Network, clock: Callable[[], float] = time.monotonic) -> None:
        self._primary = primary
        self._network = network
        self._clock = clock
        self._checked: dict[str, _Checked] = {}

    def is_due(self, instance: str, state: InstanceState, primary: PrimaryView) -> bool:
        """Return True if an instance has to be checked, because that was long ago or because its lag is not known."""
        if state.saved is None or primary.position is None:
            return False
        last = self._checked.get(instance)
        if last is None:
            return True
        age = self._clock() - last.at
        is_new = last.position != state.saved.position
        has_to_read = (is_new and age >= _DUMP_SECONDS) or (not is_new and not last.has_read)
        return age >= CHECK_SECONDS or (has_to_read and _needs_oldest(state, primary))

    def check(self, instance: str, state: InstanceState, primary: PrimaryView) -> None:
        """Check the saved position of an instance. Keeps errors, raises none."""
        if state.saved is None or primary.facts is None:
            return
        before, position = self._checked.get(instance), state.saved.position
        try:
            check = PositionCheck(self._primary.session, self._network, facts=primary.facts)
            start = check.start_of(state.saved, is_thorough=False)
        except ReplicaError as error:
            self._checked[instance] = _Checked(position, self._clock(), error)
            return
        has_read, oldest = False, None
        if before is not None and before.position == position and before.oldest:
            # The first change after a position stays the first one.
            has_read, oldest = True, before.oldest
        elif _needs_oldest(state, primary):
            has_read = True
            with contextlib.suppress(ReplicaError):
                oldest = check.first_time(start) or 0
        self._checked[instance] = _Checked(position, self._clock(), has_read=has_read, oldest=oldest)

    def view_of(self, instance: str, state: InstanceState, primary: PrimaryView) -> InstanceView:
        """Return both sides of an instance with the last check, if that was made with the same position."""
        last = self._checked.get(instance)
        if last is None or state.saved is None or last.position != state.saved.position:
            return InstanceView(state, primary)
        return InstanceView(state, primary, last.error, int(primary.now) if last.oldest == 0 else last.oldest)


def _needs_oldest(state: InstanceState, primary: PrimaryView) -> bool:
    if state.saved is None or primary.position is None or state.reported_lag is not None or state.is_first_copy:
        return False
    return not is_reached(state.saved.position, primary.position)
