"""The result of `replica health`: checks and their levels."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class HealthLevel(IntEnum):
    """The level of a check; the numbers are the exit statuses of monitoring plug-ins."""

    OK = 0
    WARNING = 1
    CRITICAL = 2
    UNKNOWN = 3


# CRITICAL is worse than UNKNOWN, as in the max_state() of the monitoring plug-ins.
_BADNESS = (HealthLevel.OK, HealthLevel.WARNING, HealthLevel.UNKNOWN, HealthLevel.CRITICAL)


def worst(levels: Iterable[HealthLevel]) -> HealthLevel:
    """Return the worst of some levels, UNKNOWN if there are none."""
    return max(levels, key=_BADNESS.index, default=HealthLevel.UNKNOWN)


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check of a server.

    `name` is stable and in kebab-case. `hint` is what to type, such as the SQL that corrects the fault. `value` is a
    number in `unit`.
    """

    name: str
    level: HealthLevel
    message: str
    hint: str = ""
    value: float | None = None
    unit: str = ""


@dataclass(frozen=True, slots=True)
class HealthCheck(Finding):
    """One check of `replica health`; `instance` is empty for checks of the primary."""

    instance: str = ""


@dataclass(frozen=True, slots=True)
class HealthReport:
    """All checks, in the order in which they were made."""

    checks: tuple[HealthCheck, ...]

    @property
    def level(self) -> HealthLevel:
        """Return the worst level, in the order critical, unknown, warning, ok; unknown if there are no checks."""
        return worst([c.level for c in self.checks])
