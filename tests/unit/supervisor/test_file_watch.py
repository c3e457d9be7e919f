"""A watch of configuration files reports changes, also of files that come, go or are replaced through a link."""

from __future__ import annotations

import queue
from typing import TYPE_CHECKING

import pytest

from replica_cli.supervisor.file_watch import FileWatch

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def write(path: Path) -> None:
    path.write_text("b, and more")


def replace_through_link(path: Path) -> None:
    other = path.with_name("other")
    other.write_text("b")
    link = path.with_name("link")
    link.symlink_to(other)
    link.rename(path)


@pytest.mark.parametrize("change", [write, replace_through_link, lambda path: path.unlink()])
def test_a_change_is_reported_once(change: Callable[[Path], None], tmp_path: Path) -> None:
    path, missing = tmp_path / "replica.yaml", tmp_path / ".env"
    path.write_text("a")
    changes: queue.Queue[None] = queue.Queue()
    with FileWatch([path, missing], lambda: changes.put(None), seconds=0.01):
        change(path)
        changes.get(timeout=10)
        missing.write_text("A=1")
        changes.get(timeout=10)
    assert changes.empty()


def test_a_file_that_is_being_written_is_not_reported_yet(tmp_path: Path) -> None:
    path = tmp_path / "replica.yaml"
    path.write_text("")
    sizes: queue.Queue[int] = queue.Queue()
    with FileWatch([path], lambda: sizes.put(path.stat().st_size), seconds=0.2), path.open("a") as file:
        for _ in range(300):
            file.write("x")
            file.flush()
            if not sizes.empty():
                break
        file.flush()
        written = path.stat().st_size
        assert sizes.get(timeout=10) == written
