"""Two functions at the same time: both end before an error of one is raised."""

from __future__ import annotations

import threading

import pytest

from replica_cli.side_by_side import side_by_side


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
