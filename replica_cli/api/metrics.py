"""Answer a scrape: the newest status of each secondary as metrics of Prometheus, computed at the scrape."""

from __future__ import annotations

import time
from itertools import accumulate
from typing import TYPE_CHECKING

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from replica_cli.api import declared
from replica_cli.api.declared import METRICS, SHARED_LABELS, Kind, Observed
from replica_cli.core.metrics import BOUNDS, Histogram
from replica_cli.logs import dropped_records
from replica_cli.measures import resident_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from prometheus_client.core import Metric as Family

    from replica_cli.core.metrics import Newest

__all__ = ["CONTENT_TYPE_LATEST", "ReplicaCollector", "metrics_text", "registry_of"]

_Made = CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily
_LIMITS = (*(f"{bound:g}" if bound != int(bound) else f"{bound:.1f}" for bound in BOUNDS), "+Inf")


class ReplicaCollector(Collector):
    """Makes the metrics of one command. `read` is called at each scrape, in its thread, and must not wait."""

    def __init__(self, read: Callable[[], Newest], *, version: str, primary: str) -> None:
        """Keep what the scrapes need.

        Args:
            read: returns the newest statuses.
            version: the version of replica.
            primary: the name of the primary, a label of all metrics.

        """
        self._read = read
        self._version = version
        self._primary = primary

    def describe(self) -> Iterable[Family]:
        """Return nothing: the names need not be known before the first scrape."""
        return ()

    def collect(self) -> Iterable[Family]:
        """Yield all metrics that have a value."""
        newest = self._read()
        now = time.monotonic()
        observed = [Observed(s, s.metrics, newest.processes.get(s.instance), now) for s in newest.statuses]
        for metric in METRICS:
            family = _family(metric.name, metric.kind, metric.help, (*SHARED_LABELS, *metric.labels))
            for each in observed:
                for labels, value in metric.read(each):
                    _add(family, (each.status.instance, self._primary, *labels), value)
            if family.samples:
                yield family
        yield from self._of_processes(observed)

    def _of_processes(self, observed: Sequence[Observed]) -> Iterable[Family]:
        memory = _family(declared.MEMORY, Kind.GAUGE, declared.MEMORY_HELP, (*SHARED_LABELS, "process"))
        for each in observed:
            if each.metrics is not None and each.metrics.memory_bytes is not None:
                _add(memory, (each.status.instance, self._primary, "worker"), each.metrics.memory_bytes)
        if (size := resident_bytes()) is not None:
            _add(memory, ("", self._primary, "supervisor"), size)
        yield memory
        if (count := dropped_records()) is not None:
            dropped = _family(declared.DROPPED, Kind.COUNTER, declared.DROPPED_HELP, ("primary",))
            _add(dropped, (self._primary,), count)
            yield dropped
        build = _family(declared.BUILD, Kind.GAUGE, declared.BUILD_HELP, ("version",))
        _add(build, (self._version,), 1)
        yield build


def registry_of(read: Callable[[], Newest], *, version: str, primary: str) -> CollectorRegistry:
    """Return a registry with the metrics of one command and nothing else. The arguments are those of the collector."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(ReplicaCollector(read, version=version, primary=primary))
    return registry


def metrics_text(registry: CollectorRegistry) -> bytes:
    """Return the metrics of a registry in the text format, whose content type is CONTENT_TYPE_LATEST."""
    return generate_latest(registry)


def _family(name: str, kind: Kind, text: str, labels: Sequence[str]) -> _Made:
    if kind is Kind.COUNTER:
        return CounterMetricFamily(name, text, labels=labels)
    if kind is Kind.HISTOGRAM:
        return HistogramMetricFamily(name, text, labels=labels)
    return GaugeMetricFamily(name, text, labels=labels)


def _add(family: _Made, labels: Sequence[str], value: declared.Value) -> None:
    if isinstance(value, Histogram) and isinstance(family, HistogramMetricFamily):
        buckets = list(zip(_LIMITS, accumulate(value.counts), strict=True))
        family.add_metric(labels, buckets, value.total_seconds)
    elif not isinstance(value, Histogram) and not isinstance(family, HistogramMetricFamily):
        family.add_metric(labels, value)
