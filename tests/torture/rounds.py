"""One round: a writer, some faults, then rest and the whole check."""

from __future__ import annotations

import time
import traceback
from contextlib import ExitStack
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING

from replica_cli.core.errors import ReplicaError
from tests.torture import proving
from tests.torture.faults import FAULTS, Scene
from tests.torture.inspector import Inspector
from tests.torture.rest import check_rest, copy_refused_tables
from tests.torture.verify import Verdict, check_place, settle, verify
from tests.torture.waiting import Failed, pause
from tests.torture.writer import Counts, Writer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.torture.arena import Arena
    from tests.torture.faults import Fault

_LEDGER_LIMIT = 15_000


@dataclass(slots=True)
class Round:
    """What happened in a round and what was wrong; `faults` are those that came to pass, with where."""

    number: int
    faults: list[str] = field(default_factory=list)
    kinds: list[str] = field(default_factory=list)
    seconds: float = 0.0
    catch_up_seconds: float = 0.0
    questions: int = 0
    refused: int = 0
    counts: Counts = field(default_factory=Counts)
    verdict: Verdict = field(default_factory=Verdict)

    @property
    def is_good(self) -> bool:
        """Return True if nothing was wrong."""
        return not self.verdict.problems


def run_round(arena: Arena, number: int, *, seed: str, only: Sequence[str] = ()) -> Round:
    """Run one round; what is wrong is in the result. The same seed picks the same faults and the same changes."""
    chance = Random(f"{seed}:{number}")
    result = Round(number)
    started = time.monotonic()
    _keep_ledger_small(arena)
    writer = Writer(arena.primary.address(), seed=f"{seed}:{number}", round_number=number, kinds=arena.kinds)
    inspectors = [Inspector(site, arena.primary, writer) for site in arena.sites]
    writer.start()
    with ExitStack() as asking:
        for inspector in inspectors:
            asking.enter_context(inspector)
        try:
            for fault in pick(arena, chance, only):
                _suffer(arena, fault, chance, writer, result)
            pause(chance.uniform(0.3, 1.5))
        finally:
            try:
                arena.mend()
            finally:
                result.counts = writer.stop()
        stopped = time.monotonic()
        _check(arena, result)
    for inspector in inspectors:
        result.questions += inspector.questions
        result.verdict.problems += inspector.problems()
    result.catch_up_seconds = time.monotonic() - stopped
    result.seconds = time.monotonic() - started
    return result


def pick(arena: Arena, chance: Random, only: Sequence[str]) -> list[Fault]:
    """Return the faults of a round: one to three."""
    possible = [f for f in FAULTS if (not only or f.name in only) and not f.why_not(arena)]
    return chance.choices(possible, [f.weight for f in possible], k=chance.choice((1, 1, 2, 2, 3)))


def _suffer(arena: Arena, fault: Fault, chance: Random, writer: Writer, result: Round) -> None:
    site = chance.choice(arena.sites)
    scene = Scene(arena, site, Random(chance.random()), writer)
    result.kinds.append(fault.name)
    result.faults.append(f"{fault.name} {site}")
    try:
        for each in arena.sites:
            each.check_stream()
            each.start_stream()
        proving.begin(site)
        pause(chance.uniform(0.0, 1.0))
        fault.run(scene)
        for each in arena.sites:
            if arena.primary.is_running and each.server.is_running:
                result.verdict.problems += check_place(arena, each)
    except Failed as failed:
        result.verdict.problems.append(f"{fault.name}: {failed}")
    except ReplicaError as error:
        # A server that no fault concerned: an error of the harness, which is reported as well.
        result.verdict.problems.append(f"{fault.name}: {error.message}\n{traceback.format_exc(limit=-4)}")
    finally:
        result.verdict.problems += proving.end(site)
        # What a fault did in the end is part of its line.
        if scene.detail:
            result.faults[-1] += f" ({scene.detail})"


def _check(arena: Arena, result: Round) -> None:
    try:
        settle(arena)
        for site in arena.sites:
            if refused := copy_refused_tables(site, arena.kinds):
                result.refused += len(refused)
                settle(arena)
        found = verify(arena)
        result.verdict.lost, result.verdict.doubled = found.lost, found.doubled
        result.verdict.problems += found.problems
        result.verdict.problems += check_rest(arena.sites)
        for site in arena.sites:
            site.check_stream()
    except (Failed, ReplicaError) as error:
        result.verdict.problems.append(str(error))
    for site in arena.sites:
        result.verdict.problems += [f"{site}: {line}" for line in site.new_panics()]


def _keep_ledger_small(arena: Arena) -> None:
    with arena.primary.session() as session:
        ((count,),) = session.rows("SELECT COUNT(*) FROM torture.ledger")
    if int(count) > _LEDGER_LIMIT:
        arena.on_primary("TRUNCATE TABLE ledger")
