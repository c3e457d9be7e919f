"""How long attempts at a statement wait: longer each time, and in all no longer than is allowed."""

from __future__ import annotations

import contextlib
import time
from unittest.mock import Mock

import pytest

from replica_cli.applier.ddl.lock_waits import LockPatience
from replica_cli.applier.ddl.statement_runner import StatementRunner
from replica_cli.core.errors import LockWait
from replica_cli.core.position import Position
from replica_cli.mysql.errnos import Remedy, ServerError

HERE, THERE = Position("binlog.000001", 4), Position("binlog.000001", 900)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Give the seconds that have passed, to be moved on."""
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def attempts(patience: LockPatience, clock: list[float], limit: int = 12) -> list[int]:
    found: list[int] = []
    while not patience.is_over and len(found) < limit:
        found.append(patience.begin(HERE))
        clock[0] += found[-1]
        patience.end()
    return found


def attempt(runner: StatementRunner, clock: list[float], seconds: float, outcome: Exception | None) -> None:
    """Let an attempt take some seconds and end with an error, or well."""
    with runner.waiting_for(HERE):
        clock[0] += seconds
        if outcome is not None:
            raise outcome


def test_attempts_grow_and_end_at_the_limit(clock: list[float]) -> None:
    assert attempts(LockPatience(3600.0, 1800.0), clock) == [60, 120, 240, 480, 960, 1740]


def test_none_is_longer_than_a_statement_may_take(clock: list[float]) -> None:
    assert attempts(LockPatience(600.0, 100.0), clock) == [60, 100, 100, 100, 100, 100, 40]


def test_without_a_limit_it_is_never_over(clock: list[float]) -> None:
    assert attempts(LockPatience(0.0, 300.0), clock, 5) == [60, 120, 240, 300, 300]


def test_a_short_limit_has_several_attempts(clock: list[float]) -> None:
    assert attempts(LockPatience(8.0, 1800.0), clock) == [2, 4, 2]


def test_what_a_statement_worked_does_not_count(clock: list[float]) -> None:
    patience = LockPatience(3600.0, 1800.0)
    assert patience.begin(HERE) == 60
    clock[0] += 7200
    patience.end()
    assert patience.waited_seconds == 60
    clock[0] += 5
    assert patience.waited_seconds == 65
    assert patience.begin(HERE) == 120


def test_another_statement_begins_from_the_start(clock: list[float]) -> None:
    patience = LockPatience(600.0, 1800.0)
    assert len(attempts(patience, clock)) == 4
    was_over = patience.is_over
    assert patience.begin(THERE) == 60
    assert (was_over, patience.is_over) == (True, False)
    patience.end()
    patience.forget()
    assert patience.begin(THERE) == 60


def test_whether_it_is_over_is_decided_where_the_attempt_ends(clock: list[float]) -> None:
    patience = LockPatience(8.0, 1800.0)
    runner = StatementRunner(Mock(), patience)
    found = []
    for seconds in (2.0, 4.0, 1.999, 1.0):
        error = LockWait("waits")
        with pytest.raises(LockWait):
            attempt(runner, clock, seconds, error)
        found.append(error.is_over)
        if len(found) == 3:
            # Nothing of the limit is left a moment later; this attempt ended before.
            assert not error.is_over
            clock[0] += 0.5
            assert patience.is_over
    assert found == [False, False, False, True]
    assert patience.attempts == 0


def test_attempts_that_end_with_their_connection_count_and_the_time_between_does_not(clock: list[float]) -> None:
    patience = LockPatience(600.0, 1800.0)
    runner = StatementRunner(Mock(), patience)
    lost = 0
    while not runner.lost_attempts(HERE):
        with pytest.raises(ServerError):
            attempt(runner, clock, 50, ServerError(2013, "lost connection", "db1", remedy=Remedy.RECONNECT))
        lost += 1
        clock[0] += 7200
        assert lost <= 12
    assert (lost, runner.lost_attempts(HERE), runner.lost_attempts(THERE)) == (12, 12, 0)


@pytest.mark.parametrize("outcome", [None, ServerError(1064, "syntax", "db1", remedy=Remedy.FATAL)])
def test_an_end_of_another_kind_forgets_the_attempts(clock: list[float], outcome: ServerError | None) -> None:
    patience = LockPatience(600.0, 1800.0)
    patience.begin(HERE)
    patience.lose()
    with contextlib.suppress(ServerError):
        attempt(StatementRunner(Mock(), patience), clock, 1, outcome)
    assert patience.attempts == 0
    assert patience.begin(HERE) == 60
