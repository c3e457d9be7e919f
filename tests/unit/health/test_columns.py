"""When a column that the secondary lacks is reported: if no statement that is still to be applied explains it."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast
from unittest.mock import Mock

import pytest

from replica_cli.core.differences import AcceptedDrift
from replica_cli.core.position import Position
from replica_cli.core.selection import Selection
from replica_cli.health import column_watch as module
from replica_cli.health.column_watch import ColumnWatch
from tests.unit.health.states import ITEMS

if TYPE_CHECKING:
    from collections.abc import Collection

    from replica_cli.core.names import TableName
    from replica_cli.core.reports.health import HealthCheck
    from replica_cli.mysql.session import Row, Session

BEFORE, END, LATER = (Position("bin.000001", number) for number in (100, 200, 300))
FULL, SHORT = ("id", "n"), ("id",)


class Server:
    """A server with one table in one schema."""

    def __init__(self, schema: str, columns: tuple[str, ...]) -> None:
        self.schema = schema
        self.columns = columns

    def rows(self, sql: str, *arguments: str) -> list[Row]:
        if "schemata" in sql:
            return [(self.schema,), ("mysql",)]
        return [("items", name) for name in self.columns] if arguments == (self.schema,) else []


class Scene:
    """A primary, its secondary under another schema name, and the watch of both."""

    def __init__(self, patch: pytest.MonkeyPatch, *accepted: AcceptedDrift) -> None:
        self.primary, self.secondary = Server("shop", FULL), Server("store", SHORT)
        self.end = END
        patch.setattr(module, "read_facts", Mock())
        patch.setattr(module, "end_of_log", lambda *_: self.end)
        self.watch = ColumnWatch(Selection((("shop", "store"),)), "db2", accepted)

    def check(self, position: Position | None = END, left_out: Collection[TableName] = ()) -> HealthCheck | None:
        sessions = (cast("Session", server) for server in (self.primary, self.secondary))
        return self.watch.check(next(sessions), next(sessions), position, left_out=left_out)


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Scene:
    return Scene(monkeypatch)


def test_equal_columns_are_well(scene: Scene) -> None:
    scene.secondary.columns = ("ID", "N", "more")
    assert [scene.check() for _ in range(3)] == [None] * 3


def test_a_missing_column_is_reported_when_it_is_seen_again_after_the_end_of_the_log(scene: Scene) -> None:
    assert scene.check(LATER) is None
    found = scene.check(END)
    assert found is not None
    assert found.message.endswith("shop.items (n)")
    assert "`replica transfer --table shop.items`" in found.hint


def test_a_statement_that_is_to_come_may_explain_it(scene: Scene) -> None:
    for position in (BEFORE, None, BEFORE):
        assert scene.check(position) is None
    # The log grows. What counts is its end when the difference was seen first.
    scene.end = LATER
    assert scene.check(BEFORE) is None
    assert scene.check(END) is not None


@pytest.mark.parametrize("side", ["primary", "secondary"])
def test_a_change_of_either_side_begins_again(scene: Scene, side: str) -> None:
    scene.check()
    getattr(scene, side).columns += ("more",)
    assert scene.check() is None
    assert scene.check() is not None


def test_a_difference_that_went_is_forgotten(scene: Scene) -> None:
    scene.check()
    scene.secondary.columns = FULL
    assert scene.check() is None
    scene.secondary.columns = SHORT
    assert scene.check() is None


def test_tables_in_quarantine_and_those_that_one_side_lacks_are_not_compared(scene: Scene) -> None:
    assert [scene.check(left_out={ITEMS}) for _ in range(2)] == [None, None]
    scene.secondary.columns = ()
    assert [scene.check() for _ in range(2)] == [None, None]


def test_accepted_drift_is_not_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(monkeypatch, AcceptedDrift("shop.*", "missing-column", "n"))
    assert [scene.check() for _ in range(2)] == [None, None]


def test_one_round_in_ten_checks_and_each_one_while_there_is_a_difference(scene: Scene) -> None:
    assert [scene.watch.is_due() for _ in range(11)] == [True, *[False] * 9, True]
    scene.check()
    assert all(scene.watch.is_due() for _ in range(5))
