"""`position reset` in all its forms, and what the next stream does."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from replica_cli.sandbox.process import free_port

if TYPE_CHECKING:
    from tests.support.command import Replica

YES = ("--secondary", "db1", "--yes")


@pytest.fixture
def copied(replica: Replica) -> Replica:
    replica.on_primary("CREATE TABLE t (id INT PRIMARY KEY)", "INSERT INTO t VALUES (1)")
    replica.run("transfer")
    return replica


def ids(replica: Replica) -> list[int]:
    return [row[0] for row in replica.on_secondary("SELECT id FROM t ORDER BY id")]


def test_reset_to_a_position_the_stream_goes_on_after_it(copied: Replica) -> None:
    copied.on_primary("INSERT INTO t VALUES (2)")
    file, pos = copied.primary_end()
    copied.on_primary("INSERT INTO t VALUES (3)")
    before = copied.saved()
    dry = copied.run("position", "reset", "--to", f"{file}:{pos}", "--secondary", "db1", "--dry-run", "--json").document
    assert dry["is_dry_run"]
    assert (dry["plans"][0]["after"]["file"], dry["plans"][0]["after"]["pos"]) == (file, pos)
    assert copied.saved() == before
    copied.run("position", "reset", "--to", f"{file}:{pos}", *YES)
    assert copied.saved() == (file, pos)
    copied.catch_up()
    assert ids(copied) == [1, 3]


def test_reset_to_an_older_position_existing_rows_are_refused(copied: Replica) -> None:
    copied.catch_up()
    file, pos = copied.primary_end()
    copied.on_primary("INSERT INTO t VALUES (2)")
    copied.catch_up()
    copied.settings |= {"REPLICA_TABLE_FAILURES": "1", "REPLICA_ON_TABLE_FAILURE": "stop"}
    copied.run("position", "reset", "--to", f"{file}:{pos}", *YES)
    # A second application is never passed over in silence.
    assert copied.run("stream", "--until-caught-up", "--json", code=14).error["error"] == "row_exists"


def test_a_position_inside_a_transaction_or_outside_of_the_log_is_refused(copied: Replica) -> None:
    file, pos = copied.saved()
    copied.on_primary("INSERT INTO t VALUES (2)")
    for place, code in ((f"{file}:{pos + 1}", 2), (f"{file}:999999999", 11), ("binlog.999999:4", 11), ("nonsense", 2)):
        copied.run("position", "reset", "--to", place, *YES, code=code)
    assert copied.saved() == (file, pos)
    copied.catch_up()
    copied.assert_equal()


def test_reset_to_current_leaves_out_the_changes_between(copied: Replica) -> None:
    copied.on_primary("INSERT INTO t VALUES (2)")
    copied.run("position", "reset", "--to-current", *YES)
    assert copied.saved() == copied.primary_end()
    copied.on_primary("INSERT INTO t VALUES (3)")
    copied.catch_up()
    assert ids(copied) == [1, 3]


def test_to_a_gtid_set(copied: Replica) -> None:
    copied.on_primary("INSERT INTO t VALUES (2)")
    shown = copied.run("position", "show", "--json").document["secondaries"][0]
    copied.on_primary("INSERT INTO t VALUES (3)")
    copied.run("position", "reset", "--gtid", shown["primary"]["gtid"], *YES)
    copied.catch_up()
    assert ids(copied) == [1, 3]


def test_after_forget_the_next_stream_makes_a_first_copy(copied: Replica) -> None:
    copied.on_secondary("DELETE FROM t")
    copied.on_primary("INSERT INTO t VALUES (2)")
    copied.run("position", "reset", "--all", "--yes")
    assert copied.saved() == ("", 0)
    copied.run("stream", "--no-transfer", code=11)
    copied.catch_up()
    copied.assert_equal()
    copied.assert_nothing_is_noted()


@pytest.mark.parametrize("words", [(), ("--to-current",), ("--to",)], ids=str)
def test_without_a_terminal_it_needs_a_yes_and_a_target(copied: Replica, words: tuple[str, ...]) -> None:
    before = copied.saved()
    target = (*words, "{}:{}".format(*copied.primary_end())) if words == ("--to",) else words
    assert "--yes" in copied.run("position", "reset", *target, "--secondary", "db1", code=2).stderr
    assert "--secondary" in copied.run("position", "reset", *target, "--yes", code=2).stderr
    assert copied.saved() == before


def test_refused_while_a_stream_runs(copied: Replica) -> None:
    stream = copied.stream()
    copied.wait_until_applied(stream)
    for target in ((), ("--to-current",)):
        refused = copied.run("position", "reset", *target, *YES, code=15)
        assert "stop it" in refused.stderr
    copied.on_primary("INSERT INTO t VALUES (2)")
    copied.wait_until_applied(stream)
    assert stream.end(signal.SIGTERM).code == 0
    copied.run("position", "reset", "--to-current", *YES)
    copied.catch_up()
    copied.assert_equal()


@pytest.mark.parametrize(
    ("away", "code", "said"),
    [
        (("MARIA_PRIMARY_PORT",), 12, ("db1  finished", "primary  unreachable: ", "lag      unknown\n")),
        (("MARIA_SECONDARY_PORTS",), 13, ("db1  unreachable", "saved    unreachable: ", "lag      unknown\n")),
        (("MARIA_PRIMARY_PORT", "MARIA_SECONDARY_PORTS"), 12, ("db1  unreachable", "primary  unreachable: ")),
    ],
)
def test_a_server_that_does_not_answer_is_unreachable_and_nothing_of_it_is_none(
    copied: Replica, away: tuple[str, ...], code: int, said: tuple[str, ...]
) -> None:
    copied.settings |= {name: str(free_port()) for name in away}
    shown = copied.run("position", "show", code=code)
    for text in said:
        assert text in f"{shown.stdout}\n"
    assert "none" not in shown.stdout
    assert shown.stderr.count("error: ") == len(away)
    document = copied.run("position", "show", "--json", code=code).document["secondaries"][0]
    assert bool(document["primary_failure"]) == (document["primary"] is None) == ("MARIA_PRIMARY_PORT" in away)
    assert bool(document["failure"]) == (document["saved"] is None) == ("MARIA_SECONDARY_PORTS" in away)


def test_shown_distance_shrinks_to_nothing(copied: Replica) -> None:
    copied.on_primary("INSERT INTO t VALUES (2)")
    shown = copied.run("position", "show", "--json").document["secondaries"][0]
    file, pos = copied.primary_end()
    saved = copied.saved()
    assert (shown["saved"]["file"], shown["saved"]["pos"]) == saved
    assert (shown["primary"]["file"], shown["primary"]["pos"]) == (file, pos)
    assert shown["distance_bytes"] == pos - saved[1] > 0
    copied.catch_up()
    assert copied.run("position", "show", "--json").document["secondaries"][0]["distance_bytes"] == 0
