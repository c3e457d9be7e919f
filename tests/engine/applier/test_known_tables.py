"""What is known of tables: a statement of one table leaves what was worked out for the others."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from replica_cli.applier import row_counts, sql_engine
from replica_cli.core.settings import Apply, EngineChoice

if TYPE_CHECKING:
    from replica_cli.core.events import RowEvent
    from tests.engine.applier.harness import Bench

# By row images t1 is learnt once: before its ALTER the two sides differ, and the other engine takes it.
COUNTED = {
    EngineChoice.AUTO: (row_counts.RowCounts, "_compile", ["t0", "t1", "t2", "t2"]),
    EngineChoice.SQL: (sql_engine.SqlEngine, "_learn", ["t0", "t1", "t1", "t2", "t2"]),
}


@pytest.mark.parametrize("choice", COUNTED)
def test_only_the_table_of_a_statement_is_learnt_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, choice: EngineChoice
) -> None:
    bench.on_both(*(f"CREATE TABLE t{n} (id INT PRIMARY KEY)" for n in range(3)))
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
        f"CREATE DATABASE {bench.schema}_tenant",
        f"ALTER DATABASE {bench.schema}_tenant CHARACTER SET latin1",
        f"DROP DATABASE {bench.schema}_tenant",
    )
    schemas = tuple((name, name) for name in (bench.schema, f"{bench.schema}_tenant"))
    bench.settings = replace(bench.settings, selection=replace(bench.settings.selection, schemas=schemas))
    bench.begin_here()
    for key, statement in enumerate(statements):
        bench.on_primary(*(f"INSERT INTO t{n} (id) VALUES ({key})" for n in range(3)))
        bench.on_primary(statement)
    bench.on_primary(*(f"INSERT INTO t{n} (id) VALUES (9)" for n in range(3)))
    bench.stream(apply=Apply(engine=choice))
    bench.assert_equal()
    assert sorted(learnt) == expected


def test_a_table_that_becomes_a_parent_is_no_longer_folded(bench: Bench) -> None:
    numbers = range(1, 41)
    bench.on_both("CREATE TABLE p (id INT PRIMARY KEY, v INT)")
    bench.begin_here()
    renewed = [s for n in numbers for s in (f"DELETE FROM p WHERE id = {n}", f"INSERT INTO p VALUES ({n}, 7)")]
    bench.on_primary(*(f"INSERT INTO p VALUES ({n}, 0)" for n in numbers), *renewed)
    bench.on_primary(
        "CREATE TABLE c (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES p (id) ON DELETE CASCADE)",
        "INSERT INTO c SELECT id, id FROM p",
    )
    # A row that goes and comes back takes its children along: folded it would only be changed.
    bench.on_primary(*renewed)
    bench.stream()
    bench.assert_equal()
    assert bench.rows("SELECT COUNT(*) FROM c") == [(0,)]
