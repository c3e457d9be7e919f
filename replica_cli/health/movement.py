"""Check that a running stream moves: a process that is up while nothing moves is not healthy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replica_cli.checkpoint.positions import PositionStore
from replica_cli.core.reports.health import HealthCheck, HealthLevel
from replica_cli.core.status import CopyStep, Phase
from replica_cli.core.wording import duration, holder_text, short_reason, step_text, uncommitted_text
from replica_cli.stop import sleep_briefly

if TYPE_CHECKING:
    from collections.abc import Sequence

    from replica_cli.core.status import TableProgress
    from replica_cli.health.distance import Distance
    from replica_cli.health.secondary import InstanceState
    from replica_cli.mysql.session import Session

STALL_SECONDS = 30.0
# The primary may need long to find the next rows of a copy.
COPY_STALL_SECONDS = 300.0
CONFIRM_SECONDS = 3.0
_CONFIRM_STEP_SECONDS = 0.25
_NAMED_STEPS = 3
_MUST_MOVE = frozenset({Phase.STARTING, Phase.STREAMING, Phase.CAUGHT_UP})


def check_moving(
    session: Session, state_schema: str, state: InstanceState, distance: Distance, instance: str
) -> HealthCheck | None:
    """Check that a running process makes progress.

    The check may wait for three seconds to see the position move: when the first change comes after an idle hour, the
    position has not moved for an hour.

    Returns:
        The check, None if no process is running, or if the process does not have to move (paused, for example).

    Raises:
        ServerError: the secondary does not answer.
    """
    beat = state.beat
    if beat is None or not state.is_alive or beat.is_pause_wanted or beat.moved_age_seconds is None:
        return None
    age = beat.moved_age_seconds
    is_copying = beat.phase == Phase.TRANSFERRING
    steps = state.copy.steps if state.copy is not None else ()
    if steps and (is_copying or any(t.waits_for for t in steps)):
        # One statement may take hours. Its step is reported, and no count moves meanwhile.
        return _check_steps(steps, age, instance)
    if not is_copying and beat.phase not in _MUST_MOVE:
        return None
    if distance.is_reached and not is_copying:
        return HealthCheck("stream-moving", HealthLevel.OK, "nothing to apply", instance=instance)
    if beat.phase == Phase.STREAMING and state.reported_lag is not None:
        # After an idle time, the position has not moved for that whole time. But the waiting change is only as old as
        # the lag.
        age = min(age, state.reported_lag)
    limit = COPY_STALL_SECONDS if is_copying else STALL_SECONDS
    if age < limit or _moves(session, state_schema, state, instance):
        message = f"last moved {duration(age)} ago" if age < limit else "moving"
        if state.rows_uncommitted:
            message += f": {uncommitted_text(state.rows_uncommitted)}"
        return HealthCheck("stream-moving", HealthLevel.OK, message, value=round(age, 3), unit="s", instance=instance)
    message = (
        f"{holder_text(beat.holder)} is running, but has not moved for {duration(age)} while the primary wrote more"
    )
    if beat.message:
        message += f": {short_reason(beat.message, instance)}"
    hint = "read its log, and `SHOW PROCESSLIST` on the secondary; a restart loses nothing"
    return HealthCheck("stream-moving", HealthLevel.CRITICAL, message, hint, round(age, 3), "s", instance)


def _check_steps(steps: Sequence[TableProgress], age: float, instance: str) -> HealthCheck:
    """Check tables of a copy in a step without a row count that moves: building indexes alone may take hours."""
    waiting = [t for t in steps if t.waits_for]
    slow = [t for t in steps if t.step is not CopyStep.INDEXES and t.step_seconds >= COPY_STALL_SECONDS]
    shown = (waiting or slow or steps)[:_NAMED_STEPS]
    message = ", ".join(
        f"{step_text(t)} {t.table} for {duration(t.step_seconds)}{f' ({t.waits_for})' if t.waits_for else ''}"
        for t in shown
    )
    level = HealthLevel.WARNING if waiting or slow else HealthLevel.OK
    hint = "`SHOW PROCESSLIST` on the secondary shows who uses the table" if level else ""
    return HealthCheck("stream-moving", level, message, hint, round(age, 3), "s", instance)


def _moves(session: Session, state_schema: str, state: InstanceState, instance: str) -> bool:
    """Return True if the saved position changes within `CONFIRM_SECONDS`."""
    store = PositionStore(session, state_schema, instance)
    before = state.saved.position if state.saved else None
    for _ in range(int(CONFIRM_SECONDS / _CONFIRM_STEP_SECONDS)):
        # `replica health` handles no signals, so Ctrl-C ends this wait.
        sleep_briefly(_CONFIRM_STEP_SECONDS)
        saved = store.load()
        if saved is not None and saved.position != before:
            return True
    return False
