"""What a reset of the saved position would change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from replica_cli.core.position import Position
    from replica_cli.core.reports.failure import Failure
    from replica_cli.core.requests.reset import ResetKind


@dataclass(frozen=True, slots=True)
class ResetPlan:
    """What a reset would do to one secondary; `after` is None where the position is forgotten.

    Filters are in words; `filters_after` equals `filters_before` where they stay. `failure`: there is no plan, and why.
    """

    instance: str
    kind: ResetKind
    before: Position | None
    after: Position | None
    filters_before: str = ""
    filters_after: str = ""
    warnings: tuple[str, ...] = ()
    failure: Failure | None = None
