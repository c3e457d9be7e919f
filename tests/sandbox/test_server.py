from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from replica_cli.core.errors import ReplicaError
from replica_cli.core.settings import Network
from replica_cli.mysql.errnos import ServerError
from replica_cli.mysql.facts import read_facts
from replica_cli.mysql.session import connect
from replica_cli.sandbox.binaries import matches
from replica_cli.sandbox.sandbox import Sandbox
from replica_cli.stop import StopToken

if TYPE_CHECKING:
    from replica_cli.sandbox.binaries import ServerBinary

pytestmark = pytest.mark.every_release


def test_it_starts_with_the_options_that_were_given(server_binary: ServerBinary) -> None:
    with Sandbox() as sandbox:
        server = sandbox.start(server_binary, options={"max_connections": 33})
        with server.session() as session:
            facts = read_facts(session)
        assert facts.flavour.lower() == server_binary.flavour
        assert facts.version_text.startswith(server_binary.version)
        assert facts.server_id == server.server_id
        assert facts.has_gtids
        assert facts.variables["binlog_format"] == "ROW"
        assert facts.variables["max_connections"] == "33"
        assert facts.variables["bind_address"] == "127.0.0.1"
        folder = server.folder
    assert not folder.exists()
    assert not server.is_running


def test_two_at_a_time_are_two_servers(server_binary: ServerBinary) -> None:
    with Sandbox() as sandbox:
        one, two = sandbox.add(server_binary), sandbox.add(server_binary)
        sandbox.start_all()
        with one.session() as first, two.session() as second:
            first.execute("CREATE DATABASE only_here")
            assert second.row("SELECT COUNT(*) FROM information_schema.schemata WHERE schema_name = 'only_here'") == (
                0,
            )
            assert read_facts(first).identity != read_facts(second).identity


def test_rows_and_port_outlive_stop_and_kill(server_binary: ServerBinary) -> None:
    with Sandbox() as sandbox:
        server = sandbox.start(server_binary)
        port = server.port
        with server.session() as session:
            session.execute("CREATE DATABASE kept")
            session.execute("CREATE TABLE kept.t (n INT PRIMARY KEY)")
            session.execute("INSERT INTO kept.t VALUES (1)")
        server.restart({"max_connections": 44})
        with server.session() as session:
            assert session.row("SELECT @@max_connections") == (44,)
            session.execute("INSERT INTO kept.t VALUES (2)")
        server.kill()
        assert not server.is_running
        with pytest.raises(ServerError):
            server.session()
        server.start()
        assert server.port == port
        with server.session() as session:
            assert session.rows("SELECT n FROM kept.t ORDER BY n") == [(1,), (2,)]


def test_a_frozen_server_accepts_and_does_not_answer(server_binary: ServerBinary) -> None:
    with Sandbox() as sandbox:
        server = sandbox.start(server_binary)
        server.freeze()
        assert server.is_running
        with pytest.raises(ServerError):
            connect(server.address(), Network(connect_timeout=0.3, query_timeout=0.3))
        server.thaw()
        server.session().close()
        server.freeze()
        server.stop()
        assert not server.is_running


def test_a_start_that_fails_shows_the_end_of_the_log(server_binary: ServerBinary) -> None:
    with Sandbox() as sandbox, pytest.raises(ReplicaError, match=r"no.such.option"):
        sandbox.start(server_binary, options={"no_such_option": 1})


_OWNER = """
import pickle, sys, threading
from replica_cli.sandbox.sandbox import Sandbox
server = Sandbox().start(pickle.loads(bytes.fromhex(sys.argv[1])))
print(server.pid, server.folder, flush=True)
threading.Event().wait()
"""


def test_it_ends_with_a_program_that_is_killed(server_binary: ServerBinary) -> None:
    words = [sys.executable, "-c", _OWNER, pickle.dumps(server_binary).hex()]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout
        pid_text, folder = program.stdout.readline().split()
        program.kill()
    pid = int(pid_text)
    for _ in range(500):
        if not _is_alive(pid):
            break
        StopToken().wait(0.01)
    assert not _is_alive(pid)
    # What it left is removed when the next sandbox needs the folder.
    assert Path(folder).exists()
    with Sandbox() as sandbox:
        sandbox.add(server_binary)
        assert not Path(folder).exists()


def _is_alive(pid: int) -> bool:
    # A dead child whose parent has not waited for it is dead too.
    status = Path(f"/proc/{pid}/status")
    try:
        return "State:\tZ" not in status.read_text()
    except FileNotFoundError:
        return False


def test_a_version_is_matched_by_whole_numbers(server_binary: ServerBinary) -> None:
    flavour = server_binary.flavour
    assert matches(server_binary, flavour, server_binary.version)
    assert matches(server_binary, flavour, server_binary.version.split(".", maxsplit=1)[0])
    assert not matches(server_binary, flavour, server_binary.version[:-1] + "x")
