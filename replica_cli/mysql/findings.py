"""What a preflight finds: one value a check, with the SQL that mends it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from replica_cli.core.reports.health import HealthLevel


@dataclass(frozen=True, slots=True)
class Finding:
    """One check's outcome; `name` is stable and kebab-case, `hint` what to type, `value` a number in `unit`."""

    name: str
    level: HealthLevel
    message: str
    hint: str = ""
    value: float | None = None
    unit: str = ""
