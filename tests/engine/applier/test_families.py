"""A table that foreign keys act on is never copied without its relatives; others are left alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from replica_cli.core.settings import TransferSettings
from replica_cli.transfer.planning.plan import plan_copy

if TYPE_CHECKING:
    from tests.engine.applier.harness import Harness

pytestmark = pytest.mark.every_release

TABLES = (
    "CREATE TABLE a (id INT PRIMARY KEY)",
    "CREATE TABLE b (id INT PRIMARY KEY, a INT, FOREIGN KEY (a) REFERENCES a (id) ON DELETE CASCADE)",
    "CREATE TABLE c (id INT PRIMARY KEY, b INT, FOREIGN KEY (b) REFERENCES b (id) ON UPDATE SET NULL)",
    "CREATE TABLE d (id INT PRIMARY KEY, a INT, FOREIGN KEY (a) REFERENCES a (id) ON DELETE RESTRICT)",
    "CREATE TABLE e (id INT PRIMARY KEY)",
    "CREATE TABLE f (id INT PRIMARY KEY, f INT, FOREIGN KEY (f) REFERENCES f (id) ON DELETE CASCADE)",
)


@pytest.mark.servers("mariadb")
@pytest.mark.parametrize(
    ("named", "planned"), [("a", "abc"), ("b", "abc"), ("c", "abc"), ("d", "d"), ("e", "e"), ("f", "f"), ("de", "de")]
)
def test_relatives_come_along(harness: Harness, named: str, planned: str) -> None:
    harness.on_primary(*TABLES)
    plan = plan_copy(
        harness.source,
        harness.other,
        harness.settings.selection,
        instance="db1",
        state_schema=harness.settings.state_schema,
        settings=TransferSettings(),
        tables=[harness.name(table) for table in named],
    )
    assert sorted(t.planned.name.table for t in plan.tables) == list(planned)
