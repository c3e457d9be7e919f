"""One secondary's stream ends, the process lives on for the other: everything that is asked says so."""

from __future__ import annotations

import os
import re
import signal
from typing import TYPE_CHECKING

from fix_replica import wait_until

if TYPE_CHECKING:
    from fix_replica import Replica


def test_a_secondary_that_failed_is_an_error_in_log_health_and_exit_code(two_secondaries: Replica) -> None:
    replica = two_secondaries
    replica.settings |= {"REPLICA_ON_TABLE_FAILURE": "stop", "REPLICA_TABLE_FAILURES": "1"}
    replica.on_primary("CREATE TABLE t (id INT PRIMARY KEY)", "INSERT INTO t VALUES (1), (2)")
    replica.catch_up()
    replica.on_secondary("DELETE FROM t WHERE id = 1", "db1")
    running = replica.stream()
    replica.on_primary("UPDATE t SET id = 11 WHERE id = 1")
    running.wait_for_log(r"\[ERROR\] \[db1\] its stream has ended, it is not replicated any more: .*\(hint: ")
    replica.wait_until_applied(running, "db2")
    health = replica.run("health", "--json", code=2).document
    (alive,) = (c for c in health["checks"] if (c["instance"], c["name"]) == ("db1", "stream-alive"))
    assert alive["status"] == "critical"
    assert re.match(r"the process \(host \S+, pid \d+\) failed \S+ ago: ", alive["message"])
    assert "t: " in alive["message"]
    assert alive["hint"] == "`replica stream --secondary db1`"
    (other,) = (c for c in health["checks"] if (c["instance"], c["name"]) == ("db2", "stream-alive"))
    assert other["status"] == "ok"
    ended = running.end(signal.SIGTERM)
    assert ended.code == 14
    assert "error: db1: " in ended.stderr
    assert "--secondary db1` copies it again" in ended.stderr.rpartition("error: db1: ")[2]


def test_a_worker_that_is_killed_is_seen_in_health_after_it_came_back(replica: Replica) -> None:
    replica.on_primary("CREATE TABLE t (id INT PRIMARY KEY)")
    replica.catch_up()
    running = replica.stream()
    (pid,) = running.worker_pids()
    os.kill(pid, signal.SIGKILL)
    running.wait_for_log(r"\[PANIC\] \[db1\] the worker process died \(SIGKILL\), it starts again in 1 s; death 1")
    running.wait_for_log(r"streaming from", times=2)

    def is_said() -> bool:
        checks = replica.run("health", "--json", code=1).document["checks"]
        (alive,) = (c for c in checks if c["name"] == "stream-alive")
        return "died 1 time(s) in a row (SIGKILL)" in alive["message"]

    wait_until(is_said, "the death to be in health")
    running.end(signal.SIGTERM)
