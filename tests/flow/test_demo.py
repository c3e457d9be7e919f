"""`replica demo` as people run it: everything at once, on servers of its own."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from replica_cli.config.loading import load_settings
from replica_cli.sandbox.binaries import select_binary
from replica_cli.sandbox.compare import compare
from tests.support.command import Running, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(select_binary("mariadb") is None, reason="no MariaDB server program is here")
TABLES = ["country", "customer", "login", "product", "purchase", "purchase_item", "stock", "visit"]


class Demo:
    """Starts demos whose servers lie in a folder of the test's."""

    def __init__(self, folder: Path) -> None:
        # A short name: a socket's path has at most 107 bytes.
        self.folder = folder
        self._started: list[Running] = []

    def start(self, *words: str) -> Running:
        environment = {**os.environ, "TMPDIR": str(self.folder), "MARIA_PRIMARY_PORT": "none of the demo's business"}  # noqa: TID251
        running = Running(("demo", "--rows", "50000", "--seconds", "2", *words), environment, self.folder)
        self._started.append(running)
        return running

    def sandboxes(self) -> list[Path]:
        return list(self.folder.glob("replica-sandbox-*"))

    def server_pids(self) -> list[int]:
        """Return the processes that have their data below this folder."""
        found = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                if f"--datadir={self.folder}/".encode() in path.read_bytes():
                    found.append(int(path.parent.name))
        return found

    def close(self) -> None:
        for running in self._started:
            running.close()
        for pid in self.server_pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@pytest.fixture
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    made = Demo(tmp_path_factory.mktemp("d"))
    yield made
    made.close()


def summary(lines: list[Any]) -> Any:
    assert lines[-1]["type"] == "summary"
    return lines[-1]


def test_everything_is_copied_streamed_altered_and_equal(demo: Demo) -> None:
    ended = demo.start("--json").end(patience_seconds=120)
    assert ended.code == 0, f"{ended.stdout[-3000:]}\n{ended.stderr[-3000:]}"
    result = summary(ended.lines)
    assert result["is_equal"] is True
    assert [(t["instance"], t["table"]) for t in result["tables"]] == [
        (name, f"shop.{table}") for name in ("secondary1", "secondary2") for table in TABLES
    ]
    assert all(t["rows_primary"] == t["rows_secondary"] for t in result["tables"])
    assert all(t["is_proven"] and t["rows_proven"] and t["proven_at"] for t in result["tables"])
    assert result["rows_streamed"] > 0
    notes = [line["message"] for line in ended.lines if line["type"] == "note"]
    assert any("ALTER TABLE" in note for note in notes)
    statuses = [line for line in ended.lines if line["type"] == "status"]
    assert {s["phase"] for s in statuses} >= {"transferring", "streaming", "stopped"}
    # Each table of each secondary was copied, and was said to be.
    last = {s["instance"]: s["transfer"] for s in statuses if s["transfer"]}
    assert {name: sum(t["rows_copied"] for t in copy["tables"]) > 45_000 for name, copy in last.items()} == {
        "secondary1": True, "secondary2": True,
    }  # fmt: skip
    assert result["rows_transferred"] >= 2 * 45_000
    assert result["env_file"] is None
    assert (demo.sandboxes(), demo.server_pids()) == ([], [])


def test_kept_servers_live_on_with_settings_that_work(demo: Demo) -> None:
    ended = demo.start("--keep").end(patience_seconds=120)
    assert ended.code == 0, f"{ended.stdout[-3000:]}\n{ended.stderr[-3000:]}"
    (sandbox,) = demo.sandboxes()
    env = sandbox / ".env"
    assert str(env) in ended.stdout
    assert len(demo.server_pids()) == 3
    settings = load_settings(None, {}, env)
    for server in settings.secondaries:
        assert all(t.is_equal for t in compare(settings.primary, server, "shop"))

    environment = {k: v for k, v in os.environ.items() if not k.startswith(("MARIA_", "REPLICA_"))}  # noqa: TID251
    command = [str(Path(sys.executable).with_name("replica")), "stream", "--until-caught-up", "-q"]
    # As the file says: in its folder, with no further option.
    subprocess.run(command, cwd=sandbox, env=environment, check=True, timeout=60)

    # Another sandbox removes what no process holds any more, and leaves this one alone.
    _begin_another(demo)
    assert sandbox.is_dir()
    (line,) = re.findall(r"kill ([\d ]+)$", env.read_text(), re.MULTILINE)
    assert sorted(map(int, line.split())) == sorted(demo.server_pids())
    for pid in map(int, line.split()):
        os.kill(pid, signal.SIGTERM)
    wait_until(lambda: not demo.server_pids(), "the end of the kept servers")
    _begin_another(demo)
    assert demo.sandboxes() == []


def _begin_another(demo: Demo) -> None:
    running = demo.start("--seconds", "600")
    running.wait_for_log("customers begin to change them")
    assert running.end(signal.SIGTERM).code == 143


@pytest.mark.parametrize(
    ("moment", "number", "code"),
    [("customers begin to change them", signal.SIGINT, 130), ("both copies are made", signal.SIGTERM, 143)],
    ids=["SIGINT", "SIGTERM"],
)
def test_a_stop_removes_servers_and_folders(demo: Demo, moment: str, number: int, code: int) -> None:
    running = demo.start("--seconds", "600")
    running.wait_for_log(moment)
    ended = running.end(number)
    assert ended.code == code, ended.stderr[-3000:]
    assert "Traceback" not in ended.stderr
    assert (demo.sandboxes(), demo.server_pids()) == ([], [])


def test_servers_do_not_outlive_a_killed_demo(demo: Demo) -> None:
    running = demo.start("--seconds", "600")
    running.wait_for_log("both copies are made")
    assert len(demo.server_pids()) == 3
    running.kill_supervisor()
    wait_until(lambda: not demo.server_pids(), "the end of the servers")
