"""A re-sync of a table: the stream goes on with all others, whatever happens meanwhile."""

from __future__ import annotations

import random
import signal
from typing import TYPE_CHECKING

import pytest

from tests.support.command import Load, wait_until

if TYPE_CHECKING:
    from replica_cli.mysql.session import Session
    from tests.support.command import Replica, Running


def make_large(replica: Replica, rows: int = 300_000) -> None:
    replica.settings |= {"TRANSFER_BATCH_SIZE": "10", "REPLICA_TRANSFER_WORKERS": "1"}
    replica.on_primary(
        "CREATE TABLE digits (id INT PRIMARY KEY)",
        "INSERT INTO digits VALUES " + ",".join(f"({n})" for n in range(100)),
        "CREATE TABLE other (id INT PRIMARY KEY, n INT NOT NULL)",
        "INSERT INTO other VALUES (0, 0)",
        "CREATE TABLE large (id INT PRIMARY KEY, n INT NOT NULL)",
        "INSERT INTO large SELECT a.id * 10000 + b.id * 100 + c.id, 0 FROM digits a, digits b, digits c"
        f" WHERE a.id < {rows // 10_000}",
    )
    replica.run("transfer")


def work(session: Session) -> None:
    number = random.randrange(100_000)
    session.execute(f"UPDATE large SET n = n + 1 WHERE id MOD 997 = {number % 997}")
    session.execute(f"UPDATE large SET id = id + 1000000 WHERE id = {number}")
    session.execute(f"DELETE FROM large WHERE id = {random.randrange(100_000)}")
    session.execute(f"INSERT INTO large (id, n) VALUES ({random.randrange(2_000_000, 2_000_000_000)}, 0)")
    session.execute("UPDATE other SET n = n + 1")


def arrives(replica: Replica, number: int) -> None:
    """Write to another table and wait for it on the secondary, whatever is copied there meanwhile."""
    replica.on_primary(f"INSERT INTO other VALUES ({number}, 0)")
    wait_until(
        lambda: replica.on_secondary(f"SELECT id FROM other WHERE id = {number}") == [(number,)], "the other row"
    )


def is_copying(replica: Replica) -> bool:
    return bool(replica.state("SELECT 1 FROM table_state WHERE state IN ('pending', 'copying', 'joining')"))


def has_told_rows(copying: Running) -> bool:
    statuses = (line for line in copying.lines if line["type"] == "status" and line["transfer"])
    return any(table["rows_copied"] for line in statuses for table in line["transfer"]["tables"])


def copy_under_load(replica: Replica) -> tuple[Running, Load, Running]:
    """Begin a copy of `large` beside a stream, while rows change; return the stream, the changes and the command."""
    make_large(replica)
    stream = replica.stream()
    replica.wait_until_applied(stream)
    load = Load(replica.primary, replica.schema, work)
    copying = replica.start("transfer", "--secondary", "db1", "--table", f"{replica.schema}.large", "--yes")
    return stream, load, copying


def finish(replica: Replica, stream: Running) -> None:
    wait_until(lambda: not is_copying(replica), "the table to join")
    replica.wait_until_applied(stream)
    wait_until(lambda: replica.state("SELECT * FROM table_state") == [], "the replay window to close")
    replica.on_primary("UPDATE large SET n = n + 1 WHERE id MOD 10 = 0")
    replica.wait_until_applied(stream)
    assert stream.end(signal.SIGTERM).code == 0
    replica.assert_equal()


def test_the_other_tables_stream_on_while_one_is_copied_again(replica: Replica) -> None:
    make_large(replica)
    stream = replica.stream()
    replica.wait_until_applied(stream)
    load = Load(replica.primary, replica.schema, work)
    copying = replica.start("transfer", "--secondary", "db1", "--table", f"{replica.schema}.large", "--yes", "--json")
    stream.wait_for_log("1 table to copy")
    # Some chunks: the rows of the last one may be counted only after the next one.
    replica.wait_until_copied("large", 50)
    with replica.secondaries["db1"].session(database=replica.schema) as session:
        # The copy waits as long as this lock is held; everything else must go on.
        session.execute("LOCK TABLES large WRITE")
        for number in range(1, 4):
            arrives(replica, number)
        assert is_copying(replica)
        # The stream makes the copy; the command that requested it follows it, and reports its rows at the end.
        wait_until(lambda: has_told_rows(copying), "rows of the copy")
        assert copying.is_running
    ended = copying.end()
    assert ended.code == 0
    load.stop()
    statuses = [line for line in ended.lines if line["type"] == "status"]
    assert (statuses[-1]["phase"], ended.lines[-1]["type"]) == ("finished", "summary")
    assert ended.lines[-1]["secondaries"][0]["rows"] > 270_000
    finish(replica, stream)
    assert "[RECONNECT]" not in stream.stderr


@pytest.mark.parametrize("moment", ["copying", "joining"])
def test_killed_during_a_re_sync(replica: Replica, moment: str) -> None:
    stream, load, copying = copy_under_load(replica)
    wait_until(lambda: replica.state(f"SELECT 1 FROM table_state WHERE state = '{moment}'"), moment)
    stream.kill_all()
    replica.on_primary("UPDATE other SET n = n + 1")
    again = replica.stream()
    assert copying.end().code == 0
    load.stop()
    finish(replica, again)


def test_a_table_altered_during_its_re_sync(replica: Replica) -> None:
    stream, load, copying = copy_under_load(replica)
    replica.wait_until_copied("large")
    with replica.secondaries["db1"].session(database=replica.schema) as session:
        session.execute("LOCK TABLES large WRITE")
        replica.on_primary("ALTER TABLE large ADD word VARCHAR(10) NOT NULL DEFAULT 'x' FIRST")
        arrives(replica, 1)
    load.stop()
    assert copying.end().code == 0
    finish(replica, stream)


def test_tables_tied_by_a_foreign_key_are_copied_while_the_stream_waits(replica: Replica) -> None:
    replica.on_primary(
        "CREATE TABLE large (id INT PRIMARY KEY, n INT NOT NULL)",
        "INSERT INTO large VALUES (1, 0), (2, 0)",
        "CREATE TABLE child (id INT PRIMARY KEY, large INT, FOREIGN KEY (large) REFERENCES large (id))",
        "CREATE TABLE other (id INT PRIMARY KEY, n INT NOT NULL)",
    )
    replica.run("transfer")
    stream = replica.stream()
    replica.wait_until_applied(stream)

    def relate(session: Session) -> None:
        number = random.randrange(3, 2_000_000_000)
        session.execute(f"INSERT IGNORE INTO large VALUES ({number}, 0)")
        session.execute(f"INSERT IGNORE INTO child VALUES ({number}, {number})")

    load = Load(replica.primary, replica.schema, relate)
    replica.run("transfer", "--secondary", "db1", "--table", f"{replica.schema}.large", "--yes")
    load.stop()
    assert "catching up with the stream" not in stream.stderr
    finish(replica, stream)


def test_a_prepared_transaction_makes_the_stream_wait_for_the_copy(replica: Replica) -> None:
    make_large(replica, 20_000)
    stream = replica.stream()
    replica.wait_until_applied(stream)
    with replica.primary.session(database=replica.schema) as session:
        session.execute("XA START 'x'")
        session.execute("UPDATE large SET n = 77 WHERE id < 10")
        session.execute("XA END 'x'")
        session.execute("XA PREPARE 'x'")
        copying = replica.start("transfer", "--secondary", "db1", "--table", f"{replica.schema}.large", "--yes")
        stream.wait_for_log("tables? to copy")
        session.execute("XA COMMIT 'x'")
    assert copying.end().code == 0
    finish(replica, stream)


def test_a_pause_during_a_re_sync(replica: Replica) -> None:
    stream, load, copying = copy_under_load(replica)
    replica.wait_until_copied("large")
    replica.run("pause")
    before = replica.state("SELECT range_number, last_key FROM transfer_progress"), replica.saved()
    replica.on_primary("INSERT INTO other VALUES (77, 0)")
    assert (replica.state("SELECT range_number, last_key FROM transfer_progress"), replica.saved()) == before
    replica.run("resume")
    assert copying.end().code == 0
    load.stop()
    finish(replica, stream)


@pytest.mark.parametrize("state", ["copying", "joining"])
def test_a_stop_ends_a_re_sync_whose_table_is_locked(replica: Replica, state: str) -> None:
    make_large(replica, 20_000)
    stream = replica.stream()
    replica.wait_until_applied(stream)
    load = Load(replica.primary, replica.schema, work)
    copying = replica.start("transfer", "--secondary", "db1", "--table", f"{replica.schema}.large", "--yes")
    wait_until(lambda: replica.state(f"SELECT 1 FROM table_state WHERE state = '{state}'"), state)
    if state == "copying":
        replica.wait_until_copied("large")
    with replica.secondaries["db1"].session(database=replica.schema) as session:
        session.execute("LOCK TABLES large WRITE")
        arrives(replica, 1)
        # Ten seconds at most, with room for a busy machine.
        assert stream.end(signal.SIGTERM, patience_seconds=20).code == 0
    load.stop()
    again = replica.stream()
    assert copying.end().code == 0
    finish(replica, again)


def test_a_joining_table_that_keeps_failing_is_set_aside_and_the_others_never_notice(replica: Replica) -> None:
    replica.settings |= {"REPLICA_TABLE_FAILURES": "2"}
    make_large(replica, 20_000)
    stream = replica.stream()
    replica.wait_until_applied(stream)
    load = Load(replica.primary, replica.schema, work)
    copying = replica.start("transfer", "--secondary", "db1", "--table", f"{replica.schema}.large", "--yes")
    replica.wait_until_copied("large", 1000)
    # Each change of the load changes some of these rows, also after the copy's window.
    replica.on_secondary("DELETE FROM large WHERE id < 1000")
    stream.wait_for_log(r"\[FAILURE\] \[db1\] .*1/2")
    stream.wait_for_log(r"\[SKIPPED\] \[db1\] .*large")
    assert "has joined" not in stream.stderr
    assert "[RECONNECT]" not in stream.stderr
    assert copying.end().code == 1
    load.stop()
    replica.wait_until_applied(stream)
    ((state, reason),) = replica.state("SELECT state, reason FROM table_state")
    assert state == "quarantined"
    assert "not found" in reason
    replica.run("transfer", "--secondary", "db1", "--table", f"{replica.schema}.large", "--yes")
    finish(replica, stream)


def test_a_table_requested_during_another_re_sync_is_copied_too(replica: Replica) -> None:
    make_large(replica, 20_000)
    replica.on_primary("CREATE TABLE second LIKE large", "INSERT INTO second SELECT * FROM large")
    stream = replica.stream()
    replica.wait_until_applied(stream)

    def both(session: Session) -> None:
        work(session)
        session.execute(f"UPDATE second SET n = n + 1 WHERE id MOD 997 = {random.randrange(997)}")

    load = Load(replica.primary, replica.schema, both)
    first = replica.start("transfer", "--secondary", "db1", "--table", f"{replica.schema}.large", "--yes")
    replica.wait_until_copied("large")
    second = replica.start("transfer", "--secondary", "db1", "--table", f"{replica.schema}.second", "--yes")
    assert (first.end().code, second.end().code) == (0, 0)
    load.stop()
    finish(replica, stream)


@pytest.mark.servers("mysql")
@pytest.mark.every_flavour
@pytest.mark.parametrize("is_busy", [False, True])
def test_a_copy_whose_position_is_only_a_gtid_set_is_handed_over(replica: Replica, *, is_busy: bool) -> None:
    # The grants of docs/accounts.md have no BACKUP_ADMIN: MySQL does not say which position of its log is visible.
    password = "a-Long-enough-1"  # a throw-away server on the loopback interface
    for server in (replica.primary, *replica.secondaries.values()):
        with server.session() as session:
            session.execute(f"CREATE USER '{replica.schema}'@'%' IDENTIFIED BY '{password}'")
            session.execute(f"GRANT ALL ON *.* TO '{replica.schema}'@'%'")
            session.execute(f"REVOKE BACKUP_ADMIN ON *.* FROM '{replica.schema}'@'%'")
    replica.settings |= {"MARIA_USER": replica.schema, "MARIA_PASS": password}
    make_large(replica, 20_000)
    stream = replica.stream()
    replica.wait_until_applied(stream)
    load = Load(replica.primary, replica.schema, work) if is_busy else None
    replica.run("transfer", "--secondary", "db1", "--table", f"{replica.schema}.large", "--yes")
    if load is not None:
        load.stop()
    finish(replica, stream)
