"""The README's coverage table is generated."""

from __future__ import annotations

from matrix import coverage
from matrix.pairs import RUNS


def test_the_readme_has_the_table_of_the_last_full_run() -> None:
    assert coverage.in_readme() == coverage.table(coverage.load())


def test_no_run_is_missing() -> None:
    assert coverage.load().keys() == {str(run) for run in RUNS}
