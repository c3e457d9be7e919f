"""The usual tools as contestants: mariadb-binlog, mariadb-dump, mydumper."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tests.bench.programs import login, require, run_pipe

if TYPE_CHECKING:
    from tests.bench.result import Timing
    from tests.bench.rig import Rig

_CLIENT = "mariadb-client"


@dataclass(frozen=True, slots=True)
class BinlogPipe:
    """`mariadb-binlog --read-from-remote-server | mariadb`."""

    def prepare(self, rig: Rig) -> None:  # noqa: ARG002 - a contestant's signature
        """Look for the programs."""
        require("mariadb-binlog", "mariadb", package=_CLIENT)

    def run(self, rig: Rig) -> Timing:
        """Read to the log's end and apply."""
        reading = [
            "mariadb-binlog", *login(rig.primary), "--read-from-remote-server",
            f"--start-position={rig.start.pos}", f"--stop-position={rig.end.pos}", rig.start.file,
        ]  # fmt: skip
        return run_pipe(reading, ["mariadb", *login(rig.secondary), "--binary-mode"], folder=rig.folder)


@dataclass(frozen=True, slots=True)
class DumpPipe:
    """`mariadb-dump | mariadb`, in one snapshot."""

    def prepare(self, rig: Rig) -> None:  # noqa: ARG002 - a contestant's signature
        """Look for the programs."""
        require("mariadb-dump", "mariadb", package=_CLIENT)

    def run(self, rig: Rig) -> Timing:
        """Copy the schema."""
        dump = ["mariadb-dump", *login(rig.primary), "--single-transaction", "--quick", "--databases", rig.schema]
        return run_pipe(dump, ["mariadb", *login(rig.secondary)], folder=rig.folder)


@dataclass(frozen=True, slots=True)
class Mydumper:
    """mydumper, then myloader, with `threads` threads each; `rows` to a file, so that all have work."""

    threads: int = 2
    rows: int = 50_000

    def prepare(self, rig: Rig) -> None:
        """Look for the programs."""
        require("mydumper", "myloader", package="mydumper")
        shutil.rmtree(rig.folder / "mydumper", ignore_errors=True)

    def run(self, rig: Rig) -> Timing:
        """Dump, then load."""
        folder = ["-t", str(self.threads), "-B", rig.schema, f"--{{}}={rig.folder / 'mydumper'}"]
        dump = ["mydumper", *login(rig.primary), *(w.format("outputdir") for w in folder), f"--rows={self.rows}"]
        load = ["myloader", *login(rig.secondary), *(w.format("directory") for w in folder)]
        first = run_pipe(dump, folder=rig.folder)
        second = run_pipe(load, folder=rig.folder)
        cpu = first.supervisor.cpu_seconds + second.supervisor.cpu_seconds
        return replace(
            second,
            seconds=first.seconds + second.seconds,
            supervisor=replace(second.supervisor, cpu_seconds=cpu),
            note=f"dump {first.seconds:.1f} s",
        )
