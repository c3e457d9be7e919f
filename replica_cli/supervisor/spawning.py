"""Start worker processes. The first can be forked before its configuration is known.

Used by the supervisor and, for `fork_ahead`, by `__main__` before the process has threads.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from multiprocessing import Pipe
from typing import TYPE_CHECKING, Protocol

from replica_cli.stop import sleep_briefly

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

# A name, not an import: a supervisor needs nothing of the modules of a worker.
_WORKER = "replica_cli.worker.process"
_POLL_SECONDS = 0.05
_FIRST_DESCRIPTOR, _LAST_DESCRIPTOR = 3, 1 << 16


class Process(Protocol):
    """The part of a worker process that a supervisor uses: that of `subprocess.Popen`, or of a forked process."""

    returncode: int | None

    @property
    def pid(self) -> int:
        """Return the process id."""

    def kill(self) -> None:
        """End the process at once."""

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit code, or the negated signal that ended the process. Raises subprocess.TimeoutExpired."""


Spawned = tuple[Process, "Connection"]
_forked_ahead: list[Spawned] = []


class _Forked:
    """A process that `fork_ahead` made, with the methods of `Process`."""

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
                sleep_briefly(_POLL_SECONDS)
        return self.returncode


def spawn() -> Spawned:
    """Return a worker process and the pipe to it: the one that was forked ahead, or a new one."""
    if _forked_ahead:
        return _forked_ahead.pop()
    own_end, worker_end = Pipe()
    with worker_end:
        # -P: modules are not loaded from the current folder of the command.
        command = [sys.executable, "-P", "-m", _WORKER, str(worker_end.fileno())]
        mask_before = _without_ctrl_c()
        try:
            process = subprocess.Popen(  # noqa: S603 - a module of this package
                command, stdin=subprocess.DEVNULL, pass_fds=(worker_end.fileno(),)
            )
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask_before)
    return process, own_end


def fork_ahead() -> Connection | None:
    """Fork a process for the next `spawn`.

    All modules that are loaded by this time are loaded in both processes: a quarter of the time of a start. The caller
    must not have threads, because a fork has no threads but keeps the locks that they hold. So later workers are not
    forked. The process ends by itself if no configuration comes.

    Returns:
        None in the parent process. In the new process the pipe through which its configuration comes.

    """
    own_end, worker_end = Pipe()
    mask_before = _without_ctrl_c()
    pid = os.fork()
    if pid == 0:
        own_end.close()
        _keep_only(worker_end.fileno())
        return worker_end
    signal.pthread_sigmask(signal.SIG_SETMASK, mask_before)
    worker_end.close()
    _forked_ahead.append((_Forked(pid), own_end))
    return None


def _without_ctrl_c() -> set[int | signal.Signals]:
    """Block SIGINT and return what was blocked before.

    Ctrl-C goes to each process of the terminal, and only the supervisor handles it. A blocked signal stays blocked in
    processes that are started meanwhile, and waits for this process.
    """
    return signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})


def _keep_only(descriptor: int) -> None:
    """Close the descriptors that a new program would not have either, and make stdin empty."""
    os.closerange(_FIRST_DESCRIPTOR, descriptor)
    os.closerange(descriptor + 1, _LAST_DESCRIPTOR)
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.close(nothing)
