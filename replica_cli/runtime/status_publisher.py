"""A worker's status: changed by whoever knows, read as a frozen snapshot."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from replica_cli.core.status import TOLD_TABLES, CopiedTable, Phase, WorkerStatus
from replica_cli.runtime.lag import Lag, PrimaryClock, with_lag

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from replica_cli.core.status import TransferProgress

_RATE_SECONDS = 5.0
_TELL_SECONDS = 0.25
_COPIED_SECONDS = 60.0


class StatusPublisher:
    """Holds the newest snapshot and tells it to a listener a few times a second. Safe between threads.

    `has_used_state`: it has read or saved the instance's position row, so one that is missing later was there.
    `batch_tables` names the tables of the batch that is being applied: a message about a wait shows them.
    """

    def __init__(self, instance: str, tell: Callable[[WorkerStatus], None]) -> None:
        self._status = WorkerStatus(instance)
        self._tell = tell
        self._told_at = 0.0
        self._lock = threading.Lock()
        self._has_held_lock = self.has_used_state = False
        self._is_changed = False
        self._on_change: Callable[[], None] = lambda: None
        self._counts: deque[tuple[float, int, int]] = deque()
        self._copied: list[tuple[float, CopiedTable]] = []
        self._lag = Lag()
        self._heard_at: float | None = None
        self._told_phase = self._status.phase
        self.clock = PrimaryClock()
        self.batch_tables: Callable[[], Sequence[str]] = tuple

    @property
    def has_held_lock(self) -> bool:
        """Return True once this worker was the instance's writer: it may speak for the instance."""
        return self._has_held_lock

    @has_held_lock.setter
    def has_held_lock(self, value: bool) -> None:
        self._has_held_lock = value
        # The heartbeat takes no changes before this: there may be one already.
        self._is_changed = True
        self._on_change()

    @property
    def is_changed(self) -> bool:
        """Return True if there is something new since the last `take_change`."""
        return self._is_changed

    def listen(self, on_change: Callable[[], None]) -> None:
        """Call `on_change` at the first change of the snapshot after each `take_change`, from any thread."""
        self._on_change = on_change

    def take_change(self) -> None:
        """Forget that there was a change: the snapshot that is read next tells of it."""
        self._is_changed = False

    def _note_change(self) -> None:
        if not self._is_changed:
            self._is_changed = True
            self._on_change()

    @property
    def status(self) -> WorkerStatus:
        """Return the snapshot of now: the lag grows while a batch waits, as does the primary's silence."""
        with self._lock:
            return self._now()

    def _now(self) -> WorkerStatus:
        status = with_lag(self._status, self._lag, self._heard_at)
        is_streaming = status.phase in (Phase.STREAMING, Phase.CAUGHT_UP)
        if is_streaming and self._counts and time.monotonic() - self._counts[-1][0] > _RATE_SECONDS:
            # A batch waits, or is long: nothing was counted for as long as a rate is of.
            return replace(status, rows_per_second=0.0, transactions_per_second=0.0)
        return status

    def set(self, **changes: Any) -> None:
        """Change fields of the snapshot; a new phase is told at once, the rest when it is due."""
        with self._lock:
            before, status = self._now(), self._status
            self._status = replace(status, **{"lag_seconds": before.lag_seconds, **changes})
            is_new = self._status != status
        if is_new:
            self._note_change()
        self.refresh()

    def set_lag(self, seconds: float | None, *, grows: bool, heard_at: float) -> None:
        """Take the lag of this moment, and the monotonic time at which the primary last sent anything.

        It grows from here on for as long as something waits to be applied.
        """
        with self._lock:
            self._lag = Lag(seconds, grows=grows, known_at=time.monotonic())
            self._heard_at = heard_at
        if grows:
            self._note_change()

    def rest(self) -> None:
        """Note that nothing is in hand, and that the lag is not known."""
        with self._lock:
            self._lag = Lag()

    @property
    def waiting_seconds(self) -> float:
        """Return for how long something has been in hand of which nothing was committed, 0 where nothing is."""
        with self._lock:
            return time.monotonic() - self._lag.known_at if self._lag.grows else 0.0

    def refresh(self) -> None:
        """Tell the snapshot of now if that is due."""
        with self._lock:
            status = self._now()
            is_due = status.phase is not self._told_phase or time.monotonic() - self._told_at >= _TELL_SECONDS
            if is_due:
                self._told_at, self._told_phase = time.monotonic(), status.phase
        if is_due:
            self._tell(status)

    def count(self, rows: int, transactions: int, skipped: int, *, uncommitted: int = 0) -> None:
        """Add what one batch did, and calculate the rates of the last seconds.

        `uncommitted` are the rows of a large transaction that is being applied: the rate counts them.
        """
        now = time.monotonic()
        with self._lock:
            status = self._status
            rows_total, transactions_total = status.rows_total + rows, status.transactions_total + transactions
            rows_sent = rows_total + uncommitted
            if self._counts and rows_sent < self._counts[-1][1]:
                self._counts.clear()  # the transaction was rolled back, and is applied again
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

    def copying(self, progress: TransferProgress) -> None:
        """Take the progress of a copy for which the stream waits; the end of a table is told at once."""
        self.has_used_state = True  # a copy saves its position before it tells anything
        copied = self._copied_with(progress)
        self.set(
            phase=Phase.TRANSFERRING, transfer=progress, copied=copied, rows_per_second=progress.rows_per_second,
            position=progress.position or self.status.position,
        )  # fmt: skip

    def copying_beside(self, progress: TransferProgress) -> None:
        """Take the progress of a copy beside the stream."""
        self.set(copied=self._copied_with(progress), transfer=progress)

    def _copied_with(self, progress: TransferProgress) -> tuple[CopiedTable, ...]:
        """Return what was copied in the last minute: the heartbeat shows it, and who asked for the copy waits for that.

        The end of a table is told at once. Not more than TOLD_TABLES are kept.
        """
        before = self.status.transfer
        now = time.monotonic()
        if before is None or before.ended != progress.ended:
            known = {table for _, table in self._copied}
            new = [(now, table) for table in progress.ended if table not in known]
            if new:
                self._told_at = 0.0
            self._copied = [*self._copied, *new][-TOLD_TABLES:]
        self._copied = [(at, table) for at, table in self._copied if now - at < _COPIED_SECONDS]
        return tuple(table for _, table in self._copied)
