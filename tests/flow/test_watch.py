"""`position show --watch` beside streams that run, end and are killed: as JSON lines, as lines, and on a terminal."""

from __future__ import annotations

import signal
import subprocess
from typing import TYPE_CHECKING, Any

from tests.support.command import COMMAND, wait_until
from tests.support.on_terminal import OnTerminal

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.command import Replica, Running

WATCH = ("position", "show", "--watch", "--interval", "0.5s")


def wait_for_line(watch: Running, holds: Callable[[list[Any]], bool], what: str) -> list[Any]:
    """Return the secondaries of the first line, from now on, that is as it has to be."""
    seen = len(watch.lines)
    wait_until(lambda: any(holds(line["secondaries"]) for line in watch.lines[seen:]), what)
    return next(line["secondaries"] for line in watch.lines[seen:] if holds(line["secondaries"]))


def test_json_lines_follow_a_stream_of_another_process(two_secondaries: Replica) -> None:
    replica = two_secondaries
    replica.on_primary("CREATE TABLE t (id INT PRIMARY KEY)", "INSERT INTO t VALUES (1)")
    watch = replica.start(*WATCH, "--json")
    never = wait_for_line(watch, bool, "the first line")
    assert [(s["instance"], s["process"], s["saved"]) for s in never] == [("db1", None, None), ("db2", None, None)]
    stream = replica.stream()
    found = wait_for_line(
        watch, lambda found: all(s["phase"] == "caught_up" for s in found), "both secondaries to be in step"
    )
    for each in found:
        assert each["process"]["is_running"]
        assert int(each["process"]["holder"].rpartition(":")[2]) in stream.worker_pids()
        assert (each["failure"], each["primary_failure"]) == (None, None)
    # The same document as without --watch, and its time.
    whole = replica.run("position", "show", "--json").document["secondaries"][0]
    assert set(watch.lines[-1]) == {"type", "time", "secondaries"}
    assert set(found[0]) == set(whole)
    replica.run("pause", "--secondary", "db2")
    wait_for_line(watch, lambda found: [s["phase"] for s in found] == ["caught_up", "paused"], "the pause")
    assert stream.end(signal.SIGTERM).code == 0
    found = wait_for_line(watch, lambda found: all(s["phase"] == "stopped" for s in found), "the end of the stream")
    assert not any(s["process"]["is_running"] for s in found)
    ended = watch.end(signal.SIGINT)
    assert (ended.code, ended.stderr) == (0, "")


def test_a_secondary_and_the_primary_go_and_come_back(two_secondaries: Replica) -> None:
    replica = two_secondaries
    replica.on_primary("CREATE TABLE t (id INT PRIMARY KEY)")
    replica.run("transfer")
    watch = replica.start(*WATCH, "--json")
    wait_for_line(watch, lambda found: all(s["saved"] for s in found), "both positions")
    replica.secondaries["db2"].stop()
    found = wait_for_line(watch, lambda found: found[1]["failure"] is not None, "the end of db2")
    assert (found[0]["failure"], found[1]["saved"]) == (None, None)
    replica.secondaries["db2"].start()
    wait_for_line(watch, lambda found: found[1]["failure"] is None, "db2 to be back")
    replica.primary.restart()
    wait_for_line(watch, lambda found: all(s["primary"] and s["distance_bytes"] is not None for s in found), "db0")
    assert watch.end(signal.SIGTERM).code == 0


def test_a_number_of_rounds_ends_with_the_code_of_position_show(replica: Replica) -> None:
    replica.on_primary("CREATE TABLE t (id INT PRIMARY KEY)")
    replica.run("transfer")
    ended = replica.run(*WATCH, "--count", "3")
    lines = ended.stdout.splitlines()
    assert len(lines) == 3
    assert all("Z [INFO] [db1] no process at " in line for line in lines)
    assert all(" finished " in line for line in lines)
    replica.settings |= {"MARIA_SECONDARY_PORTS": "1"}
    ended = replica.run(*WATCH, "--count", "2", "--json", code=13)
    assert [line["secondaries"][0]["failure"] is not None for line in ended.lines] == [True, True]
    assert ended.error["code"] == 13


def test_a_pipe_without_a_reader_ends_the_watch(replica: Replica) -> None:
    replica.on_primary("CREATE TABLE t (id INT PRIMARY KEY)")
    ended = subprocess.run(
        ["bash", "-c", f"{COMMAND} {' '.join(WATCH)} --json | head -1; exit ${{PIPESTATUS[0]}}"],
        env=replica.environment(), cwd=replica.folder, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith('{"type": "positions"')


def test_the_board_on_a_terminal_until_ctrl_c(replica: Replica) -> None:
    replica.settings |= {"REPLICA_TABLE_FAILURES": "1"}
    replica.on_primary("CREATE TABLE t (id INT PRIMARY KEY)", "CREATE TABLE u (id INT PRIMARY KEY)")
    stream = replica.stream()
    shown = OnTerminal(replica, *WATCH)
    try:
        wait_until(lambda: any(line.startswith("db1        caught up") for line in shown.lines), "the board")
        replica.on_secondary("DROP TABLE u")
        replica.on_primary("INSERT INTO u VALUES (1)")
        command = f"`replica transfer --table {replica.schema}.u --secondary db1`"
        wait_until(lambda: command in " ".join(shown.lines), "the quarantined table with its command")
        assert stream.end(signal.SIGTERM).code == 0
        wait_until(lambda: any(line.startswith("db1        no process") for line in shown.lines), "its end")
        code, lines = shown.end(signal.SIGINT)
    finally:
        shown.close()
    text = "\n".join(lines)
    assert code == 0
    assert "Ctrl-C" not in text
    assert text.count("replica position show of ") == 1
    assert " stopped " in text
    assert shown.text.endswith("\r\n")
    assert "\x1b[?" not in shown.text  # nothing that would have to be taken back, such as a hidden cursor
