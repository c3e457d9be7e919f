"""The status of a worker: several threads change it, and readers get frozen snapshots."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from replica_cli.core.status import LISTED_TABLES_LIMIT, STREAMING_PHASES, CopiedTable, Phase, WorkerStatus
from replica_cli.measures import StreamMeasures
from replica_cli.runtime.lag import Lag, PrimaryClock, with_lag

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from replica_cli.core.metrics import StreamMetrics
    from replica_cli.core.status import CopyProgress
    from replica_cli.runtime.limit_watch import LimitWatch

# Rates are calculated over this time.
_RATE_SECONDS = 5.0
_SEND_SECONDS = 0.25
_COPIED_SECONDS = 60.0


class StatusPublisher:
    """Holds the newest snapshot and sends it to a listener a few times a second. Safe between threads.

    `has_used_state` is True if this process has read or saved the position row of the instance: if the row is missing
    later, a user deleted it. `batch_tables` returns the tables of the current batch, which messages about a wait show.
    `measures` is what the worker counts.
    """

    def __init__(
        self,
        instance: str,
        send: Callable[[WorkerStatus], None],
        *,
        measures: StreamMeasures | None = None,
        watch: LimitWatch | None = None,
    ) -> None:
        """Begin with an empty status.

        Args:
            instance: the name of the secondary.
            send: called with each snapshot, from the thread that made the change.
            measures: what the worker counts, sent with each snapshot. None: nothing of it is sent.
            watch: decides what limits the stream, None if that is not wanted.

        """
        self._is_measured = measures is not None
        self.measures = measures or StreamMeasures()
        self._watch = watch
        self._status = WorkerStatus(instance)
        self._send = send
        self._sent_at = 0.0
        self._lock = threading.Lock()
        self._has_held_lock = self.has_used_state = False
        self._is_changed = False
        self._on_change: Callable[[], None] = lambda: None
        self._counts: deque[tuple[float, int, int]] = deque()
        self._copied: list[tuple[float, CopiedTable]] = []
        self._lag = Lag()
        self._heard_at: float | None = None
        self._sent_phase = self._status.phase
        self.clock = PrimaryClock()
        self.batch_tables: Callable[[], Sequence[str]] = tuple

    @property
    def has_held_lock(self) -> bool:
        """Return True after this process has become the instance's writer: only then it may report for it."""
        return self._has_held_lock

    @has_held_lock.setter
    def has_held_lock(self, value: bool) -> None:
        self._has_held_lock = value
        # The heartbeat takes no changes before this, and there may be one already.
        self._is_changed = True
        self._on_change()

    @property
    def is_changed(self) -> bool:
        """Return True if the snapshot has changed since the last `take_change`."""
        return self._is_changed

    def listen(self, on_change: Callable[[], None]) -> None:
        """Call `on_change` at the first change of the snapshot after each `take_change`, from any thread."""
        self._on_change = on_change

    def take_change(self) -> None:
        """Forget the change: the caller reads the snapshot next."""
        self._is_changed = False

    def _note_change(self) -> None:
        if not self._is_changed:
            self._is_changed = True
            self._on_change()

    @property
    def status(self) -> WorkerStatus:
        """Return the current snapshot. The lag and the silence of the primary grow between two changes."""
        with self._lock:
            return self._now()

    def _now(self) -> WorkerStatus:
        status = with_lag(self._status, self._lag, self._heard_at)
        is_streaming = status.phase in STREAMING_PHASES
        if is_streaming and self._counts and time.monotonic() - self._counts[-1][0] > _RATE_SECONDS:
            # A batch waits or is long: no rows were counted during the time of a rate.
            return replace(status, rows_per_second=0.0, transactions_per_second=0.0)
        return status

    def set(self, **changes: Any) -> None:
        """Change fields of the snapshot. A new phase is sent at once, other changes when the next one is due."""
        with self._lock:
            before, status = self._now(), self._status
            self._status = replace(status, **{"lag_seconds": before.lag_seconds, **changes})
            is_new = self._status != status
        if is_new:
            self._note_change()
        self.refresh()

    def set_lag(self, seconds: float | None, *, grows: bool, heard_at: float) -> None:
        """Set the current lag.

        Args:
            seconds: the lag, None if it is not known.
            grows: True while something waits to be applied; the lag grows from this moment on.
            heard_at: the monotonic time at which the primary last sent anything.

        """
        with self._lock:
            self._lag = Lag(seconds, grows=grows, known_at=time.monotonic())
            self._heard_at = heard_at
        if grows:
            self._note_change()

    def forget_lag(self) -> None:
        """Record that no batch is being applied and that the lag is not known."""
        with self._lock:
            self._lag = Lag()

    @property
    def waiting_seconds(self) -> float:
        """Return how long a batch has waited without a commit, in seconds; 0 if there is none."""
        with self._lock:
            return time.monotonic() - self._lag.known_at if self._lag.grows else 0.0

    def refresh(self) -> None:
        """Send the current snapshot if that is due."""
        with self._lock:
            status = self._now()
            is_due = status.phase is not self._sent_phase or time.monotonic() - self._sent_at >= _SEND_SECONDS
            if is_due:
                self._sent_at, self._sent_phase = time.monotonic(), status.phase
                status = self._with_limit(status)
                if self._is_measured:
                    status = replace(status, metrics=self._measured())
        if is_due:
            self._send(status)

    def _with_limit(self, status: WorkerStatus) -> WorkerStatus:
        """Return a status with the part that limits the stream now; it is kept for the heartbeat."""
        if self._watch is None:
            return status
        lag = status.lag_seconds if status.phase in STREAMING_PHASES else None
        part = self._watch.look(self.measures.parts.seconds, lag, status.position) or ""
        if part != self._status.limiting_part:
            self._status = replace(self._status, limiting_part=part)
        return replace(status, limiting_part=part)

    def _measured(self) -> StreamMetrics:
        lag = self._lag
        return self.measures.snapshot(
            lag_seconds=lag.seconds, lag_grows=lag.grows, lag_known_at=lag.known_at, heard_at=self._heard_at
        )

    def count(self, rows: int, transactions: int, skipped: int, *, uncommitted: int = 0) -> None:
        """Add what one batch did, and calculate the rates of the last seconds.

        Args:
            rows: the number of committed rows.
            transactions: the number of committed transactions.
            skipped: the number of row events of quarantined tables, which were not applied.
            uncommitted: the number of sent rows of a large transaction that is being applied; the rate counts them.

        """
        now = time.monotonic()
        with self._lock:
            status = self._status
            rows_total, transactions_total = status.rows_total + rows, status.transactions_total + transactions
            rows_sent = rows_total + uncommitted
            if self._counts and rows_sent < self._counts[-1][1]:
                self._counts.clear()  # the transaction was rolled back and is applied again
            self._counts.append((now, rows_sent, transactions_total))
            while len(self._counts) > 2 and now - self._counts[0][0] > _RATE_SECONDS:
                self._counts.popleft()
            first = self._counts[0]
            span = max(now - first[0], 0.5)
        self.set(
            rows_total=rows_total,
            transactions_total=transactions_total,
            skipped_rows=status.skipped_rows + skipped,
            rows_uncommitted=uncommitted,
            rows_per_second=(rows_sent - first[1]) / span,
            transactions_per_second=(transactions_total - first[2]) / span,
        )

    def copying(self, progress: CopyProgress) -> None:
        """Take the progress of a copy for which the stream waits."""
        self.has_used_state = True  # a copy saves its position before it reports progress
        copied = self._copied_with(progress)
        self.set(
            phase=Phase.TRANSFERRING, transfer=progress, copied=copied, rows_per_second=progress.rows_per_second,
            position=progress.position or self.status.position,
        )  # fmt: skip

    def resyncing(self, progress: CopyProgress) -> None:
        """Take the progress of a copy that runs while the stream runs."""
        self.set(copied=self._copied_with(progress), transfer=progress)

    def _copied_with(self, progress: CopyProgress) -> tuple[CopiedTable, ...]:
        """Return the tables that were copied in the last minute, at most `LISTED_TABLES_LIMIT`.

        The heartbeat shows them to the command that requested the copy. The end of a table's copy is sent at once.
        """
        before = self.status.transfer
        now = time.monotonic()
        if before is None or before.ended != progress.ended:
            known = {table for _, table in self._copied}
            new = [(now, table) for table in progress.ended if table not in known]
            if new:
                self._sent_at = 0.0
            self._copied = [*self._copied, *new][-LISTED_TABLES_LIMIT:]
        self._copied = [(at, table) for at, table in self._copied if now - at < _COPIED_SECONDS]
        return tuple(table for _, table in self._copied)
