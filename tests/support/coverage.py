"""The outcomes of events, collected from the tests that are marked `covers`, kept or compared when a run ends."""

from __future__ import annotations

import os
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from replica_cli.core.settings import EngineChoice
from tests.matrix import events
from tests.matrix.pairs import engines, label

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from replica_cli.core.errors import ReplicaError

_Cell = tuple[str, str, str]
_cells: list[_Cell] = []
_failed: set[tuple[str, str]] = set()
_tests: dict[str, set[str]] = {}


class Refused(Protocol):
    """Expect an error as pytest.raises does. It contains `words` or matches `match`; they are the table's reason."""

    def __call__(
        self, kind: type[ReplicaError], words: str, match: str | None = None
    ) -> AbstractContextManager[pytest.ExceptionInfo[ReplicaError]]: ...


@pytest.fixture
def refused(record_property: Callable[[str, object], None]) -> Refused:
    @contextmanager
    def expect(
        kind: type[ReplicaError], words: str, match: str | None = None
    ) -> Iterator[pytest.ExceptionInfo[ReplicaError]]:
        with pytest.raises(kind, match=match or re.escape(words)) as raised:
            yield raised
        record_property("refused", words)

    return expect


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "covers(*events, has_no_rows=False): what a test says of the coverage table")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for event in _covered(item):
            if event not in events.EVENTS:
                message = f"{item.nodeid} covers {event!r}, which tests/matrix/events.py does not list"
                raise pytest.UsageError(message)


def _covered(item: pytest.Item) -> list[str]:
    return [event for mark in item.iter_markers("covers") for event in mark.args]


@pytest.fixture(autouse=True)
def _speaks_for(request: pytest.FixtureRequest, record_property: Callable[[str, object], None]) -> None:
    """Say which cells a test speaks for; its report takes that to where a run's reports come together."""
    covered = _covered(request.node)
    if not covered:
        return
    fixtures = request.fixturenames
    primary = label(request.getfixturevalue("server_binary")) if "server_binary" in fixtures else None
    has_secondary = "secondary_binary" in fixtures
    secondary = label(request.getfixturevalue("secondary_binary")) if has_secondary else None
    engine = None
    mark = request.node.get_closest_marker("covers")
    if primary and secondary and not (mark and mark.kwargs.get("has_no_rows")):
        # A test without a choice takes the engine that a pair has by itself.
        is_sql = "engine_choice" in fixtures and request.getfixturevalue("engine_choice") is EngineChoice.SQL
        engine = "sql" if is_sql else engines((primary, secondary))[0]
    cells = [(event, run) for event in covered for run in events.runs_of(event, primary, secondary, engine)]
    record_property("covers", cells)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    # As the two fixtures above record them; a list of lists where the report comes from another process.
    told: dict[str, Any] = dict(report.user_properties)
    cells: list[tuple[str, str]] = [(event, run) for event, run in told.get("covers", ())]
    _failed.update(cells if report.failed else ())
    if report.when != "call" or not report.passed:
        return
    reason = told.get("refused")
    for event, run in cells:
        _cells.append((event, run, f"refused: {reason}" if reason else "applied"))
        _tests.setdefault(event, set()).add(report.nodeid.partition("[")[0])


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    if hasattr(session.config, "workerinput"):
        return
    found = events.merged(cell for cell in _cells if cell[:2] not in _failed)
    if os.environ.get("REPLICA_TEST_WRITE_COVERAGE"):  # noqa: TID251  a setting of the tests, not of replica
        events.save(found, _tests)
    elif list(events.differences(found)) and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    changed = list(events.differences(events.merged(cell for cell in _cells if cell[:2] not in _failed)))
    if changed:
        terminalreporter.section("the coverage table of docs/compatibility.md", red=True)
        terminalreporter.write_line("REPLICA_TEST_WRITE_COVERAGE=1 keeps what is now")
        terminalreporter.write_line("\n".join(changed))
