"""The bounded queue between the reading thread and the applier."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from replica_cli.core.events import Transaction


class TransactionQueue:
    """Holds transactions up to a size in bytes (`Transaction.size`); one producer, one consumer.

    An error ends the queue: it is raised to the consumer after everything before it was taken.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._items: deque[Transaction] = deque()
        self._bytes = 0
        self._error: BaseException | None = None
        self._is_closed = self._is_woken = False
        self._condition = threading.Condition()

    @property
    def is_open(self) -> bool:
        """Say whether the consumer is still there."""
        return not self._is_closed

    @property
    def is_empty(self) -> bool:
        """Say whether nothing waits to be taken."""
        return not self._items

    def put(self, transactions: Sequence[Transaction]) -> None:
        """Add transactions, waiting while the queue is full; a closed queue forgets them."""
        with self._condition:
            while self._bytes > self._limit and not self._is_closed:
                self._condition.wait()
            if self._is_closed:
                return
            if transactions:
                self._items.extend(transactions)
                self._bytes += sum(t.size for t in transactions)
                self._condition.notify_all()

    def rest(self, seconds: float) -> None:
        """Wait while the consumer has something to take, at most so long."""
        with self._condition:
            if self._items and not self._is_closed:
                self._condition.wait(seconds)

    def fail(self, error: BaseException) -> None:
        """End the queue with an error."""
        with self._condition:
            self._error = error
            self._condition.notify_all()

    def get(self, timeout: float) -> list[Transaction]:
        """Return all that waits, [] after the timeout or a `wake`. Raises the reader's error once nothing waits."""
        deadline = time.monotonic() + timeout
        with self._condition:
            while not self._items:
                if self._error is not None:
                    raise self._error
                left = deadline - time.monotonic()
                if self._is_woken or left <= 0:
                    break
                self._condition.wait(left)
            self._is_woken = False
            items = list(self._items)
            self._items.clear()
            self._bytes = 0
            self._condition.notify_all()
            return items

    def wake(self) -> None:
        """Let the consumer go on, or not wait the next time, though nothing may be there to take."""
        with self._condition:
            self._is_woken = True
            self._condition.notify_all()

    def close(self) -> None:
        """Let the producer go: nobody takes any more."""
        with self._condition:
            self._is_closed = True
            self._items.clear()
            self._condition.notify_all()
