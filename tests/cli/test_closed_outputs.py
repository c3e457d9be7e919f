"""stdout and stderr that are closed, full or left by their reader: no trace, and the exit code of the command."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = Path(sys.executable).with_name("replica")
# What the shell does with the output, and the exit code of a command that would exit 0 or 10.
ENDINGS = [
    ("2>&1 | head -n 1 >/dev/null", 0, 10),
    (">&-", 0, 10),
    ("2>&-", 0, 10),
    (">&- 2>&- <&-", 0, 10),
    ("2>/dev/full", 0, 10),
    (">/dev/full", 1, 10),
]


def run(words: str, ending: str, folder: Path) -> subprocess.CompletedProcess[str]:
    script = f"set -o pipefail; {COMMAND} {words} {ending}"
    environment = {"PATH": "/usr/bin:/bin", "REPLICA_PROGRESS_FOLDER": "/no such folder"}
    return subprocess.run(
        ["bash", "-c", script], check=False, capture_output=True, text=True, env=environment, cwd=folder
    )


@pytest.mark.parametrize(("ending", "good", "_bad"), ENDINGS, ids=[e for e, _, _ in ENDINGS])
def test_a_help_text_without_a_reader_is_no_failure_and_a_full_disk_is(
    ending: str, good: int, _bad: int, tmp_path: Path
) -> None:
    done = run("health --help", ending, tmp_path)
    assert (done.returncode, "Traceback" in done.stderr) == (good, False), done.stderr
    assert ("No space left on device" in done.stderr) == (good == 1)


@pytest.mark.parametrize(("ending", "_good", "bad"), ENDINGS, ids=[e for e, _, _ in ENDINGS])
def test_an_error_keeps_its_code_whatever_becomes_of_its_text(
    ending: str, _good: int, bad: int, tmp_path: Path
) -> None:
    done = run("stream --json", ending, tmp_path)
    assert (done.returncode, "Traceback" in done.stderr) == (bad, False), done.stderr
