"""`replica verify run` again and again beside a stream: what the comparison of rows takes from it."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from replica_cli.core.errors import ExitCode
from replica_cli.side_by_side import in_threads
from tests.bench import replica
from tests.bench.failure import RunFailed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.bench.result import Timing
    from tests.bench.rig import Rig

_LOOK_SECONDS = 0.05
# The last run is stopped by a signal, which it may hear before it can answer it.
_CODES = (ExitCode.OK, ExitCode.FAILURE, ExitCode.INTERRUPTED, ExitCode.TERMINATED, -signal.SIGTERM)


@dataclass
class Runs:
    """What the runs did so far: how many ended, in how many a table stayed undecided, and their own CPU seconds."""

    ended: int = 0
    undecided: int = 0
    waits: int = 0
    cpu_seconds: float = 0.0

    def __str__(self) -> str:
        undecided = f", {self.undecided} with undecided tables" if self.undecided else ""
        waits = f", {self.waits} lines say that they wait" if self.waits else ""
        return f"{self.ended} runs of verify ended{undecided}{waits}, {self.cpu_seconds:.1f} CPU s of their own"


@contextlib.contextmanager
def verifying(rig: Rig, *words: str) -> Iterator[Runs]:
    """Compare the rows again and again while the context lasts. Raises RunFailed if rows differ."""
    runs, is_over = Runs(), threading.Event()
    with in_threads([lambda: _repeat(rig, words, runs, is_over)]) as (loop,):
        try:
            yield runs
        finally:
            is_over.set()
    loop.result()


@dataclass(frozen=True, slots=True)
class OursVerified:
    """`replica stream --until-caught-up`, while `replica verify run` runs again and again with these words."""

    words: tuple[str, ...] = ()

    def prepare(self, rig: Rig) -> None:
        """Save the position before the log."""
        replica.begin_at_start(rig)

    def run(self, rig: Rig) -> Timing:
        """Stream to the log's end; the time is without the start, which does not stream yet."""
        command = replica.start(rig, "stream", "--until-caught-up", "--no-transfer")
        try:
            command.wait_until_streaming()
            with verifying(rig, *self.words) as runs:
                timing = command.wait()
        except RunFailed:
            command.kill()
            raise
        return replace(timing, seconds=timing.streaming_seconds or timing.seconds, note=str(runs))


def _repeat(rig: Rig, words: tuple[str, ...], runs: Runs, is_over: threading.Event) -> None:
    while not is_over.is_set():
        # The run before may have been one that ended early.
        command = replica.start(rig, "verify", "run", "--restart", *words)
        while not _has_ended(command.process.pid) and not is_over.wait(_LOOK_SECONDS):
            pass
        is_stopped = not _has_ended(command.process.pid)
        if is_stopped:
            # Not by the process object, which might take the exit status that `wait` needs.
            os.kill(command.process.pid, signal.SIGTERM)
        timing = command.wait(codes=_CODES)
        runs.cpu_seconds += timing.supervisor.cpu_seconds
        runs.waits += sum("waits: " in line for line in command.lines)
        if not is_stopped:
            runs.ended += 1
            runs.undecided += command.process.returncode == ExitCode.FAILURE


def _has_ended(pid: int) -> bool:
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
