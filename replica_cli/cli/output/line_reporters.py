"""Reports progress without a live display: as log lines or as JSON lines, less often the longer it takes."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from replica_cli import documents
from replica_cli.cli.output import units
from replica_cli.cli.output.console import write_document
from replica_cli.cli.output.rates import TableRates, eta_seconds
from replica_cli.core.limiting import known_part, limit_text
from replica_cli.core.status import ENDED, LISTED_TABLES_LIMIT, Phase, TableState
from replica_cli.core.wording import copy_text, doing_text, phase_text, short_reason, uncommitted_text
from replica_cli.logs import Tag, log

if TYPE_CHECKING:
    from collections.abc import Callable

    from replica_cli.core.status import TableProgress, WorkerStatus

_logger = logging.getLogger(__name__)
# Pairs of a limit and an interval, in seconds: one line a second in the first minute, then one in 5 s, after three
# minutes one in 30 s, as in gh-ost.
_INTERVALS = ((60.0, 1.0), (180.0, 5.0), (float("inf"), 30.0))
_STARTING_SECONDS = 10.0
# In these phases nothing changes while no row is applied. The lines become fewer down to one in ten minutes,
# which shows that the stream is still there.
_STEADY = frozenset({Phase.CAUGHT_UP, Phase.STANDBY})
_STEADY_SECONDS, _STEADY_LIMIT_SECONDS = 30.0, 600.0
# The primary's times are whole seconds, so the lag of a busy stream seems to be a second for a moment in each second. A
# stream that was caught up is behind only after this time, else it would write two lines a second about that.
_BEHIND_SECONDS = 5.0
_NAMED_TABLES = 3
_SLACK = 0.05  # snapshots come about once a second: 0.99 s counts as a second
_Facts = tuple[Phase, str, tuple[str, ...], int, int, frozenset[tuple[str, str]]]


@dataclass(frozen=True, slots=True)
class _Shown:
    """The last snapshot that was shown: when, its state, its rows, and the interval of a steady stream after it."""

    at: float
    facts: _Facts
    rows: int
    steady_seconds: float


class Thinning:
    """Decides which snapshots are shown: each change of state, and otherwise one in each interval. Thread-safe.

    The interval of a stream that is caught up and applies nothing, or waits on standby, doubles from line to line.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._start = clock()
        self._lock = threading.Lock()
        self._shown: dict[str, _Shown] = {}
        # Since when the snapshots of an instance that was shown as caught up have another phase.
        self._behind_since: dict[str, float] = {}

    def is_due(self, status: WorkerStatus) -> bool:
        """Return True if the snapshot must be shown; it then counts as shown."""
        now = self._clock()
        interval = next(i for until, i in _INTERVALS if now - self._start < until)
        if status.phase is Phase.STARTING:  # there is nothing to report yet
            interval = max(interval, _STARTING_SECONDS)
        facts = _facts(status)
        with self._lock:
            last = self._shown.get(status.instance)
            if last is not None and self._is_behind_for_a_moment(status.instance, last.facts, facts, now):
                return False
            is_same = last is not None and last.facts == facts
            is_steady = status.phase in _STEADY and is_same and last is not None and last.rows == status.rows_total
            steady_seconds = _STEADY_SECONDS
            if is_steady and last is not None:
                interval = last.steady_seconds
                steady_seconds = min(2 * interval, _STEADY_LIMIT_SECONDS)
            if is_same and last is not None and now - last.at < interval - _SLACK:
                return False
            self._shown[status.instance] = _Shown(now, facts, status.rows_total, steady_seconds)
            return True

    def _is_behind_for_a_moment(self, instance: str, before: _Facts, facts: _Facts, now: float) -> bool:
        """Return True if a stream that was caught up is behind since a short time, and nothing else has changed."""
        if (before[0], facts[0], before[1:]) != (Phase.CAUGHT_UP, Phase.STREAMING, facts[1:]):
            self._behind_since.pop(instance, None)
            return False
        return now - self._behind_since.setdefault(instance, now) < _BEHIND_SECONDS


class LineReporter:
    """A reporter that logs one line for each snapshot; of a copy also one for each table that is being copied."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._thinning = Thinning(clock)
        self._lock = threading.Lock()
        self._rates = TableRates(clock)

    def on_status(self, status: WorkerStatus) -> None:
        """Log the snapshot if it must be shown."""
        if status.phase is Phase.TRANSFERRING and status.transfer is not None:
            with self._lock:
                for table in status.transfer.tables:
                    if table.state is not TableState.PENDING:
                        self._rates.note(status.instance, table)
        if not self._thinning.is_due(status):
            return
        if status.phase is Phase.TRANSFERRING and status.transfer is not None:
            for table in status.transfer.tables:
                if table.state is TableState.COPYING:
                    log(_logger, logging.INFO, Tag.TRANSFER, "%s", self._table_text(status.instance, table),
                        instance=status.instance, table=table.table, rows=table.rows_copied)  # fmt: skip
            log(_logger, logging.INFO, Tag.TRANSFER, "%s", _transfer_text(status), instance=status.instance)
            return
        log(_logger, logging.INFO, Tag.INFO, "%s", status_text(status), instance=status.instance)

    def on_note(self, instance: str, message: str) -> None:
        """Log the message."""
        log(_logger, logging.INFO, Tag.INFO, "%s", message, instance=instance or None)

    def on_stopping(self, message: str) -> None:
        """Log the message."""
        self.on_note("", message)

    def _table_text(self, instance: str, table: TableProgress) -> str:
        with self._lock:
            rate = self._rates.rows_per_second(instance, table.table)
        if not table.is_counted:
            return f"{doing_text(table)} for {units.duration(table.step_seconds)}, {table.rows_copied} rows copied"
        part = units.share(table.rows_copied, table.rows_estimated)
        whole = "?" if table.rows_estimated is None else str(table.rows_estimated)
        eta = eta_seconds(table.rows_copied, table.rows_estimated, rate)
        percent = "" if part is None else f"{part:.1%} "
        return f"{percent}{table.rows_copied}/{whole} rows {rate:.0f}/s eta {units.duration(eta)}"


class JsonReporter:
    """A reporter that writes JSON lines to stdout: snapshots as often as `LineReporter`, and all messages."""

    def __init__(self) -> None:
        self._thinning = Thinning()

    def on_status(self, status: WorkerStatus) -> None:
        """Write the snapshot if it must be shown."""
        if self._thinning.is_due(status):
            write_document(documents.status_line(status), is_line=True)

    def on_note(self, instance: str, message: str) -> None:
        """Write the message."""
        write_document(documents.note_line(instance, message), is_line=True)

    def on_stopping(self, message: str) -> None:
        """Write the message."""
        self.on_note("", message)


def status_text(status: WorkerStatus) -> str:
    """Return a snapshot as one line; the order of its parts is always the same."""
    parts = [phase_text(status.phase)]
    if status.position is not None:  # without a position nothing has been read or applied yet
        parts.append(f"at {units.position_text(status.position)}")
        parts += [f"lag {units.duration(status.lag_seconds)}"] if status.lag_seconds is not None else []
        if status.phase not in ENDED:
            parts += [f"rows {status.rows_per_second:.0f}/s", f"trx {status.transactions_per_second:.0f}/s"]
        if status.transfer is None or status.phase not in ENDED:  # the end of a copy has reported its rows already
            parts.append(f"total {status.rows_total} rows")
        if status.rows_uncommitted:
            parts.append(f"and {uncommitted_text(status.rows_uncommitted)}")
    if status.quarantined:
        more = ", …" if len(status.quarantined) > _NAMED_TABLES else ""
        parts.append(f"quarantined {len(status.quarantined)}: {', '.join(status.quarantined[:_NAMED_TABLES])}{more}")
    if status.reconnects:
        parts.append(f"reconnects {status.reconnects}")
    if part := known_part(status.limiting_part):
        parts.append(limit_text(part))
    if status.transfer and status.phase not in ENDED:
        parts.append(f"copying {copy_text(status.transfer.status)}")
    return " ".join(parts) + (f" ({short_reason(status.message, status.instance)})" if status.message else "")


def _transfer_text(status: WorkerStatus) -> str:
    progress = status.transfer
    if progress is None:
        return status_text(status)
    return f"{copy_text(progress.status)}, after {units.duration(progress.elapsed_seconds)}"


def _facts(status: WorkerStatus) -> _Facts:
    copy = status.transfer.status if status.transfer else None
    if copy is None or copy.tables > LISTED_TABLES_LIMIT:
        # In a copy of many tables, the begin and the end of one table are not worth a line.
        return (status.phase, status.limiting_part, status.quarantined, status.reconnects, 0, frozenset())
    steps = frozenset((t.table, t.step) for t in copy.steps)
    return (status.phase, status.limiting_part, status.quarantined, status.reconnects, copy.tables_done, steps)
