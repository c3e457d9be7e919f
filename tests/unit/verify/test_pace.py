"""The pace of a comparison: it rests as long as what the servers lose wants it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import pytest

from replica_cli.verify import pace as pace_module
from replica_cli.verify.pace import Pace

if TYPE_CHECKING:
    from replica_cli.mysql.session import Session


@dataclass
class World:
    """Two servers, of which one does so much work in a second while it is left alone, and while a chunk is compared."""

    alone: float
    compared: float
    now: float = 100.0
    work: float = 0.0
    compared_seconds: float = 0.0
    rested_seconds: float = 0.0

    def monotonic(self) -> float:
        return self.now

    def rows(self, _: str) -> list[tuple[str, str]]:
        return [("Questions", str(int(self.work)))]

    def rest(self, seconds: float) -> None:
        self._pass(seconds, self.alone)
        self.rested_seconds += seconds

    def compare(self, seconds: float) -> None:
        self._pass(seconds, self.compared)
        self.compared_seconds += seconds

    def _pass(self, seconds: float, rate: float) -> None:
        self.now += seconds
        self.work += rate * seconds


def run(world: World, chunks: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace_module, "time", world)
    quiet = World(0, 0)
    pace = Pace(cast("Session", world), cast("Session", quiet), world.rest)
    pace.begin()
    for _ in range(chunks):
        world.compare(0.3)
        pace.rest()


def test_idle_servers_get_no_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(alone=30, compared=20)
    run(world, 50, monkeypatch)
    assert world.rested_seconds == 0


def test_servers_that_lose_nothing_get_little_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(alone=5000, compared=4990)
    run(world, 50, monkeypatch)
    assert 0 < world.rested_seconds < world.compared_seconds / 4


@pytest.mark.parametrize("loss", [0.1, 0.25, 0.4])
def test_servers_that_lose_much_lose_little_in_the_end(loss: float, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(alone=5000, compared=5000 * (1 - loss))
    run(world, 100, monkeypatch)
    share = world.compared_seconds / (world.compared_seconds + world.rested_seconds)
    assert loss * share == pytest.approx(0.03, abs=0.005)


def test_a_comparison_never_stands_still(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(alone=5000, compared=10)
    run(world, 50, monkeypatch)
    assert world.rested_seconds <= 20 * world.compared_seconds


def test_short_chunks_are_taken_together(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(alone=5000, compared=4000)
    monkeypatch.setattr(pace_module, "time", world)
    pace = Pace(cast("Session", world), cast("Session", World(0, 0)), world.rest)
    pace.begin()
    before = world.rested_seconds
    for _ in range(3):
        world.compare(0.05)
        pace.rest()
    assert world.rested_seconds == before
    world.compare(0.1)
    pace.rest()
    assert world.rested_seconds > before
