"""The type of a fault, and its arguments."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.torture.waiting import pause, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from tests.torture.arena import Arena
    from tests.torture.site import Site
    from tests.torture.writer import Writer


@dataclass(slots=True)
class Scene:
    """The servers and the random numbers of a fault; `detail` is printed in the round's line."""

    arena: Arena
    site: Site
    chance: Random
    writer: Writer
    detail: str = field(default="")

    def linger(self, least: float, most: float) -> None:
        """Let the fault last for a time of its own."""
        pause(self.chance.uniform(least, most))

    def wait_for_transactions(self, count: int) -> None:
        """Wait until the writer committed a number of transactions more."""
        goal = self.writer.transactions + count
        wait_until(lambda: self.writer.transactions >= goal, f"{count} transactions of the writer", 60)


def always(arena: Arena) -> str:  # noqa: ARG001 - the shape of all
    """Return no reason against a fault."""
    return ""


@dataclass(frozen=True, slots=True)
class Fault:
    """`run` does the damage and takes it away; `why_not` says why it cannot be done here, empty where it can."""

    name: str
    weight: int
    run: Callable[[Scene], None]
    why_not: Callable[[Arena], str] = always
