"""Streams that have nothing to do: what they cost each second, for each secondary."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

from replica_cli.sandbox.sandbox import Sandbox
from replica_cli.stop import StopToken
from tests.bench import replica
from tests.bench.failure import RunFailed
from tests.bench.growth.counters import Counters
from tests.bench.growth.pair import SCHEMA, workers_of
from tests.bench.growth.series import Limit, Series
from tests.bench.growth.tables import make_tables
from tests.bench.proc import cost_of, cpu_seconds, wakeups

if TYPE_CHECKING:
    from tests.bench.growth.pair import Plan
    from tests.bench.growth.record import Record
    from tests.bench.replica import Command

_PART, _NAME = "idle", "stream"
SERIES = (
    Series(
        _PART, _NAME, "secondaries",
        linear=("supervisor_percent", "supervisor_wakeups", "primary_rate", "primary_connections_a_minute"),
        flat=("worker_percent", "worker_wakeups", "secondary_rate", "client_mib"),
        limits=(
            Limit("worker_percent", most=0.15),
            Limit("worker_wakeups", most=3.0),
            Limit("secondary_rate", most=0.5),
            Limit("writes_in_10_s", most=1.0),
            Limit("primary_connections_a_minute"),
            Limit("secondary_connections_a_minute"),
        ),
    ),
)  # fmt: skip
_TABLES = 3
# The log of the server that a few secondaries share the machine with need not be large.
_OPTIONS = {"innodb-buffer-pool-size": "32M"}
# The watch opens its sessions with its first look, after 30 s.
_SETTLE_SECONDS = 40.0


def run(plan: Plan, record: Record) -> None:
    """Watch 1 and several secondaries of one `replica stream` for a while."""
    for count in plan.sizes((1, 3), (1, 8)):
        record.measure(_PART, _NAME, count, partial(_watch, plan, count))


def _watch(plan: Plan, count: int) -> dict[str, float]:
    with Sandbox() as sandbox:
        primary = sandbox.add(plan.binary, name="primary", options=_OPTIONS)
        secondaries = [sandbox.add(plan.binary, name=f"db{n + 1}", options=_OPTIONS) for n in range(count)]
        sandbox.start_all()
        with primary.session() as session:
            session.execute(f"CREATE DATABASE `{SCHEMA}`")
            session.execute(f"USE `{SCHEMA}`")
            make_tables(session, _TABLES)
        ports = {server.name: server.port for server in secondaries}
        environment = replica.environment_of(primary, ports, SCHEMA, sandbox.folder)
        command = replica.launch(environment, sandbox.folder, "stream")
        try:
            _wait_until_streaming(command, count, plan.patience_seconds)
            StopToken().wait(_SETTLE_SECONDS)
            # All servers that are secondaries do the same: the first one is looked at.
            counters = Counters(primary, secondaries[0])
            found = _costs_of(command, 20.0 if plan.is_small else 60.0)
            counted = counters.read()
        except BaseException:
            command.kill()
            raise
        finally:
            command.stop(patience_seconds=plan.patience_seconds)
    return {**found, **_rates(counted, found["seconds"])}


def _wait_until_streaming(command: Command, count: int, patience_seconds: float) -> None:
    deadline = time.monotonic() + patience_seconds
    while sum("streaming from" in line for line in list(command.lines)) < count:
        if command.process.poll() is not None or time.monotonic() > deadline:
            raise RunFailed("replica does not stream:\n" + "".join(command.lines[-20:]))
        StopToken().wait(0.1)


def _costs_of(command: Command, span_seconds: float) -> dict[str, float]:
    supervisor = command.process.pid
    workers = workers_of(command)
    started, before = time.monotonic(), {pid: (cpu_seconds(pid), wakeups(pid)) for pid in (supervisor, *workers)}
    StopToken().wait(span_seconds)
    seconds = time.monotonic() - started
    cost = {pid: (cpu_seconds(pid) - cpu, wakeups(pid) - count) for pid, (cpu, count) in before.items()}
    return {
        "seconds": seconds,
        "worker_percent": sum(cost[pid][0] for pid in workers) / len(workers) / seconds * 100,
        "worker_wakeups": sum(cost[pid][1] for pid in workers) / len(workers) / seconds,
        "supervisor_percent": cost[supervisor][0] / seconds * 100,
        "supervisor_wakeups": cost[supervisor][1] / seconds,
        "client_mib": max(found.peak_bytes for pid in before if (found := cost_of(pid))) / 2**20,
    }


def _rates(counted: dict[str, float], seconds: float) -> dict[str, float]:
    return {
        "primary_rate": counted["primary_statements"] / seconds,
        "secondary_rate": counted["secondary_statements"] / seconds,
        "writes_in_10_s": counted["secondary_commits"] / seconds * 10,
        "log_bytes_a_minute": counted["secondary_log"] * 1e6 / seconds * 60,
        "primary_connections_a_minute": counted["primary_connections"] / seconds * 60,
        "secondary_connections_a_minute": counted["secondary_connections"] / seconds * 60,
    }
