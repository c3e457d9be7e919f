"""Find other programs or report them as missing, run them in pipes, and measure their cost."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from typing import TYPE_CHECKING

from tests.bench.failure import Missing, RunFailed
from tests.bench.proc import Cost
from tests.bench.result import Timing

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from replica_cli.sandbox.server import SandboxServer


def require(*programs: str, package: str) -> None:
    """Raise Missing where a program is not installed."""
    absent = [name for name in programs if shutil.which(name) is None]
    if absent:
        raise Missing(f"{', '.join(absent)} not installed (Debian's package `{package}`)")


def login(server: SandboxServer) -> list[str]:
    """Return the words that name a throw-away server and its account to a client program."""
    address = server.address()
    return [
        f"--host={address.host}",
        f"--port={address.port}",
        f"--user={address.user}",
        f"--password={address.password.reveal()}",
    ]


def run_pipe(*commands: Sequence[str], folder: Path) -> Timing:
    """Run commands, each one's answer read by the next. Raises RunFailed where one of them fails."""
    log = folder / "pipe.log"
    before = time.monotonic()
    with log.open("wb") as errors:
        children: list[subprocess.Popen[bytes]] = []
        for number, words in enumerate(commands):
            source = children[-1].stdout if children else subprocess.DEVNULL
            sink = subprocess.PIPE if number < len(commands) - 1 else errors
            children.append(subprocess.Popen(words, stdin=source, stdout=sink, stderr=errors))
            if children[-2:-1] and (given := children[-2].stdout) is not None:
                # Else the writer would never hear that its reader has gone.
                given.close()
    cpu = 0.0
    for child in children:
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        cpu += usage.ru_utime + usage.ru_stime
    seconds = time.monotonic() - before
    if any(child.returncode for child in children):
        codes = ", ".join(f"{words[0]}: {child.returncode}" for words, child in zip(commands, children, strict=True))
        raise RunFailed(f"{codes}\n{log.read_text(errors='replace')[-2000:]}")
    return Timing(seconds, supervisor=Cost(cpu))
