"""Outputs that are closed or full: a stream goes on, and `health` does not exit with 0 because of them."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.support.command import COMMAND, wait_until

if TYPE_CHECKING:
    from tests.support.command import Replica


def health(replica: Replica, ending: str) -> int:
    script = f"set -o pipefail; {COMMAND} health {ending}"
    done = subprocess.run(
        ["bash", "-c", script], check=False, capture_output=True, text=True, env=replica.environment(),
        cwd=replica.folder,
    )  # fmt: skip
    assert "Traceback" not in done.stderr
    return done.returncode


def _has_rows(replica: Replica, count: int) -> bool:
    return len(replica.on_secondary("SELECT id FROM t")) == count


def test_health_keeps_its_exit_code_if_its_answer_gets_lost(replica: Replica) -> None:
    replica.on_primary("CREATE TABLE t (id INT PRIMARY KEY)")
    assert health(replica, ">/dev/full") == 2  # critical stays critical: nothing ever ran
    assert health(replica, "2>&1 | head -n 1 >/dev/null") == 2
    replica.catch_up()
    running = replica.stream()
    good = health(replica, "")
    assert good in (0, 1)  # the servers of a test may deserve a warning
    for ending in (">&-", ">&- 2>&- <&-", "| head -n 1 >/dev/null"):
        assert health(replica, ending) == good, ending
    assert health(replica, ">/dev/full") == (good or 3)
    running.end(signal.SIGTERM)


def test_a_stream_goes_on_without_its_outputs_and_ends_when_stopped(replica: Replica) -> None:
    replica.on_primary("CREATE TABLE t (id INT PRIMARY KEY)")
    replica.catch_up()
    reader, writer = os.pipe()
    with open("/dev/full", "w") as full:  # noqa: PTH123 - a device
        process = subprocess.Popen(
            [str(COMMAND), "stream", "--json"], env=replica.environment(), cwd=replica.folder, stdout=writer,
            stderr=full, stdin=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
    os.close(writer)
    os.read(reader, 1)
    os.close(reader)
    try:
        for number in range(3):
            replica.on_primary(f"INSERT INTO t VALUES ({number})")
            wait_until(partial(_has_rows, replica, number + 1), "the row to arrive")
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()


@pytest.mark.every_flavour
def test_a_hostile_name_is_safe_in_every_output_and_its_advice_works(replica: Replica) -> None:
    name = "a'\x1b[2J\x9b\u202e\n2026-01-01T00:00:00.000Z [ERROR] [db1] forged"
    raw = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]|\n2026-01-01T")
    replica.on_primary(f"CREATE TABLE `{name}` (id INT PRIMARY KEY)", f"INSERT INTO `{name}` VALUES (1)")
    outputs = [replica.run("transfer", "--dry-run"), replica.catch_up()]
    replica.on_secondary(f"DELETE FROM `{name}`")
    replica.on_primary(f"UPDATE `{name}` SET id = 2")
    replica.settings["REPLICA_TABLE_FAILURES"] = "1"
    outputs.append(replica.catch_up(code=3))
    outputs.append(replica.run("position", "show"))
    found = replica.run("health", code=2)
    outputs += [found, replica.run("health", "--json", code=2), replica.run("position", "show", "--json")]
    replica.on_secondary(f"ALTER TABLE `{name}` ADD c INT")
    outputs.append(replica.run("drift", "check", code=3))
    for ended in outputs:
        assert not raw.search(ended.stdout + ended.stderr), ended
    advice = re.search(r"`(replica transfer --table .*)` copies", found.stdout)
    assert advice is not None, found.stdout
    script = f"PATH={COMMAND.parent}:$PATH; {advice[1]} --yes"
    subprocess.run(["bash", "-c", script], check=True, env=replica.environment(), cwd=replica.folder)
    replica.assert_equal()
    # The script for a file names the table itself: run as it is, it ends the drift.
    replica.on_secondary(f"ALTER TABLE `{name}` ADD c INT")
    statements = replica.run("drift", "check", "--sql", code=3).stdout
    assert f"`{name}`" in statements
    replica.on_secondary(statements.removeprefix("-- db1\n").strip().removesuffix(";"))
    replica.run("drift", "check")
