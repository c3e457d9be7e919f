"""At which level the results of the health monitor are logged."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from replica_cli.core.position import Position
from replica_cli.core.reports.health import HealthCheck, HealthLevel
from replica_cli.core.selection import Selection
from replica_cli.core.settings import Secret, Server, Settings
from replica_cli.core.status import Phase
from replica_cli.runtime.status_publisher import StatusPublisher
from replica_cli.worker import health_monitor

if TYPE_CHECKING:
    import pytest

SECONDS = 30


def test_what_stays_as_it_is_is_logged_each_ten_minutes_and_a_change_or_a_warning_at_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "replica_cli")
    now = [1000.0]
    monkeypatch.setattr("replica_cli.worker.health_monitor.time.monotonic", lambda: now[0])
    server = Server("db1", "127.0.0.1", 3306, "u", Secret("p"))
    publisher = StatusPublisher("db1", lambda _: None)
    publisher.set_lag(0.0, grows=False, heard_at=now[0])
    publisher.set(phase=Phase.STREAMING, position=Position("binlog.000001", 4))
    monitor = health_monitor.HealthMonitor(Settings(server, (server,), Selection(())), server, publisher)
    levels = []
    for number in range(80):
        is_wrong = 50 <= number < 53
        level = HealthLevel.WARNING if is_wrong else HealthLevel.OK
        # The message changes each time, as the retention that is left does.
        monitor._log_checks([HealthCheck("retention-left", level, f"{number} h left", instance="db1")])
        levels.append(caplog.records[-1].levelname)
        now[0] += SECONDS
    assert len(caplog.records) == 80
    assert [number for number, name in enumerate(levels) if name == "INFO"] == [0, 20, 40, 53, 73]
    assert [number for number, name in enumerate(levels) if name == "WARNING"] == [50, 51, 52]
