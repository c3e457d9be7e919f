"""What is known of tables: a statement of one table leaves what was worked out for the others."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from replica_cli.applier.engines import row_counts, sql_engine
from replica_cli.core.settings import Apply, EngineChoice

if TYPE_CHECKING:
    from replica_cli.core.events import RowEvent
    from tests.engine.applier.harness import Harness

# By row images t1 is learnt once: before its ALTER the two sides differ, and the other engine takes it.
COUNTED = {
    EngineChoice.AUTO: (row_counts.RowCounts, "_compile", ["t0", "t1", "t2", "t2"]),
    EngineChoice.SQL: (sql_engine.SqlEngine, "_compile", ["t0", "t1", "t1", "t2", "t2"]),
}


@pytest.mark.parametrize("choice", COUNTED)
def test_only_the_table_of_a_statement_is_learnt_again(
    harness: Harness, monkeypatch: pytest.MonkeyPatch, choice: EngineChoice
) -> None:
    harness.on_both(*(f"CREATE TABLE t{n} (id INT PRIMARY KEY)" for n in range(3)))
    learnt: list[str] = []
    owner, name, expected = COUNTED[choice]
    real = getattr(owner, name)

    def counting(self: object, event: RowEvent) -> Any:
        learnt.append(event.table.name.table)
        return real(self, event)

    monkeypatch.setattr(owner, name, counting)
    statements = (
        "CREATE TABLE other (id INT)",
        "ALTER TABLE t1 ADD COLUMN v INT",
        "TRUNCATE t2",
        f"CREATE DATABASE {harness.schema}_tenant",
        f"ALTER DATABASE {harness.schema}_tenant CHARACTER SET latin1",
        f"DROP DATABASE {harness.schema}_tenant",
    )
    schemas = tuple((name, name) for name in (harness.schema, f"{harness.schema}_tenant"))
    harness.settings = replace(harness.settings, selection=replace(harness.settings.selection, schemas=schemas))
    harness.begin_here()
    for key, statement in enumerate(statements):
        harness.on_primary(*(f"INSERT INTO t{n} (id) VALUES ({key})" for n in range(3)))
        harness.on_primary(statement)
    harness.on_primary(*(f"INSERT INTO t{n} (id) VALUES (9)" for n in range(3)))
    harness.stream(apply=Apply(engine=choice))
    harness.assert_equal()
    assert sorted(learnt) == expected


def test_a_table_that_becomes_a_parent_is_no_longer_folded(harness: Harness) -> None:
    numbers = range(1, 41)
    harness.on_both("CREATE TABLE p (id INT PRIMARY KEY, v INT)")
    harness.begin_here()
    renewed = [s for n in numbers for s in (f"DELETE FROM p WHERE id = {n}", f"INSERT INTO p VALUES ({n}, 7)")]
    harness.on_primary(*(f"INSERT INTO p VALUES ({n}, 0)" for n in numbers), *renewed)
    harness.on_primary(
        "CREATE TABLE c (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES p (id) ON DELETE CASCADE)",
        "INSERT INTO c SELECT id, id FROM p",
    )
    # A row that goes and comes back takes its children along: folded it would only be changed.
    harness.on_primary(*renewed)
    harness.stream()
    harness.assert_equal()
    assert harness.rows("SELECT COUNT(*) FROM c") == [(0,)]
