"""The modules and queries of a command on real servers are counted: they are the cost of a short command."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tests.support.command import wait_until

if TYPE_CHECKING:
    from replica_cli.mysql.session import Row, Session
    from tests.support.command import Replica


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


def flavour_of(replica: Replica) -> str:
    """Return what kind of server the primary is."""
    with replica.primary.session() as session:
        return "MariaDB" if session.is_mariadb else "MySQL"


# What only copies, streams, terminals and wrong configurations need.
NOT_FOR_A_LOOK = (
    "multiprocessing", "rich", "tenacity", "yaml", "zstandard", "prometheus_client", "fastapi", "uvicorn",
    "replica_cli.applier", "replica_cli.decoder", "replica_cli.drift", "replica_cli.transfer",
    "replica_cli.core.events", "replica_cli.service.stream", "replica_cli.supervisor", "replica_cli.worker",
    "replica_cli.resync",
)  # fmt: skip
# A dump connection reads what follows the saved position in the log of a MySQL.
FOR_A_DUMP = ("pymysqlreplication", "packaging", "replica_cli.reader.dump", "cryptography.hazmat.primitives")


# The codes: nothing streams, which `health` calls critical.
@pytest.mark.parametrize(("words", "code", "limit"), [("health", 2, 195), ("position show", 0, 185)])
def test_a_look_loads_what_it_needs(streamed: Replica, words: str, code: int, limit: int) -> None:
    unwanted = NOT_FOR_A_LOOK if flavour_of(streamed) == "MySQL" else NOT_FOR_A_LOOK + FOR_A_DUMP
    loaded = imports_of(streamed.run(*words.split(), code=code).stderr)
    assert [m for m in loaded if m.startswith(tuple(f"{name}." for name in unwanted))] == []
    # The configuration loads the validator, which loads much: it is counted by itself.
    code_of_settings = [sys.executable, "-X", "importtime", "-c", "import replica_cli.config.loading"]
    settings = imports_of(subprocess.run(code_of_settings, capture_output=True, text=True, check=True).stderr)
    assert len(settings) <= 330
    assert len([m for m in loaded if m not in settings and not m.startswith(FOR_A_DUMP)]) <= limit


def test_the_first_worker_loads_nothing_that_its_supervisor_had_loaded_before_the_fork(streamed: Replica) -> None:
    loaded = imports_of(streamed.run("stream", "--until-caught-up").stderr)
    both = ("logging", "multiprocessing.connection", *(f"replica_cli.{name}" for name in (
        "core.errors", "core.settings", "core.selection", "core.status", "core.reports.stream", "logs.setup",
        "worker.worker",
    )))  # fmt: skip
    assert {name: loaded[name] for name in both} == dict.fromkeys(both, 1)


def test_a_stream_without_anything_to_apply_makes_no_applier(streamed: Replica) -> None:
    loaded = imports_of(streamed.run("stream", "--until-caught-up").stderr)
    unwanted = ("replica_cli.decoder.", "replica_cli.applier.applier", "replica_cli.resync.resync")
    assert [module for module in loaded if module.startswith(unwanted)] == []


def test_a_stream_that_may_end_makes_its_applier_only_if_transactions_come(streamed: Replica) -> None:
    streamed.on_primary(
        "INSERT INTO t VALUES (3, 3)", "CREATE TABLE u (id INT PRIMARY KEY)", "INSERT INTO u VALUES (1)"
    )
    streamed.catch_up()
    streamed.assert_equal()
    streamed.assert_nothing_is_noted()
    with streamed.primary.session() as session:
        # The end is in a file that holds no transaction.
        session.execute("FLUSH BINARY LOGS")
    streamed.catch_up()
    assert streamed.saved() == streamed.primary_end()


# Connections that a test before has left open are idle; one that it has closed may still be there for a moment.
_WORKING_BEFORE = (
    "id < CONNECTION_ID() AND NOT (command = 'Sleep' AND time >= 1 OR command IN ('Binlog Dump', 'Binlog Dump GTID'))"
)
_OF_COMMAND = "id > CONNECTION_ID()"


class Questions:
    """Counts the statements that a command runs on a server, in a session that is older than those of the command."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._own = 0
        self._before = self._others(_WORKING_BEFORE)

    def read(self) -> int:
        """Return how many there were since the start. The connections that ran them have ended."""
        return self._others(_OF_COMMAND) - self._before

    def _others(self, without: str) -> int:
        # A server may count the end of a connection after its client has gone on.
        query = f"SELECT COUNT(*) FROM information_schema.processlist WHERE user = %s AND {without}"
        wait_until(lambda: self._ask(query, self._session.server.user)[0] == 0, f"no connection with {without}")
        return int(self._ask("SHOW GLOBAL STATUS LIKE 'Questions'")[1]) - self._own

    def _ask(self, sql: str, *args: str) -> Row:
        self._own += 1
        row = self._session.row(sql, *args)
        assert row is not None
        return row


# As many for one table as for a thousand, those of the connect among them: of the primary and of the secondary.
QUESTIONS = {
    ("MariaDB", "health"): (22, 16), ("MariaDB", "position show"): (9, 8),
    ("MySQL", "health"): (30, 17), ("MySQL", "position show"): (16, 8),
}  # fmt: skip


@pytest.mark.parametrize(("words", "code"), [("health", 2), ("position show", 0)])
def test_a_look_asks_few_questions(streamed: Replica, words: str, code: int) -> None:
    limits = QUESTIONS[flavour_of(streamed), words]
    for server, limit in zip((streamed.primary, streamed.secondaries["db1"]), limits, strict=True):
        with server.session() as session:
            questions = Questions(session)
            streamed.run(*words.split(), code=code)
            assert 0 < questions.read() <= limit, server.name
