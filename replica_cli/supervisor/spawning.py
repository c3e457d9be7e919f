"""Starts worker processes, the first of them before anybody knows what it is to do."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from multiprocessing import Pipe
from typing import TYPE_CHECKING, Protocol

from replica_cli.stop import StopToken

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

# By name, not imported: a supervisor needs nothing of what a worker does.
_WORKER = "replica_cli.worker.process"
_LOOK_SECONDS = 0.05
_FIRST_DESCRIPTOR, _LAST_DESCRIPTOR = 3, 1 << 16


class Process(Protocol):
    """What a supervisor uses of a worker process."""

    returncode: int | None

    @property
    def pid(self) -> int:
        """Return its process id."""

    def kill(self) -> None:
        """End it at once."""

    def wait(self, timeout: float | None = None) -> int:
        """Return its exit code, or the negative signal that ended it. Raises subprocess.TimeoutExpired."""


Spawned = tuple[Process, "Connection"]
_ahead: list[Spawned] = []


class _Forked:
    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None

    def kill(self) -> None:
        if self.returncode is None:
            os.kill(self.pid, signal.SIGKILL)

    def wait(self, timeout: float | None = None) -> int:
        started = time.monotonic()
        while self.returncode is None:
            pid, status = os.waitpid(self.pid, 0 if timeout is None else os.WNOHANG)
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
            elif timeout is not None and time.monotonic() - started > timeout:
                raise subprocess.TimeoutExpired(_WORKER, timeout)
            else:
                StopToken().wait(_LOOK_SECONDS)
        return self.returncode


def spawn() -> Spawned:
    """Return a new worker process, or the one that was forked ahead, and the pipe to give it its orders through."""
    if _ahead:
        return _ahead.pop()
    ours, theirs = Pipe()
    with theirs:
        # -P: a folder that the command happens to run in is no place to take modules from.
        command = [sys.executable, "-P", "-m", _WORKER, str(theirs.fileno())]
        before = _without_ctrl_c()
        try:
            process = subprocess.Popen(  # noqa: S603 - our own module
                command, stdin=subprocess.DEVNULL, pass_fds=(theirs.fileno(),)
            )
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return process, ours


def fork_ahead() -> Connection | None:
    """Fork a process for the next `spawn`; return None, but in that process the pipe that its orders come through.

    What is loaded by now is loaded for both: a quarter of what a start costs. The caller must have no threads, as a
    fork would not have them, but what they hold. So the workers that come later are no forks. The process ends by
    itself if no orders come.
    """
    ours, theirs = Pipe()
    before = _without_ctrl_c()
    pid = os.fork()
    if pid == 0:
        ours.close()
        _keep_only(theirs.fileno())
        return theirs
    signal.pthread_sigmask(signal.SIG_SETMASK, before)
    theirs.close()
    _ahead.append((_Forked(pid), ours))
    return None


def _without_ctrl_c() -> set[int | signal.Signals]:
    """Block SIGINT and return what was blocked before.

    Ctrl-C goes to every process of the terminal, and the supervisor alone decides. A blocked signal stays blocked in
    what is started meanwhile, and waits for us.
    """
    return signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})


def _keep_only(descriptor: int) -> None:
    """Close what a new program would not have either, and let stdin be empty."""
    os.closerange(_FIRST_DESCRIPTOR, descriptor)
    os.closerange(descriptor + 1, _LAST_DESCRIPTOR)
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.close(nothing)
