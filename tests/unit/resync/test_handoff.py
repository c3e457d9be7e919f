"""Two threads that come to the same place."""

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


def test_the_stream_goes_on_where_the_other_one_does_not_come() -> None:
    handoff = Handoff()
    handoff.announce_close()
    assert not handoff.offer(FIRST, 0.1, StopToken())
    assert handoff.offered is None
    assert not handoff.is_close


def test_who_comes_too_late_has_not_arrived_at_the_next_place() -> None:
    handoff = Handoff()
    handoff.announce_close()
    assert not handoff.offer(FIRST, 0.1, StopToken())
    # The place was withdrawn on the way there.
    handoff.reach(FIRST, StopToken())
    handoff.announce_close()
    assert not handoff.offer(SECOND, 0.1, StopToken())


def test_both_are_there() -> None:
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


def test_a_stop_and_an_error_of_the_other_one_end_the_wait() -> None:
    handoff, stop = Handoff(), StopToken()
    handoff.announce_close()
    stop.request()
    assert not handoff.offer(FIRST, 60, stop)
    handoff.announce_close()
    handoff.withdraw()
    assert not handoff.offer(FIRST, 60, StopToken())
