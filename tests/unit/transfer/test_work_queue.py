"""In which order tasks are taken: tables to begin, and ranges of those that were begun."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from replica_cli.stop import StopToken
from replica_cli.transfer.work_queue import Task, WorkQueue

if TYPE_CHECKING:
    from replica_cli.transfer.table_copy import TableCopy


def run(size: int) -> TableCopy:
    definition = SimpleNamespace(estimated_bytes=size)
    return cast("TableCopy", SimpleNamespace(definition=SimpleNamespace(primary=definition)))


def taken(queue: WorkQueue, count: int) -> list[tuple[int, int]]:
    tasks = [queue.take() for _ in range(count)]
    return [(t.table.definition.primary.estimated_bytes, t.range_number) for t in tasks if t is not None]


def test_large_tables_come_first_and_ranges_before_tables_that_are_to_begin() -> None:
    queue = WorkQueue(StopToken())
    queue.put(Task(run(1)), Task(run(5)), Task(run(3)))
    queue.put(Task(run(2), 1), Task(run(4), 1))
    assert taken(queue, 5) == [(4, 1), (2, 1), (5, 0), (3, 0), (1, 0)]


@pytest.mark.parametrize("ahead", [1, 2, 3])
def test_over_a_long_link_some_tables_are_begun_ahead(ahead: int) -> None:
    queue = WorkQueue(StopToken(), ahead=ahead)
    queue.put(Task(run(9)), Task(run(8)), Task(run(2), 1), Task(run(1), 1))
    expected = {
        1: [(2, 1), (1, 1), (9, 0), (8, 0)],
        2: [(2, 1), (9, 0), (8, 0), (1, 1)],
        3: [(9, 0), (8, 0), (2, 1), (1, 1)],
    }[ahead]
    assert taken(queue, 4) == expected
