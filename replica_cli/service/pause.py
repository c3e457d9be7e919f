"""Run `replica pause` and `replica resume`: write the request to the state schema and wait until it is followed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from replica_cli.checkpoint.beats import BeatStore
from replica_cli.checkpoint.lock import WriterLock
from replica_cli.core.errors import ReplicaError
from replica_cli.core.reports.failure import Failure
from replica_cli.core.reports.pause import PauseReport
from replica_cli.core.status import Phase
from replica_cli.health.secondary import read_state
from replica_cli.mysql.session import connect
from replica_cli.supervisor.signals import stopping_on_signals

if TYPE_CHECKING:
    from collections.abc import Sequence

    from replica_cli.core.settings import Server, Settings
    from replica_cli.mysql.session import Session
    from replica_cli.stop import StopToken

_POLL_SECONDS = 0.25
_PATIENCE_SECONDS = 30.0


def ask_to_pause(
    settings: Settings, secondaries: Sequence[Server], *, is_wanted: bool, stop: StopToken | None = None
) -> tuple[PauseReport, ...]:
    """Write the request to each secondary and wait, half a minute at most, until the running process follows it.

    A secondary that cannot be reached has a failure in its report; the others are asked nevertheless. `stop` ends
    the wait.
    """
    with stopping_on_signals(stop) as stop_signals:
        return tuple(_request(settings, server, stop_signals.token, is_wanted=is_wanted) for server in secondaries)


def _request(settings: Settings, server: Server, stop: StopToken, *, is_wanted: bool) -> PauseReport:
    try:
        with connect(server, settings.network) as session:
            return _request_on(session, settings, server, stop, is_wanted=is_wanted)
    except ReplicaError as error:
        return PauseReport(server.name, failure=Failure.of(error))


def _request_on(
    session: Session, settings: Settings, server: Server, stop: StopToken, *, is_wanted: bool
) -> PauseReport:
    state = read_state(session, settings.state_schema, server.name)
    store = BeatStore(session, settings.state_schema, server.name)
    if state.beat is None or not store.set_pause(is_wanted):
        return PauseReport(
            server.name,
            failure=Failure(
                "never_ran", f"{server.name}: no stream or transfer has ever run for it",
                "`replica stream`",
            ),
        )  # fmt: skip
    lock = WriterLock(session, settings.state_schema, server.name)
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        beat = store.load()
        phase = Phase(beat.phase) if beat is not None and beat.phase in set(Phase) else None
        is_alive = lock.holder_id() is not None
        has_followed = (phase is Phase.PAUSED) == is_wanted
        if not is_alive or has_followed or time.monotonic() > deadline or stop.wait(_POLL_SECONDS):
            holder = beat.holder if beat is not None and is_alive else ""
            return PauseReport(server.name, is_wanted, holder, phase if is_alive else None)
