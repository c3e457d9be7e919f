"""The look that a stream takes at itself every half minute."""

from __future__ import annotations

import logging
import time

import pytest

from replica_cli.core.position import Position
from replica_cli.core.selection import Selection
from replica_cli.core.settings import Secret, Server, Settings
from replica_cli.core.status import Phase
from replica_cli.service import beating
from replica_cli.service.board import StatusBoard
from replica_cli.stop import StopToken

SERVER = Server("db1", "127.0.0.1", 1, "replica", Secret("word"))
SETTINGS = Settings(SERVER, (SERVER,), Selection((("shop", "shop"),)), max_lag_seconds=5.0)


@pytest.mark.parametrize(
    ("phase", "lag_seconds", "level", "said"),
    [
        (Phase.CAUGHT_UP, 0.5, logging.INFO, "caught_up, lag 0.5 s, last heard 2.0 s ago"),
        (Phase.STREAMING, 7.0, logging.WARNING, "streaming, lag 7.0 s"),
        (Phase.STREAMING, None, logging.WARNING, "streaming, lag unknown, last heard 2.0 s ago, nothing moves"),
    ],
)
def test_how_it_goes_is_said_and_a_warning_where_it_does_not(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    *,
    phase: Phase,
    lag_seconds: float | None,
    level: int,
    said: str,
) -> None:
    monkeypatch.setattr(beating, "_WATCH_SECONDS", 0.0)
    caplog.set_level(logging.INFO, logger="replica_cli")
    board = StatusBoard("db1", lambda _: None)
    board.set(phase=phase, lag_seconds=lag_seconds, seconds_since_event=2.0, position=Position("binlog.000001", 4))
    deadline = time.monotonic() + 60
    with beating.Heartbeat(SETTINGS, SERVER, board, StopToken()):
        while not any(said in record.getMessage() for record in caplog.records):
            assert time.monotonic() < deadline, caplog.text
    found = next(record for record in caplog.records if said in record.getMessage())
    assert found.levelno == level
    assert found.tag == "HEALTH"  # type: ignore[attr-defined]
