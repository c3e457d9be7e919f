"""Random histories on random tables come out the same under both engines.

REPLICA_TEST_PROPERTY_SECONDS is how long it looks, 60 where not set, on all servers together. What it finds
becomes a folder of tests/cases.
"""

from __future__ import annotations

import os
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import booleans

from replica_cli.applier.engines import compaction
from replica_cli.core.settings import Apply, EngineChoice
from tests.engine.applier.harness import Harness
from tests.property.histories import History, histories
from tests.support.servers import covered_binaries

if TYPE_CHECKING:
    from collections.abc import Iterator

    from replica_cli.sandbox.server import SandboxServer

_SECONDS = float(os.environ.get("REPLICA_TEST_PROPERTY_SECONDS", "60"))  # noqa: TID251  a setting of the tests
# A round; its end is when the clock is looked at.
_EXAMPLES = 10
_LAX = "SET SESSION sql_mode = 'ALLOW_INVALID_DATES,NO_AUTO_VALUE_ON_ZERO'"


@pytest.fixture
def harnesses(
    primary: SandboxServer, secondary: SandboxServer, second_secondary: SandboxServer, schema: str
) -> Iterator[tuple[Harness, Harness]]:
    made = Harness(primary, secondary, schema), Harness(primary, second_secondary, schema)
    for harness, engine in zip(made, (EngineChoice.AUTO, EngineChoice.SQL), strict=True):
        harness.settings = replace(harness.settings, apply=Apply(engine=engine))
    yield made
    made[0].on_primary("SET GLOBAL binlog_row_metadata = DEFAULT")
    for harness in made:
        harness.close()


@pytest.mark.timeout(_SECONDS * 10 + 300)
def test_histories_come_out_the_same(harnesses: tuple[Harness, Harness], monkeypatch: pytest.MonkeyPatch) -> None:
    count = 0

    least = compaction.LEAST_EVENTS

    @settings(max_examples=_EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True)
    @given(histories(is_mariadb=harnesses[0].is_mariadb), booleans())
    def look(history: History, folds: bool) -> None:  # noqa: FBT001 - hypothesis gives it by place
        nonlocal count
        # Short histories are folded too where few events are enough.
        monkeypatch.setattr(compaction, "LEAST_EVENTS", 2 if folds else least)
        _replay(harnesses, history)
        count += 1

    ends = time.monotonic() + _SECONDS / len(covered_binaries())
    while time.monotonic() < ends:
        look()
    print(f"{count} histories")
    assert count >= _EXAMPLES


def _replay(harnesses: tuple[Harness, Harness], history: History) -> None:
    first, second = harnesses
    first.on_primary(f"SET GLOBAL binlog_row_metadata = {history.metadata}", _LAX)
    first.on_primary("DROP TABLE IF EXISTS t", history.create)
    for harness in harnesses:
        harness.on_secondary("DROP TABLE IF EXISTS t", history.create)
        harness.begin_here()
    for statements, is_kept in history.transactions:
        first.on_primary("START TRANSACTION", *statements, "COMMIT" if is_kept else "ROLLBACK")
    # Both tables may be empty in the end; a row that is always there proves that the comparison looks.
    first.on_primary("INSERT INTO t (id) VALUES (1000)")
    for harness in (first, second):
        harness.stream()
        harness.assert_equal()
