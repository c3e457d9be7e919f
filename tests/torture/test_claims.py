"""The checks of torture: a wrong answer is named, a right one never is."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from tests.torture.claims import (
    Look,
    Sample,
    caught_up_times,
    last_phase,
    not_at_rest,
    wrong_in_health,
    wrong_in_log,
    wrong_in_positions,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

_NOW = 1_000.0
_PLACE = {"file": "binlog.000001", "pos": 4, "gtid": "0-1-7,1-1-2"}


def _sample(*, missing_since: float | None = None, states: Mapping[str, str] | None = None, **changes: Any) -> Sample:
    """Return a sample of two transactions; the second is missing if it is said since when."""
    acknowledged = {1: _NOW - 60.0, 2: _NOW - (missing_since or 60.0)}
    numbers = frozenset({1} if missing_since else {1, 2})
    look = Look(numbers, states or {})
    return Sample("db1", _NOW, acknowledged, **{"before": look, "after": look, **changes})


def _check(name: str, message: str = "", level: int = 0, **changes: Any) -> dict[str, Any]:
    status = ("ok", "warning", "critical")[level]
    return {"name": name, "instance": "db1", "level": level, "status": status, "message": message, "hint": None,
            "value": None, **changes}  # fmt: skip


def _health(*checks: dict[str, Any]) -> dict[str, Any]:
    return {"level": max((c["level"] for c in checks), default=0), "checks": list(checks)}


def _positions(**changes: Any) -> dict[str, Any]:
    report: dict[str, Any] = {
        "instance": "db1",
        "phase": "caught_up",
        "failure": None,
        "saved": _PLACE,
        "primary": _PLACE,
        "distance_bytes": 0,
        "tables": [],
    }
    return {"secondaries": [{**report, **changes}]}


_CAUGHT_UP = _health(_check("lag", "caught up", value=0.0))
_BEHIND = _health(_check("lag", "2 s", value=2.0))
_NONE = _health(_check("quarantined-tables", "none", value=0))
_ORDERS = _health(_check("quarantined-tables", "torture.orders; torture.orders stopped at x: y", 2, value=1))
_PAST = _health(_check("position", "binlog.000001:9 is past the end of its file", 2))
_ADVICE = _health(_check("unfinished-transfer", "1 table", 1, hint="`replica transfer --restart` copies again"))
_BY_THE_WATCH = _health(_check("stream-watch", "vm:1 found: position: x is purged: the log begins with y", 2))
_SET_ASIDE = {"orders": "quarantined"}


@pytest.mark.parametrize(
    ("document", "sample"),
    [
        (_CAUGHT_UP, _sample(missing_since=0.1)),
        (_BEHIND, _sample(missing_since=30.0)),
        (_PAST, _sample()),
        (_ADVICE, _sample()),
        (_BY_THE_WATCH, _sample()),
        (_NONE, _sample(states=_SET_ASIDE)),
        (_ORDERS, _sample()),
    ],
    ids=["missing", "older-than-the-lag", "false-alarm", "advice", "watch", "not-named", "named-wrongly"],
)
def test_an_untrue_answer_of_health_is_named(document: dict[str, Any], sample: Sample) -> None:
    assert len(wrong_in_health(document, sample)) == 1


@pytest.mark.parametrize(
    ("document", "sample"),
    [
        (_CAUGHT_UP, _sample()),
        (_CAUGHT_UP, _sample(missing_since=0.1, states={"ledger": "copying"})),
        (_CAUGHT_UP, _sample(missing_since=0.1, after=None)),
        (_BEHIND, _sample(missing_since=3.0)),
        (_PAST, _sample(may_be_lost=True)),
        (_health(_check("position", "no position is saved", 2)), _sample()),
        (_health(_check("primary-connection", "the primary: connection refused", 2)), _sample()),
        (_ORDERS, _sample(states=_SET_ASIDE)),
        (_NONE, _sample(before=Look(None, _SET_ASIDE))),
        (_ORDERS, _sample(took_seconds=5.0)),
    ],
    ids=["equal", "ledger-copied", "unreadable", "within-the-lag", "lost", "no-position", "unreachable", "named",
         "changed-meanwhile", "slow"],
)  # fmt: skip
def test_a_true_answer_of_health_is_not_accused(document: dict[str, Any], sample: Sample) -> None:
    assert not wrong_in_health(document, sample)


def test_an_untrue_distance_and_an_untrue_phase_of_position_show_are_named() -> None:
    assert len(wrong_in_positions(_positions(), _sample(missing_since=0.1))) == 1
    assert len(wrong_in_positions(_positions(), _sample(missing_since=30.0))) == 2
    assert len(wrong_in_positions(_positions(), _sample(states=_SET_ASIDE))) == 1


def test_a_true_answer_of_position_show_is_not_accused() -> None:
    assert not wrong_in_positions(_positions(), _sample())
    # The phase is that of the last heartbeat, which may be a few seconds old.
    assert not wrong_in_positions(_positions(distance_bytes=5), _sample(missing_since=3.0))
    tables = [{"table": "torture.orders", "state": "quarantined"}, {"table": "torture.item", "state": "copied"}]
    assert not wrong_in_positions(_positions(tables=tables), _sample(states={**_SET_ASIDE, "item": "copied"}))


@pytest.mark.parametrize(
    "changes",
    [
        {"phase": "streaming"},
        {"distance_bytes": 7},
        {"tables": [{"table": "torture.item", "state": "copied"}]},
        {"saved": {**_PLACE, "gtid": "0-1-6"}},
        {"saved": None},
    ],
    ids=["phase", "distance", "tables", "gtid", "nothing-saved"],
)
def test_what_is_not_over_at_rest_is_named(changes: dict[str, Any]) -> None:
    assert not not_at_rest(_health(_check("lag")), _positions(), "db1")
    assert len(not_at_rest(_health(_check("lag")), _positions(**changes), "db1")) == 1


def test_a_warning_at_rest_is_named() -> None:
    assert len(not_at_rest(_health(_check("lag", "9 s", 1)), _positions(), "db1")) == 1


_LOG = [
    "2026-01-01T00:00:01.000Z [INFO] [db1] streaming at binlog.000001:4 lag 0.1s",
    "2026-01-01T00:00:02.000Z [INFO] [db1] caught up at binlog.000001:9 lag 0.0s",
    "2026-01-01T00:00:02.500Z [INFO] [db2] caught up at binlog.000001:9 lag 0.0s",
    "2026-01-01T00:00:03.000Z [HEALTH] [db1] caught up, lag 0.0s; position: x is past the end of its file (4 bytes)",
    "2026-01-01T00:00:04.000Z [ERROR] [db1] vm:7 writes: it took over while this process was frozen or cut off",
    "| a line of a trace",
]


def test_untrue_alarms_of_the_log_are_named_and_true_ones_are_not() -> None:
    loss = datetime(2026, 1, 1, 0, 0, 3, tzinfo=UTC).timestamp()
    assert len(wrong_in_log(_LOG, "db1", [], was_replaced=False)) == 2
    assert len(wrong_in_log(_LOG, "db1", [(loss - 1, loss + 1)], was_replaced=False)) == 1
    assert not wrong_in_log(_LOG, "db1", [(loss - 1, loss + 1)], was_replaced=True)
    assert not wrong_in_log(_LOG, "db2", [], was_replaced=False)


def test_the_phases_of_a_log_are_read_for_each_instance() -> None:
    assert caught_up_times(_LOG, "db1") == [datetime(2026, 1, 1, 0, 0, 2, tzinfo=UTC).timestamp()]
    assert last_phase(_LOG[:1], "db1") == "streaming"
    assert last_phase(_LOG, "db1") == "caught up"
    assert not last_phase(_LOG, "db3")
