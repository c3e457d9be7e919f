"""A batch that begins many tables: what must be known of them is asked for in few questions."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from replica_cli.checkpoint.table_records import EndedCopy
from replica_cli.core.errors import RowExists
from replica_cli.core.settings import Apply, EngineChoice

if TYPE_CHECKING:
    from tests.engine.applier.harness import Harness
    from tests.support.packets import SentPackets

TABLES = 120


@pytest.mark.parametrize("choice", [EngineChoice.AUTO, EngineChoice.SQL])
def test_definitions_of_a_batch_are_read_together(harness: Harness, choice: EngineChoice, sent: SentPackets) -> None:
    harness.settings = replace(harness.settings, apply=Apply(engine=choice))
    harness.on_both(*(f"CREATE TABLE t{n} (id INT PRIMARY KEY)" for n in range(TABLES)))
    harness.begin_here()
    harness.source.begin()
    harness.on_primary(*(f"INSERT INTO t{n} VALUES (1)" for n in range(TABLES)))
    harness.source.commit()
    sent.forget()
    harness.stream()
    # What a stream begins and ends with takes about fifty.
    assert sent.of(harness.primary) < TABLES
    assert sent.of(harness.secondary) < TABLES
    harness.assert_equal()


def test_windows_that_end_together_are_forgotten_together(harness: Harness, sent: SentPackets) -> None:
    harness.on_both(*(f"CREATE TABLE t{n} (id INT PRIMARY KEY)" for n in range(TABLES)))
    start = harness.begin_here()
    harness.source.begin()
    harness.on_primary(*(f"INSERT INTO t{n} VALUES (1)" for n in range(TABLES)))
    harness.source.commit()
    for n in range(TABLES):
        harness.copy(f"t{n}")
    harness.tables.end_copies(EndedCopy(harness.name(f"t{n}"), start, harness.here()) for n in range(TABLES))
    sent.forget()
    harness.stream()
    assert sent.of(harness.secondary) < TABLES
    assert harness.tables.load() == {}
    # From there on they are strict.
    harness.on_both("INSERT INTO t5 VALUES (2)")
    with pytest.raises(RowExists):
        harness.stream()
