"""Starts worker processes, the first of them before anybody knows what it is to do."""

from __future__ import annotations

import signal
import subprocess
import sys
from multiprocessing import Pipe
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

# By name, not imported: a supervisor needs nothing of what a worker does, and a fork of it would bring its threads.
_WORKER = "replica_cli.service.worker_process"
Spawned = tuple["subprocess.Popen[bytes]", "Connection"]
_ahead: list[Spawned] = []


def spawn() -> Spawned:
    """Return a new worker process, or the one that was started ahead, and the pipe to give it its orders through."""
    if _ahead:
        return _ahead.pop()
    ours, theirs = Pipe()
    with theirs:
        # -P: a folder that the command happens to run in is no place to take modules from.
        command = [sys.executable, "-P", "-m", _WORKER, str(theirs.fileno())]
        # Ctrl-C goes to every process of the terminal, and the supervisor alone decides. A blocked signal stays blocked
        # in what is started meanwhile, and waits for us.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            process = subprocess.Popen(  # noqa: S603 - our own module
                command, stdin=subprocess.DEVNULL, pass_fds=(theirs.fileno(),)
            )
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return process, ours


def spawn_ahead() -> None:
    """Start a process for the next `spawn`: it comes up beside us, and ends by itself where no orders come."""
    _ahead.append(spawn())
