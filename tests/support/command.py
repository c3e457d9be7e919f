"""The installed `replica` command on real servers: run to its end, or started, watched, signalled and killed."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.equality import assert_equal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from replica_cli.mysql.session import Session
    from replica_cli.sandbox.server import SandboxServer

PATIENCE_SECONDS = 60.0
_SETTINGS = ("MARIA_", "REPLICA_", "TRANSFER_", "GRAYLOG_", "LOCAL_PROJECT")
COMMAND = Path(sys.executable).with_name("replica")
_MARKER = "CREATE TABLE IF NOT EXISTS marker (id INT PRIMARY KEY)"
_ORDINARY = re.compile(
    r"\[(INSERT|UPDATE|DELETE)\]|image engine|(create|alter|rename|drop) table \(position "
    r"|\b(starting|streaming|caught up) at |streaming from|rows/s"
)
_markers = itertools.count(1)


def wait_until(condition: Callable[[], object], what: str, patience_seconds: float = PATIENCE_SECONDS) -> None:
    """Wait for a condition; fail with what was waited for."""
    deadline = time.monotonic() + patience_seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {patience_seconds:.0f} s for {what}"
        time.sleep(0.02)  # noqa: TID251 - a test's own loop: no stop comes


def wait_until_locked_out(session: Session) -> None:
    """Wait until a transaction on the session's server waits for a row that another one holds."""
    wait_until(lambda: _transactions(session, "trx_state = 'LOCK WAIT'"), "a transaction to wait for a row")


def wait_until_written(session: Session, rows: int) -> None:
    """Wait until a transaction that is still open on the session's server has written a number of rows."""
    wait_until(lambda: _transactions(session, f"trx_rows_modified >= {rows}"), f"an open transaction of {rows} rows")


def _transactions(session: Session, condition: str) -> bool:
    # The server refreshes this table only if no session has read it for a tenth of a second.
    session.row("SELECT SLEEP(0.2)")
    return bool(session.rows(f"SELECT 1 FROM information_schema.innodb_trx WHERE {condition}"))


@dataclass(frozen=True)
class Ended:
    """How a run of the command ended."""

    code: int
    stdout: str
    stderr: str

    @property
    def document(self) -> Any:
        """Return stdout as one JSON document."""
        return json.loads(self.stdout)

    @property
    def lines(self) -> list[Any]:
        """Return stdout as JSON lines."""
        return [json.loads(line) for line in self.stdout.splitlines()]

    @property
    def error(self) -> Any:
        """Return the JSON error on stderr."""
        return next(json.loads(line) for line in self.stderr.splitlines() if line.startswith('{"type": "error"'))


class Running:
    """A started command. Its stderr is collected while it runs."""

    def __init__(self, words: tuple[str, ...], environment: dict[str, str], folder: Path) -> None:
        # A session of its own: killing the group ends it and its workers, and no other process.
        self.process = subprocess.Popen(
            [str(COMMAND), *words],
            env=environment,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self._texts: dict[str, list[str]] = {"stdout": [], "stderr": []}
        self._threads = [
            threading.Thread(target=self._collect, args=(name,), daemon=True) for name in ("stdout", "stderr")
        ]
        for thread in self._threads:
            thread.start()

    @property
    def stderr(self) -> str:
        """Return what it said so far."""
        return "".join(self._texts["stderr"])

    @property
    def lines(self) -> list[dict[str, Any]]:
        """Return the whole JSON lines that it wrote to stdout so far."""
        return [json.loads(line) for line in "".join(self._texts["stdout"]).splitlines(keepends=True) if "\n" in line]

    @property
    def is_running(self) -> bool:
        """Return True if the supervisor lives."""
        return self.process.poll() is None

    def worker_pids(self) -> list[int]:
        """Return the process ids of its workers."""
        found = []
        for task in Path(f"/proc/{self.process.pid}/task").glob("*/children"):
            with contextlib.suppress(OSError):
                for pid in map(int, task.read_text().split()):
                    with contextlib.suppress(OSError):
                        if Path(f"/proc/{pid}/cmdline").read_bytes():  # not one that ended and is not waited for yet
                            found.append(pid)
        return found

    def wait_for_log(self, pattern: str, *, times: int = 1) -> None:
        """Wait until stderr holds a pattern a number of times."""

        def is_there() -> bool:
            if len(re.findall(pattern, self.stderr)) >= times:
                return True
            assert self.is_running, f"ended with {self.process.returncode} without {pattern!r}:\n{self.stderr}"
            return False

        try:
            wait_until(is_there, repr(pattern))
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.stderr[-6000:]}") from None

    def kill_all(self) -> None:
        """End the supervisor and its workers with SIGKILL at the same moment."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def kill_supervisor(self) -> None:
        """End the supervisor alone with SIGKILL: its workers find themselves alone."""
        self.process.kill()
        self.process.wait()

    def end(self, number: int | None = None, patience_seconds: float = PATIENCE_SECONDS) -> Ended:
        """Send a signal, if given, and wait for the end."""
        if number is not None:
            self.process.send_signal(number)
        try:
            code = self.process.wait(patience_seconds)
        except subprocess.TimeoutExpired:
            self.kill_all()
            pytest.fail(f"did not end within {patience_seconds:.0f} s:\n{self.stderr[-6000:]}")
        for thread in self._threads:
            thread.join(10)
        return Ended(code, "".join(self._texts["stdout"]), self.stderr)

    def close(self) -> None:
        """End everything that is left of it."""
        self.kill_all()
        for thread in self._threads:
            thread.join(10)

    def _collect(self, name: str) -> None:
        with getattr(self.process, name) as stream:
            for line in stream:
                self._texts[name].append(line)


class Load:
    """Calls `work` with a session on a server, again and again in a thread, until stopped."""

    def __init__(self, server: SandboxServer, schema: str, work: Callable[[Session], None]) -> None:
        self.rounds = 0
        self._server, self._schema, self._work = server, schema, work
        self._is_over = threading.Event()
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End after the current round. Raise the error that ended the thread before, if there is one."""
        self._is_over.set()
        self._thread.join(60)
        error, self._error = self._error, None
        if error is not None:
            raise error

    def _run(self) -> None:
        try:
            with self._server.session(database=self._schema) as session:
                while not self._is_over.wait(0.002):
                    self._work(session)
                    self.rounds += 1
        except Exception as error:  # noqa: BLE001 - a thread's top: kept for stop() to raise
            self._error = error


@dataclass
class Replica:
    """The command for one primary and some secondaries, named db1, db2 and so on; `settings` are further variables."""

    primary: SandboxServer
    secondaries: dict[str, SandboxServer]
    schema: str
    state_schema: str
    folder: Path
    settings: dict[str, str] = field(default_factory=dict)
    _started: list[Running] = field(default_factory=list)

    def environment(self) -> dict[str, str]:
        """Return the variables that a run is given; none of those that the tests were started with."""
        address = self.primary.address()
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(_SETTINGS)}  # noqa: TID251 - passed on
        return {
            **inherited,
            "MARIA_PRIMARY_HOST": "127.0.0.1",
            "MARIA_PRIMARY_PORT": str(address.port),
            "MARIA_USER": address.user,
            "MARIA_PASS": address.password.reveal(),
            "MARIA_SERVER_ID": "700",
            "MARIA_SECONDARY_HOSTS": ",".join("127.0.0.1" for _ in self.secondaries),
            "MARIA_SECONDARY_PORTS": ",".join(str(s.port) for s in self.secondaries.values()),
            "MARIA_SECONDARY_NAMES": ",".join(self.secondaries),
            "REPLICA_SCHEMAS": self.schema,
            "REPLICA_STATE_SCHEMA": self.state_schema,
            "REPLICA_PROGRESS_FOLDER": str(self.folder),
            # On a busy machine a stream may be far behind, and a comparison would wait for it.
            "REPLICA_VERIFY_MAX_LAG": "1h",
            **self.settings,
        }

    def start(self, *words: str) -> Running:
        """Start the command; it is ended with the test at the latest."""
        running = Running(words, self.environment(), self.folder)
        self._started.append(running)
        return running

    def run(self, *words: str, code: int = 0, patience_seconds: float = PATIENCE_SECONDS) -> Ended:
        """Run the command to its end and check its exit code."""
        ended = self.start(*words).end(patience_seconds=patience_seconds)
        assert ended.code == code, f"replica {' '.join(words)}: {ended.code}, not {code}\n{ended.stdout}{ended.stderr}"
        return ended

    def stream(self, *words: str) -> Running:
        """Start `stream` and wait until each worker has begun to stream."""
        running = self.start("stream", *words)
        running.wait_for_log(r"streaming from", times=len(self.secondaries))
        return running

    def catch_up(self, code: int = 0) -> Ended:
        """Run `stream` until the primary's end of now is applied; it ends with 3 if a table is quarantined then."""
        return self.run("stream", "--until-caught-up", code=code, patience_seconds=120)

    def on_primary(self, *statements: str) -> None:
        """Run statements in the schema on the primary, which is made where it is not there."""
        with self.primary.session() as session:
            session.execute(f"CREATE DATABASE IF NOT EXISTS `{self.schema}`")
            session.execute(f"USE `{self.schema}`")
            for statement in statements:
                session.execute(statement)

    def on_secondary(self, sql: str, name: str = "db1", schema: str | None = None) -> list[tuple[Any, ...]]:
        """Run a query, or a statement, in the schema on a secondary."""
        with self.secondaries[name].session(database=schema or self.schema) as session:
            if sql.lstrip().upper().startswith(("SELECT", "SHOW")):
                return session.rows(sql)
            session.execute(sql)
            return []

    def state(self, sql: str, name: str = "db1") -> list[tuple[Any, ...]]:
        """Query the state's tables of a secondary."""
        return self.on_secondary(sql, name, self.state_schema)

    def saved(self, name: str = "db1") -> tuple[str, int]:
        """Return the file and offset of the position row; empty where there is none."""
        rows = self.state(f"SELECT file, pos FROM binlog_position WHERE instance = '{name}'", name)
        return (str(rows[0][0]), int(rows[0][1])) if rows else ("", 0)

    def wait_until_applied(self, running: Running, *names: str) -> None:
        """Wait until what is now on the primary is on the secondaries, read there, not from what the tool says."""
        number = next(_markers)
        self.on_primary(_MARKER, f"INSERT INTO marker VALUES ({number})")
        place = self.primary_end()
        for name in names or tuple(self.secondaries):

            def is_there(name: str = name) -> bool:
                assert running.is_running, f"ended with {running.process.returncode}:\n{running.stderr[-6000:]}"
                with self.secondaries[name].session() as session:
                    return self._has(session, number) and self.saved(name) >= place and not self._is_copying(session)

            try:
                wait_until(is_there, f"marker {number} on {name}", 90)
            except AssertionError as error:
                raise AssertionError(f"{error}\n{running.stderr[-6000:]}") from None

    def primary_end(self) -> tuple[str, int]:
        """Return the file and offset at the end of the primary's binary log."""
        with self.primary.session() as session:
            words = "SHOW MASTER STATUS" if session.is_mariadb else "SHOW BINARY LOG STATUS"
            row = session.row(words)
            assert row is not None
            return str(row[0]), int(row[1])

    def copied(self, table: str, name: str = "db1") -> int:
        """Return how many rows of a table the copy has committed so far."""
        with self.secondaries[name].session() as session:
            sql = "SELECT 1 FROM information_schema.tables WHERE table_schema = %s AND table_name = 'transfer_progress'"
            if session.row(sql, self.state_schema) is None:
                return 0
            rows = f"SELECT SUM(row_count) FROM `{self.state_schema}`.transfer_progress WHERE table_name = %s"
            ((count,),) = session.rows(rows, table)
            return int(count or 0)

    def wait_until_copied(self, table: str, rows: int = 1) -> None:
        """Wait until the copy has committed a number of rows of a table."""
        wait_until(lambda: self.copied(table) >= rows, f"{rows} rows of {table} to be copied")

    def assert_nothing_is_noted(self, *names: str) -> None:
        """Fail if a table is quarantined, waits for a copy or has a window, or a statement was left half done."""
        for name in names or tuple(self.secondaries):
            noted = self.state("SELECT table_name, state, reason FROM table_state", name)
            noted += self.state("SELECT * FROM ddl_intent", name)
            assert noted == [], f"{noted}\n{self.remarkable()}"

    def assert_equal(self, *names: str, schema: str | None = None) -> None:
        """Fail unless every table of the secondaries equals the primary's."""
        try:
            for name in names or tuple(self.secondaries):
                assert_equal(self.primary, self.secondaries[name], self.schema, schema)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.remarkable()}") from None

    def remarkable(self) -> str:
        """Return what all commands logged, without the counts of rows and the progress."""
        lines = (line for running in self._started for line in running.stderr.splitlines())
        return "\n".join(line for line in lines if not _ORDINARY.search(line))[-8000:]

    def close(self) -> None:
        """End every command that still runs."""
        for running in self._started:
            running.close()

    def _has(self, session: Session, number: int) -> bool:
        sql = "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = %s AND table_name = 'marker'"
        ((found,),) = session.rows(sql, self.schema)
        return bool(found) and bool(session.row(f"SELECT 1 FROM `{self.schema}`.marker WHERE id = {number}"))

    def _is_copying(self, session: Session) -> bool:
        sql = f"SELECT 1 FROM `{self.state_schema}`.table_state WHERE state IN ('pending', 'copying') LIMIT 1"
        return session.row(sql) is not None


@pytest.fixture
def replica(
    primary: SandboxServer, secondary: SandboxServer, schema: str, state_schema: str, tmp_path: Path
) -> Iterator[Replica]:
    """Give the command for one primary and one secondary, db1."""
    made = Replica(primary, {"db1": secondary}, schema, state_schema, tmp_path)
    yield made
    made.close()


@pytest.fixture
def two_secondaries(replica: Replica, second_secondary: SandboxServer) -> Replica:
    """Give the command for one primary and two secondaries, db1 and db2."""
    replica.secondaries["db2"] = second_secondary
    return replica
