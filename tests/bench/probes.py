"""Probes: rows committed on the primary, and how long each takes to be visible on the secondary.

As a program (`python -m tests.bench.probes`) it is the writer that keeps a rate: a process of its own, so that the one
that watches the secondary does not wait for it. Both read the machine's one monotonic clock.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from replica_cli.core.settings import Network, Secret, Server
from replica_cli.mysql.session import Session, connect
from replica_cli.stop import StopToken
from tests.bench.failure import RunFailed

if TYPE_CHECKING:
    from replica_cli.sandbox.server import SandboxServer
    from tests.bench.rig import Rig

SCHEMA = "probes"
TABLE = f"`{SCHEMA}`.probe"
_DEFINITION = (
    f"CREATE TABLE {TABLE} (id INT PRIMARY KEY, kind INT NOT NULL, note VARCHAR(100) NOT NULL, KEY kind (kind))"
)
_ROOT = Path(__file__).parents[2]
_PATIENCE_SECONDS = 60.0
# Shorter than anything that is measured, longer than a query: watching must not eat the processor.
_LOOK_SECONDS = 0.0005


class Probes:
    """The probes' table: nothing in it at first, nothing in the log."""

    def load(self, primary: SandboxServer) -> None:
        """Make the table."""
        with primary.session() as session:
            session.execute(_DEFINITION)

    def write(self, primary: SandboxServer) -> int:  # noqa: ARG002 - what a rig calls
        """Write nothing: the probes come later."""
        return 0


def single_probes(rig: Rig, count: int) -> list[float]:
    """Commit one probe at a time on an idle pair; return the milliseconds until each was visible."""
    chance = Random(5)
    idle = StopToken()
    delays: list[float] = []
    with rig.primary.session() as primary, rig.secondary.session() as secondary:
        first = settle(primary, secondary)
        for number in range(first, first + count):
            # Not in step with anybody's own rhythm.
            idle.wait(chance.uniform(0.002, 0.012))
            _insert(primary, number)
            committed = time.monotonic()
            _wait_for(secondary, number)
            delays.append((time.monotonic() - committed) * 1000)
    return delays


def steady_probes(rig: Rig, count: int, per_second: int) -> tuple[list[float], str]:
    """Commit probes at a rate; return the milliseconds until each was visible, and the rate that was kept."""
    with rig.primary.session() as primary, rig.secondary.session() as secondary:
        first = settle(primary, secondary)
        address = rig.primary.address()
        given = {"port": address.port, "user": address.user, "password": address.password.reveal(),
                 "first": first, "count": count, "per_second": per_second}  # fmt: skip
        writer = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.probes", json.dumps(given)],
            cwd=_ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        seen = _watch(secondary, first, count, writer)
        said, errors = writer.communicate()
    if writer.returncode != 0:
        raise RunFailed(f"the writer of probes ended with {writer.returncode}: {errors[-1000:]}")
    committed: list[float] = json.loads(said)
    kept = (count - 1) / (committed[-1] - committed[0])
    # Visible before the writer has read its commit's answer is no delay.
    return [max(0.0, s - c) * 1000 for s, c in zip(seen, committed, strict=True)], f"{kept:.0f} transactions/s"


def settle(primary: Session, secondary: Session) -> int:
    """Wait until a probe of now is visible; return the number of the next one."""
    row = primary.row(f"SELECT COALESCE(MAX(id), 0) + 1 FROM {TABLE}")
    number = int(row[0]) if row else 1
    _insert(primary, number)
    _wait_for(secondary, number)
    return number + 1


def _watch(secondary: Session, first: int, count: int, writer: subprocess.Popen[str]) -> list[float]:
    # One writer commits in order: what is below the greatest visible number is visible too.
    seen: list[float] = []
    pause = StopToken()
    deadline = time.monotonic() + _PATIENCE_SECONDS + count / 100
    while len(seen) < count:
        row = secondary.row(f"SELECT MAX(id) FROM {TABLE}")
        now = time.monotonic()
        seen += [now] * (int(row[0]) - first + 1 - len(seen) if row and row[0] is not None else 0)
        if now > deadline or writer.poll():
            writer.kill()
            raise RunFailed(f"{len(seen)} of {count} probes came through")
        pause.wait(_LOOK_SECONDS)
    return seen


def _wait_for(secondary: Session, number: int) -> None:
    pause = StopToken()
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while secondary.row(f"SELECT 1 FROM {TABLE} WHERE id = {number}") is None:
        if time.monotonic() > deadline:
            raise RunFailed(f"probe {number} did not come through in {_PATIENCE_SECONDS:.0f} s")
        pause.wait(_LOOK_SECONDS)


def _insert(primary: Session, number: int) -> None:
    primary.execute(f"INSERT INTO {TABLE} VALUES ({number}, {number % 97}, 'probe {number}')")


def _write(given: dict[str, int | str]) -> list[float]:
    server = Server("primary", "127.0.0.1", int(given["port"]), str(given["user"]), Secret(str(given["password"])))
    first, count, per_second = int(given["first"]), int(given["count"]), int(given["per_second"])
    committed: list[float] = []
    pause = StopToken()
    with connect(server, Network()) as primary:
        started = time.monotonic()
        for index in range(count):
            pause.wait(max(0.0, started + index / per_second - time.monotonic()))
            _insert(primary, first + index)
            committed.append(time.monotonic())
    return committed


if __name__ == "__main__":
    print(json.dumps(_write(json.loads(sys.argv[1]))))
