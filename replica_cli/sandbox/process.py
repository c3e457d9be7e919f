"""Run a server as a child process that ends with this program, and signal it only by its own process id."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_PORTS = range(20000, 32000)


def free_port() -> int:
    """Return a loopback TCP port on which no process listens.

    The port is below the range that the kernel uses for outgoing connections. Otherwise a client could get a server's
    port while that server is down.

    Raises:
        OSError: no free port was found.
    """
    numbers = Random()
    for _ in range(1000):
        port = numbers.choice(_PORTS)
        with socket.socket() as listener, contextlib.suppress(OSError):
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(("127.0.0.1", port))
            return port
    raise OSError("no free loopback port found")


class ServerProcess:
    """A running server program. Start it from a thread that outlives it: the kernel ends it with that thread."""

    def __init__(self, words: Sequence[str], output: Path, *, source: Path = Path(os.devnull)) -> None:
        guard = ["setpriv", "--pdeathsig", "KILL", "--"] if shutil.which("setpriv") else []
        # The server has its own process group: Ctrl-C in the terminal reaches only this program, which then stops the
        # servers in order.
        with output.open("ab") as sink, source.open("rb") as stdin:
            self._child = subprocess.Popen([*guard, *words], stdin=stdin, stdout=sink, stderr=sink, process_group=0)
        self._is_frozen = False

    @property
    def pid(self) -> int:
        """Return the server's own process id. The programs that start it replace themselves by it."""
        return self._child.pid

    @property
    def is_running(self) -> bool:
        """Return True if the process exists, frozen or not."""
        return self._child.poll() is None

    @property
    def exit_code(self) -> int | None:
        """Return the exit code of the process, or None while it runs."""
        return self._child.poll()

    def has_ended_within(self, seconds: float) -> bool:
        """Wait at most `seconds` for the end of the process. Return True if it ended."""
        try:
            self._child.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def freeze(self) -> None:
        """Suspend the process (SIGSTOP): connections stay open, but it does not answer."""
        self._signal(signal.SIGSTOP)
        self._is_frozen = True

    def thaw(self) -> None:
        """Resume the process (SIGCONT)."""
        self._signal(signal.SIGCONT)
        self._is_frozen = False

    def stop(self, patience_seconds: float = 20.0) -> None:
        """Ask the server to shut down, and kill it if it does not end within `patience_seconds`."""
        if self._is_frozen:
            self.thaw()
        self._signal(signal.SIGTERM)
        if not self.has_ended_within(patience_seconds):
            self.kill()

    def kill(self) -> None:
        """Kill the process (SIGKILL) and wait for its end."""
        self._signal(signal.SIGKILL)
        self._child.wait()

    def _signal(self, number: signal.Signals) -> None:
        if self.is_running:
            os.kill(self._child.pid, number)
