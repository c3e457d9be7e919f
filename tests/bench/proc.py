"""What processes cost: CPU seconds and peak memory, read from /proc while they run."""

from __future__ import annotations

import contextlib
import os
import re
import threading
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_PAUSE_SECONDS = 0.03


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU seconds and the greatest resident memory (VmHWM) of a process."""

    cpu_seconds: float = 0.0
    peak_bytes: int = 0


def cost_of(pid: int) -> Cost | None:
    """Return what a process has cost so far, None where it is gone."""
    with contextlib.suppress(OSError, IndexError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        peak = re.search(r"^VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
        # A process that has ended and was not waited for has no memory any more.
        if peak:
            return Cost((int(fields[11]) + int(fields[12])) / _TICKS, int(peak[1]) * 1024)
    return None


def cpu_seconds(pid: int) -> float:
    """Return the CPU seconds of a running process."""
    cost = cost_of(pid)
    return cost.cpu_seconds if cost else 0.0


def wakeups(pid: int) -> int:
    """Return how often the threads of a process have waited for something and gone on."""
    found = 0
    for task in Path(f"/proc/{pid}/task").glob("*/status"):
        with contextlib.suppress(OSError):
            count = re.search(r"^voluntary_ctxt_switches:\s+(\d+)", task.read_text(), re.MULTILINE)
            found += int(count[1]) if count else 0
    return found


def machine_cpu_seconds() -> float:
    """Return the CPU seconds that all processes together have used since the machine started."""
    user, nice, system, _idle, _wait, *interrupts = map(int, Path("/proc/stat").read_text().split("\n")[0].split()[1:8])
    return (user + nice + system + sum(interrupts)) / _TICKS


def children_of(pid: int) -> list[int]:
    """Return a process's children."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found += map(int, task.read_text().split())
    return found


def is_worker(pid: int) -> bool:
    """Return True if a child of `replica stream` is a worker: a fork of the command, or a program of its own."""
    with contextlib.suppress(OSError):
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        return b"stream" in words or b"replica_cli.worker.process" in words
    return False


class Watch:
    """Looks at a `replica` command and its worker until both are gone. VmHWM only rises: the last look counts."""

    def __init__(self, pid: int) -> None:
        self.supervisor = Cost()
        self.worker = Cost()
        self._pid = pid
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def look(self) -> None:
        """Look once."""
        self.supervisor = cost_of(self._pid) or self.supervisor
        for child in children_of(self._pid):
            if is_worker(child):
                self.worker = cost_of(child) or self.worker

    def stop(self) -> None:
        """End looking."""
        self._is_over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._is_over.wait(_PAUSE_SECONDS):
            self.look()
