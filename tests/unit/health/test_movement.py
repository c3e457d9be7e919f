"""Which running processes have to move, for how long they may do nothing, and what a copy says of its steps."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import pytest

from replica_cli.checkpoint.table_records import TableRecord
from replica_cli.core.position import Position
from replica_cli.core.reports.health import HealthCheck, HealthLevel
from replica_cli.core.status import CopyStep, Phase, TableProgress, TableState
from replica_cli.health import movement as module
from replica_cli.health.distance import Distance
from replica_cli.health.movement import COPY_STALL_SECONDS, STALL_SECONDS, check_moving
from replica_cli.health.secondary import InstanceState
from tests.unit.health.states import ITEMS, SAVED, beat, state

if TYPE_CHECKING:
    from collections.abc import Iterator

    from replica_cli.checkpoint.positions import SavedPosition
    from replica_cli.mysql.session import Session

OK, WARNING, CRITICAL = HealthLevel.OK, HealthLevel.WARNING, HealthLevel.CRITICAL
BEHIND, REACHED = Distance(is_reached=False), Distance(is_reached=True)
MOVED = replace(SAVED, position=Position("bin.000002", 4))


class Store:
    """The saved positions that the next looks find; the last one for ever."""

    answers: Iterator[SavedPosition]
    last = SAVED

    def __init__(self, *_: object) -> None:
        pass

    def load(self) -> SavedPosition:
        Store.last = next(Store.answers, Store.last)
        return Store.last


@pytest.fixture(autouse=True)
def looks(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return the waits between two looks, which take no time."""
    waits: list[float] = []
    Store.answers, Store.last = iter(()), SAVED
    monkeypatch.setattr(module, "PositionStore", Store)
    monkeypatch.setattr(module, "sleep_briefly", waits.append)
    return waits


def check(now: InstanceState, distance: Distance = BEHIND) -> HealthCheck | None:
    return check_moving(cast("Session", None), "replica_state", now, distance, "db2")


def moved(age: float | None, phase: Phase = Phase.STREAMING, **snapshot: Any) -> InstanceState:
    return replace(state(), beat=beat(phase, moved=age, **snapshot))


@pytest.mark.parametrize(
    "now",
    [
        InstanceState(saved=SAVED),
        moved(99.0, Phase.STOPPED),
        moved(99.0, Phase.RECONNECTING),
        moved(99.0, Phase.STANDBY),
        moved(None),
        replace(state(), beat=beat(age=15.0, moved=99.0)),
        replace(state(), beat=replace(beat(moved=99.0), is_pause_wanted=True)),
    ],
    ids=["never", "stopped", "reconnecting", "standby", "unknown", "silent", "paused"],
)
def test_what_does_not_have_to_move_is_not_checked(now: InstanceState) -> None:
    assert check(now) is None


def test_what_has_moved_a_moment_ago_is_not_looked_at_again(looks: list[float]) -> None:
    found = check(moved(STALL_SECONDS - 0.1))
    assert found is not None
    assert (found.level, found.message, looks) == (OK, "last moved 30s ago", [])


def test_nothing_to_apply_is_no_stall(looks: list[float]) -> None:
    found = check(moved(9_999.0), REACHED)
    assert found is not None
    assert (found.level, found.message, looks) == (OK, "nothing to apply", [])


def test_what_stands_is_looked_at_for_three_seconds(looks: list[float]) -> None:
    found = check(moved(STALL_SECONDS, message="db2: waits for a lock"))
    assert found is not None
    assert found.level is CRITICAL
    assert "has not moved for 30s while the primary wrote more: waits for a lock" in found.message
    assert sum(looks) == 3.0


def test_a_position_that_moves_meanwhile_is_well(looks: list[float]) -> None:
    Store.answers = iter([SAVED, SAVED, MOVED])
    found = check(moved(STALL_SECONDS))
    assert found is not None
    assert (found.level, found.message, len(looks)) == (OK, "moving", 3)


def test_after_an_idle_hour_a_change_has_waited_only_as_long_as_its_lag() -> None:
    found = check(moved(3_600.0, lag_seconds=2.0))
    assert found is not None
    assert found.level is OK


def test_a_large_transaction_that_moves_is_shown() -> None:
    found = check(moved(1.0, rows_uncommitted=5))
    assert found is not None
    assert found.message == "last moved 1.0s ago: 5 rows of a transaction that is not committed yet"


@pytest.mark.parametrize(("age", "level"), [(COPY_STALL_SECONDS - 1, OK), (COPY_STALL_SECONDS, CRITICAL)])
def test_a_copy_may_stand_longer(age: float, level: HealthLevel) -> None:
    # Also if the end of the log is reached: the position of a copy says nothing about its rows.
    found = check(moved(age, Phase.TRANSFERRING), REACHED)
    assert found is not None
    assert found.level is level


@pytest.mark.parametrize(
    ("step", "seconds", "waits_for", "level", "words"),
    [
        (CopyStep.INDEXES, 9_000.0, "", OK, "building indexes of shop.items for 2h30m"),
        (CopyStep.FOREIGN_KEYS, 299.0, "", OK, "adding foreign keys of shop.items"),
        (CopyStep.FOREIGN_KEYS, 300.0, "", WARNING, "adding foreign keys of shop.items for 5m00s"),
        (CopyStep.INDEXES, 2.0, "connection 9", WARNING, "waiting for a lock on shop.items for 2.0s (connection 9)"),
    ],
)
def test_a_step_without_counts_is_named(
    step: CopyStep, seconds: float, waits_for: str, level: HealthLevel, words: str
) -> None:
    progress = (
        TableProgress("shop.items", state=TableState.COPYING, step=step, step_seconds=seconds, waits_for=waits_for),
    )
    records = (TableRecord(ITEMS, TableState.COPYING),)
    found = check(replace(moved(9_999.0, Phase.TRANSFERRING), tables=records, progress=progress))
    assert found is not None
    assert (found.level, words in found.message) == (level, True)
