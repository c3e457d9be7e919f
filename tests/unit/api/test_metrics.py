"""What a scrape answers: from the newest statuses, at the moment of the scrape."""

from __future__ import annotations

import pickle
import re
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from prometheus_client.parser import text_string_to_metric_families

from replica_cli import logs
from replica_cli.api import metrics as module
from replica_cli.api.declared import METRICS, metrics_table
from replica_cli.api.metrics import metrics_text, registry_of
from replica_cli.core.limiting import LIMITING_PARTS
from replica_cli.core.metrics import Newest, ProcessFacts
from replica_cli.core.status import CopyProgress, Phase, TableProgress, TableState, WorkerStatus
from replica_cli.error_policy import Reconnect, Repeat, RetryTable, WaitForLock, retry_reason
from tests.unit.api.observed import metrics, streaming

if TYPE_CHECKING:
    from collections.abc import Mapping

FACTS = {"db1": ProcessFacts(is_running=True, deaths=2)}


def scrape(*statuses: WorkerStatus, processes: Mapping[str, ProcessFacts] = FACTS) -> dict[str, float]:
    """Return the value of each sample, by its name and its labels besides `instance` and `primary`."""
    registry = registry_of(lambda: Newest(statuses, processes), version="1.2.3", primary="main")
    values = {}
    for family in text_string_to_metric_families(metrics_text(registry).decode()):
        assert family.documentation.endswith(".") or family.name == "replica_build_info"
        for sample in family.samples:
            if sample.name not in {"replica_build_info", "replica_log_records_dropped_total"}:
                assert sample.labels["primary"] == "main"
                assert sample.labels["instance"] in {"db1", "db2", ""}
            labels = [v for k, v in sample.labels.items() if k not in {"instance", "primary"}]
            values["/".join([sample.name, *labels])] = sample.value
    return values


def test_a_stream_has_all_metrics() -> None:
    status = streaming(transfer=CopyProgress("db1", (TableProgress("s.t", 5, 9, 0, TableState.COPYING),)))
    values = scrape(status)
    names = {re.sub(r"_(bucket|sum|count)$", "", key.partition("/")[0]) for key in values}
    assert {m.name for m in METRICS} <= names
    assert values["replica_build_info/1.2.3"] == 1
    assert {key: values[key] for key in values if "/" not in key and "seconds" not in key} == {
        "replica_up": 1, "replica_transactions_total": 40, "replica_skipped_rows_total": 6, "replica_batches_total": 7,
        "replica_distance_bytes": 123456, "replica_queue_bytes": 4096, "replica_batch_transactions": 5,
        "replica_batch_rows": 9, "replica_batch_limit_transactions": 100, "replica_transfer_rows": 5,
        "replica_transfer_rows_estimated": 9, "replica_writer_token": 11, "replica_worker_deaths_total": 2,
        "replica_verify_rows_total": 900, "replica_verify_differences": 3,
    }  # fmt: skip
    assert values["replica_memory_bytes/worker"] == 100 << 20
    assert values["replica_memory_bytes/supervisor"] > 5 << 20


def test_labels_that_are_known_have_a_value_from_the_beginning() -> None:
    values = scrape(streaming())
    assert {k: v for k, v in values.items() if "reconnects" in k or "rows_total/" in k or "retries" in k} == {
        "replica_reconnects_total/primary": 2, "replica_reconnects_total/secondary": 0,
        "replica_rows_total/insert": 30, "replica_rows_total/update": 0, "replica_rows_total/delete": 2,
        "replica_retries_total/lock": 3, "replica_retries_total/table": 0, "replica_retries_total/diagnosis": 0,
        "replica_retries_total/state": 0, "replica_retries_total/connection": 0, "replica_retries_total/again": 0,
    }  # fmt: skip
    assert values["replica_errors_total/connection/server_error"] == 2
    assert {k: v for k, v in values.items() if k.startswith("replica_tables")} == {
        "replica_tables/pending": 0, "replica_tables/copying": 0, "replica_tables/joining": 0,
        "replica_tables/copied": 0, "replica_tables/quarantined": 1,
    }  # fmt: skip
    limits = {k.rpartition("/")[2]: v for k, v in values.items() if "limiting" in k}
    assert limits == {part: float(part == "secondary") for part in LIMITING_PARTS}
    assert {k: v for k, v in values.items() if "phase" in k and v} == {"replica_phase/streaming": 1}
    assert sum("phase" in k for k in values) == len(Phase)


def test_each_reason_of_the_policy_is_known() -> None:
    actions = (
        Repeat(), Repeat(diagnoses=True), WaitForLock(), RetryTable(1, 2), Reconnect(1), Reconnect(1, clears=True)
    )  # fmt: skip
    assert all(f"replica_retries_total/{retry_reason(a)}" in scrape(streaming()) for a in actions)


def test_times_grow_until_the_moment_of_the_scrape(monkeypatch: pytest.MonkeyPatch) -> None:
    # As if the main thread of the worker were blocked since the status was sent.
    status, now = streaming(), time.monotonic()
    names = ("lag", "heartbeat_lag", "primary_retention")
    for later in (0.0, 1000.0):
        monkeypatch.setattr(time, "monotonic", lambda later=later: now + later)
        values = scrape(status)
        assert [values[f"replica_{name}_seconds"] for name in names] == [
            pytest.approx(13 + later, abs=1), pytest.approx(20 + later, abs=1), pytest.approx(86360 - later, abs=1)
        ]  # fmt: skip
        assert values["replica_seconds_since_event"] == pytest.approx(30 + later, abs=1)


def test_histograms_are_cumulative() -> None:
    values = scrape(streaming())
    name = "replica_commit_seconds"
    assert [values[f"{name}_bucket/{le}"] for le in ("0.001", "0.0025", "1.0", "60.0", "+Inf")] == [3, 5, 5, 5, 6]
    assert (values[f"{name}_count"], values[f"{name}_sum"]) == (6, 70.5)


def test_what_is_not_known_has_no_value() -> None:
    unknown = metrics(
        lag_seconds=None, heard_at=None, changed_at=None, distance_bytes=None, retention_seconds=None,
        writer_token=None, memory_bytes=None, batch_limit=0,
    )  # fmt: skip
    values = scrape(streaming(metrics=unknown))
    for name in (
        "lag_seconds", "heartbeat_lag_seconds", "seconds_since_event", "distance_bytes", "primary_retention_seconds",
        "writer_token", "memory_bytes/worker", "batch_limit_transactions", "transfer_rows", "transfer_rows_estimated",
    ):  # fmt: skip
        assert f"replica_{name}" not in values


def test_a_transfer_has_its_copy_and_nothing_of_a_stream() -> None:
    tables = (
        TableProgress("s.a", 5, 5, 0, TableState.COPIED),
        TableProgress("s.b", 1, 9, 0, TableState.COPYING),
        TableProgress("s.c", 0, 3),
    )
    status = WorkerStatus("db1", Phase.TRANSFERRING, transfer=CopyProgress("db1", tables))
    values = scrape(status, processes={})
    names = {key.partition("/")[0] for key in values}
    assert names == {
        "replica_up", "replica_phase", "replica_tables", "replica_transfer_rows", "replica_transfer_rows_estimated",
        "replica_memory_bytes", "replica_build_info",
    }  # fmt: skip
    assert (values["replica_up"], values["replica_phase/transferring"]) == (1, 1)
    assert (values["replica_transfer_rows"], values["replica_transfer_rows_estimated"]) == (6, 17)
    assert [values[f"replica_tables/{s}"] for s in ("pending", "copying", "copied")] == [1, 1, 1]


def test_a_worker_that_died_or_ended_is_not_up() -> None:
    dead = {"db1": ProcessFacts(is_running=False, deaths=3)}
    values = scrape(WorkerStatus("db1"), processes=dead)
    assert (values["replica_up"], values["replica_worker_deaths_total"]) == (0, 3)
    assert "replica_batches_total" not in values
    assert scrape(streaming(phase=Phase.FAILED))["replica_up"] == 0


def test_several_secondaries_have_each_their_values_and_one_line_of_help() -> None:
    statuses = (streaming("db1"), streaming('d"b\n2', transactions_total=9))
    text = metrics_text(registry_of(lambda: Newest(statuses), version="1", primary="p")).decode()
    assert text.count("# HELP replica_transactions_total ") == 1
    assert 'replica_transactions_total{instance="db1",primary="p"} 40.0' in text
    assert 'replica_transactions_total{instance="d\\"b\\n2",primary="p"} 9.0' in text


def test_dropped_records_are_those_of_graylog(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "replica_log_records_dropped_total" not in scrape(streaming())
    monkeypatch.setattr(module, "dropped_records", lambda: 5)
    assert scrape(streaming())["replica_log_records_dropped_total"] == 5


def test_the_handlers_count_dropped_records(monkeypatch: pytest.MonkeyPatch) -> None:
    class Handler:
        dropped = 4

    assert logs.dropped_records() is None
    monkeypatch.setattr(logs.setup, "_installed", [object(), Handler(), Handler()])
    assert logs.dropped_records() == 8


def test_names_are_those_of_prometheus_conventions() -> None:
    for metric in METRICS:
        assert re.fullmatch(r"replica(_[a-z]+)+", metric.name)
        assert metric.name.endswith("_total") == (metric.kind == "counter")
        assert "table" not in metric.labels
        assert f"| `{metric.name}` |" in metrics_table()
    assert len({m.name for m in METRICS}) == len(METRICS)


def test_prometheus_has_nothing_to_say_against_them() -> None:
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not here")
    transfer = CopyProgress("db1", (TableProgress("s.t", 5, 9, 0, TableState.COPYING),))
    text = metrics_text(registry_of(lambda: Newest((streaming(transfer=transfer),), FACTS), version="1", primary="p"))
    ended = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, b"", b"")


def test_a_scrape_of_four_secondaries_takes_milliseconds() -> None:
    statuses = tuple(streaming(f"db{n}") for n in range(4))
    registry = registry_of(lambda: Newest(statuses, {}), version="1", primary="p")
    metrics_text(registry)
    began = time.process_time()
    for _ in range(10):
        metrics_text(registry)
    assert (time.process_time() - began) / 10 < 0.1  # 2 ms when this was written


def test_a_status_with_metrics_can_be_sent_to_another_process() -> None:
    code = (
        "import pickle, sys; status = pickle.load(sys.stdin.buffer); assert 'prometheus_client' not in sys.modules;"
        "print(status.metrics.errors)"
    )
    sent = pickle.dumps(replace(streaming(), phase=Phase.CAUGHT_UP))
    ended = subprocess.run([sys.executable, "-c", code], input=sent, capture_output=True, check=True)
    assert ended.stdout.decode().strip() == "{('server_error', 'connection'): 2}"
