"""Write the result of `replica health` for the textfile collector of the node exporter."""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from replica_cli.core.errors import ReplicaError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from replica_cli.core.reports.health import HealthCheck, HealthReport

_LABELS = ("instance", "primary", "check")
# The metrics with the values of checks, by unit. A value in another unit is a number of things.
_BY_UNIT = {"s": "replica_health_seconds", "bytes": "replica_health_bytes"}
_OF_THINGS = "replica_health_count"
# Name, labels and help of each metric.
HEALTH_METRICS = (
    ("replica_health_status", _LABELS, "Level of a check: 0 ok, 1 warning, 2 critical, 3 unknown."),
    ("replica_health_seconds", _LABELS, "Value of a check that has a time, such as lag and retention-left."),
    ("replica_health_bytes", _LABELS, "Value of a check that has a size."),
    (_OF_THINGS, _LABELS, "Value of a check that counts, such as quarantined-tables."),
    ("replica_health_timestamp_seconds", ("primary",), "When the checks were made, in Unix seconds."),
)


def write_textfile(path: Path, report: HealthReport, *, primary: str) -> None:
    """Write a report as metrics. A reader sees the file of before or the whole new one.

    Args:
        path: the file; the collector reads only names that end with `.prom`.
        report: the checks.
        primary: the name of the primary, a label of all metrics.

    Raises:
        ReplicaError: the file cannot be written.

    """
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Report(report, primary))
    try:
        _replace(path, generate_latest(registry))
    except OSError as error:
        reason = error.strerror or type(error).__name__
        hint = "the folder must exist, and the user of this command must be allowed to write into it"
        raise ReplicaError(f"{path} cannot be written: {reason}", hint=hint) from error


def textfile_table() -> str:
    """Return the metrics of the file as a table of Markdown."""
    return "\n".join(
        [
            "| metric | labels | what it is |",
            "|---|---|---|",
            *(
                f"| `{name}` | {', '.join(f'`{each}`' for each in labels)} | {text} |"
                for name, labels, text in HEALTH_METRICS
            ),
        ]
    )


class _Report(Collector):
    """Makes metrics of one report."""

    def __init__(self, report: HealthReport, primary: str) -> None:
        self._report = report
        self._primary = primary

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """Yield the metrics that have a value."""
        families = {name: GaugeMetricFamily(name, text, labels=labels) for name, labels, text in HEALTH_METRICS}
        for check in _unique(self._report.checks):
            labels = (check.instance, self._primary, check.name)
            families["replica_health_status"].add_metric(labels, check.level.value)
            if check.value is not None:
                families[_BY_UNIT.get(check.unit, _OF_THINGS)].add_metric(labels, check.value)
        families["replica_health_timestamp_seconds"].add_metric((self._primary,), round(time.time(), 3))
        return [family for family in families.values() if family.samples]


def _unique(checks: Iterable[HealthCheck]) -> Iterable[HealthCheck]:
    """Return the checks, of those with the same instance and name the first: the format allows no second one."""
    first: dict[tuple[str, str], HealthCheck] = {}
    for check in checks:
        first.setdefault((check.instance, check.name), check)
    return first.values()


def _replace(path: Path, text: bytes) -> None:
    # The name ends otherwise, so that the collector does not read the unfinished file.
    number, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".new", dir=path.parent)
    try:
        with os.fdopen(number, "wb") as file:
            file.write(text)
            file.flush()
            os.fchmod(file.fileno(), 0o644)  # the node exporter is another user
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise
