"""What the program does: runs that plant, verify and repair, and runs in which nothing differs."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING

from tests.proof.plants import make, pick, pick_hot
from tests.proof.rig import SCHEMA, Mistake, check
from tests.proof.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.proof.plants import Plant
    from tests.proof.rig import Rig
    from tests.support.command import Running

_REPAIR = ("verify", "repair", "--yes", "--all", "--json")
_KILLS = ("repair", "stream", "both", "stream", "both")


@dataclass(slots=True)
class Result:
    """What a run did; `problem` is empty if all was as it must be."""

    planted: int = 0
    verified: int = 0
    kills: int = 0
    rate: float = 0.0
    problem: str = ""
    seconds: dict[str, float] = field(default_factory=dict)

    @contextlib.contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Note how long the block takes."""
        began_at = time.monotonic()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.monotonic() - began_at


def plant_and_repair(rig: Rig, result: Result, *, seed: str, count: int, rate: int, kills: int) -> None:
    """Plant differences and see that `verify` names exactly these, then mend them, and compare everything.

    Args:
        rig: the servers.
        result: gets what was done.
        seed: picks the differences and what the writer does.
        count: how many differences are planted.
        rate: the transactions of the writer in a second.
        kills: how often a repair, the stream, or both are killed.

    Raises:
        Mistake: a difference was not found, was invented, or something else is wrong.
    """
    chance = Random(seed)
    stream = rig.replica.stream()
    with Writer(rig.replica.primary.address(), SCHEMA, rig.tables, seed=seed, rate=rate) as writer:
        hot = _find_hot(rig, result, chance)
        plantings = pick(rig.tables, chance, count - len(hot))
        planted = [p.plant for p in plantings]
        with rig.secondary.session(SCHEMA) as session:
            make(session, plantings)
        result.planted = len(hot) + len(planted)
        with result.timed("verify"):
            check(planted, rig.verify(code=3))
        with result.timed("repair"):
            stream = _repair(rig, result, stream, chance, kills)
        _check_records(rig, planted)
        with result.timed("verify again"):
            rig.verify(code=0)
        writer.stop()
        result.rate = writer.written.rate
    with result.timed("end"):
        rig.end(stream)


def _find_hot(rig: Rig, result: Result, chance: Random) -> list[Plant]:
    """Plant differences in the hot rows while the stream is paused, and undo them before it goes on."""
    present = rig.pause()
    plantings = pick_hot(present, chance)
    planted = [p.plant for p in plantings]
    with rig.secondary.session(SCHEMA) as session:
        session.execute("CREATE DATABASE kept")
        session.execute("CREATE TABLE kept.hot AS SELECT * FROM hot")
        make(session, plantings)
        with result.timed("verify the hot rows"):
            # The rows that foreign keys have changed are not in the log: they are decided when the stream goes on.
            names = [t.name for t in rig.tables]
            check(planted, rig.verify("hot", "parent", *names, code=3))
        session.execute("DELETE FROM hot")
        session.execute("INSERT INTO hot SELECT * FROM kept.hot")
        session.execute("DROP DATABASE kept")
    rig.replica.run("resume")
    return planted


def _repair(rig: Rig, result: Result, stream: Running, chance: Random, kills: int) -> Running:
    for _ in range(kills):
        repair = rig.replica.start(*_REPAIR)
        time.sleep(chance.uniform(0.2, 2.5))  # noqa: TID251 - a program's own pause: no stop comes
        what = chance.choice(_KILLS)
        if what != "stream":
            repair.kill_all()
        if what != "repair":
            stream.kill_all()
            stream = rig.replica.stream()
        repair.kill_all()
        result.kills += 1
    rig.replica.run(*_REPAIR, patience_seconds=300)
    return stream


def _check_records(rig: Rig, planted: list[Plant]) -> None:
    """Raise Mistake unless each planted row has a record, and no other row has one."""
    records = rig.replica.state(
        "SELECT table_name, COUNT(DISTINCT row_id), SUM(outcome = 'refused') FROM repair_log GROUP BY table_name"
    )
    expected: dict[str, int] = {}
    for plant in planted:
        expected[plant.table] = expected.get(plant.table, 0) + 1
    found = {table: int(rows) for table, rows, _ in records if table != "bare"}
    expected.pop("bare")
    if found != expected or any(int(refused) for *_, refused in records):
        raise Mistake(f"repaired {records}, planted {expected}")
    rig.replica.state("DELETE FROM repair_log")


def verify_equal(rig: Rig, result: Result, *, seed: str, rate: int, times: int) -> None:
    """Verify equal tables a number of times under a writer. Raises Mistake if a difference is named."""
    stream = rig.replica.stream()
    with Writer(rig.replica.primary.address(), SCHEMA, rig.tables, seed=seed, rate=rate) as writer:
        for number in range(times):
            with result.timed("verify"):
                rig.verify(code=0)
            result.verified = number + 1
        writer.stop()
        result.rate = writer.written.rate
    with result.timed("end"):
        rig.end(stream)
