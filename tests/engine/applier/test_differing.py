"""Rows that somebody changed on the secondary, and that a change of the primary overwrites: counted at DEBUG."""

from __future__ import annotations

import logging
import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from replica_cli.applier.engines import sql_engine
from replica_cli.core.settings import EngineChoice

if TYPE_CHECKING:
    from tests.engine.applier.harness import Harness

TABLES = (
    "CREATE TABLE t (id INT PRIMARY KEY, n INT, word VARCHAR(9), x FLOAT, doc JSON)",
    "CREATE TABLE pair (a INT, b VARCHAR(9), n INT, PRIMARY KEY (a, b))",
    "INSERT INTO t VALUES (1, 1, 'one', 0.1, '{\"a\": 1.5}'), (2, 2, 'two', 0.2, NULL), (3, NULL, NULL, NULL, '[]')",
    "INSERT INTO pair VALUES (1, 'x', 1), (2, 'y', 2)",
)
CHANGES = (
    "UPDATE t SET n = 10 WHERE id < 3",
    "UPDATE t SET n = n + 1",
    "UPDATE pair SET n = 10 WHERE a = 1",
    "DELETE FROM pair WHERE a = 2",
    "DELETE FROM t WHERE id = 3",
)


@pytest.fixture(params=[True, False], ids=["compact", "single"])
def table(harness: Harness, request: pytest.FixtureRequest) -> Harness:
    apply = replace(harness.settings.apply, engine=EngineChoice.SQL, compacts=request.param)
    harness.settings = replace(harness.settings, apply=apply)
    harness.on_both(*TABLES)
    harness.begin_here()
    return harness


def differing(text: str) -> dict[str, int]:
    """Return by table how many rows the log says to have differed."""
    found: dict[str, int] = {}
    for count, name in re.findall(r"(\d+) rows? of \S+\.(\w+) differed from the primary", text):
        found[name] = found.get(name, 0) + int(count)
    return found


def test_rows_that_differ_are_counted_by_table(table: Harness, caplog: pytest.LogCaptureFixture) -> None:
    table.on_secondary("UPDATE t SET word = 'ONE' WHERE id = 1", "UPDATE t SET n = 0 WHERE id = 3")
    table.on_secondary("UPDATE pair SET n = n + 5")
    place = table.here()
    with caplog.at_level(logging.DEBUG, "replica_cli"):
        table.source.begin()
        table.on_primary(*CHANGES)
        table.source.commit()
        table.stream()
    assert differing(caplog.text) == {"t": 2, "pair": 2}
    told = [r for r in caplog.records if "differed from the primary" in r.getMessage()]
    assert {str(vars(r)["position"]) for r in told} == {str(place)}
    table.on_primary("UPDATE t SET word = 'uno' WHERE id = 1")
    table.stream()
    table.assert_equal()


def test_rows_that_are_equal_are_not(table: Harness, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "replica_cli"):
        table.on_primary(*CHANGES)
        table.stream()
    assert differing(caplog.text) == {}
    table.assert_equal()


def test_nothing_is_looked_for_unless_the_log_tells_it(table: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    def die(*_: object) -> None:
        pytest.fail("the rows were looked at")

    monkeypatch.setattr(sql_engine, "plan_comparison", die)
    table.on_primary(*CHANGES)
    table.stream()
    table.assert_equal()
