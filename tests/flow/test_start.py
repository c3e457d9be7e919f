"""What a command loads and asks on real servers: counted, because that is what a short command costs."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from fix_replica import Replica


@pytest.fixture
def streamed(replica: Replica) -> Replica:
    """Give a secondary that was copied and has caught up."""
    replica.on_primary("CREATE TABLE t (id INT PRIMARY KEY, a INT)", "INSERT INTO t VALUES (1, 1), (2, 2)")
    replica.catch_up()
    replica.settings["PYTHONPROFILEIMPORTTIME"] = "1"
    return replica


def imports_of(stderr: str) -> Counter[str]:
    """Return how often each module was imported, in all processes of a command."""
    lines = (line for line in stderr.splitlines() if line.startswith("import time:"))
    return Counter(line.rpartition("|")[2].strip() for line in lines)


# What only copies, streams, terminals and wrong configurations need.
NOT_FOR_A_LOOK = (
    "asyncio", "concurrent", "email", "multiprocessing", "pydantic", "pymysqlreplication", "rich", "tenacity",
    "zstandard", "replica_cli.applier", "replica_cli.decoder", "replica_cli.drift", "replica_cli.transfer",
    "replica_cli.core.events", "replica_cli.reader.dump", "replica_cli.service.stream",
)  # fmt: skip


# The codes: nothing streams, which `health` calls critical.
@pytest.mark.parametrize(("words", "code", "limit"), [("health", 2, 345), ("position show", 0, 330)])
def test_a_look_loads_what_it_needs(streamed: Replica, words: str, code: int, limit: int) -> None:
    loaded = imports_of(streamed.run(*words.split(), code=code).stderr)
    assert [m for m in loaded if m.startswith(tuple(f"{name}." for name in NOT_FOR_A_LOOK))] == []
    assert len(loaded) <= limit


def test_the_first_worker_loads_nothing_that_its_supervisor_had_loaded_before_the_fork(streamed: Replica) -> None:
    loaded = imports_of(streamed.run("stream", "--until-caught-up").stderr)
    both = ("logging", "multiprocessing.connection", *(f"replica_cli.{name}" for name in (
        "core.errors", "core.settings", "core.selection", "core.status", "core.reports.stream", "logs.setup",
        "service.worker",
    )))  # fmt: skip
    assert {name: loaded[name] for name in both} == dict.fromkeys(both, 1)
