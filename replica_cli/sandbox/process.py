"""A server's process: started so that it ends with us, signalled by its own id only."""

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
    """Return a loopback TCP port that nobody listens on.

    From below the range that the kernel gives to outgoing connections: else a client could sit on a server's port
    while that server is down.
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
    """A running server program. Start it from a thread that lives on: the kernel ends it with that thread."""

    def __init__(self, words: Sequence[str], output: Path, *, source: Path = Path(os.devnull)) -> None:
        guard = ["setpriv", "--pdeathsig", "KILL", "--"] if shutil.which("setpriv") else []
        # Its own process group: Ctrl-C in the terminal is ours to hear, servers are stopped in order.
        with output.open("ab") as sink, source.open("rb") as given:
            self._child = subprocess.Popen([*guard, *words], stdin=given, stdout=sink, stderr=sink, process_group=0)
        self._is_frozen = False

    @property
    def pid(self) -> int:
        """Return the server's own process id (the words before it replace themselves by it)."""
        return self._child.pid

    @property
    def is_running(self) -> bool:
        """Say whether the process lives, frozen or not."""
        return self._child.poll() is None

    @property
    def exit_code(self) -> int | None:
        """Return how it ended, None while it runs."""
        return self._child.poll()

    def has_ended_within(self, seconds: float) -> bool:
        """Wait for its end, at most so long; return whether it came."""
        try:
            self._child.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def freeze(self) -> None:
        """Stop its clock: connections stay open, nothing answers."""
        self._signal(signal.SIGSTOP)
        self._is_frozen = True

    def thaw(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)
        self._is_frozen = False

    def stop(self, patience_seconds: float = 20.0) -> None:
        """Ask it to shut down, end it when it does not."""
        if self._is_frozen:
            self.thaw()
        self._signal(signal.SIGTERM)
        if not self.has_ended_within(patience_seconds):
            self.kill()

    def kill(self) -> None:
        """End it at once, as a power cut would."""
        self._signal(signal.SIGKILL)
        self._child.wait()

    def _signal(self, number: signal.Signals) -> None:
        if self.is_running:
            os.kill(self._child.pid, number)
