"""How long the primary keeps the log of a saved position at least."""

from __future__ import annotations

from dataclasses import replace

import pytest

from replica_cli.core.position import Position
from replica_cli.health.primary import PrimaryView
from replica_cli.health.retention import retention_seconds
from replica_cli.health.secondary import InstanceState
from tests.unit.health.states import DAY, END, HOUR, NOW, primary, saved_at, state

OLD = Position("bin.000001", 400)


@pytest.mark.parametrize(
    ("age", "left"), [(0, 2 * HOUR), (60, 2 * HOUR - 60), (2 * HOUR - 1, 1), (2 * HOUR, 0), (5 * DAY, 0)]
)
def test_the_limit_without_the_age_of_the_last_applied_change_is_left(age: int, left: int) -> None:
    saved = saved_at(OLD, source_time=int(NOW) - age)
    assert retention_seconds(primary(binlog_expire_logs_seconds=str(2 * HOUR)), saved) == left


def test_the_active_file_is_kept_for_the_whole_limit_once_it_is_closed() -> None:
    saved = saved_at(END, source_time=int(NOW) - 5 * DAY)
    assert retention_seconds(primary(binlog_expire_logs_seconds="7200"), saved) == 7200


@pytest.mark.parametrize(
    ("variables", "left"),
    [
        ({"expire_logs_days": "1"}, DAY - 60),
        ({"expire_logs_days": "0.5"}, DAY / 2 - 60),
        ({"binlog_expire_logs_seconds": "0"}, None),  # never
        ({"binlog_expire_logs_seconds": "7200", "binlog_expire_logs_auto_purge": "OFF"}, None),
        ({"binlog_expire_logs_seconds": "7200", "binlog_expire_logs_auto_purge": "ON"}, 2 * HOUR - 60),
        ({}, None),
    ],
)
def test_the_limit_is_that_of_the_primary(variables: dict[str, str], left: float | None) -> None:
    assert retention_seconds(primary(**variables), saved_at(OLD, source_time=int(NOW) - 60)) == left


def test_before_the_first_change_the_age_of_the_row_counts() -> None:
    view = primary(binlog_expire_logs_seconds="7200")
    saved = saved_at(OLD, source_time=0)
    assert retention_seconds(view, replace(saved, saved_age_seconds=200.0)) == 7000
    assert retention_seconds(view, replace(saved, saved_age_seconds=None)) is None


def test_nothing_is_known_without_both_positions() -> None:
    assert retention_seconds(primary(binlog_expire_logs_seconds="7200"), InstanceState()) is None
    assert retention_seconds(PrimaryView(), state()) is None
    assert retention_seconds(replace(primary(binlog_expire_logs_seconds="7200"), position=None), state()) is None


def test_a_primary_whose_clock_is_before_the_change_leaves_no_more_than_its_limit() -> None:
    saved = saved_at(OLD, source_time=int(NOW) + 100)
    assert retention_seconds(primary(binlog_expire_logs_seconds="7200"), saved) == 7200
