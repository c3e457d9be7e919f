"""Make the demo's servers and shop: a sandbox whose servers can outlive the program, and a shop of a chosen size."""

from __future__ import annotations

import atexit
import os
import subprocess
import time
from typing import TYPE_CHECKING

from replica_cli.core.errors import ReplicaError
from replica_cli.core.settings import Retry
from replica_cli.mysql.errnos import Remedy, ServerError
from replica_cli.retry import retrying
from replica_cli.sandbox.binaries import require_binary
from replica_cli.sandbox.sandbox import Sandbox
from replica_cli.sandbox.server import SandboxServer
from replica_cli.sandbox.shop import SCHEMA, load_shop

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from replica_cli.mysql.session import Session
    from replica_cli.stop import StopToken

_READY_SECONDS = 60.0
# Each attempt waits for locks of the server.
_RETRY = Retry(attempts=30, delay=0.0)

# Customers, products, stock and countries are always complete, because the other tables refer to them.
_FIXED_ROWS = 35_050
_VARIED_ROWS = {"purchase": 40_000, "purchase_item": 85_000, "login": 10_000, "visit": 30_000}
_ROUND_ROWS = _VARIED_ROWS["purchase"] + _VARIED_ROWS["purchase_item"]


class DemoServer(SandboxServer):
    """A server that can be detached, and then runs on after this program."""

    _detached: subprocess.Popen[bytes] | None = None

    def detach(self, held: Sequence[int]) -> int:
        """Restart the server so that it outlives this program, and return its process id.

        Args:
            held: the file descriptors that the server keeps open.

        Raises:
            ReplicaError: the server does not start again.
        """
        self.stop()
        # A new session, so that neither the end of the terminal nor its Ctrl-C reaches the server.
        with (self.folder / "output.log").open("ab") as sink:
            self._detached = subprocess.Popen(
                self._words(), stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, pass_fds=held, start_new_session=True
            )
        deadline = time.monotonic() + _READY_SECONDS
        while not self._answers():
            if self._detached.poll() is not None or time.monotonic() > deadline:
                raise ReplicaError(f"{self}: did not start again:\n{self.log_tail()}")
        return self._detached.pid

    def remove(self) -> None:
        """End the server, detached or not, and delete its folder."""
        if self._detached is not None and self._detached.poll() is None:
            self._detached.kill()
            self._detached.wait()
        super().remove()


class DemoSandbox(Sandbox):
    """A primary and two secondaries. They are removed at the end unless `keep` is called."""

    def start_servers(self) -> tuple[DemoServer, tuple[DemoServer, ...]]:
        """Start all three servers at the same time, and return the primary and the secondaries.

        Raises:
            ReplicaError: a server does not start.
        """
        primary, *secondaries = [self._add(name) for name in ("primary", "secondary1", "secondary2")]
        self.start_all()
        return primary, tuple(secondaries)

    def keep(self) -> tuple[int, ...]:
        """Detach the servers and give up their folders. Return the process ids."""
        # The servers hold the lock of the folder instead of this program. The next sandbox that starts after their end
        # removes the folder.
        pids = tuple(server.detach(self._locks) for server in self.servers if isinstance(server, DemoServer))
        atexit.unregister(self.close)
        self.servers.clear()
        self._folders.clear()
        for lock in self._locks:
            os.close(lock)
        self._locks.clear()
        return pids

    def _add(self, name: str) -> DemoServer:
        binary = require_binary()
        folder = self.folder / name
        folder.mkdir()
        server = DemoServer(binary, folder, name=name, server_id=1001 + len(self.servers))
        self.servers.append(server)
        return server


def load_about(session: Session, rows: int) -> int:
    """Make the shop with about `rows` rows, at least 35,050. Return the number of rows that it has."""
    loaded = load_shop(session).rows
    if rows < loaded:
        share = max(0, rows - _FIXED_ROWS) / sum(_VARIED_ROWS.values())
        _thin_out(session, share)
    else:
        _grow(session, rows - loaded)
    counted = (session.row(f"SELECT COUNT(*) FROM `{SCHEMA}`.`{name}`") for name in _VARIED_ROWS)
    return _FIXED_ROWS + sum(int(row[0]) for row in counted if row)


def add_column(session: Session, stop: StopToken) -> str:
    """Add a column to the shop's customers, as a release of an application would, and use it. Return the statement.

    Raises:
        ServerError: the server refuses the column, or it is too busy.
        Interrupted: `stop` was set.
    """
    statement = f"ALTER TABLE `{SCHEMA}`.customer ADD COLUMN points INT UNSIGNED NOT NULL DEFAULT 0 AFTER credit"
    # A transaction of the writer and the ALTER can wait for each other, one for a row lock and one for the metadata
    # lock. No deadlock detection sees that. So an ALTER of a busy parent table waits only briefly and is then repeated.
    session.execute("SET SESSION lock_wait_timeout=2, innodb_lock_wait_timeout=2")
    for text in (statement, f"UPDATE `{SCHEMA}`.customer SET points = id MOD 1000 WHERE id <= 1000"):
        retrying(_RETRY, stop, is_retryable=_is_repeatable)(session.execute, text)
    return statement


def env_text(primary: SandboxServer, secondaries: Sequence[SandboxServer], folder: Path) -> str:
    """Return the settings for these servers as the text of a .env file."""
    login = primary.address()
    return "\n".join(
        (
            f"MARIA_PRIMARY_HOST={login.host}",
            f"MARIA_PRIMARY_PORT={primary.port}",
            f"MARIA_PRIMARY_NAME={primary.name}",
            f"MARIA_USER={login.user}",
            f"MARIA_PASS={login.password.reveal()}",
            f"MARIA_SECONDARY_HOSTS={','.join(s.address().host for s in secondaries)}",
            f"MARIA_SECONDARY_PORTS={','.join(str(s.port) for s in secondaries)}",
            f"MARIA_SECONDARY_NAMES={','.join(s.name for s in secondaries)}",
            f"REPLICA_SCHEMAS={SCHEMA}",
            f"REPLICA_PROGRESS_FOLDER={folder}",
            "",
        )
    )


def _is_repeatable(error: BaseException) -> bool:
    return isinstance(error, ServerError) and error.remedy is Remedy.RETRY


def _thin_out(session: Session, share: float) -> None:
    limits = {name: int(count * share) for name, count in _VARIED_ROWS.items()}
    # The foreign key also deletes their lines.
    session.execute(f"DELETE FROM `{SCHEMA}`.purchase WHERE id > %s", limits["purchase"])
    for name in ("login", "visit"):
        session.execute(f"DELETE FROM `{SCHEMA}`.`{name}` LIMIT %s", _VARIED_ROWS[name] - limits[name])


def _grow(session: Session, rows: int) -> None:
    columns = "customer_id, state, total, placed, is_gift"
    number = 0
    while rows > 0:
        number += 1
        # Each round inserts at most all original purchases again, with new ids.
        last = min(_VARIED_ROWS["purchase"], _VARIED_ROWS["purchase"] * rows // _ROUND_ROWS)
        offset = number * 1_000_000
        session.execute(
            f"INSERT INTO `{SCHEMA}`.purchase (id, {columns}) SELECT id + %s, {columns} FROM `{SCHEMA}`.purchase"
            " WHERE id <= %s",
            offset, last,
        )  # fmt: skip
        session.execute(
            f"INSERT INTO `{SCHEMA}`.purchase_item SELECT purchase_id + %s, line, sku, quantity, price"
            f" FROM `{SCHEMA}`.purchase_item WHERE purchase_id <= %s",
            offset, last,
        )  # fmt: skip
        rows -= _ROUND_ROWS
