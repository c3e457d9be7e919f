"""A wait for pipes that a wake ends."""

from __future__ import annotations

from multiprocessing import Pipe

from replica_cli.worker.wakeup import Wakeup


def test_a_wake_ends_one_wait_and_a_pipe_is_told() -> None:
    ours, theirs = Pipe()
    with Wakeup() as wakeup, ours, theirs:
        for _ in range(10_000):  # more than fits would be no harm
            wakeup.wake()
        assert wakeup.wait([ours]) == []
        assert wakeup.wait([ours], 0.0) == []
        theirs.send("a word")
        wakeup.wake()
        assert wakeup.wait([ours]) == [ours]
        assert ours.recv() == "a word"
        assert wakeup.wait([ours], 0.0) == []
    wakeup.wake()  # a signal may come last
