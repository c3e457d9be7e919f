"""One secondary with all around it: its server, the proxies on both links, its disk, and the stream that feeds it."""

from __future__ import annotations

import os
import re
import time
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from replica_cli.mysql.errnos import ServerError
from tests.support.proxy import Proxy
from tests.torture.command import Command, tail
from tests.torture.tables import PASSWORD, SCHEMA, SCHEMAS, STATE_SCHEMA, USER
from tests.torture.waiting import Failed, pause, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from replica_cli.sandbox.server import SandboxServer
    from tests.torture.disk import SmallDisk

_SETTINGS = ("MARIA_", "REPLICA_", "TRANSFER_", "GRAYLOG_", "LOCAL_PROJECT")
_LOCK_HELD = 15
_REFUSED = 14
_BEAT_SECONDS = 3.0  # until a new stream has beaten, its predecessor's last words are what is shown
_START_SECONDS = 60.0
_STOP_SECONDS = 30.0  # ten are promised; the machine may be busy with other tests
_COPY_SECONDS = 240.0
# Small batches and queues: more moments between commits, and transactions that are larger than both.
_QUICK = {
    "REPLICA_BATCH_TRANSACTIONS": "50",
    "REPLICA_BATCH_BYTES": "256KiB",
    "REPLICA_BATCH_AGE": "20ms",
    "REPLICA_QUEUE_BYTES": "1MiB",
    "REPLICA_HEARTBEAT": "1s",
    "REPLICA_READ_TIMEOUT": "5s",
    "REPLICA_CONNECT_TIMEOUT": "5s",
    "REPLICA_QUERY_TIMEOUT": "30s",
    "REPLICA_RETRY_DELAY_LIMIT": "5s",
    "REPLICA_PROGRESS": "lines",
    "REPLICA_VERIFY_MAX_LAG": "1h",
    "TRANSFER_BATCH_SIZE": "200",
}


@dataclass(frozen=True, slots=True)
class LogLines:
    """Lines of one stream's log. `frozen_at`: since when that stream was frozen, so that another one took over."""

    lines: list[str]
    frozen_at: float | None


class Post:
    """Where one supervisor works: its settings, its log, the stream that it runs for one site or for several."""

    def __init__(self, engine: str, primary: SandboxServer, folder: Path, *, server_id: int) -> None:
        self.to_primary = Proxy(primary.port)
        self.sites: list[Site] = []
        self.stream: Command | None = None
        # The logs of streams that were frozen until another one took over, with the time of that.
        self.frozen: dict[Path, float] = {}
        self.folder = folder
        self.folder.mkdir()
        self._engine = engine
        self._server_id = server_id

    def has_begun(self, stream: Command) -> bool:
        """Return True if a stream streams to all of its sites, or has ended."""
        text = stream.text
        return all(f"[{site}] streaming from" in text for site in self.sites) or not stream.is_running

    def is_held(self, stream: Command) -> bool:
        """Return True if a stream did not begin for one of its sites, because another process holds its lock."""
        text = "" if self.has_begun(stream) else stream.text
        return any(f"[{site}] its stream has ended here, another process writes to it" in text for site in self.sites)

    def environment(self) -> dict[str, str]:
        """Return the settings of its commands: all servers through the proxies."""
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(_SETTINGS)}  # noqa: TID251 - passed on
        return {
            **inherited,
            "MARIA_PRIMARY_HOST": "127.0.0.1",
            "MARIA_PRIMARY_PORT": str(self.to_primary.port),
            "MARIA_USER": USER,
            "MARIA_PASS": PASSWORD,
            "MARIA_SERVER_ID": str(self._server_id),
            "MARIA_SECONDARY_HOSTS": ",".join("127.0.0.1" for _ in self.sites),
            "MARIA_SECONDARY_PORTS": ",".join(str(site.to_secondary.port) for site in self.sites),
            "MARIA_SECONDARY_NAMES": ",".join(map(str, self.sites)),
            "REPLICA_SCHEMAS": ",".join(SCHEMAS),
            "REPLICA_STATE_SCHEMA": STATE_SCHEMA,
            "REPLICA_ENGINE": self._engine,
            "REPLICA_PROGRESS_FOLDER": str(self.folder),
            **_QUICK,
        }


class Site:
    """Named `name`, fed by `engine`, from a post of its own or from one that it shares."""

    def __init__(self, name: str, engine: str, *, server: SandboxServer, post: Post, disk: SmallDisk | None) -> None:
        self.name = name
        self.engine = engine
        self.server = server
        self.disk = disk
        self.post = post
        post.sites.append(self)
        self.to_primary = post.to_primary
        self.to_secondary = Proxy(server.port)
        self.others: list[Command] = []
        # A `verify` run that the faults of the round may hit.
        self.proving: Command | None = None
        self._panics: set[str] = set()
        self._read: dict[Path, int] = {}
        self._lost: list[tuple[float, float]] = []

    def __str__(self) -> str:
        return self.name

    @property
    def stream(self) -> Command | None:
        """Return the stream that feeds it, None where none should run."""
        return self.post.stream

    @stream.setter
    def stream(self, stream: Command | None) -> None:
        self.post.stream = stream

    def command(self, *words: str) -> Command:
        """Start a command for this secondary."""
        made = Command(words, self.post.environment(), self.post.folder)
        self.others.append(made)
        return made

    def run(self, *words: str, code: int = 0, patience_seconds: float = 240.0) -> Command:
        """Run a command to its end. Raises Failed for another exit code than `code`."""
        command = self.command(*words)
        found = command.wait(patience_seconds)
        if found != code:
            raise Failed(f"{self}: `replica {' '.join(words)}` exited {found}, not {code}:\n{tail(command.text)}")
        return command

    def copy_again(self) -> None:
        """Copy everything again, and drop the tables that the primary does not have. Raises Failed."""
        words = ("transfer", "--restart", "--secondary", self.name, "--yes")
        copying = self.command(*words)
        while copying.wait(_COPY_SECONDS) and self.is_outdated(copying):
            copying = self.command(*words)
        self.check_copy(copying)
        self.drop_strangers(copying)

    def is_outdated(self, copying: Command) -> bool:
        """Return True if a copy changed nothing, because the primary made a table whose rows here its plan keeps."""
        return copying.code == _REFUSED and "the plan has changed since it was shown" in copying.text

    def check_copy(self, copying: Command) -> None:
        """Raise Failed if a copy failed for another reason than an outdated plan."""
        if copying.code and not self.is_outdated(copying):
            raise Failed(f"{self}: the copy exited {copying.code}:\n{tail(copying.text)}")

    def drop_strangers(self, copying: Command) -> None:
        """Drop the tables of which a whole copy says that the primary has them not, and that it leaves them alone.

        The primary may have made such a table since then: a table that the copy has recorded is not dropped.
        """
        named = re.findall(
            r"(?:^warning:|\[WARN\] \[\w+\]) ([\w.]+): not on the primary, it stays", copying.text, re.MULTILINE
        )
        recorded = {table for table, *_ in self.noted()}
        strangers = [name for name in named if name.split(".")[1] not in recorded]
        self.execute("SET foreign_key_checks = 0", *(f"DROP TABLE IF EXISTS {name}" for name in strangers))

    def start_stream(self) -> Command:
        """Start the stream where none runs, and wait until it streams. Raises Failed where it ends by itself."""
        held = 0
        while True:
            if self.stream is None or not self.stream.is_running:
                # The server knows nothing of a half open connection's end: its lock is for a standby to take.
                self.stream = self.command("stream", *(["--standby"] if held else []))
            stream = self.stream
            wait_until(partial(self._is_decided, stream), f"{self} to stream", _START_SECONDS)
            is_held = self.post.is_held(stream)
            if stream.is_running and not is_held:
                return stream
            if stream.is_running:
                # It would go on with the other site alone.
                stream.terminate(_STOP_SECONDS)
            # A worker whose supervisor was killed lets go of the lock when it notices.
            is_held = is_held or stream.code == _LOCK_HELD
            held += is_held
            if not is_held or held > 2:
                raise Failed(f"{self}: stream exited {stream.code} by itself:\n{tail(stream.text)}")
            pause(1)

    def _is_decided(self, stream: Command) -> bool:
        return self.post.has_begun(stream) or self.post.is_held(stream)

    def check_stream(self) -> None:
        """Raise Failed where a stream that should run does not."""
        if self.stream is not None and not self.stream.is_running:
            stream, self.stream = self.stream, None
            raise Failed(f"{self}: stream exited {stream.code} by itself:\n{tail(stream.text)}")

    def stop_stream(self) -> None:
        """Ask the stream to end. Raises Failed for another code than 0."""
        stream, self.stream = self.stream, None
        if stream is not None and stream.is_running:
            code = stream.terminate(_STOP_SECONDS)
            if code:
                raise Failed(f"{self}: stream exited {code} on SIGTERM, not 0:\n{tail(stream.text)}")

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Query the secondary itself, as an account that may do everything."""
        with self.server.session() as session:
            return session.rows(sql)

    def execute(self, *statements: str) -> None:
        """Run statements directly on the secondary, in the replicated schema."""
        with self.server.session(database=SCHEMA) as session:
            for statement in statements:
                session.execute(statement)

    def saved(self) -> tuple[str, int, str]:
        """Return file, offset and GTID set of the position row; empty where there is none."""
        rows = self.rows(f"SELECT file, pos, gtid FROM {STATE_SCHEMA}.binlog_position WHERE instance = '{self.name}'")
        return (str(rows[0][0]), int(rows[0][1]), str(rows[0][2])) if rows else ("", 0, "")

    def worker_pid(self) -> int:
        """Return the process id of this secondary's worker, 0 where it is not known: a stream may have others."""
        sql = f"SELECT holder FROM {STATE_SCHEMA}.stream_status WHERE instance = '{self.name}'"
        try:
            return next((int(str(holder).rpartition(":")[2]) for (holder,) in self.rows(sql)), 0)
        except ServerError:
            return 0

    def noted(self) -> list[tuple[str, str, str]]:
        """Return table, state and reason of every table that is not simply streamed."""
        found = self.rows(
            f"SELECT table_name, state, reason FROM {STATE_SCHEMA}.table_state WHERE instance = '{self.name}'"
        )
        return [(str(table), str(state), str(reason)) for table, state, reason in found]

    def catches_up_before(self, file: str) -> bool:
        """Return True if a table that is copied again still has to catch up from a position before a log file."""
        starts = " OR ".join(f"({p}_file <> '' AND {p}_file < '{file}')" for p in ("copy_start", "applied_to"))
        return bool(self.rows(
            f"SELECT 1 FROM {STATE_SCHEMA}.table_state WHERE instance = '{self.name}' "
            f"AND state IN ('copying', 'joining') AND ({starts})"
        ))  # fmt: skip

    def has_moved(self, before: tuple[str, int, str]) -> bool:
        """Return True if the position moved; False also if the server is down."""
        try:
            return self.saved()[:2] > before[:2]
        except ServerError:
            return False

    def new_panics(self) -> list[str]:
        """Return lines since the last call that show a bug. The death of a worker is no bug."""
        found = [
            f"{log.name}: {line}"
            for log in sorted(self.post.folder.glob("replica-*.log"))
            for line in log.read_text(errors="replace").splitlines()
            if re.search(r"Traceback|\[PANIC\](?!.*worker process died)", line)
        ]
        new = [line for line in found if line not in self._panics]
        self._panics.update(new)
        return new

    def said_of(self, table: str, lines: int = 12) -> str:
        """Return the last lines that its commands logged about a table, each below the one before it."""
        name = re.compile(rf"\b{re.escape(table)}\b")
        logs = sorted(self.post.folder.glob("replica-*.log"))
        found = [line for log in logs for line in log.read_text(errors="replace").splitlines() if name.search(line)]
        return "".join(f"\n    {line[:400]}" for line in sorted(found)[-lines:])

    @contextmanager
    def losing(self) -> Iterator[None]:
        """Let alarms of a lost position be true while the context lasts: the harness takes the position away."""
        self._lost.append((time.time(), float("inf")))
        try:
            yield
        finally:
            self._lost[-1] = (self._lost[-1][0], time.time() + _BEAT_SECONDS)

    def lost_times(self) -> list[tuple[float, float]]:
        """Return the times between which an alarm of a lost position is true."""
        return self._lost[:]

    def new_log_lines(self) -> list[LogLines]:
        """Return the whole lines that each stream's log got since the last call."""
        found = []
        for log in sorted(self.post.folder.glob("replica-*-stream.log")):
            with log.open("rb") as source:
                source.seek(self._read.get(log, 0))
                text = source.read()
            whole = text[: text.rfind(b"\n") + 1]
            self._read[log] = self._read.get(log, 0) + len(whole)
            if whole:
                found.append(LogLines(whole.decode(errors="replace").splitlines(), self.post.frozen.get(log)))
        return found

    def close(self) -> None:
        """End everything."""
        for command in self.others:
            if command.is_running:
                command.kill_all()
        self.to_secondary.close()
        if self is self.post.sites[0]:
            self.to_primary.close()
