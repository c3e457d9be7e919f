"""A table that is altered before a copy's position and altered back after it: the copy reads one definition twice.

Between the two statements the table had another definition. The first rows of the replay window were written for that.
"""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from replica_cli.core.requests.transfer import TransferMode
from replica_cli.core.selection import Selection
from replica_cli.core.settings import Network, Retry, TransferSettings
from replica_cli.stop import StopToken
from replica_cli.transfer import copy_worker
from replica_cli.transfer.planning.plan import plan_copy
from replica_cli.transfer.rows.ranges import split
from replica_cli.transfer.run import run_copy
from tests.support.command import wait_until

if TYPE_CHECKING:
    from replica_cli.checkpoint.progress import RangeProgress
    from replica_cli.mysql.session import Session
    from replica_cli.transfer.planning.plan import CopyPlan
    from replica_cli.transfer.table_copy import TableCopy
    from tests.support.command import Replica

_ONE_PART = "PARTITION BY RANGE (id) (PARTITION p0 VALUES LESS THAN (100))"
# By name: the table; statements that alter it; rows that fit only then; statements that alter it back.
CHANGES = {
    "partition": (
        f"CREATE TABLE t (id INT PRIMARY KEY, n INT) {_ONE_PART}",
        [
            "ALTER TABLE t ADD PARTITION (PARTITION p1 VALUES LESS THAN (200))",
            "INSERT INTO t VALUES (101, 0), (102, 0)",
        ],
        ["UPDATE t SET n = 1 WHERE id > 100", "DELETE FROM t WHERE id = 101", "INSERT INTO t VALUES (103, 1)"],
        ["ALTER TABLE t DROP PARTITION p1"],
    ),
    "check": (
        "CREATE TABLE t (id INT PRIMARY KEY, n INT, CONSTRAINT small CHECK (n < 10))",
        ["ALTER TABLE t DROP CONSTRAINT small"],
        ["INSERT INTO t VALUES (101, 1000)", "UPDATE t SET n = 2000 WHERE id = 2"],
        ["DELETE FROM t WHERE n > 9", "ALTER TABLE t ADD CONSTRAINT small CHECK (n < 10)"],
    ),
    "length": (
        "CREATE TABLE t (id INT PRIMARY KEY, n INT, word VARCHAR(3))",
        ["ALTER TABLE t MODIFY word VARCHAR(100)"],
        ["INSERT INTO t VALUES (101, 1, 'longer than three')", "UPDATE t SET word = 'also longer' WHERE id = 2"],
        ["UPDATE t SET word = NULL", "ALTER TABLE t MODIFY word VARCHAR(3)"],
    ),
    "column": (
        "CREATE TABLE t (id INT PRIMARY KEY, n INT)",
        ["ALTER TABLE t ADD word VARCHAR(100)"],
        ["INSERT INTO t VALUES (101, 1, 'word')", "UPDATE t SET word = 'other' WHERE id = 2"],
        ["ALTER TABLE t DROP COLUMN word"],
    ),
    "unique": (
        "CREATE TABLE t (id INT PRIMARY KEY, n INT, UNIQUE KEY one (n))",
        ["ALTER TABLE t DROP KEY one"],
        ["INSERT INTO t VALUES (101, 3), (102, 3)", "UPDATE t SET n = 3"],
        ["UPDATE t SET n = id", "ALTER TABLE t ADD UNIQUE KEY one (n)"],
    ),
    "key": (
        "CREATE TABLE t (id INT PRIMARY KEY, n INT)",
        ["ALTER TABLE t DROP PRIMARY KEY"],
        ["INSERT INTO t VALUES (2, 3), (2, 4)", "UPDATE t SET n = 9 WHERE id = 2"],
        ["DELETE FROM t WHERE id = 2", "ALTER TABLE t ADD PRIMARY KEY (id)"],
    ),
}  # fmt: skip


def copy_and_alter(replica: Replica, before: list[str], behind: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Copy everything to db1, and run statements on the primary before and after (`behind`) its position."""
    with replica.primary.session() as primary, replica.secondaries["db1"].session() as secondary:
        plan = plan_copy(
            primary, secondary, Selection(((replica.schema, replica.schema),)), instance="db1",
            state_schema=replica.state_schema, settings=TransferSettings(), mode=TransferMode.NEW,
        )  # fmt: skip
    replica.on_primary(*before)
    is_first = True

    def split_and_alter(reader: Session, run: TableCopy, plan: CopyPlan) -> tuple[RangeProgress, ...]:
        nonlocal is_first
        if is_first:
            is_first = False
            replica.on_primary(*behind)
        return split(reader, run, plan)

    monkeypatch.setattr(copy_worker, "split", split_and_alter)
    result = run_copy(
        plan, primary=replica.primary.address(name="primary"), secondary=replica.secondaries["db1"].address(name="db1"),
        network=Network(), retry=Retry(), stop=StopToken(),
    )  # fmt: skip
    assert (result.errors, result.is_complete, is_first) == ((), True, False)


@pytest.mark.every_flavour
@pytest.mark.parametrize("state", ["copied", "joining"])
@pytest.mark.parametrize("change", CHANGES)
def test_rows_for_the_definition_in_between_have_the_table_copied_again(
    replica: Replica, change: str, state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    table, altered, rows, back = CHANGES[change]
    replica.on_primary(table, *(f"INSERT INTO t (id, n) VALUES ({n}, {n})" for n in range(5)))
    copy_and_alter(replica, altered, [*rows, *back], monkeypatch)
    # If a stream runs during the copy, the table joins it later: a thread of the stream applies the window.
    parts = ("file", "pos", "gtid") if state == "joining" else ()
    applied = "".join(f", applied_to_{part} = copy_start_{part}" for part in parts)
    replica.on_secondary(f"UPDATE table_state SET state = '{state}'{applied}", schema=replica.state_schema)
    stream = replica.stream()
    replica.on_primary("UPDATE t SET n = n + 1 WHERE id = 4")
    wait_until(lambda: replica.state("SELECT * FROM table_state") == [], "the table to be live")
    replica.wait_until_applied(stream)
    assert stream.end(signal.SIGTERM).code == 0
    replica.assert_equal()
    replica.assert_nothing_is_noted()
