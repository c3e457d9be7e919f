"""Decides whether every secondary streams within its lag limit, and says why not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replica_cli.core.status import STREAMING_PHASES
from replica_cli.core.wording import duration, phase_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from replica_cli.api.board import Snapshot
    from replica_cli.api.documents import NotReady
    from replica_cli.core.settings import Settings

# A worker whose secondary does not answer sends its next snapshot after the read timeout.
_SLACK_SECONDS = 10.0


def why_not_ready(snapshots: Iterable[Snapshot], settings: Settings) -> list[NotReady]:
    """Return why secondaries are not ready, nothing if all of them are."""
    silence = settings.network.read_timeout + _SLACK_SECONDS
    limits = ((s, settings.of(s.status.instance).max_lag_seconds) for s in snapshots)
    return [why for snapshot, limit in limits if (why := _why_not(snapshot, limit, silence)) is not None]


def _why_not(snapshot: Snapshot, limit: float, silence: float) -> NotReady | None:
    status, lag = snapshot.status, snapshot.lag_seconds
    instance = status.instance
    if status.phase not in STREAMING_PHASES:
        more = f": {status.message}" if status.message else ""
        return {"instance": instance, "reason": "phase", "message": f"is {phase_text(status.phase)}{more}"}
    if snapshot.age_seconds > silence:
        message = f"its worker has reported nothing for {duration(snapshot.age_seconds)}"
        return {"instance": instance, "reason": "silent", "message": message}
    if lag is None:
        return {"instance": instance, "reason": "lag_unknown", "message": "its lag is not known yet"}
    if lag > limit:
        message = f"its lag of {duration(lag)} is above the limit of {duration(limit)}"
        return {"instance": instance, "reason": "lag", "message": message}
    return None
