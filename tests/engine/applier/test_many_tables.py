"""A batch that begins many tables: what must be known of them is asked for in few questions."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from replica_cli.checkpoint.tables import TableRecord
from replica_cli.core.errors import RowExists
from replica_cli.core.settings import Apply, EngineChoice
from replica_cli.core.status import TableState

if TYPE_CHECKING:
    from tests.engine.applier.harness import Bench
    from tests.support.packets import SentPackets

TABLES = 120


@pytest.mark.parametrize("choice", [EngineChoice.AUTO, EngineChoice.SQL])
def test_definitions_of_a_batch_are_read_together(bench: Bench, choice: EngineChoice, sent: SentPackets) -> None:
    bench.settings = replace(bench.settings, apply=Apply(engine=choice))
    bench.on_both(*(f"CREATE TABLE t{n} (id INT PRIMARY KEY)" for n in range(TABLES)))
    bench.begin_here()
    bench.source.begin()
    bench.on_primary(*(f"INSERT INTO t{n} VALUES (1)" for n in range(TABLES)))
    bench.source.commit()
    sent.forget()
    bench.stream()
    # What a stream begins and ends with takes about fifty.
    assert sent.of(bench.primary) < TABLES
    assert sent.of(bench.secondary) < TABLES
    bench.assert_equal()


def test_windows_that_end_together_are_forgotten_together(bench: Bench, sent: SentPackets) -> None:
    bench.on_both(*(f"CREATE TABLE t{n} (id INT PRIMARY KEY)" for n in range(TABLES)))
    start = bench.begin_here()
    bench.source.begin()
    bench.on_primary(*(f"INSERT INTO t{n} VALUES (1)" for n in range(TABLES)))
    bench.source.commit()
    for n in range(TABLES):
        bench.copy(f"t{n}")
    records = (TableRecord(bench.name(f"t{n}"), TableState.COPIED, start, bench.here()) for n in range(TABLES))
    bench.tables.save_and_commit(list(records))
    sent.forget()
    bench.stream()
    assert sent.of(bench.secondary) < TABLES
    assert bench.tables.load() == {}
    # From there on they are strict.
    bench.on_both("INSERT INTO t5 VALUES (2)")
    with pytest.raises(RowExists):
        bench.stream()
