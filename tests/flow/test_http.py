"""HTTP beside a real stream: what it shows is true, and what it changes is what the commands change."""

from __future__ import annotations

import contextlib
import re
import signal
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.command import wait_until
from tests.support.http import LISTEN, TOKEN, Client, with_token

if TYPE_CHECKING:
    from tests.support.command import Replica, Running

STREAMING = {"streaming", "caught_up"}


@pytest.fixture
def stream(replica: Replica) -> Running:
    with_token(replica)
    replica.settings |= {"REPLICA_HEARTBEAT": "500ms", "REPLICA_READ_TIMEOUT": "4s", "REPLICA_MAX_LAG": "2s"}
    replica.on_primary("CREATE TABLE t (id INT PRIMARY KEY, v INT)", "INSERT INTO t VALUES (1, 1), (2, 2)")
    replica.run("transfer")
    running = replica.stream(*LISTEN)
    replica.wait_until_applied(running)
    return running


def test_it_shows_what_the_stream_does_and_says_why_it_is_not_ready(replica: Replica, stream: Running) -> None:
    client = Client(stream)
    assert client.get("/healthz") == {"is_alive": True}
    wait_until(lambda: client.ask("GET", "/readyz") == (200, {"is_ready": True, "reasons": []}), "it to be ready")
    wait_until(lambda: client.secondary()["rows_total"] >= 1, "the row to be counted")
    assert client.secondary()["phase"] in STREAMING
    own, command = client.get("/api/v1/positions"), replica.run("position", "show", "--json").document
    assert own["secondaries"][0]["saved"] == command["secondaries"][0]["saved"]
    with replica.secondaries["db1"].session(database=replica.schema) as session:
        session.begin()
        session.rows("SELECT * FROM t WHERE id = 1 FOR UPDATE")
        replica.on_primary("UPDATE t SET v = 9 WHERE id = 1")
        wait_until(lambda: (client.secondary()["lag_seconds"] or 0) > 3, "a lag that grows")
        status, document = client.ask("GET", "/readyz")
        assert (status, [r["reason"] for r in document["reasons"]]) == (503, ["lag"])
        wait_until(lambda: any("row lock" in e["message"] for e in client.get("/api/v1/events")["events"]), "the event")
        session.rollback()
    wait_until(lambda: client.ask("GET", "/readyz")[0] == 200, "it to be ready again")
    samples = client.get("/api/v1/history")["secondaries"][0]["samples"]
    assert samples
    assert TOKEN not in stream.stderr
    assert stream.end(signal.SIGTERM).code == 0
    replica.assert_equal()


def test_pause_resume_reload_and_level_are_those_of_commands_and_signals(replica: Replica, stream: Running) -> None:
    client = Client(stream)
    assert client.ask("POST", "/api/v1/secondaries/db1/pause")[0] == 401
    status, document = client.change("/api/v1/secondaries/db1/pause")
    assert (status, document["secondaries"][0]["phase"]) == (200, "paused")
    assert "is paused" in replica.run("health", code=1).stdout
    assert client.ask("GET", "/readyz")[1]["reasons"][0]["reason"] == "phase"
    status, document = client.change("/api/v1/secondaries/db1/resume")
    assert (status, document["secondaries"][0]["is_pause_wanted"]) == (200, False)
    assert client.change("/api/v1/reload") == (200, {"taken": [], "refused": []})
    assert client.change("/api/v1/log-level", {"level": "DEBUG"}, "PUT") == (200, {"level": "DEBUG"})
    stream.wait_for_log(r"PUT /api/v1/log-level: the log level is DEBUG")
    # What was changed for the moment is as in the settings after the next reload, by HTTP or by signal.
    assert [c["name"] for c in client.change("/api/v1/reload")[1]["taken"]] == ["REPLICA_LOG_LEVEL"]
    stream.process.send_signal(signal.SIGHUP)
    stream.wait_for_log("SIGHUP: settings unchanged")
    replica.wait_until_applied(stream)
    assert stream.end(signal.SIGTERM).code == 0


def test_a_quarantined_table_comes_back_by_a_plan_that_is_confirmed(replica: Replica, stream: Running) -> None:
    client = Client(stream)
    replica.on_secondary("DELETE FROM t WHERE id = 1")
    replica.on_primary("UPDATE t SET v = 5 WHERE id = 1")
    wait_until(lambda: client.secondary()["quarantine"], "the quarantine")
    (table,) = client.secondary()["quarantine"]
    assert table["command"] == f"replica transfer --table {replica.schema}.t --secondary db1"
    (note,) = client.get("/api/v1/secondaries/db1/tables")["tables"]
    assert (note["state"], note["command"]) == ("quarantined", table["command"])
    status, plan = client.change("/api/v1/plans/transfer", {"secondaries": ["db1"], "tables": [f"{replica.schema}.t"]})
    assert (status, plan["plan"]["plans"][0]["is_destructive"]) == (201, True)
    # Nothing was done yet.
    assert client.secondary()["quarantine"]
    status, job = client.change(f"/api/v1/plans/{plan['id']}/confirm")
    assert status == 202
    wait_until(lambda: client.get(f"/api/v1/jobs/{job['id']}")["state"] != "running", "the job to end")
    done = client.get(f"/api/v1/jobs/{job['id']}")
    assert (done["state"], done["error"]) == ("done", None)
    wait_until(lambda: not client.secondary()["quarantine"], "the end of the quarantine")
    replica.wait_until_applied(stream)
    replica.assert_equal()
    # The stream writes to the instance, so its position cannot be moved.
    status, plan = client.change("/api/v1/plans/position-reset", {"secondaries": ["db1"], "kind": "current"})
    assert "writes to this instance" in plan["plan"]["plans"][0]["warnings"][0]
    status, document = client.change(f"/api/v1/plans/{plan['id']}/confirm")
    assert (status, document["error"], document["code"]) == (409, "locked", 15)
    status, job = client.change("/api/v1/jobs/drift", {})
    wait_until(lambda: client.get("/api/v1/differences")["drift"], "the comparison")
    assert client.get("/api/v1/differences")["drift"]["is_same"] is True
    assert stream.end(signal.SIGTERM).code == 0
    replica.assert_equal()


def test_a_port_that_is_taken_ends_the_command_before_a_worker_connects(replica: Replica) -> None:
    replica.on_primary("CREATE TABLE t (id INT PRIMARY KEY)")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        ended = replica.run("stream", "--listen", address, "--json", code=10)
        assert ended.error["problems"] == [f"REPLICA_LISTEN: {address}: another program listens there"]
    assert "[TRANSFER]" not in ended.stderr


def test_a_transfer_shows_its_progress(replica: Replica) -> None:
    with_token(replica)
    rows = ", ".join(f"({number}, 1)" for number in range(5000))
    replica.on_primary("CREATE TABLE t (id INT PRIMARY KEY, v INT)", f"INSERT INTO t VALUES {rows}")
    # It waits for this lock when it begins to copy, so that it is seen.
    with replica.primary.session(database=replica.schema) as session:
        session.execute("LOCK TABLES t WRITE")
        running = replica.start("transfer", *LISTEN)
        try:
            client = Client(running)
            wait_until(lambda: client.secondary()["phase"] == "transferring", "the copy to begin")
            assert client.ask("GET", "/readyz")[0] == 503
            status, document = client.change("/api/v1/reload")
            assert (status, document["error"]) == (409, "not_streaming")
        finally:
            session.execute("UNLOCK TABLES")
    assert running.end().code == 0
    replica.assert_equal()


def listening_sockets(pid: int) -> set[str]:
    """Return the sockets of a process that listen on a port or a path."""
    own = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            own.add(re.sub(r"socket:\[(\d+)\]", r"\1", str(descriptor.readlink())))
    listening = set()
    for name, state, value, inode in (("tcp", 3, "0A", 9), ("tcp6", 3, "0A", 9), ("unix", 3, "00010000", 6)):
        for line in Path(f"/proc/{pid}/net/{name}").read_text().splitlines()[1:]:
            words = line.split()
            if words[state] == value and words[inode] in own:
                listening.add(words[inode])
    return listening


def test_nothing_listens_without_an_address(replica: Replica, stream: Running) -> None:
    Client(stream)
    assert len(listening_sockets(stream.process.pid)) == 1
    assert not any(listening_sockets(pid) for pid in stream.worker_pids())
    assert stream.end(signal.SIGTERM).code == 0
    quiet = replica.stream()
    for pid in (quiet.process.pid, *quiet.worker_pids()):
        assert listening_sockets(pid) == set()
