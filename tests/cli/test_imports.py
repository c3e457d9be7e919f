"""What a command loads before it asks a server: counted as modules, because most of a short command's time is that."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

_TELLING = """
import atexit, gc, os, pathlib, sys
def collections():
    return sum(generation["collections"] for generation in gc.get_stats())

pid, before = os.getpid(), collections()

def tell():
    if os.getpid() == pid:  # not a worker that was forked
        pathlib.Path("modules").write_text(" ".join(sys.modules))
        pathlib.Path("collector").write_text(f"{collections() - before} {len(gc.get_objects())}")

atexit.register(tell)
from replica_cli.__main__ import main
main()
"""


HTTP = ("fastapi", "starlette", "uvicorn", "h11", "anyio")


def modules_of(folder: Path, *words: str, code: int) -> set[str]:
    """Return the modules that a command imports to its end."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("MARIA_", "REPLICA_"))}  # noqa: TID251
    command = [sys.executable, "-c", _TELLING, *words]
    ended = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == code, ended.stderr
    return set((folder / "modules").read_text().split())


def commands_among(modules: set[str]) -> set[str]:
    names = ("stream", "transfer", "pause", "position", "drift", "verify", "health", "demo")
    return {name for name in names if f"replica_cli.cli.{name}" in modules}


def packages_of(modules: set[str]) -> set[str]:
    return {module.partition(".")[0] for module in modules}


# Options that are not given, and those of every type that runbooks and cron use.
@pytest.mark.parametrize(
    "words",
    [
        "health",
        "health --max-lag 5m --quiet",
        "health --secondary db2 --json",
        "health --textfile replica.prom",
        "position show -v",
        "position show --watch --interval 5s",
        "drift check --sql",
        "verify run --resume",
        "verify show --values",
        "verify repair --dry-run",
        "stream --until-caught-up",
        "pause --secondary db2",
        "transfer --table shop.orders --yes --all",
    ],
)
def test_a_command_loads_no_library_that_it_does_not_need_and_no_other_command(words: str, tmp_path: Path) -> None:
    # Without settings each ends before it asks a server.
    modules = modules_of(tmp_path, *words.split(), code=10)
    assert not packages_of(modules) & {
        "rich", "cryptography", "pymysql", "yaml", "prometheus_client", *HTTP,
    }  # fmt: skip
    assert commands_among(modules) == {words.split(maxsplit=1)[0]}


def test_help_loads_no_more_than_the_commands(tmp_path: Path) -> None:
    modules = modules_of(tmp_path, "--help", code=0)
    assert not packages_of(modules) & {"pydantic", "rich", "cryptography", "pymysql", "multiprocessing", "asyncio"}
    assert not {m for m in modules if m.startswith(("replica_cli.service", "replica_cli.mysql", "replica_cli.config"))}


def test_a_wrong_value_is_still_refused(tmp_path: Path) -> None:
    assert modules_of(tmp_path, "health", "--textfile", "replica.txt", code=2)
    assert modules_of(tmp_path, "health", "--color", "sometimes", code=2)
    assert modules_of(tmp_path, "transfer", "--workers", "many", code=2)


def test_the_collector_looks_through_nothing_that_a_short_command_loads(tmp_path: Path) -> None:
    modules_of(tmp_path, "--help", code=0)
    collections, looked_through_at_the_end = map(int, (tmp_path / "collector").read_text().split())
    assert collections <= 1
    assert looked_through_at_the_end < 1000
