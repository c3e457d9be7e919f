"""The stop token: a waiting thread is woken, and does not poll."""

from __future__ import annotations

import signal
import threading

from replica_cli.stop import StopToken

# Nothing waits so long where it is woken.
_LONG_SECONDS = 250.0


def test_a_stop_ends_a_wait_and_a_hold_of_another_thread() -> None:
    token = StopToken()
    branch = token.branch()
    branch.pause()
    ended: list[str] = []

    def wait() -> None:
        if token.wait(_LONG_SECONDS):
            ended.append("wait")

    def hold() -> None:
        branch.hold()
        ended.append("hold")

    threads = [threading.Thread(target=wait), threading.Thread(target=hold)]
    for thread in threads:
        thread.start()
    token.request()
    for thread in threads:
        thread.join()
    assert sorted(ended) == ["hold", "wait"]
    assert not token.must_abort
    token.request()
    assert branch.must_abort


def test_a_pause_belongs_to_one_branch_and_its_end_ends_the_wait() -> None:
    token = StopToken()
    one, other = token.branch(), token.branch()
    one.pause()
    other.hold()
    thread = threading.Thread(target=one.hold)
    thread.start()
    one.pause(is_wanted=False)
    thread.join()
    assert not one.is_paused


def test_a_hold_with_a_limit_ends_while_the_pause_lasts() -> None:
    token = StopToken()
    token.pause()
    token.hold(0.01)
    assert token.is_paused


def test_a_thread_that_waits_for_something_else_is_woken_only_by_changes() -> None:
    token = StopToken()
    wakes: list[str] = []
    with token.waking(lambda: wakes.append("woken")):
        assert len(wakes) == 1  # for what was before
        for number, change in enumerate((token.pause, token.pause, token.wake, token.request), 2):
            change()
            assert len(wakes) == min(number, 2) + (number > 3) + (number > 4)
    token.wake()
    assert len(wakes) == 4


def test_a_signal_that_comes_while_its_thread_holds_the_token_stops() -> None:
    token = StopToken()
    before = signal.signal(signal.SIGUSR2, lambda _number, _frame: token.request())
    try:
        with token._state.changed:
            signal.raise_signal(signal.SIGUSR2)
    finally:
        signal.signal(signal.SIGUSR2, before)
    assert token.is_set
