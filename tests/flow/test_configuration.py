"""A configuration file on real servers: settings of one secondary, rules for tables, reload when the file changes."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.command import wait_until

if TYPE_CHECKING:
    from tests.support.command import Replica

# What the file gives must not be given by variables.
_EMPTY = (
    "MARIA_PRIMARY_HOST", "MARIA_PRIMARY_PORT", "MARIA_USER", "MARIA_SERVER_ID", "MARIA_SECONDARY_HOSTS",
    "MARIA_SECONDARY_PORTS", "MARIA_SECONDARY_NAMES", "REPLICA_SCHEMAS", "REPLICA_STATE_SCHEMA",
    "REPLICA_PROGRESS_FOLDER",
)  # fmt: skip


def write_file(replica: Replica, **more: Any) -> None:
    address = replica.primary.address()
    secondaries: list[dict[str, Any]] = [
        {"name": name, "host": "127.0.0.1", "port": server.port} for name, server in replica.secondaries.items()
    ]
    for own in more.pop("own", ()):
        secondaries[-1] |= own
    document = {
        "primary": {"host": "127.0.0.1", "port": address.port, "user": address.user},
        "server_id": 700,
        "secondaries": secondaries,
        "schemas": [replica.schema],
        "state_schema": replica.state_schema,
        "transfer": {"progress_folder": str(replica.folder)},
        **more,
    }
    # Replaced as a whole, as a deployment does it.
    path = replica.folder / "new.json"
    path.write_text(json.dumps(document))
    path.chmod(0o600)
    path.rename(replica.folder / "replica.yaml")
    replica.settings |= dict.fromkeys(_EMPTY, "") | {"REPLICA_CONFIG": "replica.yaml"}


def test_a_file_alone_configures_copy_and_stream(two_secondaries: Replica) -> None:
    replica = two_secondaries
    replica.on_primary("CREATE TABLE t (id INT PRIMARY KEY, n INT)", "INSERT INTO t VALUES (1, 0), (2, 0)")
    write_file(replica, own=[{"apply": {"engine": "sql"}}])
    assert replica.run("config", "check", "--json").document["secondaries"] == ["db1", "db2"]
    replica.run("transfer")
    stream = replica.stream()
    replica.on_primary("UPDATE t SET n = 5", "INSERT INTO t VALUES (3, 3)")
    replica.wait_until_applied(stream)
    assert "[db1] SQL engine" not in stream.stderr
    assert stream.end(signal.SIGTERM).code == 0
    replica.assert_equal()
    # What db2 has of its own holds for it alone.
    replica.run("stream", "--until-caught-up", "--secondary", "db2", "-v")


@pytest.mark.servers("mariadb")
def test_a_secondary_has_an_engine_of_its_own(two_secondaries: Replica) -> None:
    replica = two_secondaries
    replica.on_primary("CREATE TABLE t (id INT PRIMARY KEY, n INT)")
    write_file(replica, own=[{"apply": {"engine": "sql"}}])
    stream = replica.stream()
    replica.on_primary("INSERT INTO t VALUES (1, 1)")
    replica.wait_until_applied(stream)
    stream.wait_for_log(r"\[db1\] \S+\.t row image engine")
    assert "[db2] " + f"{replica.schema}.t row image engine" not in stream.stderr
    assert stream.end(signal.SIGTERM).code == 0
    replica.assert_equal()


def test_rules_are_for_single_tables(replica: Replica) -> None:
    replica.on_primary(*(f"CREATE TABLE {name} (id INT PRIMARY KEY, n INT)" for name in ("audit_1", "t", "plain")))
    rules = [
        {"tables": [f"{replica.schema}.audit_*"], "ddl": "quarantine"},
        {"tables": [f"{replica.schema}.plain"], "engine": "sql"},
    ]
    write_file(replica, rules=rules)
    replica.run("transfer")
    stream = replica.stream()
    replica.on_primary(
        "INSERT INTO plain VALUES (1, 1)",
        "ALTER TABLE audit_1 ADD COLUMN m INT",
        "ALTER TABLE t ADD COLUMN m INT",
        "INSERT INTO t VALUES (1, 1, 1)",
    )
    replica.wait_until_applied(stream)
    rows = replica.state("SELECT table_name, reason FROM table_state WHERE state = 'quarantined'")
    assert [(table, "a rule has `ddl: quarantine`" in str(reason)) for table, reason in rows] == [("audit_1", True)]
    assert replica.on_secondary("SELECT n, m FROM t") == [(1, 1)]
    stream.wait_for_log(r"plain SQL engine: `engine: sql` is set for it")
    assert stream.end(signal.SIGTERM).code == 0


@pytest.mark.servers("mariadb")
def test_a_rule_gives_the_row_images_back_to_a_table(replica: Replica) -> None:
    replica.on_primary(*(f"CREATE TABLE {name} (id INT PRIMARY KEY)" for name in ("t", "wide")))
    write_file(replica, apply={"engine": "sql"}, rules=[{"tables": [f"{replica.schema}.wide"], "engine": "auto"}])
    stream = replica.stream()
    replica.on_primary("INSERT INTO t VALUES (1)", "INSERT INTO wide VALUES (1)")
    replica.wait_until_applied(stream)
    stream.wait_for_log(r"wide row image engine")
    stream.wait_for_log(r"\.t SQL engine: `engine: sql` is set for it")
    assert stream.end(signal.SIGTERM).code == 0


def test_a_rule_stops_the_stream_at_its_table(replica: Replica) -> None:
    replica.on_primary("CREATE TABLE t (id INT PRIMARY KEY)", "CREATE TABLE strict (id INT PRIMARY KEY)")
    write_file(replica, rules=[{"tables": [f"{replica.schema}.strict"], "ddl": "stop"}])
    replica.run("transfer")
    replica.on_primary("ALTER TABLE t ADD COLUMN m INT", "ALTER TABLE strict ADD COLUMN m INT")
    assert "strict" in replica.run("stream", "--until-caught-up", code=14).stderr
    assert len(replica.on_secondary("SHOW COLUMNS FROM t")) == 2


def test_a_changed_file_is_read_again(replica: Replica) -> None:
    replica.on_primary("CREATE TABLE t (id INT PRIMARY KEY)")
    write_file(replica, batch={"age": "100ms"})
    replica.run("transfer")
    stream = replica.stream("--watch-config")
    write_file(replica, batch={"age": "1s"}, network={"lease": "9s"})
    stream.wait_for_log(r"changed file: new values in use: batch.age 100ms -> 1s\n")
    stream.wait_for_log(r"\[WARN\] changed file: changed, in use only after a new start: network.lease 5s -> 9s\n")
    # A file that cannot be read changes nothing.
    (replica.folder / "replica.yaml").write_text("primary: [")
    stream.wait_for_log(r"changed file: the settings are wrong, the old ones stay in use: .*replica.yaml:1")
    write_file(replica, batch={"age": "1s"})
    wait_until(lambda: "changed file: settings unchanged" in stream.stderr, "the file to be read again")
    replica.on_primary("INSERT INTO t VALUES (1)")
    replica.wait_until_applied(stream)
    assert stream.end(signal.SIGTERM).code == 0


def test_the_limit_of_one_secondary_is_for_it_alone(two_secondaries: Replica) -> None:
    replica = two_secondaries
    replica.on_primary("CREATE TABLE t (id INT PRIMARY KEY)")
    write_file(replica, own=[{"health": {"max_lag": "1h"}}], health={"max_lag": "1ms"})
    replica.run("transfer")
    replica.on_primary("INSERT INTO t VALUES (1)")
    wait_until(lambda: len(lagging(replica)) == 1, "db1 to be behind its limit")
    assert lagging(replica) == ["db1"]
    assert lagging(replica, "--max-lag", "1ms") == ["db1", "db2"]


def lagging(replica: Replica, *words: str) -> list[str]:
    checks = replica.start("health", "--json", *words).end().document["checks"]
    return [c["instance"] for c in checks if c["name"] == "lag" and c["status"] != "ok"]
