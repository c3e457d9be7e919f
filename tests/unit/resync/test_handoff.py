"""The stream and the catch-up meet at a position."""

from __future__ import annotations

import threading

from replica_cli.core.position import Position
from replica_cli.resync.handoff import Handoff
from replica_cli.stop import StopToken

FIRST, SECOND = Position("binlog.000001", 100), Position("binlog.000001", 200)


def arriving(handoff: Handoff, goal: Position, end: StopToken) -> threading.Thread:
    thread = threading.Thread(target=handoff.reach, args=(goal, end))
    thread.start()
    return thread


def test_the_stream_goes_on_if_the_catch_up_does_not_come() -> None:
    handoff = Handoff()
    handoff.announce_close()
    assert not handoff.offer(FIRST, 0.1, StopToken())
    assert handoff.offered is None
    assert not handoff.is_close


def test_a_late_catch_up_has_not_reached_the_next_position() -> None:
    handoff = Handoff()
    handoff.announce_close()
    assert not handoff.offer(FIRST, 0.1, StopToken())
    # The position was withdrawn before the catch-up reached it.
    handoff.reach(FIRST, StopToken())
    handoff.announce_close()
    assert not handoff.offer(SECOND, 0.1, StopToken())


def test_stream_and_catch_up_meet_at_a_position() -> None:
    handoff, end = Handoff(), StopToken()
    handoff.announce_close()
    stream = threading.Thread(target=lambda: met.append(handoff.offer(FIRST, 60, StopToken())))
    met: list[bool] = []
    stream.start()
    while handoff.offered is None:
        pass
    other = arriving(handoff, FIRST, end)
    stream.join(60)
    assert met == [True]
    assert other.is_alive()
    end.request()
    other.join(60)
    assert not other.is_alive()


def test_a_stop_and_an_error_of_the_catch_up_end_the_wait() -> None:
    handoff, stop = Handoff(), StopToken()
    handoff.announce_close()
    stop.request()
    assert not handoff.offer(FIRST, 60, stop)
    handoff.announce_close()
    handoff.withdraw()
    assert not handoff.offer(FIRST, 60, StopToken())
