"""Statuses and metrics of secondaries, from plain data."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from replica_cli.core.limiting import Part
from replica_cli.core.metrics import BOUNDS, Histogram, StreamMetrics
from replica_cli.core.position import Position
from replica_cli.core.status import Phase, WorkerStatus


def metrics(**changes: Any) -> StreamMetrics:
    now = time.monotonic()
    full = StreamMetrics(
        rows={"insert": 30, "delete": 2},
        batches=7,
        commit_seconds=Histogram((3, 2, *(0,) * (len(BOUNDS) - 2), 1), 70.5),
        apply_seconds=Histogram((0, *(0,) * (len(BOUNDS) - 1), 6), 700.0),
        part_seconds={Part.SECONDARY: 12.5},
        queue_bytes=4096,
        batch_transactions=5,
        batch_rows=9,
        batch_limit=100,
        reconnects={"primary": 2},
        retries={"lock": 3},
        errors={("server_error", "connection"): 2},
        lag_seconds=3.0,
        lag_grows=True,
        lag_known_at=now - 10,
        heard_at=now - 20,
        changed_at=now - 30,
        distance_bytes=123456,
        retention_seconds=86400.0,
        retention_known_at=now - 40,
        writer_token=11,
        verified_rows=900,
        row_differences=3,
        proven_at=time.monotonic() - 3600,
        memory_bytes=100 << 20,
        tables={"quarantined": 1},
    )
    return replace(full, **changes)


def streaming(instance: str = "db1", **changes: Any) -> WorkerStatus:
    status = WorkerStatus(
        instance, Phase.STREAMING, Position("binlog.000001", 4), transactions_total=40, skipped_rows=6,
        limiting_part=Part.SECONDARY, metrics=metrics(),
    )  # fmt: skip
    return replace(status, **changes)
