"""`replica` as a contestant: the command as people type it, its start included in the time."""

from __future__ import annotations

import compileall
import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import replica_cli
from replica_cli.stop import StopToken
from tests.bench.failure import RunFailed
from tests.bench.proc import Cost, Watch, children_of
from tests.bench.result import Timing

if TYPE_CHECKING:
    import resource
    from collections.abc import Collection, Mapping

    from replica_cli.sandbox.server import SandboxServer
    from tests.bench.rig import Rig

_ROOT = Path(replica_cli.__file__).parent.parent
# Settings of another day, and what would keep Python from using compiled modules.
_LEFT_OUT = ("MARIA_", "REPLICA_", "TRANSFER_", "GRAYLOG_", "LOCAL_PROJECT", "PYTHONDONTWRITE")
_PATIENCE_SECONDS = 60.0


@dataclass
class Command:
    """A started `replica`. Its log is read while it runs, and the moment noted at which it began to stream."""

    process: subprocess.Popen[str]
    started: float
    streaming: float | None = None
    lines: list[str] = field(default_factory=list)
    _is_killed: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        self.watch = Watch(self.process.pid)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def wait(self, *, patience_seconds: float | None = None, codes: Collection[int] = (0,)) -> Timing:
        """Wait for its end. Raises RunFailed for another exit code, and after `patience_seconds`: it is killed then."""
        status, usage = self._waited(patience_seconds)
        ended = time.monotonic()
        self.process.returncode = os.waitstatus_to_exitcode(status)
        self.watch.stop()
        self._reader.join(10)
        if self._is_killed:
            raise RunFailed(f"not ended in {patience_seconds:.0f} s")
        if self.process.returncode not in codes:
            raise RunFailed(f"replica ended with {self.process.returncode}:\n" + "".join(self.lines[-20:]))
        # The kernel's sum for it and all it waited for; the looks tell which part was the worker's.
        total = usage.ru_utime + usage.ru_stime
        worker = self.watch.worker
        return Timing(
            seconds=ended - self.started,
            streaming_seconds=ended - self.streaming if self.streaming is not None else None,
            supervisor=Cost(max(0.0, total - worker.cpu_seconds), self.watch.supervisor.peak_bytes),
            worker=worker,
        )

    def kill(self) -> None:
        """End it and its workers at once, by their ids."""
        self._is_killed = True
        for pid in (self.process.pid, *children_of(self.process.pid)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _waited(self, patience_seconds: float | None) -> tuple[int, resource.struct_rusage]:
        deadline = None if patience_seconds is None else time.monotonic() + patience_seconds
        while deadline is not None and not self._is_killed:
            pid, status, usage = os.wait4(self.process.pid, os.WNOHANG)
            if pid:
                return status, usage
            if time.monotonic() > deadline:
                self.kill()
            StopToken().wait(0.02)
        _, status, usage = os.wait4(self.process.pid, 0)
        return status, usage

    def wait_until_streaming(self) -> None:
        """Wait until it streams. Raises RunFailed where that does not come."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while self.streaming is None:
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RunFailed("replica does not stream:\n" + "".join(self.lines[-20:]))
            StopToken().wait(0.02)

    def stop(self, *, patience_seconds: float | None = None) -> Timing:
        """Ask it to end and wait for that."""
        self.watch.look()
        self.process.send_signal(signal.SIGTERM)
        return self.wait(patience_seconds=patience_seconds)

    def _read(self) -> None:
        assert self.process.stderr is not None
        with self.process.stderr as log:
            for line in log:
                if self.streaming is None and re.search(r"\bstreaming from\b", line):
                    self.streaming = time.monotonic()
                self.lines.append(line)


def start(
    rig: Rig,
    *words: str,
    profile: Path | None = None,
    ports: tuple[int, int] | None = None,
    settings: Mapping[str, str] | None = None,
) -> Command:
    """Start a command for the rig's servers, under py-spy where a file for its samples is given.

    `ports`: where it finds the primary and the secondary, if not at their own. `settings`: further variables.
    """
    ports = ports or (rig.primary.port, rig.secondary.port)
    environment = environment_of(rig.primary, {"secondary": ports[1]}, rig.schema, rig.folder)
    return launch(
        {**environment, "MARIA_PRIMARY_PORT": str(ports[0]), **(settings or {})}, rig.folder, *words, profile=profile
    )


def launch(environment: Mapping[str, str], folder: Path, *words: str, profile: Path | None = None) -> Command:
    """Start a command in a folder with exactly these variables."""
    spy = ["py-spy", "record", "--subprocesses", "--format", "raw", "--output", str(profile), "--"] if profile else []
    # A killed benchmark leaves no process that tries to reach its servers without end.
    guard = ["setpriv", "--pdeathsig", "TERM", "--"] if shutil.which("setpriv") else []
    started = time.monotonic()
    process = subprocess.Popen(
        [*guard, *spy, sys.executable, "-m", "replica_cli", *words],
        env=dict(environment),
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    return Command(process, started)


def compile_modules() -> None:
    """Compile the package, as an installation does: a source tree may never have been."""
    compileall.compile_dir(str(_ROOT / "replica_cli"), quiet=2)


def begin_at_start(rig: Rig) -> None:
    """Save the position before the log as the position to stream from."""
    start(rig, "position", "reset", "--secondary", "secondary", "--to", str(rig.start), "--yes").wait()


def next_file(folder: Path | None) -> Path | None:
    """Return a new name for samples in a folder, None where none are wanted."""
    if folder is None:
        return None
    folder.mkdir(parents=True, exist_ok=True)
    return folder.resolve() / f"{len(list(folder.iterdir())) + 1:03}.raw"


def environment_of(
    primary: SandboxServer, secondary_ports: Mapping[str, int], schema: str, folder: Path
) -> dict[str, str]:
    """Return the variables for a primary and for secondaries, given by their names and ports, of the same account."""
    address = primary.address()
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(_LEFT_OUT)}  # noqa: TID251 - passed on
    return {
        **inherited,
        "PYTHONPATH": str(_ROOT),
        "MARIA_PRIMARY_HOST": address.host,
        "MARIA_PRIMARY_PORT": str(address.port),
        "MARIA_USER": address.user,
        "MARIA_PASS": address.password.reveal(),
        "MARIA_SECONDARY_HOSTS": ",".join(address.host for _ in secondary_ports),
        "MARIA_SECONDARY_PORTS": ",".join(map(str, secondary_ports.values())),
        "MARIA_SECONDARY_NAMES": ",".join(secondary_ports),
        "REPLICA_SCHEMAS": schema,
        "REPLICA_PROGRESS_FOLDER": str(folder),
    }
