"""The coverage tables of docs/compatibility.md are generated."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.matrix import coverage, events
from tests.matrix.families import tables_of
from tests.matrix.pairs import RUNS
from tests.support.generated import read_part

_ROOT = Path(__file__).parents[2]


def test_the_page_has_the_tables_of_the_last_full_run() -> None:
    assert read_part(coverage.DOCUMENT, coverage.PART).strip() == coverage.tables().strip()


def test_no_run_is_missing() -> None:
    assert coverage.load().keys() == {str(run) for run in RUNS}


def test_no_exception_is_of_a_table_that_its_primary_has_not() -> None:
    kept = coverage.load_exceptions()
    for run in RUNS:
        assert kept[str(run)].keys() <= {table.name for table in tables_of(run.primary)}, run


def test_what_came_out_equal_is_not_kept() -> None:
    assert not [run for run, tables in coverage.load_exceptions().items() if "equal" in tables.values()]


def test_outcomes_that_are_kept_are_read_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outcomes = coverage.load()
    monkeypatch.setattr(coverage, "EXCEPTIONS", tmp_path / "outcomes.json")
    coverage.save(outcomes)
    assert coverage.load() == outcomes
    assert list(coverage.differences(outcomes)) == []


def test_an_outcome_that_changes_is_a_difference_whether_it_was_equal_or_not() -> None:
    (run, tables), *_ = ((run, tables) for run, tables in coverage.load().items() if set(tables.values()) != {"equal"})
    equal, refused = (next(n for n, w in tables.items() if (w == "equal") == is_equal) for is_equal in (True, False))
    changed = {**tables, equal: "refused in the stream: x", refused: "equal"}
    assert {d.partition(":")[0] for d in coverage.differences({run: changed})} == {run.partition(":")[0]}
    assert len(list(coverage.differences({run: changed}))) == 2
    # A table without an outcome is one too.
    assert len(list(coverage.differences({run: {n: w for n, w in tables.items() if n != equal}}))) == 1


def test_events_that_are_kept_are_read_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outcomes, tests = events.kept_outcomes(), events.kept_tests()
    monkeypatch.setattr(events, "RECORD", tmp_path / "events.json")
    # In two runs with other servers each: what one does not cover is kept from the other.
    for flavour in ("mariadb", "mysql"):
        half = {event: {r: w for r, w in runs.items() if r.startswith(flavour)} for event, runs in outcomes.items()}
        events.save({event: runs for event, runs in half.items() if runs}, tests)
    assert events.kept_outcomes() == outcomes
    assert events.kept_tests() == tests
    assert list(events.differences(outcomes)) == []


def test_an_event_that_comes_out_otherwise_is_a_difference() -> None:
    outcomes = events.kept_outcomes()
    event, runs = next((event, runs) for event, runs in outcomes.items() if set(runs.values()) == {"applied"})
    run = next(iter(runs))
    assert len(list(events.differences({event: {run: "refused: x"}}))) == 1
    refused = next(event for event, runs in outcomes.items() if "applied" not in runs.values())
    assert len(list(events.differences({refused: dict.fromkeys(outcomes[refused], "applied")}))) == len(
        outcomes[refused]
    )


@pytest.mark.parametrize("event", events.EVENTS)
def test_every_event_is_covered_by_existing_tests(event: str) -> None:
    covering = events.kept_tests().get(event)
    assert covering, "no test covers it"
    for test in covering:
        path, _, name = test.partition("::")
        functions = [n for n in ast.parse((_ROOT / path).read_text()).body if isinstance(n, ast.FunctionDef)]
        (marks,) = ([ast.unparse(mark) for mark in f.decorator_list] for f in functions if f.name == name)
        assert any("covers(" in mark and repr(event) in mark for mark in marks), test
