"""`replica verify repair` writes the primary's rows of now through the stream, and nothing else."""

from __future__ import annotations

import signal
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from replica_cli.config.loading import load_settings
from replica_cli.core.requests.verify import RepairRequest
from replica_cli.runtime import repairing
from replica_cli.service.repair import run_repair
from replica_cli.stop import StopToken
from tests.flow.test_verify import fill, plant, run, started, verdicts, write
from tests.support.command import Load, Replica, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from replica_cli.mysql.session import Session
    from tests.support.servers import ServerFactory

pytestmark = pytest.mark.every_flavour

REPAIR = ("verify", "repair", "--yes", "--all")


def plant_more(session: Session) -> None:
    """Make differences in many rows."""
    plant(session)
    session.execute("UPDATE item SET name = CONCAT(name, ' ') WHERE id % 9 = 0")
    session.execute("DELETE FROM line WHERE number % 11 = 0")
    session.execute("UPDATE line SET note = NULL WHERE number % 13 = 0")


def test_a_stream_that_starts_takes_a_repair_over(replica: Replica, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = started(replica)
    with replica.secondaries["db1"].session(replica.schema) as session:
        session.execute("DELETE FROM item WHERE id <= 300")
    run(replica, code=3)
    stream.end(signal.SIGTERM)
    repair = repairing._Repair._repair

    def slowly(*words: Any) -> None:
        time.sleep(0.05)  # noqa: TID251 - a server that is slow
        repair(*words)

    monkeypatch.setattr(repairing._Repair, "_repair", slowly)
    monkeypatch.setattr(repairing, "_ROWS_AT_ONCE", 1)
    settings = load_settings(environ=replica.environment(), dotenv=replica.folder / "none")
    with ThreadPoolExecutor() as pool:
        stop = StopToken()
        repaired = pool.submit(run_repair, settings, RepairRequest(settings.secondaries), lambda *_: None, stop)
        try:
            wait_until(lambda: replica.state("SELECT 1 FROM repair_log"), "the first row to be repaired")
            assert "another process repairs its rows" in replica.run(*REPAIR, code=15).stderr
            stream = replica.stream()
            (report,) = repaired.result(60)
        finally:
            stop.request()
    assert [(t.written, t.refused) for t in report.tables] == [(300, 0)]
    assert len(replica.state("SELECT DISTINCT holder FROM repair_log")) == 2
    stream.end(signal.SIGTERM)
    replica.assert_equal()


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


@pytest.fixture(params=[("mysql", "mariadb"), ("mariadb", "mysql")], ids=["from mysql", "to mysql"])
def across(
    request: pytest.FixtureRequest, server_factory: ServerFactory, schema: str, state_schema: str, tmp_path: Path
) -> Iterator[Replica]:
    """Give the command for servers of two flavours."""
    primary, secondary = (server_factory(flavour) for flavour in request.param)
    made = Replica(primary, {"db1": secondary}, schema, state_schema, tmp_path)
    yield made
    made.close()


def repair_all(replica: Replica) -> int:
    """Find what differs, repair it, prove it; return how many rows were written."""
    run(replica, code=3)
    (report,) = replica.run(*REPAIR, "--json").document["secondaries"]
    assert not [t for t in report["tables"] if t["refused"]]
    assert verdicts(replica, code=0) == {}
    return sum(t["written"] for t in report["tables"])


@pytest.mark.servers("mariadb")
def test_documents_without_a_key_are_repaired_across_flavours(across: Replica) -> None:
    rows = ", ".join(f"({n // 2}, {document})" for n in range(20) for document in ("NULL", """'{"a": [1, "é"]}'"""))
    across.on_primary("CREATE TABLE paper (n INT, document JSON)", f"INSERT INTO paper VALUES {rows}")
    across.run("transfer")
    stream = across.stream()
    with across.secondaries["db1"].session(across.schema) as session:
        session.execute("DELETE FROM paper WHERE n = 1 LIMIT 1")
        session.execute("DELETE FROM paper WHERE n = 2 AND document IS NULL LIMIT 1")
        session.execute("""INSERT INTO paper VALUES (3, '{"a": [1, "é"]}'), (4, '{"b": 2}'), (4, NULL)""")
        session.execute("""UPDATE paper SET document = '{"a": 2}' WHERE n = 5 AND document IS NOT NULL LIMIT 1""")
    assert repair_all(across) == 7
    assert stream.end(signal.SIGTERM).code == 0
    across.assert_equal()


@pytest.mark.servers("mariadb")
@pytest.mark.parametrize("is_changed", [False, True], ids=["as they are", "changed in the log"])
def test_values_of_types_that_differ_are_repaired_across_flavours(across: Replica, *, is_changed: bool) -> None:
    with across.primary.session() as session:
        is_to_mysql = session.is_mariadb
    types = ", u UUID, a INET6" if is_to_mysql else ""
    values = ", '00112233-4455-6677-8899-aabbccddeeff', '::1'" if is_to_mysql else ""
    rows = ", ".join(f"""({n}, '{{"a": [1, "é"]}}'{values})""" for n in range(9))
    across.on_primary(f"CREATE TABLE paper (id INT PRIMARY KEY, d JSON{types})", f"INSERT INTO paper VALUES {rows}")
    across.run("transfer")
    with across.secondaries["db1"].session(across.schema) as session:
        session.execute("DELETE FROM paper WHERE id < 3")
        session.execute("UPDATE paper SET d = NULL WHERE id = 4")
        if is_to_mysql:
            session.execute("UPDATE paper SET u = NULL, a = NULL WHERE id = 5")
    if is_changed:
        across.on_primary("UPDATE paper SET d = NULL", "DELETE FROM paper WHERE id = 1")
    assert repair_all(across) == (5 if is_to_mysql else 4)
    across.catch_up()
    across.assert_equal()


@pytest.mark.servers("mysql")
def test_values_inside_documents_keep_their_types(replica: Replica) -> None:
    document = "JSON_OBJECT('day', CAST('2024-01-01' AS DATE), 'number', CAST(1.50 AS DECIMAL(9,2)), 'n', NULL)"
    replica.on_primary(
        "CREATE TABLE paper (id INT PRIMARY KEY, d JSON)", f"INSERT INTO paper VALUES (1, {document}), (2, {document})"
    )
    replica.run("transfer")
    replica.on_secondary("DELETE FROM paper WHERE id = 2")
    assert repair_all(replica) == 1
    types = replica.on_secondary("SELECT JSON_TYPE(d->'$.day'), JSON_TYPE(d->'$.number') FROM paper")
    assert types == [("DATE", "DECIMAL")] * 2


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


def test_rows_that_exchange_unique_values_are_written_together(replica: Replica) -> None:
    replica.on_primary(
        "CREATE TABLE mail (id INT PRIMARY KEY, address VARCHAR(40) UNIQUE)",
        "INSERT INTO mail VALUES (1, 'a'), (2, 'b'), (3, 'cccccccccccccc')",
    )
    replica.run("transfer")
    with replica.secondaries["db1"].session(replica.schema) as session:
        session.execute("UPDATE mail SET address = IF(id = 3, 'c', CONCAT('x', id))")
        session.execute("UPDATE mail SET address = 'b' WHERE id = 1")
        session.execute("UPDATE mail SET address = 'a' WHERE id = 2")
        # Row 3 does not fit any more. The others must not wait for it.
        session.execute("ALTER TABLE mail MODIFY address VARCHAR(10)")
    run(replica, code=3)
    (report,) = replica.run(*REPAIR, "--json", code=14).document["secondaries"]
    assert [(t["written"], t["refused"]) for t in report["tables"]] == [(2, 1)]
    assert "too long" in report["tables"][0]["reason"]
    with replica.secondaries["db1"].session(replica.schema) as session:
        session.execute("ALTER TABLE mail MODIFY address VARCHAR(40)")
    replica.run(*REPAIR)
    replica.assert_equal()


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


def test_what_a_killed_repair_has_asked_for_is_not_done_later(replica: Replica) -> None:
    stream = started(replica)
    with replica.secondaries["db1"].session(replica.schema) as session:
        session.execute("UPDATE item SET name = 'changed' WHERE id = 5")
    run(replica, code=3)
    replica.run("pause")
    repair = replica.start(*REPAIR)
    wait_until(lambda: replica.state("SELECT 1 FROM repair_request WHERE is_wanted = 1"), "the request")
    repair.kill_all()
    with replica.secondaries["db1"].session(replica.schema) as session:
        session.execute("UPDATE item SET name = 'changed' WHERE id = 6")
    run(replica, code=3)
    replica.run("resume")
    replica.wait_until_applied(stream)
    assert verdicts(replica, code=3)["item"] == (0, 0, 2)
    replica.run(*REPAIR)
    assert verdicts(replica, code=0) == {}
    stream.end(signal.SIGTERM)


@pytest.mark.parametrize("way", ["streaming", "stopped"])
def test_a_locked_table_does_not_keep_others_from_being_repaired(replica: Replica, way: str) -> None:
    stream = started(replica)
    with replica.secondaries["db1"].session(replica.schema) as session:
        session.execute("UPDATE item SET name = 'changed' WHERE id = 5")
        session.execute("DELETE FROM line WHERE number = 5")
    run(replica, code=3)
    if way == "stopped":
        stream.end(signal.SIGTERM)
    with replica.primary.session(replica.schema) as session:
        session.execute("LOCK TABLES item WRITE")
        (report,) = replica.run(*REPAIR, "--json", code=14).document["secondaries"]
        session.execute("UNLOCK TABLES")
    tables = {t["table"].partition(".")[2]: t for t in report["tables"]}
    assert (tables["line"]["written"], tables["item"]["refused"]) == (1, 1)
    assert "another session has locked the table" in tables["item"]["reason"]
    replica.run(*REPAIR)
    assert verdicts(replica, code=0) == {}
    if way == "streaming":
        stream.end(signal.SIGTERM)


def test_rows_that_are_too_large_together_are_repaired_one_by_one(replica: Replica) -> None:
    replica.on_primary("CREATE TABLE big (id INT PRIMARY KEY, data LONGBLOB)", "CREATE TABLE keyless (data LONGTEXT)")
    for i in range(60):
        replica.on_primary(f"INSERT INTO big VALUES ({i}, REPEAT('x{i}', 100000))")
    replica.on_primary("INSERT INTO keyless SELECT CONVERT(data USING latin1) FROM big WHERE id < 10")
    replica.on_primary("INSERT INTO big VALUES (100, REPEAT(x'FF00', 1500000))")
    replica.run("transfer")
    with replica.secondaries["db1"].session(replica.schema) as session:
        session.execute("UPDATE big SET data = 'y'")
        session.execute("DELETE FROM keyless")
        session.execute("SET GLOBAL max_allowed_packet = 4194304")
    run(replica, code=3)
    (report,) = replica.run(*REPAIR, "--json", code=14).document["secondaries"]
    tables = {t["table"].partition(".")[2]: t for t in report["tables"]}
    assert (tables["big"]["written"], tables["big"]["refused"], tables["keyless"]["written"]) == (60, 1, 10)
    assert "max_allowed_packet" in tables["big"]["reason"]
    with replica.secondaries["db1"].session() as session:
        session.execute("SET GLOBAL max_allowed_packet = 67108864")
    replica.run(*REPAIR)
    replica.assert_equal()
