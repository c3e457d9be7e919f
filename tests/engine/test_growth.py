"""Cost grows like the work: statements and bytes by the servers' own counters, at small sizes.

`python -m tests.bench growth` measures the same at large sizes, with seconds and memory.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import pytest

from replica_cli.checkpoint.schema import create_state_schema
from replica_cli.core.settings import Apply, Batching, EngineChoice, TransferSettings
from tests.bench.growth.counters import Counters
from tests.bench.growth.series import growth
from tests.engine.applier.harness import Harness
from tests.engine.copier import SIMPLE, Copier

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from replica_cli.sandbox.server import SandboxServer

# Four workers share the small tables of a copy evenly.
SIZES = (12, 24, 48)
FEW, MANY = 5, 25
# What a run does by the clock, such as beats, and what both sides ask once: not of the tables.
STATEMENTS, MEGABYTES = 40, 0.05
DDL = 5


@dataclass
class Pair:
    """Counts what work on the two servers costs them."""

    primary: SandboxServer
    secondary: SandboxServer

    def cost(self, work: Callable[[], object]) -> dict[str, float]:
        counters = Counters(self.primary, self.secondary)
        work()
        return counters.read()


@pytest.fixture
def pair(primary: SandboxServer, secondary: SandboxServer) -> Pair:
    return Pair(primary, secondary)


@pytest.fixture
def new_harness(primary: SandboxServer, secondary: SandboxServer, schema: str) -> Iterator[Callable[[int], Harness]]:
    """Give a function that makes a harness with a number of equal tables, from which the stream begins."""
    made: list[Harness] = []

    def make(count: int) -> Harness:
        harness = Harness(primary, secondary, f"{schema}_{len(made)}")
        made.append(harness)
        harness.on_both(*(f"CREATE TABLE t{n} {SIMPLE}" for n in range(count)))
        harness.begin_here()
        return harness

    yield make
    for each in made:
        each.close()


def assert_linear(costs: dict[int, dict[str, float]], *names: str) -> None:
    """Fail if a table of many costs more than one of few."""
    for name in names:
        noise = STATEMENTS if name.endswith("statements") else MEGABYTES
        points = [(size, cost[name]) for size, cost in costs.items()]
        times = growth(points, noise)
        assert times is not None
        assert times <= 1.2, f"{name} grows {times:.2f} times as fast as the tables: {points}"


def touch_all(harness: Harness, count: int, key: int) -> None:
    """Change every table in one transaction."""
    harness.on_primary("BEGIN", *(f"INSERT INTO t{n} VALUES ({key}, 1, 'x')" for n in range(count)), "COMMIT")


def test_each_table_of_a_copy_costs_the_same(pair: Pair, schema: str) -> None:
    costs: dict[int, dict[str, float]] = {}
    for size in SIZES:
        copier = Copier(pair.primary, pair.secondary, f"{schema}_{size}", settings=TransferSettings(workers=4))
        for n in range(size):
            copier.on_primary(f"CREATE TABLE t{n} {SIMPLE}", f"INSERT INTO t{n} VALUES (1, 1, 'x'), (2, 2, 'y')")
        costs[size] = pair.cost(copier.copy)
        copier.compare()
    assert_linear(
        costs, "primary_statements", "secondary_statements", "primary_sent", "secondary_sent", "secondary_received"
    )
    assert [cost["deadlocks"] for cost in costs.values()] == [0, 0, 0]


@pytest.mark.parametrize("choice", [EngineChoice.AUTO, EngineChoice.SQL])
def test_each_table_of_a_batch_costs_the_same(
    pair: Pair, new_harness: Callable[[int], Harness], choice: EngineChoice
) -> None:
    costs: dict[int, dict[str, float]] = {}
    for size in SIZES:
        harness = new_harness(size)
        touch_all(harness, size, 1)
        costs[size] = pair.cost(partial(harness.stream, apply=Apply(engine=choice)))
        harness.assert_equal()
    assert_linear(costs, "primary_statements", "secondary_statements", "secondary_sent", "secondary_received")


@pytest.mark.parametrize("choice", [EngineChoice.AUTO, EngineChoice.SQL])
def test_a_statement_of_definition_costs_the_same_whatever_is_known(
    pair: Pair, new_harness: Callable[[int], Harness], choice: EngineChoice
) -> None:
    def cost(size: int, *, has_ddl: bool) -> dict[str, float]:
        harness = new_harness(size)
        # As a DDL statement does, so that only what it makes the stream ask again is compared.
        harness.settings = replace(harness.settings, batching=Batching(transactions=1))
        touch_all(harness, size, 0)
        for number in range(DDL):
            if has_ddl:
                harness.on_primary(f"CREATE TABLE other{number} (id INT PRIMARY KEY)")
            touch_all(harness, size, number + 1)
        found = pair.cost(lambda: harness.stream(apply=Apply(engine=choice)))
        harness.assert_equal()
        return found

    names = ("primary_statements", "secondary_statements")
    few, many = (
        {name: with_ddl[name] - without[name] for name in names}
        for size in (FEW, MANY)
        for with_ddl, without in [(cost(size, has_ddl=True), cost(size, has_ddl=False))]
    )
    for name in names:
        assert many[name] <= few[name] + STATEMENTS, f"{name} of {DDL} statements: {few[name]}, then {many[name]}"


@pytest.mark.servers("mariadb")
def test_a_look_at_the_state_costs_the_same_whatever_other_schemas_hold(
    secondary: SandboxServer, schema: str, state_schema: str
) -> None:
    with secondary.session() as session:

        def rows_listed() -> int:
            create_state_schema(session, state_schema)
            row = session.row("SHOW SESSION STATUS LIKE 'Handler_tmp_write'")
            assert row is not None
            return int(row[1])

        def rows_of_a_look() -> int:
            rows_until_now = rows_listed()
            return rows_listed() - rows_until_now

        create_state_schema(session, state_schema)
        before = rows_of_a_look()
        session.execute(f"CREATE DATABASE {schema}")
        for number in range(MANY):
            session.execute(f"CREATE TABLE {schema}.t{number} {SIMPLE}")
        assert rows_of_a_look() == before > 0
