"""A wake ends a wait for pipes."""

from __future__ import annotations

from multiprocessing import Pipe

from replica_cli.worker.wakeup import Wakeup


def test_a_wake_ends_one_wait_and_ready_pipes_are_returned() -> None:
    reader, writer = Pipe()
    with Wakeup() as wakeup, reader, writer:
        for _ in range(10_000):  # more than fits would be no harm
            wakeup.wake()
        assert wakeup.wait([reader]) == []
        assert wakeup.wait([reader], 0.0) == []
        writer.send("a word")
        wakeup.wake()
        assert wakeup.wait([reader]) == [reader]
        assert reader.recv() == "a word"
        assert wakeup.wait([reader], 0.0) == []
    wakeup.wake()  # a signal may come last
