"""Measure how long recovery takes: `python -m tests.bench.recovery [--seconds 30]`.

Prints, each under a steady load on the primary: a secondary that comes back after an outage, seconds until caught up; a
standby's takeover from a killed and from a frozen holder; a primary's restart.
"""

from __future__ import annotations

import argparse
import os
import signal
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from replica_cli.sandbox.sandbox import Sandbox
from replica_cli.stop import StopToken
from tests.support.command import Load, Replica, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from replica_cli.mysql.session import Session


def work(session: Session) -> None:
    session.execute("INSERT INTO t (word) VALUES (REPEAT('x', 100))")
    session.execute("UPDATE t SET n = n + 1 WHERE id = CAST(RAND() * 1000 AS UNSIGNED)")


def caught_up_after(replica: Replica) -> float:
    """Return the seconds until what the primary has now is on the secondary."""
    began = time.monotonic()
    (last,) = replica.primary.session(database=replica.schema).row("SELECT MAX(id) FROM t") or (0,)
    wait_until(lambda: replica.on_secondary(f"SELECT id FROM t WHERE id = {last}"), "the secondary to catch up", 300)
    return time.monotonic() - began


def secondary_back(replica: Replica, seconds: float) -> float:
    stream = replica.stream()
    server = replica.secondaries["db1"]
    server.kill()
    StopToken().wait(seconds)
    server.start()
    found = caught_up_after(replica)
    stream.end(signal.SIGTERM)
    return found


def takeover(replica: Replica, number: int) -> float:
    holder = replica.stream()
    standby = replica.start("stream", "--standby")
    standby.wait_for_log("standing by")
    os.killpg(holder.process.pid, number)
    found = caught_up_after(replica)
    standby.wait_for_log("streaming from")
    if number == signal.SIGSTOP:
        os.killpg(holder.process.pid, signal.SIGCONT)
        assert holder.end().code == 16
    standby.end(signal.SIGTERM)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.recovery", description=__doc__)
    parser.add_argument("--seconds", type=float, default=30.0, help="how long the secondary is away")
    seconds = parser.parse_args().seconds
    with Sandbox() as sandbox, tempfile.TemporaryDirectory() as folder:
        primary, secondary = sandbox.add(name="primary"), sandbox.add(name="secondary")
        sandbox.start_all()
        replica = Replica(primary, {"db1": secondary}, "recovery", "recovery_state", Path(folder))
        replica.on_primary(
            "CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, n INT NOT NULL DEFAULT 0, word CHAR(100) NOT NULL)"
        )
        replica.run("transfer")
        cases: dict[str, Callable[[], float]] = {
            f"secondary killed, back after {seconds:.0f} s: until caught up": lambda: secondary_back(replica, seconds),
            "holder killed (kill -9): until the standby has caught up": lambda: takeover(replica, signal.SIGKILL),
            "holder frozen (SIGSTOP): until the standby has caught up": lambda: takeover(replica, signal.SIGSTOP),
        }
        for name, case in cases.items():
            load = Load(primary, "recovery", work)
            before, began = load.rounds, time.monotonic()
            found = case()
            rate = 2 * (load.rounds - before) / (time.monotonic() - began)
            load.stop()
            print(f"{name}: {found:.1f} s (load: {rate:.0f} transactions/s)", flush=True)
        stream = replica.stream()
        replica.wait_until_applied(stream)
        primary.restart()
        began = time.monotonic()
        replica.on_primary("INSERT INTO t (word) VALUES ('after')")
        caught_up_after(replica)
        print(f"primary restarted: from its first answer until caught up: {time.monotonic() - began:.1f} s", flush=True)
        stream.end(signal.SIGTERM)
        replica.catch_up()
        replica.assert_equal()
        replica.close()


if __name__ == "__main__":
    main()
