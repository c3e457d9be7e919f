"""Every hard value through copy and stream, for every pair of servers and every engine: equal or refused by name.

REPLICA_TEST_WRITE_COVERAGE=1 keeps the outcomes; `bash tests/run.sh docs` makes the table of docs/compatibility.md
of them.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
from dataclasses import astuple
from typing import TYPE_CHECKING

import pytest

from replica_cli.core.errors import ReplicaError
from tests.matrix import coverage
from tests.matrix.families import tables_of
from tests.matrix.pairs import RUNS, Run, label
from tests.matrix.running import Matrix, Outcome
from tests.support.servers import ServerPool, covered_binaries

if TYPE_CHECKING:
    from pathlib import Path

    from replica_cli.sandbox.binaries import ServerBinary
    from tests.matrix.hard import Table

# A whole primary's runs are one test's preparation.
pytestmark = pytest.mark.timeout(1800)
_Found = dict[Run, dict[str, Outcome]]


def _covered() -> dict[str, ServerBinary]:
    return {label(b): b for b in covered_binaries()}


def _tables(run: Run) -> list[tuple[int, Table]]:
    return list(enumerate(tables_of(run.primary)))


def _id(name: str, number: int) -> str:
    return name if name.isascii() and name.isidentifier() else f"odd{number}"


def _runs() -> list[Run]:
    """Return the runs whose servers are covered, those of one primary together: so one process asks for them."""
    found = (r for r in RUNS if r.primary in _covered() and r.secondary in _covered())
    return sorted(found, key=lambda run: run.primary)


class Runs:
    """The outcomes of every run, made for one primary at a time, when a test needs the first.

    Several test processes share them by files: a primary's runs are made once, by the first process that needs them.
    """

    def __init__(self, pool: ServerPool, folder: Path) -> None:
        self._pool = pool
        self._folder = folder
        self._found: _Found = {}

    def of(self, run: Run) -> dict[str, Outcome]:
        if run not in self._found:
            self._read(run.primary)
        return self._found[run]

    def _read(self, server: str) -> None:
        kept = self._folder / f"{server.replace(':', '-')}.json"
        with kept.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not kept.exists():
                kept.write_text(json.dumps(self._made(server)))
        found = json.loads(kept.read_text())
        if isinstance(found, str):
            # Said in each test, at full length in none.
            pytest.fail(found[-2000:], pytrace=False)
        runs = {str(run): run for run in _runs()}
        self._found |= {runs[name]: {t: Outcome(*o) for t, o in tables.items()} for name, tables in found.items()}

    def _made(self, server: str) -> str | dict[str, dict[str, tuple[str, ...]]]:
        """Return the outcomes by run and table, or why there are none."""
        try:
            found = self._run(server)
        except (AssertionError, ReplicaError) as error:
            return f"{type(error).__name__}: {error}"
        return {str(r): {t: astuple(o) for t, o in tables.items()} for r, tables in found.items()}

    def _run(self, server: str) -> _Found:
        binaries = _covered()
        schema = f"t_{secrets.token_hex(4)}"
        roles = {
            r.secondary: self._pool.get(binaries[r.secondary], "secondary") for r in _runs() if r.primary == server
        }
        primary = self._pool.get(binaries[server], "primary")
        folder = self._folder / server.replace(":", "-")
        folder.mkdir()
        try:
            found = Matrix(primary, server, roles, schema, folder).outcomes()
        finally:
            self._pool.drop(schema)
        if os.environ.get("REPLICA_TEST_WRITE_COVERAGE"):  # noqa: TID251  a setting of the tests, not of replica
            coverage.save(coverage.described(found))
        return found


@pytest.fixture(scope="session")
def runs(server_pool: ServerPool, tmp_path_factory: pytest.TempPathFactory) -> Runs:
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base) / "matrix"  # noqa: TID251  pytest-xdist's
    folder.mkdir(exist_ok=True)
    return Runs(server_pool, folder)


_EACH_TABLE = pytest.mark.parametrize(
    ("run", "name"), [pytest.param(r, t.name, id=f"{r}-{_id(t.name, n)}") for r in _runs() for n, t in _tables(r)]
)


@_EACH_TABLE
def test_values_are_equal_or_refused_by_name(runs: Runs, run: Run, name: str) -> None:
    outcome = runs.of(run)[name]
    if outcome.kind == "different":
        pytest.fail(f"{name}: {outcome.how}", pytrace=False)
    assert outcome.kind == "equal" or outcome.how.partition(": ")[2], f"{name}: refused without a reason"


@_EACH_TABLE
def test_verify_proves_that_values_are_equal(runs: Runs, run: Run, name: str) -> None:
    outcome = runs.of(run)[name]
    assert outcome.kind != "equal" or not outcome.verified, f"{name}: {outcome.verified}"


@_EACH_TABLE
def test_verify_proves_values_by_the_log_while_the_stream_is_stopped(runs: Runs, run: Run, name: str) -> None:
    outcome = runs.of(run)[name]
    assert outcome.kind != "equal" or not outcome.verified_behind, f"{name}: {outcome.verified_behind}"


@pytest.mark.parametrize("run", _runs(), ids=str)
def test_outcomes_are_those_that_the_readme_lists(runs: Runs, run: Run) -> None:
    changed = list(coverage.differences(coverage.described({run: runs.of(run)})))
    assert not changed, "REPLICA_TEST_WRITE_COVERAGE=1 keeps what is now\n" + "\n".join(changed)
