"""The metrics of a running stream, its worker in a process of its own; and the file of `replica health`."""

from __future__ import annotations

import os
import signal
import threading
from typing import TYPE_CHECKING

import pytest
from prometheus_client.parser import text_string_to_metric_families

from replica_cli.api.metrics import metrics_text, registry_of
from replica_cli.config.loading import load_settings
from replica_cli.core.reporter import SilentReporter
from replica_cli.core.requests.stream import StreamRequest
from replica_cli.service import stream as module
from replica_cli.stop import StopToken
from replica_cli.supervisor.worker_handle import WorkerHandle, newest_of
from tests.support.command import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from replica_cli.worker.messages import WorkerConfig
    from tests.support.command import Replica
    from tests.support.proxy import Proxy


class Scraped:
    """A stream in this process, whose workers are processes, and what a scrape of it answers."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.workers: list[WorkerHandle] = []
        workers = self.workers

        class Known(WorkerHandle):
            def __init__(self, config: WorkerConfig) -> None:
                super().__init__(config)
                workers.append(self)

        monkeypatch.setattr(module, "WorkerHandle", Known)
        self._registry = registry_of(lambda: newest_of(workers), version="1", primary="main")

    def value(self, name: str, **labels: str) -> float | None:
        for family in text_string_to_metric_families(metrics_text(self._registry).decode()):
            for sample in family.samples:
                if sample.name == f"replica_{name}" and labels.items() <= sample.labels.items():
                    return sample.value
        return None

    def wait_for(self, name: str, least: float, **labels: str) -> float:
        wait_until(lambda: (self.value(name, **labels) or 0.0) >= least, f"{name} {labels} of {least}")
        return self.value(name, **labels) or 0.0

    @property
    def pid(self) -> int:
        process = self.workers[0]._process
        assert process is not None
        return process.pid

    def run(self, replica: Replica, play: Callable[[], None]) -> None:
        """Stream while `play` runs in a thread. Raise its error."""
        errors: list[BaseException] = []
        stop = StopToken()

        def act() -> None:
            try:
                self.wait_for("phase", 1, phase="caught_up")
                play()
            except BaseException as error:  # noqa: BLE001 - a thread cannot raise to the test
                errors.append(error)
            finally:
                stop.request()

        settings = load_settings(environ=replica.environment())
        thread = threading.Thread(target=act, daemon=True)
        thread.start()
        module.run_stream(settings, StreamRequest(settings.secondaries), SilentReporter(), stop=stop)
        thread.join(30)
        if errors:
            raise errors[0]


@pytest.fixture
def scraped(monkeypatch: pytest.MonkeyPatch) -> Scraped:
    return Scraped(monkeypatch)


def test_a_stream_is_counted_and_measured(replica: Replica, scraped: Scraped, proxy: Callable[[int], Proxy]) -> None:
    replica.on_primary("CREATE TABLE t (id INT PRIMARY KEY, v INT)")
    replica.run("transfer")
    link = proxy(replica.primary.port)
    replica.settings["MARIA_PRIMARY_PORT"] = str(link.port)

    def play() -> None:
        replica.on_primary(
            "INSERT INTO t VALUES (1, 1), (2, 2), (3, 3)",
            "UPDATE t SET v = 9 WHERE id < 3",
            "DELETE FROM t WHERE id = 3",
        )
        scraped.wait_for("rows_total", 1, kind="delete")
        assert [scraped.value("rows_total", kind=kind) for kind in ("insert", "update", "delete")] == [3, 2, 1]
        assert (scraped.value("transactions_total") or 0) >= 3
        batches = scraped.wait_for("batches_total", 1)
        assert scraped.value("commit_seconds_count") == scraped.value("apply_seconds_count") == batches
        assert 0 < (scraped.value("commit_seconds_sum") or 0) <= (scraped.value("apply_seconds_sum") or 0)
        assert (scraped.value("up"), scraped.value("phase", phase="failed")) == (1, 0)
        assert (scraped.value("memory_bytes", process="worker") or 0) > 10 << 20
        assert (scraped.value("writer_token") or 0) >= 1
        # A stream that has nothing to do waits for the primary, and nothing limits it.
        scraped.wait_for("part_seconds_total", 2, part="primary")
        assert scraped.value("limiting_part", part="link") == 0
        link.cut()
        scraped.wait_for("reconnects_total", 1, side="primary")
        scraped.wait_for("errors_total", 1, **{"class": "connection"})
        scraped.wait_for("retries_total", 1, reason="connection")
        scraped.wait_for("phase", 1, phase="caught_up")

    scraped.run(replica, play)
    replica.assert_equal()


def test_a_frozen_worker_does_not_freeze_what_is_shown_and_a_dead_one_is_counted(
    replica: Replica, scraped: Scraped
) -> None:
    replica.on_primary("CREATE TABLE t (id INT PRIMARY KEY, v INT)", "INSERT INTO t VALUES (1, 1)")
    replica.run("transfer")

    def play() -> None:
        with replica.secondaries["db1"].session(database=replica.schema) as session:
            session.begin()
            session.rows("SELECT * FROM t WHERE id = 1 FOR UPDATE")
            replica.on_primary("UPDATE t SET v = 2 WHERE id = 1")
            scraped.wait_for("phase", 1, phase="streaming")
            os.kill(scraped.pid, signal.SIGSTOP)
            scraped.wait_for("lag_seconds", 0.5)  # what it had sent before has come
            sent = scraped.workers[0].status
            lag, silence = scraped.value("lag_seconds") or 0.0, scraped.value("heartbeat_lag_seconds") or 0.0
            scraped.wait_for("lag_seconds", lag + 1.5)
            scraped.wait_for("heartbeat_lag_seconds", silence + 1.5)
            assert scraped.workers[0].status is sent  # it grew without the worker
            os.kill(scraped.pid, signal.SIGKILL)
            scraped.wait_for("worker_deaths_total", 1)
            assert (scraped.value("up"), scraped.value("batches_total")) == (0, None)
            session.rollback()
        scraped.wait_for("up", 1)
        scraped.wait_for("rows_total", 1, kind="update")
        assert scraped.value("worker_deaths_total") == 1

    scraped.run(replica, play)
    replica.assert_equal()


def test_health_writes_a_file_for_the_node_exporter(replica: Replica) -> None:
    replica.on_primary("CREATE TABLE t (id INT PRIMARY KEY)")
    replica.run("transfer")
    path = replica.folder / "replica.prom"
    without = replica.run("health", code=2)  # no stream runs
    ended = replica.run("health", "--textfile", str(path), code=2)
    assert [line.split(":")[0] for line in ended.stdout.splitlines()] == [
        line.split(":")[0] for line in without.stdout.splitlines()
    ]
    text = path.read_text()
    assert 'replica_health_status{check="stream-alive",instance="db1",primary="mariadb-primary"} 2.0' in text
    assert 'replica_health_status{check="primary-connection",instance="",primary="mariadb-primary"} 0.0' in text
    assert 'replica_health_seconds{check="lag",instance="db1",primary="mariadb-primary"} 0.0' in text
    assert 'replica_health_timestamp_seconds{primary="mariadb-primary"}' in text
    stream = replica.stream()
    replica.wait_until_applied(stream)
    replica.run("health", "--quiet", "--textfile", str(path))
    assert 'check="stream-alive",instance="db1",primary="mariadb-primary"} 0.0' in path.read_text()
    missing = replica.run("health", "--quiet", "--textfile", str(replica.folder / "no" / "replica.prom"), code=3)
    assert "cannot be written: No such file or directory" in missing.stderr
    assert stream.end(signal.SIGTERM).code == 0
