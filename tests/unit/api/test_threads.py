"""Threads for slow questions: few, for a bounded time, and none for a client that has gone."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest

from replica_cli.api import threads
from replica_cli.api.errors import TooMany
from replica_cli.api.threads import Remembered, Threads
from replica_cli.core.errors import PrimaryError

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def may_end() -> Iterator[threading.Event]:
    """Give an event for which questions wait."""
    event = threading.Event()
    yield event
    event.set()


def test_a_thread_that_nobody_waits_for_any_more_is_still_counted(
    may_end: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threads, "_SLOT_SECONDS", 0.1)

    async def ask() -> bool:
        limited = Threads(1)
        begun = threading.Event()

        def question() -> bool:
            begun.set()
            return may_end.wait(30)

        task = asyncio.create_task(limited.run(question))
        await asyncio.to_thread(begun.wait, 30)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        with pytest.raises(TooMany):
            await limited.run(lambda: True)
        may_end.set()
        return await limited.run(lambda: True)

    assert asyncio.run(ask())


def test_a_thread_that_cannot_be_started_takes_no_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "_SLOT_SECONDS", 0.1)

    def fail(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    async def ask() -> bool:
        limited = Threads(1)
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", fail)
            for _ in range(2):
                with pytest.raises(RuntimeError):
                    await limited.run(lambda: True)
        return await limited.run(lambda: True)

    assert asyncio.run(ask())


def test_all_who_wait_get_the_error_of_one_question(may_end: threading.Event) -> None:
    asked: list[None] = []

    def question() -> None:
        asked.append(None)
        may_end.wait(30)
        raise PrimaryError("gone")

    async def ask() -> list[object]:
        remembered = Remembered(Threads(4), question, 2.0)
        clients = [asyncio.create_task(remembered.get()) for _ in range(10)]
        await asyncio.sleep(0.1)
        may_end.set()
        return list(await asyncio.gather(*clients, return_exceptions=True))

    assert [type(answer) for answer in asyncio.run(ask())] == [PrimaryError] * 10
    assert len(asked) == 1
