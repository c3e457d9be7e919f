from __future__ import annotations

import itertools
import logging
from typing import TYPE_CHECKING

from replica_cli.core.errors import ExitCode, LockHeld
from replica_cli.core.position import Position
from replica_cli.core.reports.failure import Failure
from replica_cli.core.reports.stream import StreamReport, WorkerReport
from replica_cli.core.requests.stream import StreamRequest
from replica_cli.core.selection import Selection
from replica_cli.core.settings import Secret, Server, Settings
from replica_cli.core.status import Phase
from replica_cli.supervisor import worker_handle as module
from replica_cli.supervisor.stopped_secondaries import StoppedSecondaries
from replica_cli.supervisor.worker_handle import WorkerHandle
from replica_cli.worker.messages import WorkerConfig

if TYPE_CHECKING:
    import pytest


FAILED = WorkerReport(
    "db1", Phase.FAILED, Position("bin.000001", 4), failure=Failure("x", "row is missing", "`h`", ExitCode.REFUSED)
)


def test_a_dead_stream_is_an_error_at_once_and_again_less_and_less_often(caplog: pytest.LogCaptureFixture) -> None:
    now = [0.0]
    fallen = StoppedSecondaries(clock=lambda: now[0])
    said = []
    for second in range(3601):
        now[0] = float(second)
        caplog.clear()
        fallen.log_due([FAILED, WorkerReport("db2", Phase.STOPPED)])
        for record in caplog.records:
            assert record.levelno == logging.ERROR
            assert "row is missing (hint: `h`)" in record.getMessage()
            assert vars(record)["instance"] == "db1"
            said.append(second)
    assert said[:4] == [0, 30, 90, 210]
    assert max(b - a for a, b in itertools.pairwise(said)) <= 600
    assert said[-1] > 3000


def test_a_stream_that_another_process_has_is_not_called_dead(caplog: pytest.LogCaptureFixture) -> None:
    failure = Failure.of(LockHeld("db1: the process (host a, pid 7) writes to this instance"))
    StoppedSecondaries().log_due([WorkerReport("db1", Phase.FAILED, failure=failure)])
    (record,) = caplog.records
    assert record.getMessage().startswith("its stream has ended here, another process writes to it: the process (host")


def test_the_exit_code_of_the_whole_is_that_of_the_one_that_failed() -> None:
    report = StreamReport((WorkerReport("db2", Phase.STOPPED), FAILED))
    assert report.exit_code is ExitCode.REFUSED


def test_a_process_that_cannot_be_started_is_a_death_and_not_the_end_of_the_others(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse() -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(module, "spawn", refuse)
    server = Server("db1", "127.0.0.1", 3306, "u", Secret("p"))
    settings = Settings(server, (server,), Selection(()))
    child = WorkerHandle(WorkerConfig(settings, StreamRequest((server,)), server, 100, logging.INFO))
    for deaths in (1, 2, 3):
        child.start()
        assert (child.deaths, child.pipe, child.report) == (deaths, None, None)
    assert "it cannot be started: Resource temporarily unavailable" in caplog.text
    assert child.status.phase is Phase.STARTING
    assert "starts again in 3 s" in child.status.message
