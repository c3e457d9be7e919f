"""What two servers did in a span of time, by their own counters, without what the counting itself did."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tests.bench.proc import Cost, cost_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from replica_cli.sandbox.server import SandboxServer

_MIB = 2**20
_READS = ("first", "key", "last", "next", "prev", "rnd", "rnd_next")


class Counters:
    """Begins to count when it is made; the servers must have no other clients than those that are measured."""

    def __init__(self, primary: SandboxServer, secondary: SandboxServer) -> None:
        self._servers = {"primary": primary, "secondary": secondary}
        # Twice: the difference is what one look costs.
        first, self._started = self._look(), self._look()
        self._own = {name: value - first[name] for name, value in self._started.items()}
        self._cpu = self._costs()

    def read(self) -> dict[str, float]:
        """Return what was done since the beginning, named as the columns of the report."""
        costs = self._costs()
        now = self._look()
        done = {name: max(0.0, now[name] - self._started[name] - self._own[name]) for name in now}
        return {
            **{f"{name}_cpu": costs[name].cpu_seconds - self._cpu[name].cpu_seconds for name in costs},
            **{f"{name}_statements": done[f"{name} questions"] for name in costs},
            **{f"{name}_sent": done[f"{name} bytes_sent"] / 1e6 for name in costs},
            **{f"{name}_received": done[f"{name} bytes_received"] / 1e6 for name in costs},
            "secondary_log": done["secondary log"] / 1e6,
            "secondary_commits": done["secondary binlog_commits"],
            **{f"{name}_connections": done[f"{name} connections"] for name in costs},
            "deadlocks": done["secondary innodb_deadlocks"],
            "primary_reads": sum(done[f"primary handler_read_{kind}"] for kind in _READS),
            "secondary_reads": sum(done[f"secondary handler_read_{kind}"] for kind in _READS),
            **{f"{name}_mib": cost.peak_bytes / _MIB for name, cost in costs.items()},
        }

    def _costs(self) -> dict[str, Cost]:
        return {name: cost_of(server.pid) or Cost() for name, server in self._servers.items()}

    def _look(self) -> dict[str, float]:
        return {f"{side} {name}": n for side, server in self._servers.items() for name, n in _counts(server).items()}


def _counts(server: SandboxServer) -> Mapping[str, float]:
    names = ("questions", "bytes_sent", "bytes_received", "connections", *(f"handler_read_{kind}" for kind in _READS))
    with server.session() as session:
        status = {str(name).lower(): value for name, value in session.rows("SHOW GLOBAL STATUS")}
        found = {name: float(str(status[name])) for name in names}
        if session.is_mariadb:
            found |= {name: float(str(status[name])) for name in ("binlog_commits", "innodb_deadlocks")}
        else:
            # MySQL counts both elsewhere.
            sql = "SELECT count, @@gtid_executed FROM information_schema.innodb_metrics WHERE name = 'lock_deadlocks'"
            ((deadlocks, gtids),) = session.rows(sql)
            found |= {"binlog_commits": float(transactions_of(str(gtids))), "innodb_deadlocks": float(str(deadlocks))}
        found["log"] = float(sum(int(str(row[1])) for row in session.rows("SHOW BINARY LOGS")))
    return found


def transactions_of(gtids: str) -> int:
    """Return how many transactions a GTID set of MySQL holds: `uuid:1-5:7,uuid:1-3` holds nine."""
    spans = re.findall(r":(\d+)(?:-(\d+))?", gtids)
    return sum(int(last or first) - int(first) + 1 for first, last in spans)
