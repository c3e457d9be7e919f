"""A thousand clients that mean no good, and the stream beside them."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.command import Load, wait_until
from tests.support.http import LISTEN, Client, hostile_clients, with_token

if TYPE_CHECKING:
    from replica_cli.mysql.session import Session
    from tests.support.command import Replica

_CLIENTS = 1000


def descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def _wait(until: float) -> None:
    wait_until(lambda: time.monotonic() > until, "the next look")


def test_the_stream_goes_on_and_the_server_answers(replica: Replica) -> None:
    with_token(replica)
    replica.settings |= {"REPLICA_MAX_LAG": "30s"}
    replica.on_primary("CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, v INT)")
    replica.run("transfer")
    stream = replica.stream(*LISTEN)
    client = Client(stream)
    before = descriptors(stream.process.pid)
    most = 0

    def write(session: Session) -> None:
        session.execute("INSERT INTO t (v) VALUES (1), (2), (3)")

    load = Load(replica.primary, replica.schema, write)
    with hostile_clients(client.port, _CLIENTS):
        for _ in range(25):
            begun = time.monotonic()
            assert client.get("/healthz") == {"is_alive": True}
            assert client.ask("GET", "/readyz")[0] == 200
            assert time.monotonic() - begun < 20
            most = max(most, descriptors(stream.process.pid))
            _wait(begun + 0.2)
        # A worker that dies can still be started: there are descriptors left for its pipe.
        (worker,) = stream.worker_pids()
        os.kill(worker, signal.SIGKILL)
        wait_until(lambda: stream.worker_pids() not in ([], [worker]), "the new worker")
        stream.wait_for_log("streaming from", times=2)
        load.stop()
        assert load.rounds > 50
        replica.wait_until_applied(stream)
        assert client.change("/api/v1/secondaries/db1/pause")[0] == 200
        assert client.change("/api/v1/secondaries/db1/resume")[0] == 200
    # 100 connections, and those that are between being accepted and being closed.
    assert most <= before + 150
    wait_until(lambda: descriptors(stream.process.pid) <= before + 10, "the connections to be closed")
    assert "Traceback" not in stream.stderr
    assert stream.stderr.count("HTTP") < 20
    assert stream.end(signal.SIGTERM).code == 0
    replica.assert_equal()
