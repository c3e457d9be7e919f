"""`replica verify run` proves that rows are equal while both servers are in use, and names each row that differs."""

from __future__ import annotations

import itertools
import random
import signal
import time
from typing import TYPE_CHECKING, Any

import pytest

from replica_cli.config.loading import load_settings
from replica_cli.core.requests.verify import VerifyRequest
from replica_cli.service.verify import SilentVerify, verify_each
from replica_cli.stop import StopToken
from replica_cli.verify import pairs
from tests.support.command import Load, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterable

    from replica_cli.core.names import TableName
    from replica_cli.mysql.session import Session
    from tests.support.command import Replica, Running

pytestmark = pytest.mark.every_flavour

_ROWS = 3000
_TABLES = (
    "CREATE TABLE item (id INT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(40), price DECIMAL(9,2), weight DOUBLE, n INT)",
    "CREATE TABLE line (code VARCHAR(20), number INT, note TEXT, PRIMARY KEY (code, number))",
    "CREATE TABLE event (kind INT, text VARCHAR(30), at DATETIME(3))",
)


def fill(replica: Replica) -> None:
    replica.on_primary(*_TABLES)
    with replica.primary.session(replica.schema) as session:
        numbers = range(1, _ROWS + 1)
        session.execute(
            "INSERT INTO item (name, price, weight, n) VALUES "
            + ",".join(f"('item {i}',{i}.25,{i / 7},{i})" for i in numbers)
        )
        session.execute("INSERT INTO line VALUES " + ",".join(f"('c{i % 50}',{i},'note {i}')" for i in numbers))
        session.execute(
            "INSERT INTO event VALUES " + ",".join(f"({i % 700},'event {i % 700}','2026-01-01')" for i in numbers)
        )


def fill_family(replica: Replica) -> None:
    replica.on_primary(
        "CREATE TABLE parent (id INT PRIMARY KEY)",
        "CREATE TABLE child (id INT PRIMARY KEY, parent INT, n INT,"
        " FOREIGN KEY (parent) REFERENCES parent (id) ON DELETE CASCADE)",
    )
    with replica.primary.session(replica.schema) as session:
        session.execute("INSERT INTO parent VALUES " + ",".join(f"({i})" for i in range(2000)))
        session.execute("INSERT INTO child VALUES " + ",".join(f"({i},{i % 2000},0)" for i in range(8000)))


def snapshots(session: Session) -> int:
    """Return how many transactions were begun on a server."""
    row = session.row("SHOW GLOBAL STATUS LIKE 'Com_begin'")
    assert row is not None
    return int(str(row[1]))


def write(session: Session) -> None:
    """Change a hot row, rows everywhere, and the table without a key.

    It leaves the rows that `plant` changes alone, except for the hot one: the stream refuses a change of a missing row.
    """
    i = random.randrange(100, _ROWS)
    session.execute("UPDATE item SET n = n + 1 WHERE id = 77")
    session.execute(f"UPDATE item SET price = price + 1 WHERE id = {i}")
    session.execute(
        f"INSERT INTO line VALUES ('new', {random.getrandbits(30)}, 'x') ON DUPLICATE KEY UPDATE note = 'y'"
    )
    session.execute(f"UPDATE event SET text = CONCAT('e', {i}) WHERE kind = {100 + i % 600} LIMIT 1")


def plant(session: Session) -> None:
    """Make differences on the secondary: of each kind, and in the hot row.

    A running stream corrects the hot row with the primary's next change of it.
    """
    session.execute("UPDATE item SET name = 'Item 5' WHERE id = 5")
    session.execute("UPDATE item SET name = 'changed' WHERE id = 77")
    session.execute("DELETE FROM item WHERE id = 1")
    session.execute("INSERT INTO item VALUES (900001, 'x', 1, 1, 1)")
    session.execute("UPDATE line SET note = CONCAT(note, ' ') WHERE code = 'c7' AND number = 57")
    session.execute("DELETE FROM event WHERE kind = 9 LIMIT 1")
    session.execute("INSERT INTO event VALUES (1, 'x', NULL), (1, 'x', NULL)")


PLANTED = {"item": (1, 1, 2), "line": (0, 0, 1), "event": (1, 2, 0)}


def verdicts(replica: Replica, *words: str, code: int) -> dict[str, tuple[int, int, int]]:
    summary = run(replica, *words, code=code)[-1]
    (secondary,) = summary["secondaries"]
    return {
        t["table"].partition(".")[2]: (t["missing"], t["extra"], t["differs"])
        for t in secondary["tables"]
        if not t["is_equal"]
    }


def run(replica: Replica, *words: str, code: int) -> list[Any]:
    return replica.run("verify", "run", "--json", *words, code=code).lines


def started(replica: Replica) -> Running:
    fill(replica)
    replica.run("transfer")
    return replica.stream()


def test_equal_rows_are_proven_equal_while_rows_are_written(replica: Replica) -> None:
    stream = started(replica)
    load = Load(replica.primary, replica.schema, write)
    try:
        for _ in range(3):
            assert verdicts(replica, code=0) == {}
    finally:
        load.stop()
    stream.end(signal.SIGTERM)


def test_each_planted_difference_is_named_while_rows_are_written(replica: Replica) -> None:
    stream = started(replica)
    with replica.secondaries["db1"].session(replica.schema) as session:
        plant(session)
    load = Load(replica.primary, replica.schema, write)
    try:
        lines = run(replica, code=3)
    finally:
        load.stop()
    rows = [x for x in lines if x["type"] == "difference"]
    keys = {(x["table"].partition(".")[2], x["kind"], *x["key"].values()) for x in rows if x["key"]}
    assert {k[:3] for k in keys} == {
        ("item", "differs", "5"),
        ("item", "missing", "1"),
        ("item", "extra", "900001"),
        ("line", "differs", "_utf8mb4 x'6337'"),
    }
    assert next(x["columns"] for x in rows if x["key"].get("id") == "5") == ["name"]
    assert sorted((x["kind"], x["rows"]) for x in rows if x["hash"]) == [("extra", 2), ("missing", 1)]
    stream.end(signal.SIGTERM)


@pytest.mark.parametrize("way", ["stopped", "paused"])
def test_a_stream_that_does_not_move_does_not_matter(replica: Replica, way: str) -> None:
    stream = started(replica)
    with replica.secondaries["db1"].session(replica.schema) as session:
        plant(session)
    if way == "stopped":
        stream.end(signal.SIGTERM)
    else:
        replica.run("pause")
    load = Load(replica.primary, replica.schema, write)
    try:
        wait_until(lambda: load.rounds > 50, "fifty changes")
        assert verdicts(replica, code=3) == PLANTED
    finally:
        load.stop()
    if way == "paused":
        replica.run("resume")
        stream.end(signal.SIGTERM)


def test_a_killed_run_goes_on_where_it_was(replica: Replica) -> None:
    started(replica).end(signal.SIGTERM)
    slow = replica.start("verify", "run", "--rate", "300")
    wait_until(lambda: replica.state("SELECT COUNT(*) FROM verify_range")[0][0] > 2, "some proven ranges")
    slow.kill_all()
    refused = replica.run("verify", "run", code=11)
    assert "--resume" in refused.stderr
    before = int(replica.state("SELECT SUM(row_count) FROM verify_range")[0][0])
    (summary,) = run(replica, "--resume", code=0)[-1:]
    (secondary,) = summary["secondaries"]
    assert sum(t["rows"] for t in secondary["tables"]) == 3 * _ROWS > before
    shown = replica.run("verify", "show")
    assert "no row is known to differ" in shown.stdout


def test_two_runs_exclude_each_other(replica: Replica) -> None:
    started(replica).end(signal.SIGTERM)
    slow = replica.start("verify", "run", "--rate", "300")
    wait_until(lambda: replica.state("SELECT COUNT(*) FROM verify_run")[0][0] > 0, "a run")
    assert "another process compares its rows" in replica.run("verify", "run", "--restart", code=15).stderr
    assert slow.end(signal.SIGINT).code == 130


def test_without_a_saved_position_nothing_is_said_to_be_equal(replica: Replica) -> None:
    fill(replica)
    assert "replica transfer" in replica.run("verify", "run", code=11).stderr


def test_a_table_that_is_altered_meanwhile_is_compared_with_its_new_columns(replica: Replica) -> None:
    stream = started(replica)
    slow = replica.start("verify", "run", "--json", "--rate", "1500", "--table", f"{replica.schema}.item")
    wait_until(lambda: replica.state("SELECT COUNT(*) FROM verify_range")[0][0] > 0, "a proven range")
    replica.on_primary("ALTER TABLE item ADD COLUMN more INT DEFAULT 7")
    replica.wait_until_applied(stream)
    with replica.secondaries["db1"].session(replica.schema) as session:
        session.execute("UPDATE item SET more = 8 WHERE id = 3")
    lines = slow.end().lines
    assert [(x["key"], x["columns"]) for x in lines if x["type"] == "difference"] == [({"id": "3"}, ["more"])]
    stream.end(signal.SIGTERM)


def test_what_was_said_of_a_table_before_it_was_altered_does_not_count(replica: Replica) -> None:
    stream = started(replica)
    item = ("--table", f"{replica.schema}.item")
    assert verdicts(replica, *item, code=0) == {}
    with replica.secondaries["db1"].session(replica.schema) as session:
        session.execute("UPDATE item SET n = 0 WHERE id IN (1, 2)")
        slow = replica.start("verify", "run", "--json", "--rate", "1500", *item)
        known = "SELECT COUNT(*) FROM verify_difference"
        wait_until(lambda: replica.state(known)[0][0] == 2, "two rows that differ")
        session.execute("UPDATE item SET n = id WHERE id IN (1, 2)")
        replica.on_primary("ALTER TABLE item ADD COLUMN more INT DEFAULT 7")
        wait_until(lambda: replica.state(known)[0][0] == 0, "a new beginning")
        # Killed here, nothing is known of the table: the proof of the first run was about other columns.
        slow.kill_all()
        assert replica.state("SELECT COUNT(*) FROM verify_range WHERE run_number = 1")[0][0] == 0
    assert verdicts(replica, "--resume", code=0) == {}
    stream.end(signal.SIGTERM)


def test_foreign_keys_still_count_after_a_table_was_altered(replica: Replica) -> None:
    fill_family(replica)
    replica.run("transfer")
    stream = replica.stream()
    slow = replica.start("verify", "run", "--json", "--rate", "1000", "--table", f"{replica.schema}.child")
    definitions = "SELECT DISTINCT definition FROM verify_range"
    wait_until(lambda: replica.state(definitions), "a proven range")
    before = replica.state(definitions)
    numbers = itertools.count()

    def work(session: Session) -> None:
        session.execute(f"DELETE FROM parent WHERE id = {next(numbers)}")

    replica.on_primary("ALTER TABLE child DROP COLUMN n")
    wait_until(lambda: replica.state(definitions) not in ([], before), "a new beginning")
    load = Load(replica.primary, replica.schema, work)
    lines = slow.end().lines
    load.stop()
    assert [x for x in lines if x["type"] == "difference"] == []
    stream.end(signal.SIGTERM)


_PARTITIONS = "PARTITION BY RANGE (id) (PARTITION p0 VALUES LESS THAN (2000), PARTITION p1 VALUES LESS THAN MAXVALUE)"
REPLACED = {
    "renamed": ("RENAME TABLE red TO grey, blue TO red, grey TO blue",),
    "made again": (
        "DROP TABLE red",
        f"CREATE TABLE red (id INT PRIMARY KEY, n INT) {_PARTITIONS}",
        "INSERT INTO red SELECT * FROM blue",
    ),
    "given a partition": ("ALTER TABLE red EXCHANGE PARTITION p0 WITH TABLE green",),
}


@pytest.mark.parametrize("way", ["live", "resumed"])
@pytest.mark.parametrize("change", REPLACED)
def test_a_table_that_is_replaced_by_an_equal_one_is_compared_again(replica: Replica, change: str, way: str) -> None:
    names = {"red": _PARTITIONS, "blue": _PARTITIONS, "green": ""}
    replica.on_primary(*(f"CREATE TABLE {name} (id INT PRIMARY KEY, n INT) {how}" for name, how in names.items()))
    rows = {"red": 3000, "blue": 3000, "green": 1000}
    for name, count in rows.items():
        replica.on_primary(f"INSERT INTO {name} VALUES " + ",".join(f"({i},0)" for i in range(count)))
    replica.run("transfer")
    stream = replica.stream()
    replica.wait_until_applied(stream)

    def plant(*tables: str) -> None:
        with replica.secondaries["db1"].session(replica.schema) as session:
            for table in tables:
                session.execute(f"UPDATE {table} SET n = 99 WHERE id = 5")

    if change != "made again":
        plant("blue", "green")
    compared = replica.start("verify", "run", "--json", "--rate", "500", "--table", f"{replica.schema}.red")
    wait_until(lambda: replica.state("SELECT COUNT(*) FROM verify_range")[0][0] >= 2, "some parts")
    if way == "resumed":
        compared.kill_all()
    replica.on_primary(*REPLACED[change])
    replica.wait_until_applied(stream)
    if change == "made again":
        plant("red")
    ended = compared.end() if way == "live" else replica.start("verify", "run", "--json", "--resume").end()
    assert [line["key"] for line in ended.lines if line["type"] == "difference"] == [{"id": "5"}]
    assert ended.code == 3
    stream.end(signal.SIGTERM)


def test_what_the_scrub_has_met_meanwhile_is_not_forgotten(replica: Replica) -> None:
    replica.on_primary("CREATE TABLE t (id INT PRIMARY KEY, n INT)")
    replica.on_primary("INSERT INTO t VALUES " + ",".join(f"({i},0)" for i in range(6000)))
    replica.run("transfer")
    replica.settings |= {"REPLICA_VERIFY_RATE": "2000"}
    compared = replica.start("verify", "run", "--json", "--rate", "1500")
    wait_until(lambda: replica.state("SELECT COUNT(*) FROM verify_range")[0][0] >= 2, "some parts")
    compared.kill_all()
    with replica.secondaries["db1"].session(replica.schema) as session:
        session.execute("UPDATE t SET n = -1 WHERE id BETWEEN 500 AND 509")
    stream = replica.stream()
    wait_until(lambda: replica.state("SELECT COUNT(*) FROM verify_difference") == [(10,)], "the scrub to find them")
    stream.end(signal.SIGTERM)
    assert verdicts(replica, "--resume", code=3)["t"] == (0, 0, 10)
    assert replica.state("SELECT COUNT(*) FROM verify_difference") == [(10,)]


def test_a_stopped_stream_with_a_long_log_is_not_waited_for_without_end(replica: Replica) -> None:
    replica.on_primary("CREATE TABLE hot (id INT PRIMARY KEY, n INT, text VARCHAR(30))", "CREATE TABLE calm (id INT)")
    replica.on_primary("INSERT INTO hot VALUES " + ",".join(f"({i},0,'x')" for i in range(1000)))
    replica.run("transfer")
    for _ in range(100):
        replica.on_primary("UPDATE hot SET n = n + 1")
    replica.settings |= {"REPLICA_VERIFY_SNAPSHOT": "1s"}
    for words in ((), ("--count-only",)):
        (secondary,) = run(replica, *words, code=1)[-1]["secondaries"]
        reasons = {t["table"].partition(".")[2]: t["undecided"] for t in secondary["tables"]}
        assert "run again when the stream has caught up" in reasons["hot"]
    replica.settings |= {"REPLICA_VERIFY_SNAPSHOT": "60s"}
    run(replica, code=0)


def test_tables_that_are_dropped_or_locked_do_not_hold_up_the_others(replica: Replica) -> None:
    names = [f"t{i}" for i in range(8)]
    replica.on_primary(*(f"CREATE TABLE {name} (id INT PRIMARY KEY)" for name in names))
    for name in names:
        replica.on_primary(f"INSERT INTO {name} VALUES " + ",".join(f"({i})" for i in range(1500)))
    replica.run("transfer")
    stream = replica.stream()
    replica.wait_until_applied(stream)
    compared = replica.start("verify", "run", "--json", "--rate", "500")
    for name in names[2:]:
        time.sleep(0.6)  # noqa: TID251 - spreads the drops over the run, at any moments of it
        replica.on_primary(f"DROP TABLE {name}")
    ended = compared.end()
    assert ended.code == 0, ended
    (secondary,) = ended.lines[-1]["secondaries"]
    tables = {t["table"].partition(".")[2]: t["rows"] for t in secondary["tables"]}
    assert (tables["t0"], tables["t1"], "t7" in tables) == (1500, 1500, False)
    replica.wait_until_applied(stream)
    with replica.primary.session(replica.schema) as session:
        session.execute("LOCK TABLES t0 WRITE")
        compared = replica.start("verify", "run", "--json")
        wait_until(lambda: replica.state("SELECT COUNT(*) FROM verify_range WHERE run_number > 1")[0][0], "the others")
        session.execute("UNLOCK TABLES")
    assert compared.end().code == 0
    stream.end(signal.SIGTERM)


def test_statements_about_other_tables_do_not_disturb(replica: Replica) -> None:
    stream = started(replica)

    def work(session: Session) -> None:
        write(session)
        session.execute("CREATE TABLE IF NOT EXISTS passing (id INT PRIMARY KEY)")
        session.execute("DROP TABLE IF EXISTS passing")

    load = Load(replica.primary, replica.schema, work)
    try:
        tables = [word for name in ("item", "line", "event") for word in ("--table", f"{replica.schema}.{name}")]
        assert verdicts(replica, *tables, code=0) == {}
    finally:
        load.stop()
    stream.end(signal.SIGTERM)


def test_tables_that_exchange_their_names_are_not_mistaken_for_each_other(replica: Replica) -> None:
    replica.on_primary(
        *(f"CREATE TABLE {name} (id INT PRIMARY KEY, n INT)" for name in ("red", "blue")),
        "INSERT INTO red VALUES " + ",".join(f"({i},1)" for i in range(500)),
        "INSERT INTO blue VALUES " + ",".join(f"({i},2)" for i in range(700)),
    )
    replica.run("transfer")
    stream = replica.stream()

    def work(session: Session) -> None:
        session.execute("RENAME TABLE red TO grey, blue TO red, grey TO blue")
        session.execute("DO SLEEP(0.2)")

    load = Load(replica.primary, replica.schema, work)
    try:
        for _ in range(2):
            lines = replica.start("verify", "run", "--json", "--restart").end().lines
            assert [x for x in lines if x["type"] == "difference"] == []
    finally:
        load.stop()
    stream.end(signal.SIGTERM)


@pytest.mark.parametrize(
    ("renamed", "moment"), [("red", "primary"), ("red", "secondary"), ("parent", "primary"), ("parent", "secondary")]
)
def test_a_name_that_changes_between_a_snapshot_and_the_opening_of_its_table_proves_nothing(
    replica: Replica, renamed: str, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    replica.on_primary(
        *(f"CREATE TABLE {name} (id INT PRIMARY KEY, n INT)" for name in ("red", "blue", "parent", "grey")),
        "CREATE TABLE child (id INT PRIMARY KEY, n INT, FOREIGN KEY (n) REFERENCES parent (id) ON DELETE CASCADE)",
        *(
            f"INSERT INTO {name} VALUES {','.join(f'({i},{i})' for i in range(90))}"
            for name in ("red", "parent", "child")
        ),
        "INSERT INTO blue VALUES (7, 7)",
    )
    replica.run("transfer")
    stream = replica.stream()
    hold, other = pairs._hold, {"red": "blue", "parent": "grey"}[renamed]
    done: list[str] = []

    def rename() -> None:
        replica.on_primary(
            f"RENAME TABLE {renamed} TO tmp, {other} TO {renamed}, tmp TO {other}",
            f"DELETE FROM {other} WHERE id < 5",
        )

    def hold_late(session: Session, tables: Iterable[TableName]) -> None:
        is_on_primary = session.server.port == replica.primary.port
        if not done and is_on_primary == (moment == "primary"):
            done.append(moment)
            if moment == "primary":
                rename()
            else:
                replica.run("resume")
            # Not by a statement: it may have to wait for the pair of snapshots.
            end = replica.primary_end()
            wait_until(lambda: replica.saved() >= end, "the change on the secondary")
        hold(session, tables)

    if moment == "secondary":
        replica.run("pause")
        rename()
    monkeypatch.setattr(pairs, "_hold", hold_late)
    settings = load_settings(environ=replica.environment(), dotenv=replica.folder / "none")
    (report,) = verify_each(settings, VerifyRequest(settings.secondaries), SilentVerify(), StopToken())
    assert done == [moment]
    assert [(v.table.table, v.undecided) for v in report.tables if not v.is_equal] == []
    stream.end(signal.SIGTERM)


def test_a_statement_that_is_half_done_proves_nothing(replica: Replica) -> None:
    started(replica).end(signal.SIGTERM)
    # What a pair of snapshots shows while the stream runs a TRUNCATE of which the primary's snapshot knows nothing.
    with replica.secondaries["db1"].session(replica.schema) as session:
        session.execute("TRUNCATE TABLE item")
    replica.state(
        "REPLACE INTO ddl_intent (instance, file, pos, gtid, statement_hash, before_hash, statement, started_at)"
        " VALUES ('db1', 'binlog.000001', 4, '', 'a', 'b', 'TRUNCATE TABLE item', NOW(6))"
    )
    lines = run(replica, "--table", f"{replica.schema}.item", code=1)
    assert "not known which of its rows" in lines[-1]["secondaries"][0]["tables"][0]["undecided"]
    assert not [x for x in lines if x["type"] == "difference"]


def test_small_tables_share_their_snapshots(replica: Replica) -> None:
    names = [f"small{n}" for n in range(120)]
    replica.on_primary(*(f"CREATE TABLE {name} (id INT PRIMARY KEY, n INT)" for name in names))
    replica.on_primary(*(f"INSERT INTO {name} VALUES (1, 1), (2, 2)" for name in names))
    replica.run("transfer")
    # The stream does not run: the log between the snapshots is read, and no pair waits for it.
    replica.on_primary(*(f"UPDATE {name} SET n = 3 WHERE id = 2" for name in names))
    with replica.secondaries["db1"].session(replica.schema) as session:
        session.execute("UPDATE small77 SET n = 4")
    with replica.primary.session(replica.schema) as session:
        before = snapshots(session)
        assert verdicts(replica, code=3) == {"small77": (0, 0, 2)}
        assert snapshots(session) - before < 20


def test_rows_of_xa_transactions_and_of_cascades_are_not_mistaken_for_differences(replica: Replica) -> None:
    fill(replica)
    fill_family(replica)
    replica.run("transfer")
    stream = replica.stream()
    numbers = itertools.count()

    def work(session: Session) -> None:
        i = next(numbers)
        session.execute(f"DELETE FROM parent WHERE id = {i % 2000}")
        session.execute(f"XA START 'x{i}'")
        session.execute(f"UPDATE item SET n = n + 1 WHERE id = {i % _ROWS + 1}")
        session.execute(f"XA END 'x{i}'")
        session.execute(f"XA PREPARE 'x{i}'")
        session.execute(f"XA COMMIT 'x{i}'")

    load = Load(replica.primary, replica.schema, work)
    try:
        for _ in range(3):
            assert verdicts(replica, code=0) == {}
    finally:
        load.stop()
    stream.end(signal.SIGTERM)


def test_row_counts_alone_prove_nothing(replica: Replica) -> None:
    stream = started(replica)
    load = Load(replica.primary, replica.schema, write)
    try:
        (secondary,) = run(replica, "--count-only", code=0)[-1]["secondaries"]
        assert not any(t["is_equal"] for t in secondary["tables"])
        with replica.secondaries["db1"].session(replica.schema) as session:
            session.execute("DELETE FROM item WHERE id = 1")
            session.execute("INSERT INTO event VALUES (1, 'x', NULL), (1, 'x', NULL)")
        assert verdicts(replica, "--count-only", code=3)["item"] == (1, 0, 0)
        assert verdicts(replica, "--count-only", code=3)["event"] == (0, 2, 0)
    finally:
        load.stop()
    stream.end(signal.SIGTERM)


def test_the_script_corrects_the_rows_and_the_page_names_them(replica: Replica) -> None:
    started(replica).end(signal.SIGTERM)
    with replica.secondaries["db1"].session(replica.schema) as session:
        plant(session)
    script, page = replica.folder / "correct.sql", replica.folder / "result.html"
    replica.run("verify", "run", "--sql", str(script), "--html", str(page), code=3)
    assert replica.state("SELECT COUNT(*) FROM verify_difference WHERE primary_row IS NOT NULL")[0][0] == 0
    text = page.read_text()
    assert "id=900001" in text
    assert "<script" not in text
    with replica.secondaries["db1"].session(replica.schema) as session:
        for line in script.read_text(errors="surrogateescape").splitlines():
            if not line.startswith("--"):
                session.execute(line.encode("utf-8", "surrogateescape"))
    replica.assert_equal()
    assert verdicts(replica, code=0) == {}


def test_values_are_shown_only_if_the_run_has_stored_them(replica: Replica) -> None:
    started(replica).end(signal.SIGTERM)
    with replica.secondaries["db1"].session(replica.schema) as session:
        session.execute("UPDATE item SET name = 'secret' WHERE id = 5")
    run(replica, code=3)
    assert "secret" not in replica.run("verify", "show", "--values", code=3).stdout
    run(replica, "--values", code=3)
    assert "secret" not in replica.run("verify", "show", code=3).stdout
    assert "secondary: name='secret'" in replica.run("verify", "show", "--values", code=3).stdout


def test_too_many_differences_end_the_run_politely(replica: Replica) -> None:
    started(replica).end(signal.SIGTERM)
    with replica.secondaries["db1"].session(replica.schema) as session:
        session.execute("UPDATE item SET n = n + 1")
    summary = run(replica, "--max-differences", "50", code=3)[-1]
    (secondary,) = summary["secondaries"]
    assert secondary["is_stopped"]
    assert replica.state("SELECT COUNT(*) FROM verify_difference") == [(50,)]
    assert "--resume" in replica.run("verify", "run", code=11).stderr
    # Rows that are known already do not count again.
    run(replica, "--resume", "--max-differences", "30", code=3)
    assert replica.state("SELECT COUNT(*) FROM verify_difference") == [(80,)]
    # The rows that it did not come to are not forgotten after a repair, nor by the next run.
    replica.run("verify", "repair", "--yes", "--all")
    assert "other rows may differ too" in str(rows_check(replica))
    run(replica, "--resume", "--max-differences", "60", code=3)
    assert replica.state("SELECT COUNT(*) FROM verify_difference") == [(60,)]
    run(replica, "--resume", "--max-differences", "0", code=3)
    assert replica.state("SELECT COUNT(*) FROM verify_difference") == [(_ROWS - 80,)]
    replica.run("verify", "repair", "--yes", "--all")
    assert "no row is known to differ" in str(rows_check(replica))


def rows_check(replica: Replica) -> Any:
    document = replica.start("health", "--json").end().document
    (check,) = (c for c in document["checks"] if c["name"] == "rows")
    return check


def test_a_table_that_is_dropped_or_has_no_proof_is_not_forgotten(replica: Replica) -> None:
    stream = started(replica)
    with replica.secondaries["db1"].session(replica.schema) as session:
        session.execute("DELETE FROM line WHERE number < 10")
    run(replica, code=3)
    replica.on_primary("DROP TABLE line", "CREATE TABLE later (id INT PRIMARY KEY)")
    replica.wait_until_applied(stream)
    replica.settings |= {"REPLICA_VERIFY_MAX_AGE": "1d"}
    run(replica, "--table", f"{replica.schema}.item", code=0)
    # Only a run of all tables tells that the others are gone.
    assert "9 rows differ" in str(rows_check(replica))
    run(replica, code=0)
    assert rows_check(replica)["status"] == "ok"
    assert replica.state("SELECT DISTINCT table_name FROM verify_range ORDER BY 1") == [
        ("event",), ("item",), ("later",), ("marker",),
    ]  # fmt: skip
    replica.on_primary("CREATE TABLE latest (id INT PRIMARY KEY)")
    replica.wait_until_applied(stream)
    assert f"not proven yet: {replica.schema}.latest" in str(rows_check(replica))
    stream.end(signal.SIGTERM)


def test_the_rate_is_that_of_all_workers_together(replica: Replica) -> None:
    replica.on_primary(*(f"CREATE TABLE t{i} (id INT PRIMARY KEY)" for i in range(4)))
    with replica.primary.session(replica.schema) as session:
        for i in range(4):
            session.execute(f"INSERT INTO t{i} VALUES " + ",".join(f"({n})" for n in range(1500)))
    replica.run("transfer")
    (secondary,) = run(replica, "--workers", "4", "--rate", "2000", code=0)[-1]["secondaries"]
    # The rows of the first second are not waited for.
    assert secondary["elapsed_milliseconds"] > 1900


def test_sequences_are_left_out(replica: Replica) -> None:
    with replica.primary.session() as session:
        if not session.is_mariadb:
            pytest.skip("MySQL has no sequences")
    replica.on_primary("CREATE SEQUENCE numbers", "CREATE TABLE item (id INT PRIMARY KEY)")
    replica.run("transfer")
    lines = replica.run("verify", "run")
    assert "1 sequence not compared" in lines.stderr
    replica.settings |= {"REPLICA_VERIFY_MAX_AGE": "1d"}
    assert rows_check(replica)["status"] == "ok"
