"""Parts of a watch that need no server: threads that hang, rates from counters, and when positions are checked."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import pytest

from replica_cli.core.errors import PositionLost
from replica_cli.core.settings import Network
from replica_cli.core.status import Phase
from replica_cli.service.watching import position_checks
from replica_cli.service.watching.answer_thread import AnswerThread
from replica_cli.service.watching.counter_rates import CounterRates, Reading
from replica_cli.service.watching.position_checks import PositionChecks
from tests.unit.health.states import END, NOW, SAVED, primary, saved_at, state

if TYPE_CHECKING:
    from replica_cli.core.position import Position
    from replica_cli.runtime.primary_session import QuestionSession


@pytest.fixture
def changed() -> threading.Condition:
    return threading.Condition()


def test_a_thread_that_hangs_is_busy_and_delays_no_other(changed: threading.Condition) -> None:
    gate, answers = threading.Event(), list[str]()
    hanging, other = AnswerThread("a", changed), AnswerThread("b", changed)
    try:
        hanging.ask(lambda: cast("None", gate.wait()))
        other.ask(lambda: answers.append("here"))
        with changed:
            assert changed.wait_for(lambda: other.is_idle, 10)
        assert answers == ["here"]
        assert not hanging.is_idle
        assert hanging.busy_seconds > 0
        assert not hanging.has_ended(until=0)
    finally:
        gate.set()
        for thread in (hanging, other):
            thread.end()
            assert thread.has_ended(time.monotonic() + 10)


def test_an_error_that_is_not_expected_is_kept_for_the_caller(changed: threading.Condition) -> None:
    def fail() -> None:
        raise KeyError("x")

    thread = AnswerThread("a", changed)
    thread.ask(fail)
    with changed:
        assert changed.wait_for(lambda: thread.is_idle, 10)
    assert isinstance(thread.error, KeyError)
    thread.end()
    assert thread.has_ended(time.monotonic() + 10)


def test_rates_come_from_the_last_two_readings() -> None:
    rates = CounterRates()
    rates.note("db1", Reading(1.0, 100, 10))
    assert rates.rates("db1") == (None, None)
    rates.note("db1", Reading(3.0, 150, 20))
    rates.note("db1", Reading(3.0, 150, 20))  # the same reading again: the secondary has not answered since
    assert rates.rates("db1") == (25.0, 5.0)
    rates.note("db1", Reading(5.0, 150, 20))
    assert rates.rates("db1") == (0.0, 0.0)


def test_counters_that_were_set_back_give_no_rate() -> None:
    rates = CounterRates()
    rates.note("db1", Reading(1.0, 100, 10))
    rates.note("db1", Reading(2.0, 0, 0))
    assert rates.rates("db1") == (None, None)
    rates.forget("db1")
    rates.note("db1", Reading(3.0, 5, 1))
    assert rates.rates("db1") == (None, None)


class _Log:
    """Replaces the primary's log: what a check of it says, and how often it was asked."""

    def __init__(self) -> None:
        self.checks = self.dumps = 0
        self.error: PositionLost | None = None
        self.first: int | None = int(NOW) - 40
        self.now = 100.0


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> _Log:
    made = _Log()

    class Check:
        def __init__(self, *_: Any, **__: Any) -> None:
            pass

        def start_of(self, saved: Any, *, is_thorough: bool) -> Position:
            assert not is_thorough  # the primary would read its log
            made.checks += 1
            if made.error is not None:
                raise made.error
            position: Position = saved.position
            return position

        def first_time(self, _start: Position) -> int | None:
            made.dumps += 1
            return made.first

    monkeypatch.setattr(position_checks, "PositionCheck", Check)
    return made


@pytest.fixture
def checks(log: _Log) -> PositionChecks:
    class Session:
        session = None

    return PositionChecks(cast("QuestionSession", Session()), Network(), lambda: log.now)


STOPPED = replace(state(Phase.STOPPED, age=60.0), saved=SAVED)
LIVE = state(Phase.STREAMING, age=0.5, lag_seconds=2.0)


def test_a_position_is_checked_twice_a_minute(log: _Log, checks: PositionChecks) -> None:
    assert checks.is_due("db1", LIVE, primary())
    checks.check("db1", LIVE, primary())
    log.now += 29
    assert not checks.is_due("db1", LIVE, primary())
    log.now += 1
    assert checks.is_due("db1", LIVE, primary())
    assert (log.checks, log.dumps) == (1, 0)  # a live stream reports its lag


def test_the_first_change_after_a_position_is_read_once(log: _Log, checks: PositionChecks) -> None:
    for _ in range(3):
        assert checks.is_due("db1", STOPPED, primary())
        checks.check("db1", STOPPED, primary())
        log.now += 30
    assert (log.checks, log.dumps) == (3, 1)
    assert checks.view_of("db1", STOPPED, primary()).oldest == int(NOW) - 40


def test_a_change_that_comes_to_a_stopped_stream_is_read_at_once(log: _Log, checks: PositionChecks) -> None:
    reached = saved_at(END)
    checks.check("db1", reached, primary())
    assert not checks.is_due("db1", reached, primary())
    more = replace(primary(), position=replace(END, pos=END.pos + 100))
    assert checks.is_due("db1", reached, more)
    checks.check("db1", reached, more)
    assert not checks.is_due("db1", reached, more)
    assert log.dumps == 1


def test_a_log_without_a_further_transaction_has_no_lag(log: _Log, checks: PositionChecks) -> None:
    log.first = None
    checks.check("db1", STOPPED, primary())
    assert checks.view_of("db1", STOPPED, primary()).oldest == int(NOW)
    assert not checks.is_due("db1", STOPPED, primary())


def test_a_loss_counts_for_the_position_that_was_checked_alone(log: _Log, checks: PositionChecks) -> None:
    log.error = PositionLost("gone")
    checks.check("db1", STOPPED, primary())
    assert checks.view_of("db1", STOPPED, primary()).is_lost
    moved = replace(STOPPED, saved=replace(SAVED, position=END))
    assert not checks.view_of("db1", moved, primary()).is_lost
