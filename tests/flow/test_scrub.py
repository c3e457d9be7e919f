"""A stream with REPLICA_VERIFY_RATE proves its tables again and again, and says what differs."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from tests.flow.test_verify import fill, write
from tests.support.command import Load, wait_until

if TYPE_CHECKING:
    from tests.support.command import Replica


def test_the_scrub_proves_all_tables_names_what_differs_and_forgets_what_is_equal_again(replica: Replica) -> None:
    replica.settings["REPLICA_VERIFY_RATE"] = "20000"
    fill(replica)
    replica.run("transfer")
    stream = replica.stream()
    load = Load(replica.primary, replica.schema, write)
    try:
        wait_until(lambda: replica.state("SELECT COUNT(*) FROM verify_run WHERE is_done = 1")[0][0], "a whole cycle")
        with replica.secondaries["db1"].session(replica.schema) as session:
            session.execute("UPDATE item SET name = 'changed' WHERE id = 5")
            wait_until(lambda: replica.state("SELECT COUNT(*) FROM verify_difference")[0][0] == 1, "a difference")
            assert "1 row differ" in replica.run("health", "--quiet", code=1).stdout
            session.execute("UPDATE item SET name = 'item 5' WHERE id = 5")
            wait_until(lambda: replica.state("SELECT COUNT(*) FROM verify_difference")[0][0] == 0, "no difference")
    finally:
        load.stop()
    assert "no row is known to differ" in replica.run("verify", "show").stdout
    stream.end(signal.SIGTERM)


def test_a_command_goes_first(replica: Replica) -> None:
    replica.settings["REPLICA_VERIFY_RATE"] = "1000"
    fill(replica)
    replica.run("transfer")
    stream = replica.stream()
    wait_until(
        lambda: replica.state("SELECT COUNT(*) FROM verify_range")[0][0] > 0, "a range that the scrub has proven"
    )
    replica.run("verify", "run")
    assert "no row is known to differ" in replica.run("verify", "show").stdout
    stream.end(signal.SIGTERM)


def test_too_old_proofs_are_a_warning(replica: Replica) -> None:
    replica.settings["REPLICA_VERIFY_MAX_AGE"] = "1s"
    fill(replica)
    replica.run("transfer")
    stream = replica.stream()
    assert "no rows were compared yet" in replica.run("health", code=1).stdout
    replica.run("verify", "run")
    wait_until(lambda: "more than 1.0s" in replica.start("health").end().stdout, "a warning", 30)
    stream.end(signal.SIGTERM)
