"""The README's coverage table is generated."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.matrix import coverage, events
from tests.matrix.pairs import RUNS

_ROOT = Path(__file__).parents[2]


def test_the_readme_has_the_tables_of_the_last_full_run() -> None:
    assert coverage.in_readme() == coverage.tables()


def test_no_run_is_missing() -> None:
    assert coverage.load().keys() == {str(run) for run in RUNS}


@pytest.mark.parametrize("event", events.EVENTS)
def test_every_event_is_covered_by_tests_that_there_are(event: str) -> None:
    covering = events.kept_tests().get(event)
    assert covering, "no test covers it"
    for test in covering:
        path, _, name = test.partition("::")
        functions = [n for n in ast.parse((_ROOT / path).read_text()).body if isinstance(n, ast.FunctionDef)]
        (marks,) = ([ast.unparse(mark) for mark in f.decorator_list] for f in functions if f.name == name)
        assert any("covers(" in mark and repr(event) in mark for mark in marks), test
