from __future__ import annotations

from dataclasses import replace

from replica_cli.api.board import Board
from replica_cli.api.readiness import why_not_ready
from replica_cli.core.settings import Http
from replica_cli.core.status import Phase, WorkerStatus
from tests.unit.api.site import STREAMING, settings_with


def test_the_lag_of_a_stream_that_is_behind_grows_between_two_snapshots() -> None:
    now = [100.0]
    board = Board(["db2"], clock=lambda: now[0])
    board.on_status(replace(STREAMING, phase=Phase.STREAMING, lag_seconds=5.0))
    now[0] += 3
    (snapshot,) = board.snapshots()
    assert (snapshot.lag_seconds, snapshot.age_seconds) == (8.0, 3.0)
    board.on_status(STREAMING)
    now[0] += 3
    assert board.snapshots()[0].lag_seconds == 0.4


def test_a_worker_that_is_silent_is_not_ready() -> None:
    now = [100.0]
    board = Board(["db2"], clock=lambda: now[0])
    settings = settings_with(Http(), "db2")
    board.on_status(STREAMING)
    now[0] += settings.network.read_timeout
    assert why_not_ready(board.snapshots(), settings) == []
    now[0] += 11
    (reason,) = why_not_ready(board.snapshots(), settings)
    assert reason == {"instance": "db2", "reason": "silent", "message": "its worker has reported nothing for 21s"}
    board.on_status(replace(STREAMING, lag_seconds=None))
    assert why_not_ready(board.snapshots(), settings)[0]["reason"] == "lag_unknown"


def test_history_and_events_are_bounded_and_of_known_secondaries() -> None:
    events: list[tuple[str, str]] = []
    board = Board(["db2"], lambda instance, message: events.append((instance, message)))
    board.on_status(WorkerStatus("db9", Phase.STREAMING))
    board.on_status(STREAMING)
    for _ in range(800):
        board.take_samples()
    assert len(board.history("db2")) == 720
    board.on_status(replace(STREAMING, phase=Phase.RECONNECTING, lag_seconds=1.0))
    board.take_samples()
    assert board.history("db2")[-1].lag_seconds is None
    board.on_note("", "a note")
    assert events == [("db2", "streaming"), ("db2", "reconnecting"), ("", "a note")]
    assert [s.instance for s in board.newest()] == ["db2"]
