"""The steps of docs/operations/ that no other test runs: seeding, and a secondary that becomes the primary."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.support.command import Replica

ROWS = "CREATE TABLE t (id INT PRIMARY KEY, n INT)", "INSERT INTO t VALUES (1, 1), (2, 2)"


def test_a_secondary_is_seeded_from_a_backup_and_nothing_is_copied(replica: Replica) -> None:
    replica.on_primary(*ROWS)
    file, pos = replica.primary_end()
    # What a restored backup holds: the primary's rows as of the position, and a trigger.
    with replica.secondaries["db1"].session() as session:
        session.execute(f"CREATE DATABASE `{replica.schema}`")
        session.execute(f"USE `{replica.schema}`")
        for statement in (*ROWS, "CREATE TRIGGER kept BEFORE INSERT ON t FOR EACH ROW SET NEW.n = 0"):
            session.execute(statement)
    replica.on_primary("INSERT INTO t VALUES (3, 3)", "UPDATE t SET n = n + 1")
    words = ("position", "reset", "--secondary", "db1", "--to", f"{file}:{pos}")
    replica.run(*words, "--dry-run")
    replica.run(*words, "--yes")
    drift = replica.run("drift", "check", "--secondary", "db1", "--sql", code=3).stdout
    assert "DROP TRIGGER" in drift
    replica.on_secondary("DROP TRIGGER kept")
    replica.run("drift", "check", "--secondary", "db1")
    ended = replica.catch_up()
    assert "[TRANSFER]" not in ended.stderr
    replica.assert_equal()
    replica.assert_nothing_is_noted()


def test_a_secondary_becomes_the_primary_of_the_others(two_secondaries: Replica) -> None:
    replica = two_secondaries
    replica.on_primary(*ROWS)
    replica.catch_up()
    promoted = replica.secondaries.pop("db2")
    replica.primary = promoted
    words = ("position", "reset", "--to-current", "--secondary", "db1")
    (plan,) = json.loads(replica.run(*words, "--dry-run", "--json").stdout)["plans"]
    assert any("nothing is copied" in warning for warning in plan["warnings"])
    replica.run(*words, "--yes")
    replica.run("drift", "check", "--secondary", "db1")
    stream = replica.stream()
    replica.on_primary("INSERT INTO t VALUES (3, 3)", "UPDATE t SET n = n + 1")
    replica.wait_until_applied(stream)
    assert stream.end(signal.SIGTERM).code == 0
    replica.assert_equal()
