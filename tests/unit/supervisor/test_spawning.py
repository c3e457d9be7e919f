"""A worker process from its start on, before it gets its configuration."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

from replica_cli.supervisor.spawning import spawn


def test_ctrl_c_is_the_supervisors_from_the_first_moment() -> None:
    process, pipe = spawn()
    # It goes to every process of the terminal, and this one has not even begun to load its modules.
    os.kill(process.pid, signal.SIGINT)
    pipe.close()
    assert process.wait(30) == 0  # no orders came


_FORKING = """
import os, signal, sys
from replica_cli.supervisor.spawning import fork_ahead, spawn

mark = os.open(os.devnull, os.O_RDONLY)
pipe = fork_ahead()
if pipe is not None:
    assert not os.path.exists(f"/proc/self/fd/{mark}"), "an inherited descriptor"
    assert os.readlink("/proc/self/fd/0") == os.devnull
    from replica_cli.worker.process import work
    work(pipe)
    sys.exit(0)
process, pipe = spawn()
os.kill(process.pid, signal.SIGINT)
if "kill" in sys.argv:
    process.kill()
pipe.close()
print(process.wait(30), process.wait(), process.returncode)
"""


def _forked(*words: str) -> str:
    ended = subprocess.run([sys.executable, "-c", _FORKING, *words], capture_output=True, text=True, check=True)
    assert ended.stderr == ""
    return ended.stdout.strip()


def test_a_worker_that_is_forked_ahead_leaves_ctrl_c_to_the_supervisor_and_ends_without_orders() -> None:
    assert _forked() == "0 0 0"


def test_a_forked_worker_that_is_killed_reports_the_signal() -> None:
    assert _forked("kill") == "-9 -9 -9"
