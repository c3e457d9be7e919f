"""The progress file of a copy, in folders that are writable and that are not."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from replica_cli.core.status import TableProgress, TableState
from replica_cli.transfer.progress_tracker import ProgressFile

TABLES = {
    "a.one": TableProgress("a.one", 5, 5, state=TableState.COPIED),
    "a.two": TableProgress("a.two", 3, 9, state=TableState.COPYING),
    "b.one": TableProgress("b.one", 0, 0, state=TableState.COPIED),
}


def test_the_content_of_the_progress_file(tmp_path: Path) -> None:
    ProgressFile(tmp_path, "db1").write(TABLES, "a")
    (file,) = tmp_path.iterdir()
    assert (file.name, file.stat().st_mode & 0o777) == ("transfer_progress_db1.json", 0o600)
    document = json.loads(file.read_text())
    assert document.pop("LastCheckpoint").endswith("Z")
    assert document == {
        "DatabasesProcessed": ["b"],
        "CurrentDatabase": "a",
        "TablesProcessed": {"a.one": 5, "a.two": 3, "b.one": 0},
    }


@pytest.mark.parametrize("kind", ["gone", "a file", "read-only"])
def test_a_folder_that_takes_nothing_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture, kind: str) -> None:
    folder = {"gone": tmp_path / "gone", "a file": tmp_path / "file", "read-only": Path("/proc")}[kind]
    (tmp_path / "file").touch()
    file = ProgressFile(folder, "db1")
    for _ in range(3):
        file.write(TABLES, "a")
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "transfer_progress_db1.json cannot be written" in record.getMessage()
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
