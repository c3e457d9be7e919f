"""The checks of `replica health`, and how bad each is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class HealthLevel(IntEnum):
    """How bad it is, in the numbers that monitoring plug-ins exit with."""

    OK = 0
    WARNING = 1
    CRITICAL = 2
    UNKNOWN = 3


# A certain fault outranks an open question, as in the plug-ins' own max_state().
_BADNESS = (HealthLevel.OK, HealthLevel.WARNING, HealthLevel.UNKNOWN, HealthLevel.CRITICAL)


def worst(levels: Iterable[HealthLevel]) -> HealthLevel:
    """Return the worst of some levels, UNKNOWN where there are none."""
    return max(levels, key=_BADNESS.index, default=HealthLevel.UNKNOWN)


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """One line of `replica health`; `instance` is empty for the primary's checks, `value` is in `unit`."""

    name: str
    level: HealthLevel
    message: str
    hint: str = ""
    value: float | None = None
    unit: str = ""
    instance: str = ""


@dataclass(frozen=True, slots=True)
class HealthReport:
    """Every check, in the order in which they were made."""

    checks: tuple[HealthCheck, ...]

    @property
    def level(self) -> HealthLevel:
        """Return the worst level: critical, unknown, warning, ok. Nothing checked is unknown."""
        return worst([c.level for c in self.checks])
