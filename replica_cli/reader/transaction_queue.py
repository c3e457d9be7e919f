"""Pass transactions from the reading thread to the applier through a queue of limited size."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from replica_cli.core.events import Transaction


class TransactionQueue:
    """Holds transactions for one producer thread and one consumer thread.

    The producer waits while the queue holds more than `limit_bytes`, counted by `Transaction.size`. An error ends the
    queue: the consumer gets everything that was put before it, and then `get` raises it.
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
        """Return True if the consumer has not closed the queue."""
        return not self._is_closed

    @property
    def size_bytes(self) -> int:
        """Return how many bytes of transactions the queue holds, counted by `Transaction.size`."""
        return self._bytes

    @property
    def is_empty(self) -> bool:
        """Return True if the queue holds no transaction."""
        return not self._items

    def put(self, transactions: Sequence[Transaction]) -> None:
        """Wait while the queue is full, then add transactions. A closed queue discards them."""
        with self._condition:
            while self._bytes > self._limit and not self._is_closed:
                self._condition.wait()
            if self._is_closed:
                return
            if transactions:
                self._items.extend(transactions)
                self._bytes += sum(t.size for t in transactions)
                self._condition.notify_all()

    def wait_for_consumer(self, seconds: float) -> None:
        """If the queue holds transactions, wait until its state changes, at most `seconds`."""
        with self._condition:
            if self._items and not self._is_closed:
                self._condition.wait(seconds)

    def fail(self, error: BaseException) -> None:
        """End the queue with an error for the consumer."""
        with self._condition:
            self._error = error
            self._condition.notify_all()

    def get(self, timeout: float) -> list[Transaction]:
        """Wait for transactions and return all of them; [] after `timeout` seconds or a `wake`.

        Raises:
            BaseException: the error given to `fail`, when the queue is empty.
        """
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
        """End the consumer's wait, or its next wait, even if the queue is empty."""
        with self._condition:
            self._is_woken = True
            self._condition.notify_all()

    def close(self) -> None:
        """Close the queue from the consumer's side: a producer that waits returns, and transactions are discarded."""
        with self._condition:
            self._is_closed = True
            self._items.clear()
            self._condition.notify_all()
