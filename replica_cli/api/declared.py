"""The metrics of a running command: each is declared once, with its name, type, help, labels and the way to its value.

The collector and the table in docs/operations/monitor.md are made of `METRICS`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, TypeVar

from replica_cli.core.limiting import LIMITING_PARTS, Part
from replica_cli.core.metrics import Histogram
from replica_cli.core.status import ENDED, STREAMING_PHASES, Phase, TableState

if TYPE_CHECKING:
    from collections.abc import Mapping

    from replica_cli.core.metrics import ProcessFacts, StreamMetrics
    from replica_cli.core.status import CopyStatus, WorkerStatus

# The labels of each metric of a secondary, before those of its own.
SHARED_LABELS = ("instance", "primary")


class Kind(StrEnum):
    """The type of a metric, as Prometheus names it."""

    GAUGE = "gauge"
    COUNTER = "counter"
    HISTOGRAM = "histogram"


Label = TypeVar("Label", bound=str)
Value = float | Histogram
# Values of one metric, each with the values of the metric's own labels.
Samples = Iterable[tuple[tuple[str, ...], Value]]


@dataclass(frozen=True, slots=True)
class Observed:
    """One secondary at the moment of a scrape.

    Attributes:
        status: the newest status.
        metrics: what its worker has counted; None if no worker has sent anything yet, after its death, and in a copy.
        process: what is known of its process; None if the command has no processes of its own for secondaries.
        now: the monotonic time of the scrape.
    """

    status: WorkerStatus
    metrics: StreamMetrics | None
    process: ProcessFacts | None
    now: float

    @property
    def copy(self) -> CopyStatus | None:
        """Return the sums of the copy that runs, None if there is none."""
        transfer = self.status.transfer
        return None if transfer is None or self.status.phase in ENDED else transfer.status


Read = Callable[[Observed], Samples]


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric of each secondary.

    Attributes:
        name: its full name.
        kind: its type.
        help: what it is, one sentence.
        labels: its labels besides SHARED_LABELS.
        read: returns its values, each with the values of `labels`. What is not known has no value.
    """

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...]
    read: Read


def _one(read: Callable[[Observed], Value | None]) -> Read:
    """Return a reader of a metric without labels of its own."""

    def values(observed: Observed) -> Samples:
        value = read(observed)
        return () if value is None else (((), value),)

    return values


def _counted(
    read: Callable[[StreamMetrics], Value | None],
) -> Read:
    """Return a reader of one value that a worker counts or measures."""
    return _one(lambda o: None if o.metrics is None else read(o.metrics))


def _each(read: Callable[[StreamMetrics], Mapping[Label, float]], known: Iterable[str] = ()) -> Read:
    """Return a reader of counts by one label. The `known` values of the label have a count from the beginning."""
    zeros = {str(label): 0.0 for label in known}

    def values(observed: Observed) -> Samples:
        if observed.metrics is None:
            return ()
        counts = zeros | {str(label): value for label, value in read(observed.metrics).items()}
        return (((label,), value) for label, value in counts.items())

    return values


def _is_up(observed: Observed) -> float:
    is_running = observed.process is None or observed.process.is_running
    return float(is_running and observed.status.phase not in ENDED)


def _phases(observed: Observed) -> Samples:
    return (((phase.value,), float(phase is observed.status.phase)) for phase in Phase)


def _lag(observed: Observed) -> float | None:
    if observed.metrics is not None and observed.status.phase in STREAMING_PHASES:
        return observed.metrics.lag_at(observed.now)
    return observed.status.lag_seconds


def _since(
    read: Callable[[StreamMetrics], float | None],
) -> Read:
    """Return a reader of the seconds since a monotonic time."""

    def seconds(observed: Observed) -> float | None:
        at = None if observed.metrics is None else read(observed.metrics)
        return None if at is None else max(0.0, observed.now - at)

    return _one(seconds)


def _retention(observed: Observed) -> float | None:
    return None if observed.metrics is None else observed.metrics.retention_at(observed.now)


def _errors(observed: Observed) -> Samples:
    return () if observed.metrics is None else observed.metrics.errors.items()


def _tables(observed: Observed) -> Samples:
    """Yield the tables by state: of the records of a stream, or of the copy that everything waits for."""
    counts = dict.fromkeys((state.value for state in TableState), 0)
    copy = observed.copy
    if copy is not None and observed.status.phase is Phase.TRANSFERRING and observed.status.transfer is not None:
        copying = sum(t.state is TableState.COPYING for t in observed.status.transfer.tables)
        counts[TableState.COPIED.value] = copy.tables_done
        counts[TableState.COPYING.value] = copying
        counts[TableState.PENDING.value] = max(0, copy.tables - copy.tables_done - copying)
    elif observed.metrics is not None:
        counts |= observed.metrics.tables
    else:
        return ()
    return (((state,), float(count)) for state, count in counts.items())


def _limits(observed: Observed) -> Samples:
    if observed.metrics is None:
        return ()
    return (((part.value,), float(part == observed.status.limiting_part)) for part in LIMITING_PARTS)


def _of_stream(read: Callable[[WorkerStatus], float]) -> Read:
    """Return a reader of a number of the status that only a stream counts."""
    return _one(lambda o: None if o.metrics is None else read(o.status))


_SIDES = ("primary", "secondary")
_KINDS = ("insert", "update", "delete")
_REASONS = ("lock", "table", "diagnosis", "state", "connection", "again")
_GAUGE, _COUNTER, _HISTOGRAM = Kind.GAUGE, Kind.COUNTER, Kind.HISTOGRAM

METRICS: tuple[Metric, ...] = (
    Metric(
        "replica_up", _GAUGE, "1 while the process of the secondary runs and has not ended its work.", (), _one(_is_up)
    ),
    Metric("replica_phase", _GAUGE, "1 for the phase that the secondary is in, 0 for the others.", ("phase",), _phases),
    Metric(
        "replica_lag_seconds",
        _GAUGE,
        "For how long the secondary has been missing changes; no value while that is not known.",
        (),
        _one(_lag),
    ),
    Metric(
        "replica_heartbeat_lag_seconds",
        _GAUGE,
        "Seconds since the primary sent anything, heartbeat events included.",
        (),
        _since(lambda m: m.heard_at),
    ),
    Metric(
        "replica_seconds_since_event",
        _GAUGE,
        "Seconds since a change of replicated rows was read.",
        (),
        _since(lambda m: m.changed_at),
    ),
    Metric(
        "replica_distance_bytes",
        _GAUGE,
        "Binary log between the saved position and the end of the primary's log, read each 30 s.",
        (),
        _counted(lambda m: m.distance_bytes),
    ),
    Metric(
        "replica_primary_retention_seconds",
        _GAUGE,
        "How long the primary keeps the log of the saved position at least; no value if it purges nothing by age.",
        (),
        _one(_retention),
    ),
    Metric(
        "replica_transactions_total",
        _COUNTER,
        "Committed transactions of the primary.",
        (),
        _of_stream(lambda s: s.transactions_total),
    ),
    Metric("replica_rows_total", _COUNTER, "Committed rows.", ("kind",), _each(lambda m: m.rows, _KINDS)),
    Metric(
        "replica_skipped_rows_total",
        _COUNTER,
        "Row events of quarantined tables, which were not applied.",
        (),
        _of_stream(lambda s: s.skipped_rows),
    ),
    Metric("replica_batches_total", _COUNTER, "Batches that were committed.", (), _counted(lambda m: m.batches)),
    Metric(
        "replica_commit_seconds",
        _HISTOGRAM,
        "From sending COMMIT until its answer was read.",
        (),
        _counted(lambda m: m.commit_seconds),
    ),
    Metric(
        "replica_apply_seconds",
        _HISTOGRAM,
        "From the first statement of a batch until the answer to its COMMIT was read.",
        (),
        _counted(lambda m: m.apply_seconds),
    ),
    Metric(
        "replica_batch_transactions",
        _GAUGE,
        "Transactions of the last batch.",
        (),
        _counted(lambda m: m.batch_transactions),
    ),
    Metric("replica_batch_rows", _GAUGE, "Rows of the last batch.", (), _counted(lambda m: m.batch_rows)),
    Metric(
        "replica_batch_limit_transactions",
        _GAUGE,
        "How many transactions the next batch may have; it becomes less if each takes long.",
        (),
        _counted(lambda m: m.batch_limit or None),
    ),
    Metric(
        "replica_queue_bytes",
        _GAUGE,
        "Transactions that are read and not taken by the thread that applies.",
        (),
        _counted(lambda m: m.queue_bytes),
    ),
    Metric(
        "replica_part_seconds_total",
        _COUNTER,
        "Seconds of the thread that applies, by the part that it was in.",
        ("part",),
        _each(lambda m: m.part_seconds, Part),
    ),
    Metric(
        "replica_limiting_part",
        _GAUGE,
        "1 for the part that limits a stream whose lag is above its limit, else 0.",
        ("part",),
        _limits,
    ),
    Metric(
        "replica_reconnects_total",
        _COUNTER,
        "Connections that were lost and made again, by side.",
        ("side",),
        _each(lambda m: m.reconnects, _SIDES),
    ),
    Metric(
        "replica_retries_total",
        _COUNTER,
        "Further attempts after errors, by reason.",
        ("reason",),
        _each(lambda m: m.retries, _REASONS),
    ),
    Metric(
        "replica_errors_total",
        _COUNTER,
        "Errors by their name and by what was done: retryable, connection, table or fatal.",
        ("code", "class"),
        _errors,
    ),
    Metric(
        "replica_tables",
        _GAUGE,
        "Tables by state; a table whose changes are simply applied has none.",
        ("state",),
        _tables,
    ),
    Metric(
        "replica_transfer_rows",
        _GAUGE,
        "Rows that the present copy has copied.",
        (),
        _one(lambda o: None if o.copy is None else o.copy.rows_copied),
    ),
    Metric(
        "replica_transfer_rows_estimated",
        _GAUGE,
        "The primary's estimate of the rows of the present copy.",
        (),
        _one(lambda o: None if o.copy is None else o.copy.rows_estimated),
    ),
    Metric(
        "replica_writer_token",
        _GAUGE,
        "The fencing token; it grows each time a process begins to stream.",
        (),
        _counted(lambda m: m.writer_token),
    ),
    Metric(
        "replica_verify_rows_total",
        _COUNTER,
        "Rows that the scrub of the stream has compared.",
        (),
        _counted(lambda m: m.verified_rows),
    ),
    Metric(
        "replica_verify_differences",
        _GAUGE,
        "Rows that are known to differ, read each 30 s.",
        (),
        _counted(lambda m: m.row_differences),
    ),
    Metric(
        "replica_verify_proof_age_seconds",
        _GAUGE,
        "Age of the oldest proof of a table, in seconds; no value before the first proof.",
        (),
        _since(lambda m: m.proven_at),
    ),
    Metric(
        "replica_worker_deaths_total",
        _COUNTER,
        "Worker processes that died and were started again.",
        (),
        _one(lambda o: None if o.process is None else o.process.deaths),
    ),
)

MEMORY = "replica_memory_bytes"
MEMORY_HELP = "Resident memory, of each worker and of the supervisor (whose instance is empty)."
DROPPED = "replica_log_records_dropped_total"
DROPPED_HELP = "Log records that were not sent to Graylog; no value without Graylog."
BUILD = "replica_build_info"
BUILD_HELP = "1, with the version of replica."


def metrics_table() -> str:
    """Return all metrics as a table of Markdown."""
    rows = [(m.name, m.kind, (*SHARED_LABELS, *m.labels), m.help) for m in METRICS]
    rows += [
        (MEMORY, Kind.GAUGE, (*SHARED_LABELS, "process"), MEMORY_HELP),
        (DROPPED, Kind.COUNTER, ("primary",), DROPPED_HELP),
        (BUILD, Kind.GAUGE, ("version",), BUILD_HELP),
    ]
    return "\n".join(
        [
            "| metric | type | labels | what it is |",
            "|---|---|---|---|",
            *(f"| `{name}` | {kind} | {_names(labels)} | {text} |" for name, kind, labels, text in rows),
        ]
    )


def _names(labels: Iterable[str]) -> str:
    return ", ".join(f"`{label}`" for label in labels)
