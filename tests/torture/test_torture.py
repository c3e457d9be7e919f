"""Torture with fixed seeds, by the command: on the first covered server; a run of everything also on the last."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.servers import covered_binaries, is_everything

ROOT = Path(__file__).parents[2]
RUNS: list[tuple[int, tuple[str, ...]]] = [(0, ("--seed", "4"))]
if is_everything():
    RUNS.append((-1, ("--seed", "5", "--shared")))


@pytest.mark.timeout(900)
@pytest.mark.parametrize(("index", "words"), RUNS)
@pytest.mark.skipif(not covered_binaries(), reason="no server to torture")
def test_a_while_of_faults_loses_and_doubles_nothing(index: int, words: tuple[str, ...], tmp_path: Path) -> None:
    minutes = "1" if is_everything() else "0.5"
    where = ("--servers", str(covered_binaries()[index]), "--folder", str(tmp_path / "logs"))
    done = subprocess.run(
        [sys.executable, "-m", "tests.torture", "--minutes", minutes, *words, *where],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert "round   1" in done.stdout
