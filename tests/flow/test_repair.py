"""`replica verify repair` writes the primary's rows of now through the stream, and nothing else."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from tests.flow.test_verify import fill, plant, run, started, verdicts, write
from tests.support.command import Load, wait_until

if TYPE_CHECKING:
    from replica_cli.mysql.session import Session
    from tests.support.command import Replica

pytestmark = pytest.mark.every_flavour

REPAIR = ("verify", "repair", "--yes", "--all")


def plant_more(session: Session) -> None:
    """Make differences in many rows."""
    plant(session)
    session.execute("UPDATE item SET name = CONCAT(name, ' ') WHERE id % 9 = 0")
    session.execute("DELETE FROM line WHERE number % 11 = 0")
    session.execute("UPDATE line SET note = NULL WHERE number % 13 = 0")


@pytest.mark.parametrize("way", ["streaming", "stopped"])
def test_every_difference_is_repaired_while_rows_are_written(replica: Replica, way: str) -> None:
    stream = started(replica)
    with replica.secondaries["db1"].session(replica.schema) as session:
        plant(session)
    if way == "stopped":
        stream.end(signal.SIGTERM)
    load = Load(replica.primary, replica.schema, write)
    try:
        run(replica, code=3)
        (report,) = replica.run(*REPAIR, "--json").document["secondaries"]
        assert sum(t["written"] for t in report["tables"]) >= 7, report
        assert all(t["refused"] == 0 for t in report["tables"])
        assert verdicts(replica, code=0) == {}
    finally:
        load.stop()
    if way == "streaming":
        stream.end(signal.SIGTERM)
    replica.catch_up()
    replica.assert_equal()


def test_a_repair_that_is_killed_goes_on_and_changes_nothing_else(replica: Replica) -> None:
    stream = started(replica)
    with replica.secondaries["db1"].session(replica.schema) as session:
        plant_more(session)
    load = Load(replica.primary, replica.schema, write)
    try:
        run(replica, "--max-differences", "0", code=3)
        for _ in range(3):
            repair = replica.start(*REPAIR)
            wait_until(lambda: replica.state("SELECT COUNT(*) FROM repair_log")[0][0] > 0, "some repaired rows")
            stream.kill_all()
            repair.kill_all()
            stream = replica.stream()
        replica.run(*REPAIR)
        assert verdicts(replica, "--restart", code=0) == {}
    finally:
        load.stop()
    stream.end(signal.SIGTERM)
    replica.catch_up()
    replica.assert_equal()
    replica.assert_nothing_is_noted()


def test_only_one_kind_of_one_table_is_repaired(replica: Replica) -> None:
    stream = started(replica)
    with replica.secondaries["db1"].session(replica.schema) as session:
        plant(session)
    run(replica, code=3)
    plan = replica.run("verify", "repair", "--dry-run", "--only", "missing", "--table", f"{replica.schema}.item")
    assert "insert" in plan.stdout
    replica.run(*REPAIR, "--only", "missing", "--table", f"{replica.schema}.item")
    assert verdicts(replica, code=3)["item"] == (0, 1, 2)
    stream.end(signal.SIGTERM)


def test_a_difference_that_has_vanished_is_said_so(replica: Replica) -> None:
    stream = started(replica)
    with replica.secondaries["db1"].session(replica.schema) as session:
        session.execute("UPDATE item SET name = 'changed' WHERE id = 5")
        run(replica, code=3)
        session.execute("UPDATE item SET name = 'item 5' WHERE id = 5")
    (report,) = replica.run(*REPAIR, "--json").document["secondaries"]
    assert [(t["written"], t["vanished"], t["refused"]) for t in report["tables"]] == [(0, 1, 0)]
    stream.end(signal.SIGTERM)


def test_a_row_that_cannot_be_written_is_refused_and_stays_known(replica: Replica) -> None:
    replica.on_primary("CREATE TABLE mail (id INT PRIMARY KEY, address VARCHAR(40) UNIQUE)")
    fill(replica)
    replica.on_primary("INSERT INTO mail VALUES (1, 'a'), (2, 'b'), (3, 'c')")
    replica.run("transfer")
    stream = replica.stream()
    with replica.secondaries["db1"].session(replica.schema) as session:
        # Row 9 has the address of row 1. As long as it is not repaired too, row 1 cannot be written.
        session.execute("DELETE FROM mail WHERE id = 1")
        session.execute("INSERT INTO mail VALUES (9, 'a')")
        session.execute("UPDATE mail SET address = 'x' WHERE id = 3")
    run(replica, code=3)
    (report,) = replica.run(*REPAIR, "--only", "missing", "--only", "differs", "--json", code=14).document[
        "secondaries"
    ]
    (table,) = report["tables"]
    assert (table["written"], table["refused"]) == (1, 1)
    assert "Duplicate entry" in table["reason"]
    replica.run(*REPAIR)
    assert verdicts(replica, code=0) == {}
    stream.end(signal.SIGTERM)


def test_a_quarantined_table_is_left_out(replica: Replica) -> None:
    stream = started(replica)
    with replica.secondaries["db1"].session(replica.schema) as session:
        session.execute("UPDATE item SET name = 'changed' WHERE id = 5")
        run(replica, code=3)
        session.execute("DELETE FROM item WHERE id = 6")
    replica.on_primary("UPDATE item SET n = 0 WHERE id = 6")
    wait_until(
        lambda: replica.state("SELECT COUNT(*) FROM table_state WHERE state = 'quarantined'")[0][0] == 1, "a quarantine"
    )
    plan = replica.run("verify", "repair", "--dry-run")
    assert "transfer --table" in plan.stdout
    ended = replica.run(*REPAIR, code=14)
    assert "quarantined" in ended.stdout
    stream.end(signal.SIGTERM)
