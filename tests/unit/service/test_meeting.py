"""Two threads that come to the same place."""

from __future__ import annotations

import threading

from replica_cli.core.position import Position
from replica_cli.service.meeting import Meeting
from replica_cli.stop import StopToken

FIRST, SECOND = Position("binlog.000001", 100), Position("binlog.000001", 200)


def arriving(meeting: Meeting, goal: Position, end: StopToken) -> threading.Thread:
    thread = threading.Thread(target=meeting.arrive, args=(goal, end))
    thread.start()
    return thread


def test_the_stream_goes_on_where_the_other_one_does_not_come() -> None:
    meeting = Meeting()
    meeting.come_near()
    assert not meeting.wait_at(FIRST, 0.1, StopToken())
    assert meeting.goal is None
    assert not meeting.is_near


def test_who_comes_too_late_has_not_arrived_at_the_next_place() -> None:
    meeting = Meeting()
    meeting.come_near()
    assert not meeting.wait_at(FIRST, 0.1, StopToken())
    # The place was withdrawn on the way there.
    meeting.arrive(FIRST, StopToken())
    meeting.come_near()
    assert not meeting.wait_at(SECOND, 0.1, StopToken())


def test_both_are_there() -> None:
    meeting, end = Meeting(), StopToken()
    meeting.come_near()
    stream = threading.Thread(target=lambda: met.append(meeting.wait_at(FIRST, 60, StopToken())))
    met: list[bool] = []
    stream.start()
    while meeting.goal is None:
        pass
    other = arriving(meeting, FIRST, end)
    stream.join(60)
    assert met == [True]
    assert other.is_alive()
    end.request()
    other.join(60)
    assert not other.is_alive()


def test_a_stop_and_an_error_of_the_other_one_end_the_wait() -> None:
    meeting, stop = Meeting(), StopToken()
    meeting.come_near()
    stop.request()
    assert not meeting.wait_at(FIRST, 60, stop)
    meeting.come_near()
    meeting.leave()
    assert not meeting.wait_at(FIRST, 60, StopToken())
