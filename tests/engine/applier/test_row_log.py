"""The log of applied rows: sums that miss nothing, one report for each batch if wanted, each event at level DEBUG."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from replica_cli.core.errors import ReplicaError
from replica_cli.core.settings import Apply, Batching, EngineChoice, Logging, LogRows

if TYPE_CHECKING:
    from tests.engine.applier.harness import Harness

ROWS = 20


@pytest.fixture(params=["auto", "sql"])
def written(harness: Harness, request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture) -> Harness:
    """Give a harness on which each of twenty transactions has a commit of its own; the last one has two events."""
    caplog.set_level(logging.INFO, "replica_cli")
    apply = Apply(engine=EngineChoice(request.param))
    harness.settings = replace(harness.settings, apply=apply, batching=Batching(transactions=1))
    harness.on_both("CREATE TABLE t (id INT PRIMARY KEY, v INT)")
    harness.begin_here()
    harness.on_primary(*(f"INSERT INTO t VALUES ({n}, {n})" for n in range(ROWS - 1)))
    harness.on_primary(
        "BEGIN", "INSERT INTO t VALUES (100, 1), (101, 2), (102, 3)", "DELETE FROM t WHERE id < 4", "COMMIT"
    )
    return harness


def sums(caplog: pytest.LogCaptureFixture) -> list[tuple[str, int]]:
    return [
        (str(record.__dict__["tag"]), int(record.__dict__["rows"]))
        for record in caplog.records
        if "row(s) affected" in record.getMessage()
    ]


def test_the_sums_are_few_and_exact(written: Harness, caplog: pytest.LogCaptureFixture) -> None:
    written.stream()
    lines = sums(caplog)
    assert len(lines) <= 4
    assert sum(rows for tag, rows in lines if tag == "INSERT") == ROWS - 1 + 3
    assert sum(rows for tag, rows in lines if tag == "DELETE") == 4


def test_each_batch_has_its_lines_if_that_is_wanted(written: Harness, caplog: pytest.LogCaptureFixture) -> None:
    written.stream(logging=Logging(rows=LogRows.BATCH))
    assert sums(caplog) == [*[("INSERT", 1)] * (ROWS - 1), ("INSERT", 3), ("DELETE", 4)]


def test_what_was_committed_before_an_error_is_logged(written: Harness, caplog: pytest.LogCaptureFixture) -> None:
    written.on_secondary(f"INSERT INTO t VALUES ({ROWS // 2}, 0)")
    with pytest.raises(ReplicaError):
        written.stream()
    assert sum(rows for _, rows in sums(caplog)) == ROWS // 2


def test_debug_adds_a_line_for_each_event(written: Harness, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "replica_cli")
    written.stream()
    events = [record for record in caplog.records if record.getMessage().startswith("event of ")]
    assert [(record.__dict__["tag"], record.getMessage()) for record in events] == [
        *[("INSERT", "event of 1 row")] * (ROWS - 1), ("INSERT", "event of 3 rows"), ("DELETE", "event of 4 rows")
    ]  # fmt: skip
    assert {(record.__dict__["schema"], record.__dict__["table"]) for record in events} == {(written.schema, "t")}
    assert len({record.__dict__["position"] for record in events}) == ROWS
    # Adding up the field gives the same as without the events.
    assert not any("rows" in record.__dict__ for record in events)
    assert sum(rows for _, rows in sums(caplog)) == ROWS - 1 + 3 + 4
