"""Functions at the same time: all end before an error of one is raised, and none keeps the process from ending."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest

from replica_cli.side_by_side import in_threads, side_by_side

STUCK = """
import threading, time
from replica_cli.side_by_side import in_threads

def copy():
    with in_threads([lambda: (begun.set(), time.sleep(60))]):
        pass

begun = threading.Event()
threading.Thread(target=copy, daemon=True).start()
begun.wait()
"""


def raising(error: Exception) -> None:
    raise error


def test_each_can_wait_for_the_other() -> None:
    meeting = threading.Barrier(2, timeout=10)
    first, second = side_by_side(lambda: meeting.wait() >= 0, lambda: meeting.wait() >= 0)
    assert (first, second) == (True, True)


def test_the_first_error_is_raised_after_both_have_ended() -> None:
    ended = threading.Event()

    def second() -> None:
        ended.wait(0.05)
        ended.set()
        raising(ValueError("second"))

    with pytest.raises(KeyError, match="first"):
        side_by_side(lambda: raising(KeyError("first")), second)
    assert ended.is_set()
    with pytest.raises(ValueError, match="second"):
        side_by_side(lambda: 1, second)


def test_each_of_several_has_its_result_or_its_error() -> None:
    with in_threads([lambda: 1, lambda: raising(ValueError("second"))]) as (first, second):
        pass
    assert first.result() == 1
    with pytest.raises(ValueError, match="second"):
        second.result()


def test_a_thread_that_waits_for_a_dead_server_does_not_keep_the_process() -> None:
    assert subprocess.run([sys.executable, "-c", STUCK], timeout=30, check=False).returncode == 0
