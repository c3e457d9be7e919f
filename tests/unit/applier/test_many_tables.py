"""A batch costs what it holds: neither the tables before it in the batch, nor those that are known, are walked over."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from replica_cli.applier.engines.compaction import LEAST_EVENTS, Compaction
from replica_cli.applier.engines.folding import EventTemplate, FoldPlan
from replica_cli.core.events import RowEvent, RowHead, RowKind, TableMap
from replica_cli.core.table import TableName
from tests.support.steps import steps_of


class OfOneRow(Compaction):
    """Takes each event for one new row, and knows every table without a definition."""

    def _learn(self, event: RowEvent) -> FoldPlan:
        def fold(raw: bytes, _start: int, _end: int, rows: Any, _renew: object) -> int:
            rows[raw] = [None, raw, False]
            return 1

        return FoldPlan(EventTemplate(event.head, event.raw, replaces=False), fold)


def events(count: int, tables: int) -> list[RowEvent]:
    """Return a number of inserts, into a number of tables in turns."""
    heads = [
        RowHead(RowKind.INSERT, TableMap(n, TableName("s", f"t{n}"), b"", b"\3", (0,), (False,)), 0, b"\1", b"", 30)
        for n in range(tables)
    ]
    return [RowEvent(heads[n % tables], b"%032d" % n) for n in range(count)]


def compaction() -> Compaction:
    nothing: Any = SimpleNamespace()
    return OfOneRow(nothing, nothing, nothing, replaces=lambda _: False)


def test_a_batch_of_twice_the_tables_takes_twice_the_steps() -> None:
    few, many = events(300, 300), events(600, 600)
    assert 1.9 < steps_of(lambda: compaction().compact(many)) / steps_of(lambda: compaction().compact(few)) < 2.1


def test_a_batch_of_one_table_takes_no_more_steps_where_many_are_known() -> None:
    batch, others = events(LEAST_EVENTS, 1), events(3_000, 3_000)
    used, unused = compaction(), compaction()
    used.compact(others)
    for each in (used, unused):
        each.compact(batch)
    assert steps_of(lambda: used.compact(batch)) == steps_of(lambda: unused.compact(batch))


def test_all_events_are_folded_and_counted() -> None:
    compacted = compaction().compact(events(600, 6))
    assert [e.folded_rows for e in compacted.events] == [100] * 6
    assert [count.rows for count in compacted.corrections] == []
