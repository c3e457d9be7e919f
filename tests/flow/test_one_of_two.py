"""One secondary's stream ends, and the process goes on for the other: every command and log shows it."""

from __future__ import annotations

import os
import re
import signal
from typing import TYPE_CHECKING

from replica_cli.sandbox.process import free_port
from tests.support.command import wait_until

if TYPE_CHECKING:
    from tests.support.command import Replica


def test_a_secondary_that_failed_is_an_error_in_log_health_and_exit_code(two_secondaries: Replica) -> None:
    replica = two_secondaries
    replica.settings |= {"REPLICA_ON_TABLE_FAILURE": "stop", "REPLICA_TABLE_FAILURES": "1"}
    replica.on_primary("CREATE TABLE t (id INT PRIMARY KEY)", "INSERT INTO t VALUES (1), (2)")
    replica.catch_up()
    replica.on_secondary("DELETE FROM t WHERE id = 1", "db1")
    running = replica.stream()
    replica.on_primary("UPDATE t SET id = 11 WHERE id = 1")
    running.wait_for_log(r"\[ERROR\] \[db1\] its stream has ended here, it is not replicated any more: .*\(hint: ")
    replica.wait_until_applied(running, "db2")
    health = replica.run("health", "--json", code=2).document
    (alive,) = (c for c in health["checks"] if (c["instance"], c["name"]) == ("db1", "stream-alive"))
    assert alive["status"] == "critical"
    assert re.match(r"the process \(host \S+, pid \d+\) failed \S+ ago: ", alive["message"])
    assert "t: " in alive["message"]
    assert alive["hint"] == "correct the cause, then `replica stream --secondary db1`"
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
        return "died 1 time in a row (SIGKILL)" in alive["message"]

    wait_until(is_said, "the death to be in health")
    running.end(signal.SIGTERM)


def test_one_that_is_down_does_not_hide_what_the_other_has(two_secondaries: Replica) -> None:
    replica = two_secondaries
    replica.on_primary("CREATE TABLE t (id INT PRIMARY KEY, n INT, KEY n (n))", "INSERT INTO t VALUES (1, 1)")
    replica.run("transfer")
    replica.on_secondary("ALTER TABLE t DROP KEY n", "db2")
    ports = f"{free_port()},{replica.secondaries['db2'].port}"
    replica.settings["MARIA_SECONDARY_PORTS"] = ports
    drift = replica.run("drift", "check", "--json", code=13)
    one, two = drift.document["secondaries"]
    assert (one["is_same"], two["is_same"], drift.document["is_same"]) == (None, False, False)
    assert "connect" in one["failure"]
    assert drift.error["code"] == 13
    shown = replica.run("drift", "check", code=13)
    assert "db2: 1 difference, 0 of them would break replication" in shown.stdout
    assert shown.stderr.count("error: db1: ") == 1
    for words, what in (
        (("transfer", "--restart", "--dry-run"), "db2: restart transfer of 1 table, "),
        (("position", "reset", "--to-current", "--dry-run"), "db2\n  position  "),
    ):
        planned = replica.run(*words, code=13)
        assert what in planned.stdout
        assert planned.stderr.count("error: db1: ") == 1
        one, two = replica.run(*words, "--json", code=13).document["plans"]
        assert ("connect" in one["failure"], two["failure"]) == (True, None)
    # Nothing is begun while one cannot be planned.
    before = replica.state("SELECT updated_at FROM binlog_position", "db2")
    for command in (("transfer", "--restart"), ("position", "reset", "--to-current")):
        assert "error: db1: " in replica.run(*command, "--all", "--yes", code=13).stderr
    assert replica.state("SELECT updated_at FROM binlog_position", "db2") == before
    # What is common to all is one error, and what is accepted is no drift.
    del replica.settings["MARIA_SECONDARY_PORTS"]
    replica.settings["REPLICA_ACCEPTED_DRIFT"] = "*.t:index:n"
    assert "db2: no drift, 1 accepted" in replica.run("drift", "check").stdout
    replica.settings["MARIA_PRIMARY_PORT"] = str(free_port())
    assert replica.run("drift", "check", code=12).stderr.count("error: ") == 1
