"""Control one throw-away server: start, restart, stop, kill and freeze it, and connect to it."""

from __future__ import annotations

import os
import shutil
import time
from typing import TYPE_CHECKING

from replica_cli.core.errors import ReplicaError
from replica_cli.core.settings import Network, Secret, Server
from replica_cli.mysql.errnos import ServerError
from replica_cli.mysql.session import Session, connect
from replica_cli.sandbox.options import Options, command_words, default_options, merged, path_options
from replica_cli.sandbox.process import ServerProcess, free_port
from replica_cli.sandbox.template import PASSWORD, USER, copy_template, tail
from replica_cli.stop import sleep_briefly

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from replica_cli.sandbox.binaries import ServerBinary

_READY_SECONDS = 60.0
_PORT_ATTEMPTS = 3


class SandboxServer:
    """A server with its own folder and port. A restart does not change the port.

    Call it from a thread that outlives the server (see ServerProcess), and not from two threads at the same time.
    """

    def __init__(
        self,
        binary: ServerBinary,
        folder: Path,
        *,
        name: str = "primary",
        server_id: int = 1,
        options: Mapping[str, str | int | None] | None = None,
    ) -> None:
        self.binary = binary
        self.folder = folder
        self.name = name
        self.server_id = server_id
        self.options: Options = merged({}, options or {})
        self.port = free_port()
        self._process: ServerProcess | None = None

    @property
    def log_path(self) -> Path:
        """Return the path of the server's error log."""
        return self.folder / "error.log"

    @property
    def data_path(self) -> Path:
        """Return the server's data folder, which also holds its binary log."""
        return self.folder / "data"

    @property
    def pid(self) -> int:
        """Return the process id.

        Raises:
            ReplicaError: the server was not started.
        """
        return self._started().pid

    @property
    def is_running(self) -> bool:
        """Return True if the server's process exists, frozen or not."""
        return self._process is not None and self._process.is_running

    def address(self, user: str = USER, name: str | None = None, *, password: str = PASSWORD) -> Server:
        """Return the address and the account to log in with. The default account has all privileges."""
        return Server(name or self.name, "127.0.0.1", self.port, user, Secret(password))

    def session(self, database: str | None = None) -> Session:
        """Open a session with all privileges.

        Raises:
            ServerError: the server does not accept it.
        """
        network = Network(connect_timeout=5.0, query_timeout=300.0)
        return connect(self.address(), network, database=database, inherits=True)

    def start(self) -> None:
        """Start the server and wait until it answers.

        Raises:
            ReplicaError: it does not start. The message has the end of its log.
        """
        self.launch()
        self.wait_until_ready()

    def launch(self) -> None:
        """Start the server without waiting, so that several can start at once. Call `wait_until_ready` after it."""
        if self.is_running:
            return
        if not self.data_path.exists():
            (self.folder / "tmp").mkdir(parents=True, exist_ok=True)
            copy_template(self.binary, self.data_path)
        self._process = ServerProcess(self._words(), self.folder / "output.log")

    def wait_until_ready(self, patience_seconds: float = _READY_SECONDS) -> None:
        """Wait until the server answers a query.

        Raises:
            ReplicaError: it ends, or does not answer in time. The message has the end of its log.
        """
        deadline = time.monotonic() + patience_seconds
        attempts = 1
        while not self._answers():
            process = self._started()
            if not process.is_running and "Address already in use" in self.log_tail() and attempts < _PORT_ATTEMPTS:
                # Another process took the port between `free_port` and the start of the server.
                attempts += 1
                self.log_path.unlink()
                self.port = free_port()
                self.launch()
            elif not process.is_running:
                raise ReplicaError(f"{self}: ended with {process.exit_code} while starting:\n{self.log_tail()}")
            elif time.monotonic() > deadline:
                raise ReplicaError(f"{self}: no answer after {patience_seconds:.0f} s:\n{self.log_tail()}")

    def stop(self) -> None:
        """Shut the server down, and kill it if that takes too long. Do nothing if it is not running."""
        if self._process is not None:
            self._process.stop()

    def kill(self) -> None:
        """End the server with SIGKILL and wait for its end. The next start recovers."""
        self._started().kill()

    def restart(self, options: Mapping[str, str | int | None] | None = None) -> None:
        """Stop the server if it runs and start it, with further options if given. Data and port do not change."""
        self.stop()
        self.options = merged(self.options, options or {})
        self.start()

    def freeze(self) -> None:
        """Suspend the server (SIGSTOP): connections stay open, but it does not answer."""
        self._started().freeze()

    def thaw(self) -> None:
        """Resume the server (SIGCONT)."""
        self._started().thaw()

    def log_tail(self, lines: int = 20) -> str:
        """Return the last lines of its output before it opened its log, and those of its log."""
        return "\n".join(filter(None, (tail(self.folder / "output.log", lines), tail(self.log_path, lines))))

    def remove(self) -> None:
        """End the server and delete its folder."""
        if self._process is not None and self._process.is_running:
            self._process.kill()  # a clean end is not needed, because its data is deleted
        shutil.rmtree(self.folder, ignore_errors=True)

    def __str__(self) -> str:
        return f"{self.name} ({self.binary}, port {self.port})"

    def _words(self) -> list[str]:
        options = merged(default_options(self.binary.flavour), {"server-id": self.server_id, "port": self.port})
        options = merged({**options, **path_options(self.binary, self.folder)}, self.options)
        if os.geteuid() == 0:
            options.setdefault("user", "root")  # both flavours refuse to run as root without it
        return [*self.binary.command(self.binary.path), "--no-defaults", *command_words(options)]

    def _started(self) -> ServerProcess:
        if self._process is None:
            raise ReplicaError(f"{self}: was never started")
        return self._process

    def _answers(self) -> bool:
        try:
            with connect(self.address(), Network(connect_timeout=2.0, query_timeout=10.0)) as session:
                # The folder proves that this is not another server that took the port.
                row = session.row("SELECT @@datadir")
                return row is not None and str(row[0]).rstrip("/") == self.binary.inside(self.data_path)
        except ServerError:
            sleep_briefly(0.02)
            return False
