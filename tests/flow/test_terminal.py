"""The command on a real terminal: a pseudo-terminal of 80 columns, and its content at the end."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from tests.support.command import wait_until
from tests.support.on_terminal import OnTerminal

if TYPE_CHECKING:
    from tests.support.command import Replica


def test_a_stream_on_a_terminal_from_the_first_line_to_ctrl_c(replica: Replica) -> None:
    replica.on_primary("CREATE TABLE t (id INT PRIMARY KEY)", "INSERT INTO t VALUES (1), (2)")
    shown = OnTerminal(replica, "stream")
    try:
        wait_until(lambda: "caught up" in shown.text or shown.process.poll() is not None, "the stream to be in step")
        assert shown.text.startswith("\r\x1b[2Kconnecting to ")
        code, lines = shown.end(signal.SIGINT)
    finally:
        shown.close()
    text = "\n".join(lines)
    assert code == 130
    assert "copied 2 rows of 1 table in " in text
    assert "stopping: what was read is applied and committed" in text
    assert "connecting" not in text
    assert "Ctrl-C stops" not in text
    assert text.count("replica stream from") == 1, text
    assert lines[-2].startswith("SECONDARY  STATE")
    assert lines[-1].startswith("db1        stopped")


def test_a_terminal_shows_a_lasting_error_once(replica: Replica) -> None:
    replica.on_primary("CREATE TABLE t (id INT PRIMARY KEY)")
    replica.run("transfer")
    replica.settings |= {"REPLICA_RECONNECT_ATTEMPTS": "4", "MARIA_SECONDARY_PORTS": "1"}
    shown = OnTerminal(replica, "stream")
    try:
        wait_until(lambda: shown.process.poll() is not None, "the last attempt")
        _, lines = shown.end(0)
    finally:
        shown.close()
    assert "\n".join(lines).count("[RECONNECT]") == 1


def test_a_confirmed_copy_deletes_only_rows_that_its_plan_showed_whatever_the_primary_makes_meanwhile(
    replica: Replica,
) -> None:
    replica.on_primary("CREATE TABLE t (id INT PRIMARY KEY)", "INSERT INTO t VALUES (1), (2)")
    replica.catch_up()
    replica.on_secondary("CREATE TABLE own (id INT PRIMARY KEY)")
    replica.on_secondary("INSERT INTO own VALUES (7)")
    shown = OnTerminal(replica, "transfer", "--restart")
    try:
        wait_until(lambda: "[y/N]" in shown.text or shown.process.poll() is not None, "the question")
        assert f"{replica.schema}.own: not on the primary, it stays" in shown.text.replace("\r\n", " ")
        replica.on_primary("CREATE TABLE own (id INT PRIMARY KEY)", "INSERT INTO own VALUES (1), (2)")
        shown.type("y")
        code = shown.process.wait(60)
    finally:
        shown.close()
    assert code == 14, shown.text
    assert "the plan has changed since it was shown" in shown.text.replace("\r\n", " ")
    assert replica.on_secondary("SELECT id FROM own") == [(7,)]
    replica.run("transfer", "--restart", "--secondary", "db1", "--yes")
    replica.assert_equal()
