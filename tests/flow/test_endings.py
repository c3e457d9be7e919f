"""How the commands end: signals, a second stream, no saved position, wrong passwords."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.command import Replica


@pytest.fixture
def copied(replica: Replica) -> Replica:
    replica.on_primary("CREATE TABLE t (id INT PRIMARY KEY)", "INSERT INTO t VALUES (1)")
    replica.run("transfer")
    return replica


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_signal_drains_commits_and_ends(copied: Replica, number: int, code: int) -> None:
    stream = copied.stream("--json")
    copied.on_primary("INSERT INTO t VALUES (2)")
    copied.wait_until_applied(stream)
    copied.on_primary("INSERT INTO t VALUES (3)")
    place = copied.primary_end()
    ended = stream.end(number)
    assert ended.code == code
    summary = ended.lines[-1]
    assert (summary["type"], summary["code"]) == ("summary", code)
    (worker,) = summary["secondaries"]
    saved = copied.saved()
    assert (worker["position"]["file"], worker["position"]["pos"]) == saved
    # What it says it applied is there, neither more nor less.
    has_third = copied.on_secondary("SELECT COUNT(*) FROM t WHERE id = 3") == [(1,)]
    assert has_third == (saved >= place)
    copied.catch_up()
    copied.assert_equal()


def test_ctrl_c_reaches_the_whole_group_and_still_drains(copied: Replica) -> None:
    # As a terminal does it: every process of the group hears it, the workers too.
    stream = copied.stream()
    copied.wait_until_applied(stream)
    os.killpg(stream.process.pid, signal.SIGINT)
    ended = stream.end()
    assert ended.code == 130
    assert "Traceback" not in ended.stderr
    assert "PANIC" not in ended.stderr


def test_sigterm_for_a_worker_alone_ends_it_for_good(copied: Replica) -> None:
    stream = copied.stream()
    copied.wait_until_applied(stream)
    (pid,) = stream.worker_pids()
    os.kill(pid, signal.SIGTERM)
    assert stream.end().code == 0


def test_a_second_stream_names_the_holder(copied: Replica) -> None:
    stream = copied.stream()
    copied.wait_until_applied(stream)
    second = copied.run("stream", "--json", code=15)
    assert second.error["error"] == "locked"
    (pid,) = stream.worker_pids()
    assert str(pid) in second.error["message"]
    # The first one did not notice.
    copied.on_primary("INSERT INTO t VALUES (9)")
    copied.wait_until_applied(stream)
    assert stream.end(signal.SIGTERM).code == 0


def test_no_position_and_no_leave_to_transfer_is_an_error(replica: Replica) -> None:
    replica.on_primary("CREATE TABLE t (id INT PRIMARY KEY)", "INSERT INTO t VALUES (1)")
    refused = replica.run("stream", "--no-transfer", "--json", code=11)
    assert refused.error["error"] == "position_missing"
    assert "replica transfer --secondary db1" in refused.error["hint"]


@pytest.mark.parametrize(
    ("settings", "code"),
    [({"MARIA_PASS": "wr0ng-word"}, 12), ({"MARIA_SECONDARY_PASSWORDS": "wr0ng-word"}, 13)],
    ids=["primary", "secondary"],
)
@pytest.mark.parametrize("command", [("stream",), ("transfer",), ("stream", "--json", "-vv")], ids=" ".join)
def test_a_wrong_password_is_reported_without_showing_it(
    copied: Replica, settings: dict[str, str], code: int, command: tuple[str, ...]
) -> None:
    right = copied.environment()["MARIA_PASS"]
    if code == 12:
        settings = {**settings, "MARIA_SECONDARY_PASSWORDS": right}
    copied.settings |= settings
    ended = copied.run(*command, code=code)
    assert "wr0ng-word" not in ended.stdout + ended.stderr
    assert "1045" in ended.stderr
    assert "password" in ended.stderr.lower()


def test_the_password_is_on_no_command_line_and_in_no_output(copied: Replica) -> None:
    password = f"Very-{copied.schema}-secret"
    for server in (copied.primary, *copied.secondaries.values()):
        with server.session() as session:
            session.execute(f"CREATE USER '{copied.schema}'@'%' IDENTIFIED BY '{password}'")
            session.execute(f"GRANT ALL ON *.* TO '{copied.schema}'@'%'")
    copied.settings |= {"MARIA_USER": copied.schema, "MARIA_PASS": password}
    try:
        stream = copied.stream("-vv", "--json")
        copied.wait_until_applied(stream)
        for pid in (stream.process.pid, *stream.worker_pids()):
            assert password.encode() not in Path(f"/proc/{pid}/cmdline").read_bytes()
        ended = stream.end(signal.SIGTERM)
    finally:
        for server in (copied.primary, *copied.secondaries.values()):
            with server.session() as session:
                session.execute(f"DROP USER '{copied.schema}'@'%'")
    assert ended.code == 0
    assert password not in ended.stdout + ended.stderr


def test_until_caught_up_ends_by_itself_also_if_nothing_is_to_do(copied: Replica) -> None:
    copied.on_primary("INSERT INTO t VALUES (5)")
    place = copied.primary_end()
    ended = copied.run("stream", "--until-caught-up", "--json")
    assert ended.lines[-1]["secondaries"][0]["rows_total"] == 1
    # The requested end is reached. How much was written since is not known.
    status = [line for line in ended.lines if line["type"] == "status"][-1]
    assert (status["phase"], status["lag_seconds"]) == ("finished", None)
    assert copied.saved() >= place
    copied.run("stream", "--until-caught-up")
    copied.assert_equal()


def test_a_secondary_under_another_name_has_the_state_of_its_former_name(copied: Replica) -> None:
    copied.settings |= {"MARIA_SECONDARY_NAMES": "db01"}
    said = "state schema holds the position of db1: if that is a former name of this secondary, give it that name again"
    assert said in copied.run("stream", code=14).stderr
    assert said in copied.run("transfer", code=14).stderr
    assert said in copied.run("health", code=2).stdout
    copied.settings |= {"MARIA_SECONDARY_NAMES": "db1"}
    copied.catch_up()


def test_a_copy_under_another_name_ends_the_position_of_the_former_one(copied: Replica) -> None:
    copied.on_primary("CREATE TABLE keyless (n INT)", "INSERT INTO keyless VALUES (1)")
    copied.settings |= {"MARIA_SECONDARY_NAMES": "other"}
    done = copied.run("transfer", "--restart", "--secondary", "other", "--yes")
    assert "the position of db1 is deleted" in done.stderr
    assert copied.state("SELECT instance FROM binlog_position") == [("other",)]
    # What is in the copy already would come once more under the former name.
    copied.settings |= {"MARIA_SECONDARY_NAMES": "db1"}
    assert "the state schema holds the position of other" in copied.run("stream", "--until-caught-up", code=14).stderr
    copied.settings |= {"MARIA_SECONDARY_NAMES": "other"}
    copied.run("stream", "--until-caught-up")
    copied.assert_equal()


def test_a_server_that_is_named_twice_has_one_writer(copied: Replica) -> None:
    stream = copied.stream()
    copied.wait_until_applied(stream)
    copied.settings |= {"MARIA_SECONDARY_NAMES": "other"}
    for command in (("transfer", "--restart", "--secondary", "other", "--yes"), ("stream", "--standby")):
        refused = copied.run(*command, code=15)
        assert "other: another process writes the same tables on this server, as another instance" in refused.stderr
    copied.settings |= {"MARIA_SECONDARY_NAMES": "db1"}
    copied.on_primary("INSERT INTO t VALUES (9)")
    copied.wait_until_applied(stream)
    assert stream.end(signal.SIGTERM).code == 0
    copied.assert_equal()


def test_an_unreachable_secondary_is_waited_for(copied: Replica) -> None:
    copied.settings |= {"REPLICA_RECONNECT_ATTEMPTS": "2", "MARIA_SECONDARY_PORTS": "1"}
    assert "[RECONNECT]" in copied.run("stream", code=13).stderr
