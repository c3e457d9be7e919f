"""The file for the node exporter: its metrics, and how it is replaced."""

from __future__ import annotations

import os
import stat
import time
from typing import TYPE_CHECKING

import pytest
from prometheus_client.parser import text_string_to_metric_families

from replica_cli.api.textfile import textfile_table, write_textfile
from replica_cli.core.errors import ReplicaError
from replica_cli.core.reports.health import HealthCheck, HealthLevel, HealthReport

if TYPE_CHECKING:
    from pathlib import Path

OK, WARNING, CRITICAL = HealthLevel.OK, HealthLevel.WARNING, HealthLevel.CRITICAL
REPORT = HealthReport(
    (
        HealthCheck("primary-connection", OK, "m is there"),
        HealthCheck("binlog-retention", OK, "kept", value=86400, unit="s"),
        HealthCheck("lag", WARNING, "late", value=61.5, unit="s", instance="db1"),
        HealthCheck("quarantined-tables", CRITICAL, "two", value=2, unit="tables", instance="db1"),
        HealthCheck("max-allowed-packet", OK, "fits", value=1024, unit="bytes", instance="db1"),
        HealthCheck("lag", OK, "caught up", value=0.0, unit="s", instance="db2"),
    )
)


def written(path: Path, report: HealthReport = REPORT) -> dict[str, float]:
    write_textfile(path, report, primary="main")
    values = {}
    for family in text_string_to_metric_families(path.read_text()):
        for sample in family.samples:
            labels = [sample.labels[name] for name in ("instance", "check") if name in sample.labels]
            assert sample.labels["primary"] == "main"
            values["/".join([sample.name.removeprefix("replica_health_"), *labels])] = sample.value
    return values


def test_levels_and_values_of_all_checks_are_written(tmp_path: Path) -> None:
    values = written(tmp_path / "replica.prom")
    assert abs(values.pop("timestamp_seconds") - time.time()) < 60
    assert values == {
        "status//primary-connection": 0, "status//binlog-retention": 0, "status/db1/lag": 1,
        "status/db1/quarantined-tables": 2, "status/db1/max-allowed-packet": 0, "status/db2/lag": 0,
        "seconds//binlog-retention": 86400, "seconds/db1/lag": 61.5, "seconds/db2/lag": 0,
        "count/db1/quarantined-tables": 2, "bytes/db1/max-allowed-packet": 1024,
    }  # fmt: skip
    for name in {key.partition("/")[0] for key in values}:
        assert f"`replica_health_{name}`" in textfile_table()


def test_another_user_may_read_it_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = tmp_path / "replica.prom"
    before = os.umask(0o077)
    try:
        written(path)
        written(path)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert list(tmp_path.iterdir()) == [path]


def test_the_file_of_before_stays_if_the_new_one_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "replica.prom"
    written(path)
    before = path.read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ReplicaError, match=r"replica\.prom cannot be written: No space left on device"):
        write_textfile(path, HealthReport(()), primary="main")
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_does_not_exist_is_an_error_with_a_hint(tmp_path: Path) -> None:
    with pytest.raises(ReplicaError, match="No such file") as raised:
        write_textfile(tmp_path / "missing" / "replica.prom", REPORT, primary="main")
    assert raised.value.hint is not None
    assert "must exist" in raised.value.hint


def test_two_checks_of_one_name_are_one_sample(tmp_path: Path) -> None:
    twice = HealthReport(
        (HealthCheck("lag", CRITICAL, "a", instance="db1"), HealthCheck("lag", OK, "b", instance="db1"))
    )
    assert written(tmp_path / "replica.prom", twice)["status/db1/lag"] == 2
