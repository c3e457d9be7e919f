"""A real Prometheus scrapes a running stream, and each alert of the examples fires because of a real fault.

The rules are those of the examples with shorter times, and with smaller limits where a fault would need an hour.
"""

from __future__ import annotations

import os
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from replica_cli.api.declared import METRICS, Kind
from tests.support.command import wait_until
from tests.support.http import LISTEN, Client
from tests.support.prometheus import needs, node_exporter, scraping

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.command import Replica, Running
    from tests.support.proxy import Proxy

pytestmark = [needs("prometheus"), pytest.mark.timeout(400)]


def streaming(replica: Replica, *words: str) -> tuple[Running, int]:
    """Start a stream that listens, and return it with its port."""
    stream = replica.stream(*words, *LISTEN)
    return stream, Client(stream).port


@contextmanager
def logs_kept_for(replica: Replica, seconds: int) -> Iterator[None]:
    """Let the primary keep its logs for a time: MariaDB keeps them for ever by default, and then nothing runs out."""
    with replica.primary.session() as session:
        ((before,),) = session.rows("SELECT @@GLOBAL.binlog_expire_logs_seconds")
        session.execute("SET GLOBAL binlog_expire_logs_seconds = %s", seconds)
        try:
            yield
        finally:
            session.execute("SET GLOBAL binlog_expire_logs_seconds = %s", before)


def test_every_metric_of_a_stream_is_scraped(replica: Replica) -> None:
    replica.on_primary("CREATE TABLE t (id INT PRIMARY KEY)", "INSERT INTO t VALUES (1), (2)")
    replica.run("transfer")
    replica.run("verify", "run")
    stream, port = streaming(replica)
    replica.on_primary("INSERT INTO t VALUES (3)", "UPDATE t SET id = 4 WHERE id = 3", "DELETE FROM t WHERE id = 1")
    with (
        logs_kept_for(replica, 172_800),
        scraping(replica.folder / "prometheus", {"replica": port}) as prometheus,
    ):
        for kind in ("insert", "update", "delete"):
            prometheus.wait_for_value(f'replica_rows_total{{kind="{kind}"}} == 1')
        # These need a look at both servers, a copy, or an error.
        rare = {"replica_distance_bytes", "replica_primary_retention_seconds", "replica_errors_total"}
        rare |= {m.name for m in METRICS if m.name.startswith("replica_transfer_")}
        expected = {f"{m.name}_bucket" if m.kind is Kind.HISTOGRAM else m.name for m in METRICS if m.name not in rare}
        wait_until(lambda: expected <= prometheus.names(), f"{expected - prometheus.names()}")
        # The health monitor looks at both servers each half minute.
        assert prometheus.wait_for_value("replica_distance_bytes") == 0
        assert prometheus.wait_for_value("replica_primary_retention_seconds") > 170_000
        assert prometheus.value('replica_phase{instance="db1", phase="caught_up"}') == 1
        assert prometheus.firing() == set()
    assert stream.end(signal.SIGTERM).code == 0


def test_alerts_about_the_way_to_the_primary(replica: Replica, proxy: Callable[[int], Proxy]) -> None:
    replica.on_primary("CREATE TABLE t (id INT PRIMARY KEY)")
    replica.run("transfer")
    link = proxy(replica.primary.port)
    replica.settings |= {"MARIA_PRIMARY_PORT": str(link.port), "REPLICA_READ_TIMEOUT": "20s"}
    stream, port = streaming(replica)
    quicker = {"ReplicaPrimarySilent": [("> 30", "> 4")]}
    with scraping(replica.folder / "prometheus", {"replica": port}, quicker) as prometheus:
        prometheus.wait_for_value('replica_phase{phase="caught_up"} == 1')
        assert prometheus.firing() == set()
        link.freeze()
        alert = prometheus.wait_for("ReplicaPrimarySilent", instance="db1")
        assert "has sent nothing to db1 for" in alert["annotations"]["summary"]
        link.thaw()
        link.refuse()
        link.cut()
        prometheus.wait_for("ReplicaReconnecting", instance="db1")
        link.restore()
        prometheus.wait_until_quiet()
        replica.run("pause")
        prometheus.wait_for("ReplicaPaused", instance="db1")
        replica.run("resume")
        prometheus.wait_until_quiet()
    assert stream.end(signal.SIGTERM).code == 0


def test_alerts_about_streams_that_fail_or_end(two_secondaries: Replica) -> None:
    replica = two_secondaries
    replica.on_primary("CREATE TABLE t (id INT PRIMARY KEY)", "CREATE TABLE u (id INT PRIMARY KEY)")
    replica.run("transfer")
    stream, port = streaming(replica)
    quicker = {"ReplicaWritersChange": [("> 5", "> 0")]}
    with scraping(replica.folder / "prometheus", {"replica": port}, quicker) as prometheus:
        prometheus.wait_for_value('count(replica_phase{phase="caught_up"} == 1) == 2')
        assert prometheus.firing() == set()
        os.kill(stream.worker_pids()[0], signal.SIGKILL)
        prometheus.wait_for("ReplicaWorkerDied")
        prometheus.wait_for("ReplicaWritersChange")
        # A table that the secondary cannot change is quarantined there, and nowhere else.
        replica.on_secondary("DROP TABLE t", "db2")
        replica.on_primary("ALTER TABLE t ADD COLUMN n INT")
        alert = prometheus.wait_for("ReplicaTableQuarantined", instance="db2")
        assert alert["annotations"]["command"] == "replica position show --secondary db2"
        assert "ReplicaTableQuarantined" not in prometheus.firing(instance="db1")
        # The position row is what a stream cannot go on without.
        with replica.secondaries["db1"].session(database=replica.state_schema) as session:
            session.execute("DELETE FROM binlog_position")
        replica.on_primary("INSERT INTO u VALUES (1)")
        prometheus.wait_for("ReplicaEnded", instance="db1")
        assert "ReplicaEnded" not in prometheus.firing(instance="db2")
        stream.end(signal.SIGTERM)
        prometheus.wait_for("ReplicaNotScraped")


def test_alerts_about_lag_memory_and_the_primary_s_log(replica: Replica) -> None:
    replica.settings |= {"REPLICA_QUEUE_BYTES": "400MiB"}
    replica.on_primary(
        "CREATE TABLE t (id INT PRIMARY KEY, n INT)", "INSERT INTO t VALUES (1, 0)",
        "CREATE TABLE large (id INT PRIMARY KEY, v LONGBLOB)",
    )  # fmt: skip
    replica.run("transfer")
    quicker = {
        "ReplicaLagHigh": [("> 60", "> 2")],
        "ReplicaLagGrows": [("[15m]", "[5s]"), ("> 60", "> 2")],
        "ReplicaRetentionShrinks": [("[1h]", "[5s]"), ("< -600", "< -2")],
    }
    with logs_kept_for(replica, 7200):
        stream, port = streaming(replica)
        with (
            scraping(replica.folder / "prometheus", {"replica": port}, quicker) as prometheus,
            replica.secondaries["db1"].session(database=replica.schema) as holder,
        ):
            prometheus.wait_for_value('replica_phase{phase="caught_up"} == 1')
            holder.begin()
            holder.rows("SELECT * FROM t WHERE id = 1 FOR UPDATE")
            replica.on_primary("UPDATE t SET n = 1")
            prometheus.wait_for("ReplicaLagHigh")
            prometheus.wait_for("ReplicaLagGrows")
            # What the primary writes meanwhile waits in the worker.
            for number in range(10):
                replica.on_primary(f"INSERT INTO large VALUES ({number}, REPEAT('x', 14000000))")
            prometheus.wait_for("ReplicaMemoryHigh")
            # The saved position is in a file that the primary does not write any more, so its time runs.
            replica.on_primary("FLUSH BINARY LOGS", "FLUSH BINARY LOGS")
            prometheus.wait_for("ReplicaRetentionShort")
            prometheus.wait_for("ReplicaRetentionShrinks")
            holder.rollback()
            replica.wait_until_applied(stream)
            wait_until(lambda: not {"ReplicaLagHigh", "ReplicaLagGrows"} & prometheus.firing(), "the lag to end")
        assert stream.end(signal.SIGTERM).code == 0
    replica.assert_equal()


def test_an_alert_about_log_records_that_are_lost(replica: Replica) -> None:
    # No Graylog listens there, and at DEBUG each event of rows is a record: more than the queue holds.
    replica.settings |= {
        "GRAYLOG_ENABLED": "true", "GRAYLOG_PROTOCOL": "tcp", "GRAYLOG_ENDPOINT": "127.0.0.1:1",
        "GRAYLOG_TIMEOUT": "1s", "REPLICA_LOG_LEVEL": "DEBUG",
    }  # fmt: skip
    replica.on_primary("CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY)")
    replica.run("transfer")
    stream, port = streaming(replica)
    with scraping(replica.folder / "prometheus", {"replica": port}) as prometheus:
        prometheus.wait_for_value("replica_log_records_dropped_total == 0")
        with replica.primary.session(database=replica.schema) as session:
            session.begin()
            for _ in range(11_000):
                session.execute("INSERT INTO t VALUES ()")
            session.commit()
        replica.wait_until_applied(stream)
        prometheus.wait_for("ReplicaLogRecordsDropped")
    assert stream.end(signal.SIGTERM).code == 0


@needs("prometheus-node-exporter")
def test_alerts_about_what_health_writes_for_the_node_exporter(replica: Replica) -> None:
    replica.on_primary("CREATE TABLE t (id INT PRIMARY KEY)")
    replica.run("transfer")
    folder = replica.folder / "textfiles"
    folder.mkdir()
    words = ("health", "--quiet", "--textfile", str(folder / "replica.prom"))
    quicker = {"ReplicaHealthUnknown": [("> 900", "> 6")]}
    with (
        node_exporter(folder) as port,
        scraping(replica.folder / "prometheus", {"node": port}, quicker) as prometheus,
    ):
        replica.run(*words, code=2)
        alert = prometheus.wait_for("ReplicaHealthCritical", instance="db1", check="stream-alive")
        assert alert["annotations"]["summary"] == "mariadb-primary db1: check stream-alive is critical"
        stream = replica.stream()
        replica.wait_until_applied(stream)
        replica.run(*words)
        wait_until(lambda: "ReplicaHealthCritical" not in prometheus.firing(), "the next result")
        # It does not run any more, and its result gets old.
        prometheus.wait_for("ReplicaHealthUnknown")
        assert stream.end(signal.SIGTERM).code == 0
