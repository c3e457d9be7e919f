"""A copying process that is killed at any moment, and servers that go away, cost nothing but time."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from replica_cli.core.requests.transfer import TransferMode
from replica_cli.core.settings import TransferSettings
from tests.engine.copier import SIMPLE, Copier, numbers

if TYPE_CHECKING:
    from tests.support.servers import ServerFactory

ROOT = Path(__file__).parents[2]
PROGRAM = textwrap.dedent("""
    import sys
    from replica_cli.core.requests.transfer import TransferMode
    from replica_cli.core.selection import Selection
    from replica_cli.core.settings import Network, Retry, Secret, Server, TransferSettings
    from replica_cli.mysql.session import connect
    from replica_cli.stop import StopToken
    from replica_cli.transfer import making
    from replica_cli.transfer.plan import plan_copy
    from replica_cli.transfer.run import run_copy

    making.DEFERRED_KEYS_ROWS = 1000
    schema, mode, user, password, *ports = sys.argv[1:]
    primary, secondary = (Server(p, "127.0.0.1", int(p), user, Secret(password)) for p in ports)
    settings = TransferSettings(chunk_rows=50, workers=2)
    with connect(primary, Network()) as a, connect(secondary, Network()) as b:
        plan = plan_copy(a, b, Selection(((schema, schema),)), instance="db2", state_schema=schema + "_state",
                         settings=settings, mode=TransferMode(mode))
    print("begun", flush=True)
    result = run_copy(plan, primary=primary, secondary=secondary, network=Network(), retry=Retry(), stop=StopToken())
    sys.exit(0 if result.is_complete else 3)
""")


def launch(copier: Copier, mode: TransferMode) -> subprocess.Popen[str]:
    address = copier.primary.address()
    ports = (str(copier.primary.address().port), str(copier.secondary.address().port))
    words = [sys.executable, "-c", PROGRAM, copier.schema, mode, address.user, address.password.reveal(), *ports]
    return subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def test_killed_at_any_moment_and_resumed_each_row_is_there_once(copier: Copier) -> None:
    copier.on_primary(
        f"CREATE TABLE t {SIMPLE}", numbers("t", 15_000),
        "CREATE TABLE words (w VARCHAR(40) PRIMARY KEY, n INT, KEY n (n), KEY wn (w(3), n))",
        numbers("words", 8000, "LEFT(SHA2(n, 256), 40), n"),
        "CREATE TABLE bare (a INT, b INT)", numbers("bare", 3000, "n % 10, 1"),
        "CREATE TABLE child (id INT PRIMARY KEY, t_id INT, FOREIGN KEY (t_id) REFERENCES t (id))",
        numbers("child", 2000, "n, n"),
    )  # fmt: skip
    mode, kills = TransferMode.NEW, 0
    for _ in range(40):
        process = launch(copier, mode)
        assert process.stdout is not None
        process.stdout.readline()
        try:
            status = process.wait(random.uniform(0.02, 0.1 if kills == 0 else 0.8))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            kills += 1
            mode = TransferMode.RESUME
            continue
        finally:
            process.stdout.close()
        assert status == 0
        break
    else:
        copier.copy(TransferMode.RESUME)
    assert kills
    copier.compare()
    assert all(r.window_end is not None for r in copier.records().values())


@pytest.mark.timeout(120)
def test_servers_that_die_come_back_into_the_copy(server_factory: ServerFactory, schema: str) -> None:
    copier = Copier(server_factory(), server_factory(), schema)
    copier.settings = TransferSettings(chunk_rows=5, workers=2)
    copier.on_primary(f"CREATE TABLE t {SIMPLE}", numbers("t", 50_000, "n, n, REPEAT('x', 50)"))
    copier.on_primary("CREATE TABLE bare (a INT, b INT)", numbers("bare", 20_000, "n % 10, 1"))
    has_begun, results = threading.Event(), []
    plan = copier.plan()
    # The servers live as long as the thread that starts them: so the copy has the other one.
    copying = threading.Thread(target=lambda: results.append(copier.run(plan, report=lambda _: has_begun.set())))
    copying.start()
    assert has_begun.wait(30)
    for server in (copier.secondary, copier.primary):
        server.kill()
        server.start()
    copying.join(60)
    (result,) = results
    assert (result.errors, result.is_complete) == ((), True)
    copier.compare()
