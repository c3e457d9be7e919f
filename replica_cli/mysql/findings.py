"""Define the result of one check of a preflight."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from replica_cli.core.reports.health import HealthLevel


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check.

    `name` is stable and in kebab-case. `hint` is what to type, such as the SQL that corrects the fault. `value` is a
    number in `unit`.
    """

    name: str
    level: HealthLevel
    message: str
    hint: str = ""
    value: float | None = None
    unit: str = ""
