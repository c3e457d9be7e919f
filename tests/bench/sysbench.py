"""sysbench oltp_write_only: 4 tables of 100,000 rows, 60,000 transactions."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.bench.failure import RunFailed
from tests.bench.programs import require

if TYPE_CHECKING:
    from replica_cli.sandbox.server import SandboxServer

SCHEMA = "sbtest"


@dataclass(frozen=True, slots=True)
class Sysbench:
    """A size. Four threads write, so that the log has group commits: native's parallel modes live on them."""

    rows: int = 100_000
    transactions: int = 60_000
    tables: int = 4
    threads: int = 4

    def load(self, primary: SandboxServer) -> None:
        """Make the tables."""
        self._run(primary, "prepare")

    def write(self, primary: SandboxServer) -> int:
        """Make the log; return how many transactions."""
        if self.transactions:
            self._run(primary, "run")
        return self.transactions

    def _run(self, primary: SandboxServer, step: str) -> None:
        require("sysbench", package="sysbench")
        address = primary.address()
        # MySQL's caching_sha2_password takes a login without TLS once it knows the account: from this session.
        primary.session().close()
        words = [
            "sysbench", "oltp_write_only", "--db-driver=mysql", f"--mysql-host={address.host}",
            f"--mysql-port={address.port}", f"--mysql-user={address.user}",
            f"--mysql-password={address.password.reveal()}", f"--mysql-db={SCHEMA}", f"--tables={self.tables}",
            f"--table-size={self.rows}", f"--threads={self.threads}", f"--events={self.transactions}", "--time=0",
            "--rand-seed=7", step,
        ]  # fmt: skip
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RunFailed(
                f"sysbench {step} ended with {done.returncode}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
            )
