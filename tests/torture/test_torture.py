"""Two minutes of torture with a fixed seed, as anybody would run it; REPLICA_TORTURE=1 asks for it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from fix_servers import ServerBinary

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(not os.environ.get("REPLICA_TORTURE"), reason="two minutes of torture: REPLICA_TORTURE=1")  # noqa: TID251
@pytest.mark.timeout(900)
def test_two_minutes_of_faults_lose_and_double_nothing(server_binary: ServerBinary, tmp_path: Path) -> None:
    words = ("--minutes", "2", "--seed", "4", "--servers", str(server_binary), "--folder", str(tmp_path / "logs"))
    done = subprocess.run(
        [sys.executable, "-m", "tests.torture", *words], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert "round   1" in done.stdout
