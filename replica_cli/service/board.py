"""A worker's status: changed by whoever knows, read as a frozen snapshot."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from replica_cli.core.status import Phase, TableState, WorkerStatus

if TYPE_CHECKING:
    from collections.abc import Callable

    from replica_cli.core.status import TransferProgress

_RATE_SECONDS = 5.0
_TELL_SECONDS = 0.25


class StatusBoard:
    """Holds the newest snapshot and tells it to a listener a few times a second. Safe between threads.

    `has_held_lock`: this worker was the instance's writer, so it may speak for the instance.
    """

    def __init__(self, instance: str, tell: Callable[[WorkerStatus], None]) -> None:
        self._status = WorkerStatus(instance)
        self._tell = tell
        self._told_at = 0.0
        self._lock = threading.Lock()
        self.has_held_lock = False
        self._counts: deque[tuple[float, int, int]] = deque()

    @property
    def status(self) -> WorkerStatus:
        """Return the newest snapshot."""
        with self._lock:
            return self._status

    def set(self, **changes: Any) -> None:
        """Change fields of the snapshot; a new phase is told at once, the rest when it is due."""
        with self._lock:
            before = self._status
            self._status = replace(before, **changes)
            is_due = before.phase is not self._status.phase or time.monotonic() - self._told_at >= _TELL_SECONDS
            if is_due:
                self._told_at = time.monotonic()
            status = self._status
        if is_due:
            self._tell(status)

    def count(self, rows: int, transactions: int, skipped: int) -> None:
        """Add what one batch did, and work the rates out anew over the last seconds."""
        now = time.monotonic()
        with self._lock:
            status = self._status
            rows_total, transactions_total = status.rows_total + rows, status.transactions_total + transactions
            self._counts.append((now, rows_total, transactions_total))
            while len(self._counts) > 2 and now - self._counts[0][0] > _RATE_SECONDS:
                self._counts.popleft()
            first = self._counts[0]
            span = max(now - first[0], 0.5)
        self.set(
            rows_total=rows_total,
            transactions_total=transactions_total,
            skipped_rows=status.skipped_rows + skipped,
            rows_per_second=(rows_total - first[1]) / span,
            transactions_per_second=(transactions_total - first[2]) / span,
        )

    def copying(self, progress: TransferProgress) -> None:
        """Take a transfer's progress; the end of a table is told at once."""
        before = self.status.transfer
        if before is None or _finished(before) != _finished(progress):
            self._told_at = 0.0
        self.set(phase=Phase.TRANSFERRING, transfer=progress, rows_per_second=progress.rows_per_second)


def _finished(progress: TransferProgress) -> int:
    return sum(t.state is TableState.COPIED for t in progress.tables)
