"""A bug that one event causes: reported with its call, tried once more, then its table is quarantined."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from replica_cli.applier.ddl.decisions import DdlDecisions
from replica_cli.applier.engines.sql_engine import SqlEngine
from replica_cli.core.requests.stream import StreamRequest
from replica_cli.core.settings import Apply, EngineChoice, TableFailurePolicy
from replica_cli.core.status import TableState
from replica_cli.runtime.status_publisher import StatusPublisher
from replica_cli.stop import StopToken
from replica_cli.worker.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from replica_cli.applier.engines.steps import ApplyStep
    from replica_cli.core.events import RowEvent
    from replica_cli.core.reports.stream import WorkerReport
    from tests.engine.applier.harness import Harness


@pytest.fixture
def broken(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> Harness:
    """Give two tables, of which one meets a bug with every event."""
    harness.on_both("CREATE TABLE good (id INT PRIMARY KEY)", "CREATE TABLE bad (id INT PRIMARY KEY, word TEXT)")
    harness.begin_here()
    steps = SqlEngine.steps

    def failing(self: SqlEngine, events: Sequence[RowEvent]) -> Iterator[ApplyStep]:
        if any(e.table.name.table == "bad" for e in events):
            raise ZeroDivisionError("a secret value")
        return steps(self, events)

    monkeypatch.setattr(SqlEngine, "steps", failing)
    return harness


def run(harness: Harness, policy: TableFailurePolicy = TableFailurePolicy.QUARANTINE) -> WorkerReport:

    settings = replace(harness.settings, apply=Apply(engine=EngineChoice.SQL, on_table_failure=policy))
    request = StreamRequest((harness.target,), may_transfer=False, until_caught_up=True)
    publisher = StatusPublisher("db1", lambda _: None)
    return Worker(settings, request, harness.target, server_id=4000, publisher=publisher, stop=StopToken()).run()


def test_its_table_is_set_aside_and_the_others_go_on(broken: Harness, caplog: pytest.LogCaptureFixture) -> None:
    broken.on_primary("INSERT INTO good VALUES (1)", "INSERT INTO bad VALUES (1, 'x')", "INSERT INTO good VALUES (2)")
    with caplog.at_level(logging.INFO):
        report = run(broken)
    assert report.failure is not None
    assert report.failure.code == "quarantined"
    assert broken.other.rows("SELECT id FROM good") == [(1,), (2,)]
    assert broken.other.rows("SELECT id FROM bad") == []
    panics = [r for r in caplog.records if getattr(r, "tag", "") == "PANIC"]
    assert [r.getMessage().split()[0] for r in panics] == ["1/2", "2/2"]
    assert "ZeroDivisionError while the INSERT event was handled" in panics[0].getMessage()
    assert "; raised in test_panic.py:" in panics[0].getMessage()
    assert ":" in panics[0].position  # type: ignore[attr-defined]
    assert "secret" not in caplog.text
    (record,) = [r for r in broken.tables.load().values() if r.state is TableState.QUARANTINED]
    assert record.name == broken.name("bad")


def test_a_transaction_of_both_is_rolled_back_whole_before_it_goes_on_without_it(broken: Harness) -> None:
    broken.on_primary("BEGIN", "INSERT INTO good VALUES (1)", "INSERT INTO bad VALUES (1, 'x')", "COMMIT")
    failure = run(broken).failure
    assert failure is not None
    assert failure.code == "quarantined"
    assert broken.other.rows("SELECT id FROM good") == [(1,)]


def test_where_a_failing_table_is_to_stop_the_stream_it_does(broken: Harness) -> None:
    broken.on_primary("INSERT INTO bad VALUES (1, 'x')")
    failure = run(broken, TableFailurePolicy.STOP).failure
    assert failure is not None
    assert (failure.code, failure.exit_code) == ("panic", 14)


def test_a_bug_outside_of_any_table_is_tried_once_more_and_ends_the_stream(
    harness: Harness, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    harness.on_both("CREATE TABLE live (id INT PRIMARY KEY)")
    harness.begin_here()

    def failing(*_: object) -> None:
        raise IndexError("a secret value")

    monkeypatch.setattr(DdlDecisions, "parse", failing)
    harness.on_primary("CREATE TABLE t (id INT PRIMARY KEY)")
    failure = run(harness).failure
    assert failure is not None
    assert (failure.code, failure.exit_code) == ("panic", 14)
    assert "IndexError while the statement at" in failure.message
    assert sum(getattr(r, "tag", "") == "PANIC" for r in caplog.records) == 2
    assert "secret" not in caplog.text


def test_the_trace_that_the_hint_speaks_of_is_logged_at_debug(
    broken: Harness, caplog: pytest.LogCaptureFixture
) -> None:
    broken.on_primary("INSERT INTO bad VALUES (1, 'x')")
    with caplog.at_level(logging.DEBUG, "replica_cli"):
        failure = run(broken, TableFailurePolicy.STOP).failure
    assert failure is not None
    assert "`-v` logs the whole trace" in (failure.hint or "")
    traces = [r.exc_text or logging.Formatter().formatException(r.exc_info) for r in caplog.records if r.exc_info]
    assert any("ZeroDivisionError: a secret value" in trace for trace in traces)
