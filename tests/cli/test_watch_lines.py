"""What `position show --watch` writes without a terminal: lines in the form of status lines, and JSON lines."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from replica_cli import documents
from replica_cli.cli.output.watch_lines import write_json_round, write_round
from replica_cli.core.errors import ExitCode
from replica_cli.core.reports.failure import Failure, Unknown
from replica_cli.core.reports.watch import NO_ANSWER, WatchRound
from replica_cli.core.status import Phase
from tests.cli.test_board import TIME, copying, process, quarantined, silent, streaming

if TYPE_CHECKING:
    import pytest

    from replica_cli.core.reports.position import PositionReport

HEAD = "2026-01-01T12:30:05.000Z"


def line_of(report: PositionReport, capsys: pytest.CaptureFixture[str]) -> str:
    assert write_round(WatchRound(TIME, (report,)))
    (line,) = capsys.readouterr().out.splitlines()
    return line


def test_a_line_has_the_parts_of_a_status_line_and_the_process(capsys: pytest.CaptureFixture[str]) -> None:
    assert line_of(quarantined(), capsys) == (
        f"{HEAD} [INFO] [db1] streaming at binlog.000042:846528615 lag 1.2s rows 812/s trx 46100/s distance 12.0 KiB "
        "quarantined 1: shop.t0 (process a-host:4711, heartbeat 0.4s ago)"
    )
    assert "copying 0 of 2 tables, 114000 of about 199000 rows (57%)" in line_of(copying(), capsys)


def test_a_line_says_what_cannot_be_read_and_that_no_process_runs(capsys: pytest.CaptureFixture[str]) -> None:
    assert line_of(silent("db2", "server_error", "db2: connection refused"), capsys) == (
        f"{HEAD} [WARN] [db2] unreachable: connection refused"
    )
    assert line_of(silent("db2", NO_ANSWER, "no answer for 7.0s"), capsys) == f"{HEAD} [WARN] [db2] no answer for 7.0s"
    stopped = replace(streaming(), process=process(Phase.STOPPED, 125.0, is_running=False), rows_per_second=None)
    assert line_of(stopped, capsys) == (
        f"{HEAD} [INFO] [db1] no process at binlog.000042:846528615 lag 1.2s trx 46100/s distance 12.0 KiB "
        "(the process (host a-host, pid 4711) stopped 2m05s ago)"
    )
    gone = Unknown(Failure("server_error", "connection refused", exit_code=ExitCode.PRIMARY))
    line = line_of(replace(streaming(), primary=gone), capsys)
    assert line.startswith(f"{HEAD} [WARN] [db1] streaming")
    assert line.endswith(" (primary unreachable: connection refused)")


def test_a_json_line_is_the_document_of_position_show_with_its_time(capsys: pytest.CaptureFixture[str]) -> None:
    reports = (quarantined(), copying("db2"))
    assert write_json_round(WatchRound(TIME, reports))
    (line,) = capsys.readouterr().out.splitlines()
    document = json.loads(line)
    assert (document.pop("type"), document.pop("time")) == ("positions", HEAD)
    assert document == json.loads(documents.dumps(documents.positions_document(reports)))
