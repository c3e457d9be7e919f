"""The consumer of the reader's queue is woken by transactions and by `wake`, and never without a reason."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from replica_cli.reader.transaction_queue import TransactionQueue

if TYPE_CHECKING:
    import pytest

_LONG_SECONDS = 250.0


def test_a_wake_ends_the_current_wait_or_the_next_one() -> None:
    queue = TransactionQueue(1000)
    queue.wake()
    assert queue.get(_LONG_SECONDS) == []
    got: list[object] = []
    thread = threading.Thread(target=lambda: got.append(queue.get(_LONG_SECONDS)))
    thread.start()
    queue.wake()
    thread.join()
    assert got == [[]]


def test_an_empty_queue_wakes_no_consumer(monkeypatch: pytest.MonkeyPatch) -> None:
    queue = TransactionQueue(1000)
    woken: list[int] = []
    monkeypatch.setattr(queue._condition, "notify_all", lambda: woken.append(1))
    queue.put([])
    assert woken == []
    queue.wake()
    assert woken == [1]
