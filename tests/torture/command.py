"""The `replica` command as a process of its own, its output in a file that outlives it."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tests.torture.waiting import Failed

if TYPE_CHECKING:
    from collections.abc import Mapping

_COMMAND = Path(sys.executable).with_name("replica")

_numbers = itertools.count(1)


class Command:
    """A started command; starts from a thread that lives on (the kernel ends it with that thread).

    Each has a log of its own in the folder: a standby's words are not those of the stream that it waits for.
    """

    def __init__(self, words: tuple[str, ...], environment: Mapping[str, str], folder: Path) -> None:
        self.words = words
        self.worker_kills = 0
        self.log = folder / f"replica-{next(_numbers):04d}-{words[0]}.log"
        guard = ["setpriv", "--pdeathsig", "KILL", "--"] if shutil.which("setpriv") else []
        with self.log.open("wb") as sink:
            # A group of its own: signals to it reach its workers, and no other process.
            self._process = subprocess.Popen(
                [*guard, str(_COMMAND), *words],
                env=dict(environment),
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
                start_new_session=True,
            )

    @property
    def code(self) -> int | None:
        """Return how it ended, None while it runs."""
        return self._process.poll()

    @property
    def is_running(self) -> bool:
        """Return True if the supervisor lives, frozen or not."""
        return self.code is None

    @property
    def text(self) -> str:
        """Return what it wrote so far."""
        return self.log.read_bytes().decode(errors="replace")

    def worker_pids(self) -> list[int]:
        """Return the process ids of its workers."""
        found = []
        for task in Path(f"/proc/{self._process.pid}/task").glob("*/children"):
            with contextlib.suppress(OSError):
                for pid in map(int, task.read_text().split()):
                    with contextlib.suppress(OSError):
                        if Path(f"/proc/{pid}/cmdline").read_bytes():  # not one that ended and is not waited for yet
                            found.append(pid)
        return found

    def kill_worker(self, pid: int) -> bool:
        """End one of its workers alone with SIGKILL; return whether there was this one."""
        if pid not in self.worker_pids():
            return False
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            return True
        return False

    def kill_supervisor(self) -> None:
        """End the supervisor alone with SIGKILL: its worker finds itself alone."""
        self._process.kill()
        self._process.wait()

    def kill_all(self) -> None:
        """End everything at the same moment with SIGKILL."""
        self.signal_group(signal.SIGKILL)
        self._process.wait()

    def signal_group(self, number: signal.Signals) -> None:
        """Send a signal to the supervisor and its workers."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)

    def terminate(self, patience_seconds: float) -> int:
        """Ask the supervisor to end and return its exit code. Raises Failed, and kills it, when that takes too long."""
        self._process.send_signal(signal.SIGTERM)
        return self.wait(patience_seconds)

    def wait(self, patience_seconds: float) -> int:
        """Wait for the end and return the exit code. Raises Failed, and kills it, when that takes too long."""
        try:
            return self._process.wait(patience_seconds)
        except subprocess.TimeoutExpired:
            self.kill_all()
            raise Failed(f"`replica {' '.join(self.words)}` did not end within {patience_seconds:.0f} s") from None


def tail(text: str, lines: int = 12) -> str:
    """Return the end of a text."""
    return "\n".join(text.splitlines()[-lines:])
